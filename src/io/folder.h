/* A folder whose files are read, and nothing that is outside of it.
 *
 * Any thread: its functions block, but for ref and put. Depends on: base. */
#ifndef CLA_IO_FOLDER_H
#define CLA_IO_FOLDER_H

#include <stdbool.h>
#include <stdint.h>

struct cla_folder; /* counted */

enum cla_folder_kind {
    CLA_FOLDER_FILE,
    CLA_FOLDER_FOLDER,
    CLA_FOLDER_NONE,  /* nothing, or nothing that may be read */
    CLA_FOLDER_ERROR, /* for want of memory or descriptors, or a failure of the disk */
};

struct cla_folder_file {
    int fd; /* of FILE; else -1 */
    uint64_t size;
    int64_t modified_s; /* since 1970, and … */
    uint32_t modified_ns;
};

/* Opens the folder at 'path'. Returns 0, -CLA_ENOMEM, or -CLA_EIO: errno says why. */
int cla_folder_open(struct cla_folder **out, const char *path);

/* One more reference. */
struct cla_folder *cla_folder_ref(struct cla_folder *folder);

/* Gives a reference back; NULL is fine. */
void cla_folder_put(struct cla_folder *folder);

/* Opens the regular file at 'path' (relative) for reading. What a symbolic link leads to outside of
 * the folder is not there. */
enum cla_folder_kind cla_folder_find(struct cla_folder *folder, const char *path,
                                     struct cla_folder_file *file);

/* The same, for kernels without openat2(): compares where the file is with where the folder is. For
 * tests. */
enum cla_folder_kind cla_folder_find_by_name(struct cla_folder *folder, const char *path,
                                             struct cla_folder_file *file);

#endif
