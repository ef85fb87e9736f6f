#include "gateway/text_pool.h"

#include "base/mem.h"

/* So many texts are read before the first call of them begins, most times. */
#define SPARES_MAX 256

struct cla_text_spare {
    struct cla_text_spare *next;
};

static struct cla_text_spare *pop(struct cla_text_pool *pool)
{
    struct cla_text_spare *spare = pool->first;

    pool->first = spare->next;
    pool->count--;
    return spare;
}

char *cla_text_pool_take(struct cla_text_pool *pool, size_t n)
{
    if (n > CLA_TEXT_SHORT)
        return cla_mem_alloc(n);
    return pool->first != NULL ? (char *)pop(pool) : cla_mem_alloc(CLA_TEXT_SHORT);
}

void cla_text_pool_put(struct cla_text_pool *pool, char *text, bool is_short)
{
    struct cla_text_spare *spare = (struct cla_text_spare *)(void *)text;

    if (!is_short || pool->count == SPARES_MAX) {
        cla_mem_free(text);
        return;
    }
    spare->next = pool->first;
    pool->first = spare;
    pool->count++;
}

void cla_text_pool_fini(struct cla_text_pool *pool)
{
    while (pool->first != NULL)
        cla_mem_free(pop(pool));
}
