#include "base/blocks.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* A free one. */
struct cla_block {
    struct cla_block *next;
};

/* A span of blocks of one size. */
struct cla_slab {
    struct cla_span span;
    struct cla_link link;    /* in blocks->open while there are free ones, else in no list */
    struct cla_block *freed; /* the last first */
    uint32_t fresh;          /* where those begin that never were taken */
    uint32_t size;           /* of a block */
    uint32_t taken, most;    /* blocks */
};

void cla_blocks_init(struct cla_blocks *blocks, enum cla_blocks_source source)
{
    cla_spans_init(&blocks->spans);
    for (unsigned kind = 0; kind < CLA_BLOCKS_KINDS; kind++)
        cla_list_init(&blocks->open[kind]);
    blocks->largest = source == CLA_BLOCKS_SLABS ? CLA_BLOCKS_LARGEST : 0;
    blocks->seam = source == CLA_BLOCKS_SEAM;
}

static unsigned kind_of(size_t bytes)
{
    return (unsigned)((bytes + CLA_BLOCKS_STEP - 1) / CLA_BLOCKS_STEP);
}

static struct cla_slab *slab_of(struct cla_block *block)
{
    return (struct cla_slab *)((char *)block - (uintptr_t)block % CLA_SPAN_BYTES);
}

static struct cla_slab *new_slab(struct cla_blocks *blocks, unsigned kind)
{
    struct cla_span *span = cla_spans_take(&blocks->spans);
    struct cla_slab *slab = (struct cla_slab *)span;

    if (span == NULL)
        return NULL;
    slab->freed = NULL;
    slab->fresh = sizeof *slab;
    slab->size = kind * CLA_BLOCKS_STEP;
    slab->taken = 0;
    slab->most = (uint32_t)(CLA_SPAN_BYTES - sizeof *slab) / slab->size;
    cla_list_push_front(&blocks->open[kind], &slab->link);
    return slab;
}

static void *take_from_slab(struct cla_blocks *blocks, size_t bytes)
{
    struct cla_link *open = &blocks->open[kind_of(bytes)];
    struct cla_slab *slab = CLA_CONTAINER(open->next, struct cla_slab, link);
    struct cla_block *block;

    if (cla_list_empty(open))
        slab = new_slab(blocks, kind_of(bytes));
    if (slab == NULL)
        return NULL;
    block = slab->freed;
    if (block != NULL) {
        slab->freed = block->next;
    } else {
        block = (struct cla_block *)((char *)slab + slab->fresh);
        slab->fresh += slab->size;
    }
    if (++slab->taken == slab->most)
        cla_list_remove(&slab->link);
    return block;
}

/* The only one with room is kept: a block that comes and goes would take it again each time. */
static bool is_spare(const struct cla_blocks *blocks, const struct cla_slab *slab)
{
    const struct cla_link *open = &blocks->open[slab->size / CLA_BLOCKS_STEP];

    return open->next != open->prev;
}

static void give_slab(struct cla_blocks *blocks, struct cla_slab *slab)
{
    cla_list_remove(&slab->link);
    cla_spans_give(&blocks->spans, &slab->span);
}

static void give_to_slab(struct cla_blocks *blocks, struct cla_block *block)
{
    struct cla_slab *slab = slab_of(block);

    block->next = slab->freed;
    slab->freed = block;
    if (slab->taken-- == slab->most)
        cla_list_push_front(&blocks->open[slab->size / CLA_BLOCKS_STEP], &slab->link);
    if (slab->taken == 0 && is_spare(blocks, slab))
        give_slab(blocks, slab);
}

/* --- Those that are in no slab. --- */

static void *resize_other(const struct cla_blocks *blocks, void *block, size_t bytes)
{
    return blocks->seam ? cla_mem_realloc(block, bytes) : realloc(block, bytes);
}

static void free_other(const struct cla_blocks *blocks, void *block)
{
    if (blocks->seam)
        cla_mem_free(block);
    else
        free(block);
}

/* --- All. --- */

void *cla_blocks_take(struct cla_blocks *blocks, size_t bytes)
{
    return bytes > blocks->largest ? resize_other(blocks, NULL, bytes)
                                   : take_from_slab(blocks, bytes);
}

void cla_blocks_give(struct cla_blocks *blocks, void *block, size_t bytes)
{
    if (bytes > blocks->largest)
        free_other(blocks, block);
    else
        give_to_slab(blocks, block);
}

void *cla_blocks_resize(struct cla_blocks *blocks, void *block, size_t old, size_t bytes)
{
    void *other;

    if (old == 0)
        return bytes > 0 ? cla_blocks_take(blocks, bytes) : NULL;
    if (bytes == 0) {
        cla_blocks_give(blocks, block, old);
        return NULL;
    }
    if (old > blocks->largest && bytes > blocks->largest)
        return resize_other(blocks, block, bytes);
    if (kind_of(old) == kind_of(bytes))
        return block;
    other = cla_blocks_take(blocks, bytes);
    if (other != NULL) {
        memcpy(other, block, old < bytes ? old : bytes);
        cla_blocks_give(blocks, block, old);
    }
    return other;
}

bool cla_blocks_trim(struct cla_blocks *blocks)
{
    for (unsigned kind = 0; kind < CLA_BLOCKS_KINDS; kind++) {
        struct cla_link *link = blocks->open[kind].next;

        while (link != &blocks->open[kind]) {
            struct cla_slab *slab = CLA_CONTAINER(link, struct cla_slab, link);

            link = link->next;
            if (slab->taken == 0)
                give_slab(blocks, slab);
        }
    }
    return cla_spans_trim(&blocks->spans);
}

void cla_blocks_fini(struct cla_blocks *blocks)
{
    cla_spans_fini(&blocks->spans);
}
