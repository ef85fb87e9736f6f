/* Stands in for base/mem.c and fails one allocation of choice.
 *
 * Include it in one file of a test program: it defines cla_mem_*(), so the linker leaves the
 * library's own out. It also counts what is live, for leaks without a sanitizer. */
#ifndef CLA_TEST_MEM_FAULT_H
#define CLA_TEST_MEM_FAULT_H

#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static struct {
    long countdown; /* allocations until one fails; LONG_MAX: none will */
    bool failed;    /* it did */
    long live;      /* blocks not freed */
} mem_fault = {.countdown = LONG_MAX};

/* Makes the allocation after the next 'n' fail, once; the ones behind it succeed. */
static inline void mem_fault_after(long n)
{
    mem_fault.countdown = n;
    mem_fault.failed = false;
}

/* Lets all allocations succeed again. */
static inline void mem_fault_off(void)
{
    mem_fault.countdown = LONG_MAX;
}

static bool mem_fault_now(void)
{
    if (mem_fault.countdown == LONG_MAX || mem_fault.countdown-- > 0)
        return false;
    mem_fault_off();
    mem_fault.failed = true;
    return true;
}

void *cla_mem_alloc(size_t bytes)
{
    return cla_mem_realloc(NULL, bytes);
}

void *cla_mem_zalloc(size_t bytes)
{
    void *block = cla_mem_alloc(bytes);

    if (block != NULL)
        memset(block, 0, bytes);
    return block;
}

void *cla_mem_realloc(void *block, size_t bytes)
{
    void *moved = mem_fault_now() ? NULL : realloc(block, bytes);

    mem_fault.live += moved != NULL && block == NULL;
    return moved;
}

char *cla_mem_strndup(const char *text, size_t bytes)
{
    char *copy = cla_mem_alloc(bytes + 1);

    if (copy != NULL) {
        memcpy(copy, text, bytes);
        copy[bytes] = '\0';
    }
    return copy;
}

void cla_mem_free(void *block)
{
    mem_fault.live -= block != NULL;
    free(block);
}

#endif
