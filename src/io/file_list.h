/* Paths, each with the print of what it led to when it was last looked at.
 *
 * Any thread, one at a time; blocks. Depends on: base/names, io/file_print. A zeroed struct is an
 * empty list. Paths are told apart as they are written, but for '//', '/./' and a slash at the
 * end. */
#ifndef CLA_IO_FILE_LIST_H
#define CLA_IO_FILE_LIST_H

#include "base/names.h"
#include "io/file_print.h"

/* Most paths of a list, and most of them with what is found in folders. */
#define CLA_FILE_LIST_MOST 10000
#define CLA_FILE_LIST_MOST_FOUND 9000

struct cla_file {
    struct cla_file_print print;
    bool deep;    /* if it is a folder, what is beneath it is in the list, too */
    bool suspect; /* it has changed just before it was noted */
};

struct cla_file_list {
    struct cla_names paths;
    struct cla_file *files; /* of each path; owned */
    size_t cap;
    bool cut; /* there were more than fit, or than there was memory for */
};

/* Adds 'path' unless it is there, and takes its print. 'deep': if it is a folder, adds also what is
 * beneath it, at any depth, but for what is aside and what symbolic links lead to. What has changed
 * since since_ns (of the wall clock; 0: does not matter) counts as changed at the next comparison.
 * Returns true if anything was added. */
bool cla_file_list_add(struct cla_file_list *list, const char *path, bool deep, uint64_t since_ns);

/* Adds what 'from' has from number 'first' on, with its prints, which replace older ones. */
void cla_file_list_merge(struct cla_file_list *list, const struct cla_file_list *from,
                         size_t first);

/* Takes all prints anew. Returns the first path whose print differs, until the next change of the
 * list, or NULL. New files in a folder are added. */
const char *cla_file_list_compare(struct cla_file_list *list);

/* The file at 'path', or NULL. */
const struct cla_file *cla_file_list_find(const struct cla_file_list *list, const char *path);

/* Frees all and leaves an empty list. */
void cla_file_list_fini(struct cla_file_list *list);

#endif
