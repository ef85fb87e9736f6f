/* Memory that will be needed soon.
 *
 * Any thread. Depends on: nothing. What waits in thousands is in no cache of the processor by the
 * time that it ends: it is asked for a little ahead, while others are at work. */
#ifndef CLA_BASE_PREFETCH_H
#define CLA_BASE_PREFETCH_H

#include <stddef.h>

#define CLA_CACHE_LINE 64

/* Asks for 'bytes' bytes (not 0) from 'p' on; waits for nothing. 'p' may be any address. */
static inline void cla_prefetch(const void *p, size_t bytes)
{
    const char *at = p;

    for (size_t i = 0; i < bytes; i += CLA_CACHE_LINE)
        __builtin_prefetch(at + i);
    __builtin_prefetch(at + bytes - 1);
}

#endif
