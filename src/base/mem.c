#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

void *cla_mem_alloc(size_t bytes)
{
    return malloc(bytes);
}

void *cla_mem_zalloc(size_t bytes)
{
    return calloc(1, bytes);
}

void *cla_mem_realloc(void *block, size_t bytes)
{
    return realloc(block, bytes);
}

char *cla_mem_strndup(const char *text, size_t bytes)
{
    char *copy = cla_mem_alloc(bytes + 1);

    if (copy == NULL)
        return NULL;
    memcpy(copy, text, bytes);
    copy[bytes] = '\0';
    return copy;
}

void cla_mem_free(void *block)
{
    free(block);
}
