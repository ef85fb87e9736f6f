/* Where in a JSON value something is: params.items[3].price
 *
 * Any thread. Depends on: base/slice. Elements count from 0, as in JSON Pointer and JavaScript. */
#ifndef CLA_JSON_PATH_H
#define CLA_JSON_PATH_H

#include <stdint.h>

#include "base/slice.h"

/* Room for any path, with its NUL: longer ones are cut, and end in "...". */
#define CLA_JSON_PATH_TEXT 200

/* One step down; lives on the stack of who goes there. */
struct cla_json_path {
    const struct cla_json_path *up; /* NULL: this is the first step */
    struct cla_slice name;          /* of a member; p NULL: an element */
    uint64_t index;                 /* of an element */
};

/* Writes "root.name[3]" to 'to'; 'path' NULL: the root alone. Names that are no words are written
 * as
 * ["a b"], bytes in them that could upset a log or a terminal as '?', and cut at 40 bytes. */
void cla_json_path_print(const char *root, const struct cla_json_path *path,
                         char to[CLA_JSON_PATH_TEXT]);

#endif
