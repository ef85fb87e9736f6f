#include "base/slice.h"

#include <stdint.h>

#define BYTES(b) (UINT64_C(0x0101010101010101) * (b))

/* Eight bytes at a time: equal, or different only in the bit that tells the cases of a letter
 * apart, and there a letter. */
static bool word_eq_nocase(uint64_t a, uint64_t b)
{
    uint64_t differ = a ^ b, lower = b | BYTES(0x20), seven = lower & BYTES(0x7f), letters;

    if ((differ & ~BYTES(0x20)) != 0)
        return false;
    letters = (seven + BYTES(0x80 - 'a')) & ~(seven + BYTES(0x7f - 'z')) & ~lower & BYTES(0x80);
    return (differ << 2 & ~letters) == 0;
}

bool cla_slice_eq_nocase(struct cla_slice a, struct cla_slice b)
{
    uint64_t x, y;
    size_t i = 0;

    if (a.n != b.n)
        return false;
    for (; a.n - i >= sizeof x; i += sizeof x) {
        memcpy(&x, a.p + i, sizeof x);
        memcpy(&y, b.p + i, sizeof y);
        if (!word_eq_nocase(x, y))
            return false;
    }
    x = y = 0;
    if (i < a.n) {
        memcpy(&x, a.p + i, a.n - i);
        memcpy(&y, b.p + i, b.n - i);
    }
    return word_eq_nocase(x, y);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

struct cla_slice cla_slice_trim(struct cla_slice s)
{
    while (s.n > 0 && is_blank(s.p[0])) {
        s.p++;
        s.n--;
    }
    while (s.n > 0 && is_blank(s.p[s.n - 1]))
        s.n--;
    return s;
}

bool cla_slice_next(struct cla_slice *list, char separator, struct cla_slice *item)
{
    const char *end;

    if (list->n == 0)
        return false;
    end = memchr(list->p, separator, list->n);
    if (end == NULL) {
        *item = cla_slice_trim(*list);
        *list = cla_slice(list->p + list->n, 0);
        return true;
    }
    *item = cla_slice_trim(cla_slice(list->p, (size_t)(end - list->p)));
    list->n -= (size_t)(end + 1 - list->p);
    list->p = end + 1;
    return true;
}
