/* JSON text with the members of its objects in the order of their names.
 *
 * Any thread, one at a time. Depends on: base, json/scan. */
#ifndef CLA_JSON_SORT_H
#define CLA_JSON_SORT_H

#include "base/buf.h"

/* Appends 'text' without white space between its tokens, members sorted by the bytes of their names
 * as they are written. Recursive: 'max_depth' is for the stack. Returns 0; or with nothing appended
 * -CLA_ENOMEM or -CLA_EJSON. */
int cla_json_sort(struct cla_slice text, unsigned max_depth, struct cla_buf *out);

#endif
