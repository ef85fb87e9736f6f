/* The folders in which something may happen to watched files: those on the way to each of them, as
 * far as they are there, and on the ways that symbolic links lead. inotify tells what happens in
 * them, and the names of what is on a way tell what of it matters.
 *
 * One thread. Depends on: base/names, inotify. */
#ifndef CLA_IO_WATCH_FOLDERS_H
#define CLA_IO_WATCH_FOLDERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/names.h"

/* What is known of a path on the way to watched files. */
struct cla_watch_place {
    uint8_t kind;  /* a folder, a link, or neither */
    uint8_t asked; /* inotify for so much of what happens in it */
    bool all;      /* of a folder: whatever happens in it matters */
};

/* A folder that inotify knows. */
struct cla_watch_folder {
    int wd;
    size_t place; /* its number in 'paths' */
    unsigned pass;
    bool all;
};

struct cla_watch_folders {
    int fd; /* inotify; -1: there is none */
    unsigned pass;
    struct cla_names paths;         /* on the ways, absolute and without links before the last
                                       name; of this pass */
    struct cla_watch_place *places; /* of each; owned */
    size_t place_cap;
    struct cla_watch_folder *folders; /* in the order of 'wd'; owned */
    size_t count, cap;
    char *home; /* of relative paths; owned */
    int error;  /* errno of the first that could not be watched; 0: none */
};

/* Makes an empty set; 'fd' is non-blocking, or -1 with 'error' set if there is no inotify. */
void cla_watch_folders_init(struct cla_watch_folders *w);

/* Begins a pass, which tells of all files anew. Whatever is not told of by its end is no longer
 * watched. */
void cla_watch_folders_begin(struct cla_watch_folders *w);

/* Watches the way to 'path'; 'deep': also what happens in it if it is a folder. Each folder is
 * watched before it is looked at, so nothing that happens meanwhile is missed. */
void cla_watch_folders_add(struct cla_watch_folders *w, const char *path, bool deep);

/* Ends the pass. Returns 0, or the errno of the first folder that could not be watched. */
int cla_watch_folders_end(struct cla_watch_folders *w);

/* Reads what has happened. Returns true if any of it may matter. */
bool cla_watch_folders_read(struct cla_watch_folders *w);

/* Frees all. */
void cla_watch_folders_fini(struct cla_watch_folders *w);

#endif
