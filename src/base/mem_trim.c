#include "base/mem_trim.h"

#include <stdlib.h>

#ifdef __GLIBC__
#include <malloc.h>
#endif

void cla_mem_trim(void)
{
#ifdef __GLIBC__
    malloc_trim(0); /* every arena, and pages amid what is in use too */
#endif
}

void cla_mem_share_heap(void)
{
#ifdef __GLIBC__
    mallopt(M_ARENA_MAX, 1);
#endif
}
