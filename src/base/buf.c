#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/error.h"
#include "base/mem.h"

#define FIRST_CAP 64

int cla_buf_grow(struct cla_buf *buf, size_t more)
{
    size_t cap = buf->cap > 0 ? buf->cap : FIRST_CAP;
    char *p;

    if (more > SIZE_MAX / 4 - buf->n)
        return -CLA_ENOMEM;
    while (cap - buf->n < more)
        cap *= 2;
    p = cla_mem_realloc(buf->p, cap);
    if (p == NULL)
        return -CLA_ENOMEM;
    buf->p = p;
    buf->cap = cap;
    return 0;
}

int cla_buf_add_number(struct cla_buf *buf, uint64_t value)
{
    char digits[20];
    size_t at = sizeof digits;

    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    return cla_buf_append(buf, digits + at, sizeof digits - at);
}

int cla_buf_printf(struct cla_buf *buf, const char *format, ...)
{
    va_list args;
    int n, rc;

    va_start(args, format);
    n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    CLA_PRE(n >= 0);
    rc = cla_buf_reserve(buf, (size_t)n + 1);
    if (rc != 0)
        return rc;
    va_start(args, format);
    vsnprintf(buf->p + buf->n, (size_t)n + 1, format, args);
    va_end(args);
    buf->n += (size_t)n;
    return 0;
}

void cla_buf_drop(struct cla_buf *buf, size_t n)
{
    CLA_PRE(n <= buf->n);
    buf->n -= n;
    if (buf->n > 0 && n > 0)
        memmove(buf->p, buf->p + n, buf->n);
}

struct cla_buf cla_buf_take(struct cla_buf *buf)
{
    struct cla_buf taken = *buf;

    *buf = (struct cla_buf){0};
    return taken;
}

void cla_buf_fini(struct cla_buf *buf)
{
    cla_mem_free(buf->p);
    *buf = (struct cla_buf){0};
}
