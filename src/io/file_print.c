#include "io/file_print.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"

bool cla_file_is_aside(const char *name)
{
    size_t n = strlen(name);

    return n == 0 || name[0] == '.' || name[n - 1] == '~';
}

/* The sum of their hashes, for they come in any order. */
static uint64_t hash_names(const char *path)
{
    DIR *folder = opendir(path);
    const struct dirent *entry;
    uint64_t sum = 0;

    if (folder == NULL)
        return 0;
    for (size_t i = 0; i < CLA_FILE_PRINT_NAMES && (entry = readdir(folder)) != NULL; i++) {
        if (!cla_file_is_aside(entry->d_name))
            sum += cla_hash(1, cla_slice_str(entry->d_name));
    }
    closedir(folder);
    return sum;
}

static uint64_t hash_content(const char *path)
{
    char chunk[4096];
    uint64_t hash = 1, bytes = 0;
    ssize_t n;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

    if (fd < 0)
        return 0;
    while (bytes < CLA_FILE_PRINT_READ_BYTES && (n = read(fd, chunk, sizeof chunk)) > 0) {
        hash = cla_hash(hash, cla_slice(chunk, (size_t)n));
        bytes += (uint64_t)n;
    }
    close(fd);
    return hash;
}

static uint64_t stamp(const struct timespec *time)
{
    return (uint64_t)time->tv_sec * CLA_NS_PER_S + (uint64_t)time->tv_nsec;
}

/* The stamps come before the content: what is written in between looks like a change later. */
void cla_file_print_take(struct cla_file_print *print, const char *path, bool names, bool content)
{
    uint64_t now = cla_clock_wall_ns();
    struct stat st;

    *print = (struct cla_file_print){0};
    if (stat(path, &st) != 0)
        return;
    print->kind = S_ISDIR(st.st_mode) ? CLA_FILE_FOLDER : CLA_FILE_FILE;
    print->device = st.st_dev;
    print->inode = st.st_ino;
    print->changed_ns = stamp(&st.st_ctim);
    if (print->kind == CLA_FILE_FOLDER) {
        print->has_content = names;
        print->content = names ? hash_names(path) : 0;
        return;
    }
    print->size = (uint64_t)st.st_size;
    print->modified_ns = stamp(&st.st_mtim);
    print->has_content =
        S_ISREG(st.st_mode) && (content || print->changed_ns + CLA_FILE_PRINT_YOUNG_NS > now);
    print->content = print->has_content ? hash_content(path) : 0;
}

void cla_file_print_settle(struct cla_file_print *print)
{
    if (print->kind == CLA_FILE_FILE)
        print->has_content = print->changed_ns + CLA_FILE_PRINT_YOUNG_NS > cla_clock_wall_ns();
}

bool cla_file_print_differs(const struct cla_file_print *a, const struct cla_file_print *b)
{
    if (a->kind != b->kind || a->device != b->device || a->inode != b->inode ||
        a->size != b->size || a->modified_ns != b->modified_ns)
        return true;
    if (a->kind != CLA_FILE_FOLDER && a->changed_ns != b->changed_ns)
        return true;
    return a->has_content && b->has_content && a->content != b->content;
}
