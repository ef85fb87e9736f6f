#include "base/mem_trim.h"

#include <stdlib.h>

#ifdef __GLIBC__
#include <malloc.h>
#endif

/* A sanitizer's allocator stands in for glibc's, which these calls would set up, unused: and on
 * several threads at a time it cannot be. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HEAP_IS_GLIBCS 0
#elif defined(__GLIBC__)
#define HEAP_IS_GLIBCS 1
#else
#define HEAP_IS_GLIBCS 0
#endif

void cla_mem_trim(void)
{
#if HEAP_IS_GLIBCS
    malloc_trim(0); /* every arena, and pages amid what is in use too */
#endif
}

void cla_mem_limit_heaps(unsigned most)
{
#if HEAP_IS_GLIBCS
    mallopt(M_ARENA_MAX, (int)most);
#else
    (void)most;
#endif
}
