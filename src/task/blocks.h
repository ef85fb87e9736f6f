/* Memory for Lua, whose blocks are small, and come and go by the dozen with every call.
 *
 * One thread at a time. Depends on: base/spans. Blocks of one size lie side by side in slabs, with
 * nothing around them, and one that is freed is the next to be taken. The blocks of one VM share no
 * page with anything else: when it is closed, all their memory is gone, whichever thread it was
 * used on. Larger ones come from the C library.
 *
 * Lua's own objects do not go through the memory seam: Lua copes with a failed allocation by
 * collecting, and its tests are not ours to repeat. */
#ifndef CLA_TASK_BLOCKS_H
#define CLA_TASK_BLOCKS_H

#include <stddef.h>

#include "base/spans.h"

#define CLA_BLOCKS_STEP 8       /* sizes are rounded up to a multiple of this, which aligns */
#define CLA_BLOCKS_LARGEST 1024 /* larger ones are the C library's */
#define CLA_BLOCKS_KINDS (CLA_BLOCKS_LARGEST / CLA_BLOCKS_STEP + 1)

struct cla_blocks {
    struct cla_spans spans;
    struct cla_link open[CLA_BLOCKS_KINDS]; /* slabs that have free blocks, by size */
    size_t largest;                         /* of those in slabs */
};

/* Where blocks come from. */
enum cla_blocks_source {
    CLA_BLOCKS_SLABS,   /* but for the larger ones */
    CLA_BLOCKS_LIBRARY, /* the C library for all, so that a sanitizer sees each */
};

/* Makes an owner of no blocks. */
void cla_blocks_init(struct cla_blocks *blocks, enum cla_blocks_source source);

/* Changes the size of 'block' from 'old' to 'bytes', either of which may be 0 (no block). Returns
 * the block, or NULL: 'bytes' is 0, or there is no memory, and 'block' is as it was. */
void *cla_blocks_resize(struct cla_blocks *blocks, void *block, size_t old, size_t bytes);

/* Gives some memory that no block is in back to the system, as cla_spans_trim(). Returns true if
 * there may be more. */
bool cla_blocks_trim(struct cla_blocks *blocks);

/* Gives all memory back; no block of the C library may be left. */
void cla_blocks_fini(struct cla_blocks *blocks);

#endif
