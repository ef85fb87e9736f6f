/* Memory for Lua, whose smallest blocks come and go by the dozen with every call.
 *
 * One thread. Depends on: base. Freed blocks of up to CLA_BLOCKS_LARGEST bytes are kept for the
 * next of their size, up to a number; with AddressSanitizer none is, so that it sees each. Lua's
 * own objects do not go through the memory seam: Lua copes with a failed allocation by collecting,
 * and its tests are not ours to repeat. */
#ifndef CLA_TASK_BLOCKS_H
#define CLA_TASK_BLOCKS_H

#include <stddef.h>

/* 24, 40, 56 and 72 bytes: with what malloc() adds to each, multiples of 16. */
#define CLA_BLOCKS_LEAST 24
#define CLA_BLOCKS_STEP 16
#define CLA_BLOCKS_LARGEST 72
#define CLA_BLOCKS_KINDS ((CLA_BLOCKS_LARGEST - CLA_BLOCKS_LEAST) / CLA_BLOCKS_STEP + 1)

struct cla_block; /* a kept one */

/* All zeros holds none. */
struct cla_blocks {
    struct cla_block *kept[CLA_BLOCKS_KINDS]; /* by size */
    unsigned count[CLA_BLOCKS_KINDS];
};

/* Changes the size of 'block' from 'old' to 'bytes', either of which may be 0 (no block). Returns
 * the block, or NULL: 'bytes' is 0, or there is no memory, and 'block' is as it was. */
void *cla_blocks_resize(struct cla_blocks *blocks, void *block, size_t old, size_t bytes);

/* Frees what is kept. */
void cla_blocks_fini(struct cla_blocks *blocks);

#endif
