/* A set of strings, numbered in the order in which they were added.
 *
 * Any thread, one at a time. Depends on: base/slice. A zeroed struct is an empty set. */
#ifndef CLA_BASE_NAMES_H
#define CLA_BASE_NAMES_H

#include <stdint.h>

#include "base/slice.h"

#define CLA_NAMES_NONE SIZE_MAX

struct cla_names {
    char **texts; /* owned, each ends with a NUL */
    size_t count, cap;
    uint32_t *index; /* hash table of positions in 'texts', plus 1; 0: free */
    size_t slots;    /* a power of 2, or 0 */
    uint64_t seed;
};

/* The number of 'name', or CLA_NAMES_NONE. */
size_t cla_names_find(const struct cla_names *names, struct cla_slice name);

/* Adds a copy of 'name', which is not in it. Its number is the count before. Returns 0 or
 * -CLA_ENOMEM. */
int cla_names_add(struct cla_names *names, struct cla_slice name);

/* Frees all and leaves an empty set. */
void cla_names_fini(struct cla_names *names);

#endif
