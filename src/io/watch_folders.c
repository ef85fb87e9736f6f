/* Happy path: a pass walks the way to each file from the root on, name by name, and has inotify
 * watch each folder it comes by; an event in one that concerns a name on a way matters.
 * Failure modes: a folder that may not be read, or one too many for the system, is left out, and
 * the end of the pass says so; so is one for which there is no memory. Events that were lost
 * matter.
 * On close: the descriptor is closed. */
#include "io/watch_folders.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "io/file_print.h"

enum { NEITHER, FOLDER, LINK };
enum { NAMES = 1, CONTENT = 2 };

/* As the kernel has it. */
#define MOST_LINKS 40

/* What happens to names; and to what files hold, where a watched one lies. */
#define NAME_EVENTS \
    (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF)
#define CONTENT_EVENTS (NAME_EVENTS | IN_MODIFY | IN_ATTRIB)

void cla_watch_folders_init(struct cla_watch_folders *w)
{
    *w = (struct cla_watch_folders){.fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC)};
    w->home = realpath(".", NULL);
    if (w->fd < 0)
        w->error = errno;
}

void cla_watch_folders_begin(struct cla_watch_folders *w)
{
    w->pass++;
    cla_names_fini(&w->paths);
    if (w->fd >= 0)
        w->error = 0;
}

static void fail(struct cla_watch_folders *w, int error)
{
    if (w->error == 0)
        w->error = error;
}

/* The number of 'path', which is new if 'places' says nothing of it. NONE: no memory. */
static size_t place_of(struct cla_watch_folders *w, const char *path, bool *is_new)
{
    struct cla_slice name = cla_slice_str(path);
    size_t number = cla_names_find(&w->paths, name);

    *is_new = number == CLA_NAMES_NONE;
    if (!*is_new)
        return number;
    number = w->paths.count;
    if (number == w->place_cap) {
        size_t cap = number > 0 ? number * 2 : 64;
        struct cla_watch_place *places = cla_mem_realloc(w->places, cap * sizeof *places);

        if (places == NULL)
            return CLA_NAMES_NONE;
        w->places = places;
        w->place_cap = cap;
    }
    if (cla_names_add(&w->paths, name) != 0)
        return CLA_NAMES_NONE;
    w->places[number] = (struct cla_watch_place){0};
    return number;
}

/* --- The folders that inotify knows. --- */

static int compare(const void *a, const void *b)
{
    int x = ((const struct cla_watch_folder *)a)->wd, y = ((const struct cla_watch_folder *)b)->wd;

    return (x > y) - (x < y);
}

static struct cla_watch_folder *find(const struct cla_watch_folders *w, int wd)
{
    const struct cla_watch_folder key = {.wd = wd};

    return w->count > 0 ? bsearch(&key, w->folders, w->count, sizeof key, compare) : NULL;
}

static struct cla_watch_folder *insert(struct cla_watch_folders *w, int wd)
{
    size_t at = w->count;

    if (w->count == w->cap) {
        size_t cap = w->cap > 0 ? w->cap * 2 : 16;
        struct cla_watch_folder *folders = cla_mem_realloc(w->folders, cap * sizeof *folders);

        if (folders == NULL)
            return NULL;
        w->folders = folders;
        w->cap = cap;
    }
    while (at > 0 && w->folders[at - 1].wd > wd)
        at--;
    memmove(&w->folders[at + 1], &w->folders[at], (w->count - at) * sizeof *w->folders);
    w->count++;
    w->folders[at] = (struct cla_watch_folder){.wd = wd};
    return &w->folders[at];
}

/* A folder that is at two places has one descriptor: then all that happens there matters. */
static void record(struct cla_watch_folders *w, int wd, size_t place)
{
    struct cla_watch_folder *folder = find(w, wd);

    if (folder == NULL)
        folder = insert(w, wd);
    if (folder == NULL) {
        inotify_rm_watch(w->fd, wd);
        fail(w, ENOMEM);
        return;
    }
    folder->all = folder->pass == w->pass && (folder->all || folder->place != place);
    folder->place = place;
    folder->pass = w->pass;
}

/* What is no longer there is no failure: what is on the way to it is watched. */
static void watch(struct cla_watch_folders *w, const char *path, unsigned ask, bool all)
{
    bool is_new;
    size_t number = place_of(w, path, &is_new);
    int wd;

    if (number == CLA_NAMES_NONE) {
        fail(w, ENOMEM);
        return;
    }
    w->places[number].all = w->places[number].all || all;
    if (w->fd < 0 || (w->places[number].asked & ask) == ask)
        return;
    w->places[number].kind = FOLDER;
    w->places[number].asked |= (uint8_t)ask;
    wd = inotify_add_watch(w->fd, path,
                           IN_ONLYDIR | IN_MASK_ADD |
                               ((ask & CONTENT) != 0 ? CONTENT_EVENTS : NAME_EVENTS));
    if (wd >= 0)
        record(w, wd, number);
    else if (errno != ENOENT && errno != ENOTDIR)
        fail(w, errno);
}

/* --- The way to a file. --- */

struct walk {
    char at[PATH_MAX];       /* where it is; "" is the root */
    char rest[PATH_MAX * 2]; /* names to go */
    unsigned links;
};

/* What 'path' is, which is looked at once in a pass. */
static unsigned kind_of(struct cla_watch_folders *w, const char *path)
{
    bool is_new;
    size_t number = place_of(w, path, &is_new);
    struct stat st;

    if (number == CLA_NAMES_NONE) {
        fail(w, ENOMEM);
        return NEITHER;
    }
    if (is_new && lstat(path, &st) == 0)
        w->places[number].kind = S_ISLNK(st.st_mode) ? LINK : S_ISDIR(st.st_mode) ? FOLDER : 0;
    return w->places[number].kind;
}

/* Puts what the link at 'path' says before the names to go. */
static bool follow(struct walk *walk, const char *path)
{
    char rest[sizeof walk->rest];
    ssize_t n = readlink(path, rest, PATH_MAX - 1);

    if (n <= 0 || ++walk->links > MOST_LINKS)
        return false;
    if (rest[0] == '/')
        walk->at[0] = '\0';
    if (snprintf(rest + n, sizeof rest - (size_t)n, "/%s", walk->rest) >=
        (int)(sizeof rest - (size_t)n))
        return false;
    memcpy(walk->rest, rest, sizeof rest);
    return true;
}

/* Takes the next of the names to go into 'name'. False: there is none. */
static bool next_name(struct walk *walk, char name[NAME_MAX + 1])
{
    char *begin = walk->rest + strspn(walk->rest, "/");
    size_t n = strcspn(begin, "/");

    if (n == 0 || n > NAME_MAX)
        return false;
    memcpy(name, begin, n);
    name[n] = '\0';
    memmove(walk->rest, begin + n, strlen(begin + n) + 1);
    return true;
}

static bool is_last(const struct walk *walk)
{
    return walk->rest[strspn(walk->rest, "/")] == '\0';
}

/* One name further. False: here the way ends. */
static bool step(struct cla_watch_folders *w, struct walk *walk, const char *name)
{
    size_t n = strlen(walk->at);
    char path[PATH_MAX];
    unsigned kind;

    if (strcmp(name, ".") == 0)
        return true;
    if (strcmp(name, "..") == 0) {
        walk->at[n > 0 ? (size_t)(strrchr(walk->at, '/') - walk->at) : 0] = '\0';
        return true;
    }
    if (snprintf(path, sizeof path, "%s/%s", walk->at, name) >= (int)sizeof path)
        return false;
    watch(w, n > 0 ? walk->at : "/", is_last(walk) ? CONTENT : NAMES, false);
    kind = kind_of(w, path);
    if (kind == LINK)
        return follow(walk, path);
    if (kind == FOLDER)
        memcpy(walk->at, path, sizeof path);
    return kind == FOLDER;
}

void cla_watch_folders_add(struct cla_watch_folders *w, const char *path, bool deep)
{
    struct walk walk = {.links = 0};
    char name[NAME_MAX + 1];
    bool whole = path[0] == '/';
    int n = snprintf(walk.rest, sizeof walk.rest, "%s/%s", whole || !w->home ? "" : w->home, path);
    bool there = n < (int)sizeof walk.rest;

    while (there && next_name(&walk, name))
        there = step(w, &walk, name);
    if (there && deep)
        watch(w, walk.at[0] != '\0' ? walk.at : "/", CONTENT, true);
}

int cla_watch_folders_end(struct cla_watch_folders *w)
{
    size_t kept = 0;

    for (size_t i = 0; i < w->count; i++) {
        if (w->folders[i].pass == w->pass)
            w->folders[kept++] = w->folders[i];
        else
            inotify_rm_watch(w->fd, w->folders[i].wd);
    }
    w->count = kept;
    return w->error;
}

/* --- What has happened. --- */

static bool matters(const struct cla_watch_folders *w, const struct inotify_event *event)
{
    const struct cla_watch_folder *folder = find(w, event->wd);
    const char *at;
    char path[PATH_MAX];
    int n;

    if ((event->mask & IN_Q_OVERFLOW) != 0)
        return true;
    if (folder == NULL || (event->mask & IN_IGNORED) != 0)
        return false;
    if (event->len == 0 || folder->all)
        return true;
    if (w->places[folder->place].all && !cla_file_is_aside(event->name))
        return true;
    at = w->paths.texts[folder->place];
    n = snprintf(path, sizeof path, "%s/%s", at[1] != '\0' ? at : "", event->name);
    return cla_names_find(&w->paths, cla_slice(path, (size_t)n)) != CLA_NAMES_NONE;
}

bool cla_watch_folders_read(struct cla_watch_folders *w)
{
    _Alignas(struct inotify_event) char events[8192];
    const struct inotify_event *event;
    bool any = false;
    ssize_t n;

    while ((n = read(w->fd, events, sizeof events)) > 0) {
        for (const char *p = events; p < events + n; p += sizeof *event + event->len) {
            event = (const struct inotify_event *)(const void *)p;
            any = matters(w, event) || any;
        }
    }
    return any;
}

void cla_watch_folders_fini(struct cla_watch_folders *w)
{
    if (w->fd >= 0)
        close(w->fd);
    w->fd = -1;
    cla_names_fini(&w->paths);
    cla_mem_free(w->places);
    cla_mem_free(w->folders);
    free(w->home);
}
