/* The files that a script has read, or would read if they were there.
 *
 * Any thread: a lock guards it, and noting blocks. Depends on: io/file_list. */
#ifndef CLA_IO_FILE_SET_H
#define CLA_IO_FILE_SET_H

#include "io/file_list.h"

struct cla_file_set; /* counted */

/* Runs under the set's lock, on the thread that notes: no function of the set may be called. */
typedef void cla_file_set_added_cb(void *arg);

/* Makes an empty set. Returns 0 or -CLA_ENOMEM. */
int cla_file_set_new(struct cla_file_set **out);

/* One more reference. NULL is fine. */
struct cla_file_set *cla_file_set_ref(struct cla_file_set *set);

/* Gives a reference back; NULL is fine. */
void cla_file_set_put(struct cla_file_set *set);

/* Notes a file that is about to be read, whether it is there or not. NULL is fine. */
void cla_file_set_note(struct cla_file_set *set, const char *path);

/* Notes a file, or a folder and what is beneath it, that may have been read since the set was
 * made. */
void cla_file_set_note_deep(struct cla_file_set *set, const char *path);

/* From now on 'on_added' is told when there is more; NULL: nobody is, once this returns. */
void cla_file_set_listen(struct cla_file_set *set, cla_file_set_added_cb *on_added, void *arg);

/* Merges what was noted from number '*from' on into 'to', and moves '*from' on. */
void cla_file_set_copy(struct cla_file_set *set, struct cla_file_list *to, size_t *from);

#endif
