#include "task/blocks.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Blocks of one size that are kept: the collector frees thousands at a time. */
#if defined(__SANITIZE_ADDRESS__)
#define IS_KEPT(count) false
#else
#define IS_KEPT(count) ((count) < 4096)
#endif

struct cla_block {
    struct cla_block *next;
};

static unsigned kind_of(size_t bytes)
{
    size_t above = bytes > CLA_BLOCKS_LEAST ? bytes - CLA_BLOCKS_LEAST : 0;

    return (unsigned)((above + CLA_BLOCKS_STEP - 1) / CLA_BLOCKS_STEP);
}

static void *take(struct cla_blocks *blocks, size_t bytes)
{
    unsigned kind = kind_of(bytes);
    struct cla_block *block;

    if (bytes > CLA_BLOCKS_LARGEST)
        return malloc(bytes);
    block = blocks->kept[kind];
    if (block == NULL)
        return malloc(CLA_BLOCKS_LEAST + kind * CLA_BLOCKS_STEP);
    blocks->kept[kind] = block->next;
    blocks->count[kind]--;
    return block;
}

static void give(struct cla_blocks *blocks, struct cla_block *block, size_t bytes)
{
    unsigned kind = kind_of(bytes);

    if (bytes > CLA_BLOCKS_LARGEST || !IS_KEPT(blocks->count[kind])) {
        free(block);
        return;
    }
    block->next = blocks->kept[kind];
    blocks->kept[kind] = block;
    blocks->count[kind]++;
}

void *cla_blocks_resize(struct cla_blocks *blocks, void *block, size_t old, size_t bytes)
{
    void *other;

    if (old == 0)
        return bytes > 0 ? take(blocks, bytes) : NULL;
    if (bytes == 0) {
        give(blocks, block, old);
        return NULL;
    }
    if (old > CLA_BLOCKS_LARGEST && bytes > CLA_BLOCKS_LARGEST)
        return realloc(block, bytes);
    if (kind_of(old) == kind_of(bytes))
        return block;
    other = take(blocks, bytes);
    if (other != NULL) {
        memcpy(other, block, old < bytes ? old : bytes);
        give(blocks, block, old);
    }
    return other;
}

void cla_blocks_fini(struct cla_blocks *blocks)
{
    for (unsigned kind = 0; kind < CLA_BLOCKS_KINDS; kind++) {
        struct cla_block *block;

        while ((block = blocks->kept[kind]) != NULL) {
            blocks->kept[kind] = block->next;
            free(block);
        }
        blocks->count[kind] = 0;
    }
}
