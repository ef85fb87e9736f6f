/* Hashes of names that may come from clients, who are not to choose where they collide.
 *
 * Any thread. Depends on: base/slice. */
#ifndef CLA_BASE_HASH_H
#define CLA_BASE_HASH_H

#include <stdint.h>

#include "base/slice.h"

/* A seed that nobody outside can know. */
uint64_t cla_hash_seed(void);

/* The hash of a name under a seed. */
uint64_t cla_hash(uint64_t seed, struct cla_slice name);

#endif
