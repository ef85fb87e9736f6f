/* zlib's memory through base/mem. For inflate.c and deflate.c.
 *
 * Any thread. Depends on: base/mem, zlib. */
#ifndef CLA_WS_ZMEM_H
#define CLA_WS_ZMEM_H

#include <zlib.h>

#include "base/mem.h"

/* An alloc_func: 'items' times 'size' bytes, or NULL. */
static inline void *cla_ws_zmem_alloc(void *arg, unsigned items, unsigned size)
{
    return cla_mem_alloc((size_t)items * size);
}

/* A free_func. */
static inline void cla_ws_zmem_free(void *arg, void *block)
{
    cla_mem_free(block);
}

#endif
