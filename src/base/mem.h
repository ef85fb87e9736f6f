/* The memory seam: everything on the heap but Lua's own objects comes from here.
 *
 * Any thread. Depends on: nothing. Tests that fail each allocation in turn link
 * tests/unit/mem_fault.c in place of mem.c. */
#ifndef CLA_BASE_MEM_H
#define CLA_BASE_MEM_H

#include <stddef.h>

/* Returns 'bytes' uninitialised bytes, or NULL. Free with cla_mem_free(). */
void *cla_mem_alloc(size_t bytes);

/* Returns 'bytes' zeroed bytes, or NULL. Free with cla_mem_free(). */
void *cla_mem_zalloc(size_t bytes);

/* Resizes 'block' (NULL: allocates). Returns NULL and leaves 'block' as it was on failure. */
void *cla_mem_realloc(void *block, size_t bytes);

/* Returns a NUL-terminated copy of text[0..bytes), or NULL. Free with cla_mem_free(). */
char *cla_mem_strndup(const char *text, size_t bytes);

/* Frees 'block'; NULL is fine. */
void cla_mem_free(void *block);

#endif
