#include "base/spans.h"

#include <sys/mman.h>

#include "base/mem.h"

#define CHUNK_SPANS 32 /* as many as 'free' has bits */
#define CHUNK_BYTES ((size_t)CHUNK_SPANS * CLA_SPAN_BYTES)
#define ALL_FREE UINT32_MAX

struct cla_chunk {
    struct cla_link link;
    char *bytes;
    uint32_t free; /* a bit for each span */
    uint32_t used; /* likewise: it holds pages, for it was taken since it last went back */
};

void cla_spans_init(struct cla_spans *spans)
{
    cla_list_init(&spans->roomy);
    cla_list_init(&spans->full);
}

/* What mmap() returns is a multiple of a page only: takes more, and gives both ends back. */
static char *map_aligned(void)
{
    char *start = mmap(NULL, CHUNK_BYTES + CLA_SPAN_BYTES, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    size_t before;

    if (start == MAP_FAILED)
        return NULL;
    before = -(uintptr_t)start % CLA_SPAN_BYTES;
    if (before > 0)
        (void)munmap(start, before);
    (void)munmap(start + before + CHUNK_BYTES, CLA_SPAN_BYTES - before);
    return start + before;
}

static struct cla_chunk *new_chunk(struct cla_spans *spans)
{
    struct cla_chunk *chunk = cla_mem_alloc(sizeof *chunk);

    if (chunk == NULL)
        return NULL;
    *chunk = (struct cla_chunk){.bytes = map_aligned(), .free = ALL_FREE};
    if (chunk->bytes == NULL) {
        cla_mem_free(chunk);
        return NULL;
    }
    cla_list_push_front(&spans->roomy, &chunk->link);
    return chunk;
}

static void free_chunk(struct cla_chunk *chunk)
{
    cla_list_remove(&chunk->link);
    (void)munmap(chunk->bytes, CHUNK_BYTES);
    cla_mem_free(chunk);
}

struct cla_span *cla_spans_take(struct cla_spans *spans)
{
    struct cla_chunk *chunk = cla_list_empty(&spans->roomy)
                                  ? new_chunk(spans)
                                  : CLA_CONTAINER(spans->roomy.next, struct cla_chunk, link);
    struct cla_span *span;
    uint32_t candidates, bit;

    if (chunk == NULL)
        return NULL;
    candidates = (chunk->free & chunk->used) != 0 ? chunk->free & chunk->used : chunk->free;
    bit = candidates & -candidates;
    chunk->free &= ~bit;
    chunk->used |= bit;
    if (chunk->free == 0) {
        cla_list_remove(&chunk->link);
        cla_list_push(&spans->full, &chunk->link);
    }
    span = (struct cla_span *)(chunk->bytes + (size_t)__builtin_ctz(bit) * CLA_SPAN_BYTES);
    span->chunk = chunk;
    return span;
}

void cla_spans_give(struct cla_spans *spans, struct cla_span *span)
{
    struct cla_chunk *chunk = span->chunk;

    if (chunk->free == 0) {
        cla_list_remove(&chunk->link);
        cla_list_push_front(&spans->roomy, &chunk->link);
    }
    chunk->free |= UINT32_C(1) << ((size_t)((char *)span - chunk->bytes) / CLA_SPAN_BYTES);
}

static void drop_pages(struct cla_chunk *chunk, uint32_t which)
{
    for (unsigned i = 0; i < CHUNK_SPANS; i++) {
        if ((which >> i & 1) != 0)
            (void)madvise(chunk->bytes + (size_t)i * CLA_SPAN_BYTES, CLA_SPAN_BYTES, MADV_DONTNEED);
    }
    chunk->used &= ~which;
}

bool cla_spans_trim(struct cla_spans *spans)
{
    CLA_LIST_EACH (link, &spans->roomy) {
        struct cla_chunk *chunk = CLA_CONTAINER(link, struct cla_chunk, link);
        uint32_t idle = chunk->free & chunk->used;

        if (chunk->free == ALL_FREE)
            free_chunk(chunk);
        else if (idle != 0)
            drop_pages(chunk, idle);
        else
            continue;
        return true;
    }
    return false;
}

void cla_spans_fini(struct cla_spans *spans)
{
    while (!cla_list_empty(&spans->roomy))
        free_chunk(CLA_CONTAINER(spans->roomy.next, struct cla_chunk, link));
    while (!cla_list_empty(&spans->full))
        free_chunk(CLA_CONTAINER(spans->full.next, struct cla_chunk, link));
}
