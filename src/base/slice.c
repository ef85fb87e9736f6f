#include "base/slice.h"

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

bool cla_slice_eq_nocase(struct cla_slice a, struct cla_slice b)
{
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++) {
        if (lower(a.p[i]) != lower(b.p[i]))
            return false;
    }
    return true;
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
