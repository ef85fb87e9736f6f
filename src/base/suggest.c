#include "base/suggest.h"

#define EDITS_MAX 3

/* The table of distances between prefixes, of which each row needs only the two above it. */
struct rows {
    unsigned before[CLA_SUGGEST_NAME_MAX + 1]; /* two rows up */
    unsigned above[CLA_SUGGEST_NAME_MAX + 1];
    unsigned row[CLA_SUGGEST_NAME_MAX + 1];
};

static char fold(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (char)(c + ('a' - 'A'));
    return c == '-' ? '_' : c;
}

static bool same(struct cla_slice a, size_t i, struct cla_slice b, size_t k)
{
    return fold(a.p[i]) == fold(b.p[k]);
}

static unsigned smaller(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* The distance between the first i bytes of 'a' and the first k of 'b'; both above zero. */
static unsigned cell(const struct rows *r, struct cla_slice a, size_t i, struct cla_slice b,
                     size_t k)
{
    unsigned d = smaller(r->above[k], r->row[k - 1]) + 1;

    d = smaller(d, r->above[k - 1] + !same(a, i - 1, b, k - 1));
    if (i > 1 && k > 1 && same(a, i - 1, b, k - 2) && same(a, i - 2, b, k - 1))
        d = smaller(d, r->before[k - 2] + 1);
    return d;
}

unsigned cla_suggest_distance(struct cla_slice a, struct cla_slice b, unsigned limit)
{
    struct rows r = {0};

    if (a.n > CLA_SUGGEST_NAME_MAX || b.n > CLA_SUGGEST_NAME_MAX)
        return limit;
    for (size_t k = 0; k <= b.n; k++)
        r.row[k] = (unsigned)k;
    for (size_t i = 1; i <= a.n; i++) {
        memcpy(r.before, r.above, sizeof r.before);
        memcpy(r.above, r.row, sizeof r.above);
        r.row[0] = (unsigned)i;
        for (size_t k = 1; k <= b.n; k++)
            r.row[k] = cell(&r, a, i, b, k);
    }
    return smaller(r.row[b.n], limit);
}

void cla_suggest_init(struct cla_suggest *suggest, struct cla_slice name)
{
    size_t edits = name.n / 3;

    if (edits < 1)
        edits = 1;
    *suggest = (struct cla_suggest){.name = name};
    suggest->distance = smaller((unsigned)edits, EDITS_MAX) + 1;
}

void cla_suggest_offer(struct cla_suggest *suggest, struct cla_slice known)
{
    unsigned distance = cla_suggest_distance(suggest->name, known, suggest->distance);

    if (distance < suggest->distance) {
        suggest->distance = distance;
        suggest->best = known;
    }
}
