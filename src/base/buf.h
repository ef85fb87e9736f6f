/* A growing buffer that owns its bytes.
 *
 * Any thread, one at a time. Depends on: base/mem. A zeroed struct is an empty buffer.
 * A failed append leaves the buffer as it was. */
#ifndef CLA_BASE_BUF_H
#define CLA_BASE_BUF_H

#include <stdint.h>

#include "base/check.h"
#include "base/slice.h"

struct cla_buf {
    char *p;    /* NULL until the first append */
    size_t n;   /* bytes used */
    size_t cap; /* bytes allocated */
};

/* Grows 'buf' so that 'more' bytes fit behind its end. For cla_buf_reserve(). */
int cla_buf_grow(struct cla_buf *buf, size_t more);

/* Makes room for 'more' bytes at p + n. Returns 0 or -CLA_ENOMEM. */
static inline int cla_buf_reserve(struct cla_buf *buf, size_t more)
{
    return buf->cap - buf->n >= more ? 0 : cla_buf_grow(buf, more);
}

/* Appends p[0..n). Returns 0 or -CLA_ENOMEM. */
static inline int cla_buf_append(struct cla_buf *buf, const char *p, size_t n)
{
    int rc = cla_buf_reserve(buf, n);

    if (rc == 0 && n > 0) {
        memcpy(buf->p + buf->n, p, n);
        buf->n += n;
    }
    return rc;
}

/* Appends a slice. Returns 0 or -CLA_ENOMEM. */
static inline int cla_buf_add(struct cla_buf *buf, struct cla_slice s)
{
    return cla_buf_append(buf, s.p, s.n);
}

/* Appends one byte. Returns 0 or -CLA_ENOMEM. */
static inline int cla_buf_push(struct cla_buf *buf, char c)
{
    return cla_buf_append(buf, &c, 1);
}

/* Appends a number in decimal. Returns 0 or -CLA_ENOMEM. */
int cla_buf_add_number(struct cla_buf *buf, uint64_t value);

/* Appends formatted text. Returns 0 or -CLA_ENOMEM. */
int cla_buf_printf(struct cla_buf *buf, const char *format, ...) CLA_PRINTF(2, 3);

/* Removes the first 'n' bytes (n <= buf->n). */
void cla_buf_drop(struct cla_buf *buf, size_t n);

/* The bytes, borrowed until the next change. */
static inline struct cla_slice cla_buf_slice(const struct cla_buf *buf)
{
    return cla_slice(buf->p, buf->n);
}

/* Moves the bytes out and leaves 'buf' empty. */
struct cla_buf cla_buf_take(struct cla_buf *buf);

/* Frees the bytes and leaves 'buf' empty and usable. */
void cla_buf_fini(struct cla_buf *buf);

#endif
