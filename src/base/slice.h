/* A borrowed run of bytes: valid for the call it is passed to unless said otherwise.
 *
 * Any thread. Depends on: nothing. */
#ifndef CLA_BASE_SLICE_H
#define CLA_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct cla_slice {
    const char *p; /* not NUL-terminated; may be NULL when n is 0 */
    size_t n;      /* bytes */
};

/* The slice of a string literal. */
#define CLA_LIT(literal) ((struct cla_slice){"" literal, sizeof(literal) - 1})

/* The slice p[0..n). */
static inline struct cla_slice cla_slice(const char *p, size_t n)
{
    return (struct cla_slice){p, n};
}

/* The slice of a NUL-terminated string. */
static inline struct cla_slice cla_slice_str(const char *text)
{
    return (struct cla_slice){text, strlen(text)};
}

/* True if both hold the same bytes. */
static inline bool cla_slice_eq(struct cla_slice a, struct cla_slice b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* True if both hold the same bytes, ASCII letters compared without case. */
bool cla_slice_eq_nocase(struct cla_slice a, struct cla_slice b);

/* True if 's' begins with 'prefix'. */
static inline bool cla_slice_starts(struct cla_slice s, struct cla_slice prefix)
{
    return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}

/* 's' without the spaces and tabs at both ends. */
struct cla_slice cla_slice_trim(struct cla_slice s);

/* Cuts the first item off '*list' at 'separator', trimmed; false when the list is empty. */
bool cla_slice_next(struct cla_slice *list, char separator, struct cla_slice *item);

#endif
