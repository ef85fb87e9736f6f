/* What a file looks like from outside: if that is the same, it has not changed.
 *
 * Any thread; blocks. Depends on: base/hash, base/clock. The system stamps files with the time of
 * its last tick, up to 10 ms ago: a file that is written twice in one tick may look the same. So of
 * a file that has just been written the content counts, too. */
#ifndef CLA_IO_FILE_PRINT_H
#define CLA_IO_FILE_PRINT_H

#include <stdbool.h>
#include <stdint.h>

/* Of a younger file the content counts, up to so many bytes. */
#define CLA_FILE_PRINT_YOUNG_NS UINT64_C(20000000)
#define CLA_FILE_PRINT_READ_BYTES (1 << 20)

/* Of a folder's files so many count. */
#define CLA_FILE_PRINT_NAMES 10000

enum cla_file_kind { CLA_FILE_NONE, CLA_FILE_FILE, CLA_FILE_FOLDER };

struct cla_file_print {
    enum cla_file_kind kind;
    bool has_content;
    uint64_t device, inode;
    uint64_t size, modified_ns; /* 0 of a folder */
    uint64_t changed_ns;        /* of a folder it does not count */
    uint64_t content; /* hash: of a folder's names if they were asked for, or of a young file */
};

/* True for what editors and tools put beside what they write: .name and name~. */
bool cla_file_is_aside(const char *name);

/* Takes the print of the file, or folder, that 'path' leads to. 'names': those in a folder count,
 * but for what is aside. 'content': reads the file also if it is not young. */
void cla_file_print_take(struct cla_file_print *print, const char *path, bool names, bool content);

/* The content of a file that is no longer young does not count any more. */
void cla_file_print_settle(struct cla_file_print *print);

/* True if the file has changed from one to the other. */
bool cla_file_print_differs(const struct cla_file_print *a, const struct cla_file_print *b);

#endif
