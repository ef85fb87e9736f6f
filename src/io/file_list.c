#include "io/file_list.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"

/* Writes 'path' to 'clean', without what has no meaning in it. False: it is too long, or empty. */
static bool clean_path(const char *path, char clean[PATH_MAX])
{
    size_t n = 0;

    if (path[0] == '\0' || strlen(path) >= PATH_MAX)
        return false;
    for (const char *p = path; *p != '\0';) {
        size_t part = strcspn(p, "/");

        if (part > 0 && (part != 1 || p[0] != '.')) {
            memcpy(clean + n, p, part);
            n += part;
        }
        p += part;
        if (*p == '/') {
            if (p == path || (n > 0 && clean[n - 1] != '/'))
                clean[n++] = '/';
            p++;
        }
    }
    if (n > 1 && clean[n - 1] == '/')
        n--;
    if (n == 0)
        clean[n++] = '.';
    clean[n] = '\0';
    return true;
}

/* Returns the number of a new path, or CLA_NAMES_NONE: there is no room. */
static size_t append(struct cla_file_list *list, const char *path)
{
    size_t number = list->paths.count;
    struct cla_file *files;

    if (number == list->cap) {
        size_t cap = list->cap > 0 ? list->cap * 2 : 16;

        files = cla_mem_realloc(list->files, cap * sizeof *files);
        if (files == NULL)
            goto cut;
        list->files = files;
        list->cap = cap;
    }
    if (number >= CLA_FILE_LIST_MOST || cla_names_add(&list->paths, cla_slice_str(path)) != 0)
        goto cut;
    list->files[number] = (struct cla_file){0};
    return number;
cut:
    list->cut = true;
    return CLA_NAMES_NONE;
}

/* A stamp of the future tells nothing: the clock of another machine set it. */
static void look(struct cla_file *file, const char *path, uint64_t since_ns)
{
    cla_file_print_take(&file->print, path, file->deep, false);
    file->suspect = since_ns > 0 && file->print.changed_ns >= since_ns &&
                    file->print.changed_ns <= cla_clock_wall_ns();
}

static bool is_folder(const char *path, const struct dirent *entry)
{
    struct stat st;

    if (entry->d_type != DT_UNKNOWN)
        return entry->d_type == DT_DIR;
    return lstat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* Adds what is in the folder 'at', but not what is beneath that. */
static void expand(struct cla_file_list *list, size_t at, uint64_t since_ns)
{
    DIR *folder = opendir(list->paths.texts[at]);
    const struct dirent *entry;
    char joined[PATH_MAX], path[PATH_MAX];

    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        int n = snprintf(joined, sizeof joined, "%s/%s", list->paths.texts[at], entry->d_name);
        size_t number;

        if (cla_file_is_aside(entry->d_name) || n >= PATH_MAX || !clean_path(joined, path) ||
            cla_names_find(&list->paths, cla_slice_str(path)) != CLA_NAMES_NONE)
            continue;
        if (list->paths.count >= CLA_FILE_LIST_MOST_FOUND) {
            list->cut = true;
            break;
        }
        number = append(list, path);
        if (number == CLA_NAMES_NONE)
            break;
        list->files[number].deep = is_folder(path, entry);
        look(&list->files[number], path, since_ns);
    }
    if (folder != NULL)
        closedir(folder);
}

/* The same for 'at' and for the new folders that are found, which are behind all others. */
static void expand_all(struct cla_file_list *list, size_t at, uint64_t since_ns)
{
    for (size_t next = list->paths.count; at < list->paths.count; at = next++) {
        if (list->files[at].deep && list->files[at].print.kind == CLA_FILE_FOLDER)
            expand(list, at, since_ns);
    }
}

bool cla_file_list_add(struct cla_file_list *list, const char *path, bool deep, uint64_t since_ns)
{
    char clean[PATH_MAX];
    size_t number;

    if (!clean_path(path, clean))
        return false;
    number = cla_names_find(&list->paths, cla_slice_str(clean));
    if (number != CLA_NAMES_NONE && (!deep || list->files[number].deep))
        return false;
    if (number == CLA_NAMES_NONE)
        number = append(list, clean);
    if (number == CLA_NAMES_NONE)
        return false;
    list->files[number].deep = deep;
    if (list->files[number].print.kind != CLA_FILE_FILE) /* else it is of before it was read */
        look(&list->files[number], clean, since_ns);
    if (deep)
        expand_all(list, number, since_ns);
    return true;
}

void cla_file_list_merge(struct cla_file_list *list, const struct cla_file_list *from, size_t first)
{
    for (size_t i = first; i < from->paths.count; i++) {
        size_t number = cla_names_find(&list->paths, cla_slice_str(from->paths.texts[i]));

        if (number == CLA_NAMES_NONE)
            number = append(list, from->paths.texts[i]);
        if (number != CLA_NAMES_NONE)
            list->files[number] = from->files[i];
    }
    list->cut = list->cut || from->cut;
}

static bool has_changed(struct cla_file *file, const char *path)
{
    struct cla_file_print now;
    bool differs;

    cla_file_print_take(&now, path, file->deep,
                        file->print.kind == CLA_FILE_FILE && file->print.has_content);
    differs = file->suspect || cla_file_print_differs(&file->print, &now);
    file->suspect = false;
    cla_file_print_settle(&now);
    file->print = now;
    return differs;
}

/* Of a folder whose names have changed, what is new in it is told rather than the folder; what is
 * gone from it tells itself. */
const char *cla_file_list_compare(struct cla_file_list *list)
{
    size_t first = CLA_NAMES_NONE, folder = CLA_NAMES_NONE, before = list->paths.count;

    for (size_t i = 0; i < before; i++) {
        size_t count = list->paths.count;

        if (!has_changed(&list->files[i], list->paths.texts[i]))
            continue;
        if (list->files[i].deep)
            expand_all(list, i, 0);
        if (list->paths.count > count && first == CLA_NAMES_NONE)
            first = count;
        else if (list->files[i].print.kind == CLA_FILE_FOLDER && folder == CLA_NAMES_NONE)
            folder = i;
        else if (list->files[i].print.kind != CLA_FILE_FOLDER && first == CLA_NAMES_NONE)
            first = i;
    }
    if (first == CLA_NAMES_NONE)
        first = folder;
    return first != CLA_NAMES_NONE ? list->paths.texts[first] : NULL;
}

const struct cla_file *cla_file_list_find(const struct cla_file_list *list, const char *path)
{
    size_t number = cla_names_find(&list->paths, cla_slice_str(path));

    return number != CLA_NAMES_NONE ? &list->files[number] : NULL;
}

void cla_file_list_fini(struct cla_file_list *list)
{
    cla_names_fini(&list->paths);
    cla_mem_free(list->files);
    *list = (struct cla_file_list){0};
}
