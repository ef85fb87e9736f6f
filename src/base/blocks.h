/* Memory for small things that come and go by the dozen with every call: Lua's objects, and what is
 * asked for by the texts of a WebSocket.
 *
 * One thread at a time. Depends on: base/mem, base/spans. Blocks of one size lie side by side in
 * slabs, with nothing around them, and one that is freed is the next to be taken. The blocks of one
 * owner share no page with anything else: when it ends, all their memory is gone, whichever thread
 * it was used on. Larger ones come from the C library.
 *
 * A slab hides its blocks: from sanitizers, and from tests that fail each allocation in turn. So
 * where AddressSanitizer is, as it is when those tests are run, each block is an allocation of its
 * own. Lua's do not even then go through the memory seam: Lua copes with a failed allocation by
 * collecting, and its tests are not ours to repeat. */
#ifndef CLA_BASE_BLOCKS_H
#define CLA_BASE_BLOCKS_H

#include <stddef.h>

#include "base/spans.h"

#define CLA_BLOCKS_STEP 8       /* sizes are rounded up to a multiple of this, which aligns */
#define CLA_BLOCKS_LARGEST 1024 /* larger ones are the C library's */
#define CLA_BLOCKS_KINDS (CLA_BLOCKS_LARGEST / CLA_BLOCKS_STEP + 1)

/* Where blocks come from. */
enum cla_blocks_source {
    CLA_BLOCKS_SLABS,   /* but for the larger ones */
    CLA_BLOCKS_LIBRARY, /* each from the C library */
    CLA_BLOCKS_SEAM,    /* each from base/mem */
};

/* Slabs, but 'source' where a sanitizer is to see each block. */
#if defined(__SANITIZE_ADDRESS__)
#define CLA_BLOCKS_SLABS_OR(source) (source)
#else
#define CLA_BLOCKS_SLABS_OR(source) CLA_BLOCKS_SLABS
#endif

struct cla_blocks {
    struct cla_spans spans;
    struct cla_link open[CLA_BLOCKS_KINDS]; /* slabs that have free blocks, by size */
    size_t largest;                         /* of those in slabs */
    bool seam;                              /* the others are from base/mem */
};

/* Makes an owner of no blocks. */
void cla_blocks_init(struct cla_blocks *blocks, enum cla_blocks_source source);

/* Takes a block of 'bytes', at least 1, which may hold anything. NULL: out of memory. */
void *cla_blocks_take(struct cla_blocks *blocks, size_t bytes);

/* Takes back a block of so many bytes. */
void cla_blocks_give(struct cla_blocks *blocks, void *block, size_t bytes);

/* Changes the size of 'block' from 'old' to 'bytes', either of which may be 0 (no block). Returns
 * the block, or NULL: 'bytes' is 0, or there is no memory, and 'block' is as it was. */
void *cla_blocks_resize(struct cla_blocks *blocks, void *block, size_t old, size_t bytes);

/* Gives some memory that no block is in back to the system, as cla_spans_trim(). Returns true if
 * there may be more. */
bool cla_blocks_trim(struct cla_blocks *blocks);

/* Gives all memory back; no block from elsewhere than slabs may be left. */
void cla_blocks_fini(struct cla_blocks *blocks);

#endif
