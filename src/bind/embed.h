/* The Lua half of the runtime (lua/ in the source tree), embedded by the build.
 *
 * Any thread: constant. Depends on: nothing. */
#ifndef CLA_BIND_EMBED_H
#define CLA_BIND_EMBED_H

#include <stddef.h>

struct cla_embed {
    const char *name; /* module: "cancela.timeout"; an init.lua has its folder's name */
    const char *text; /* the source; a NUL follows it */
    size_t bytes;     /* length of 'text' */
};

/* Sorted by file; a {NULL} entry ends it. */
extern const struct cla_embed cla_embedded[];

/* How many entries there are before the end. */
extern const size_t cla_embedded_count;

#endif
