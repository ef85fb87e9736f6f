#include "base/utf8.h"

#include "base/check.h"

/* One row of table 3-7 of the Unicode Standard: what may follow a lead byte. */
struct row {
    unsigned char lead_lo, lead_hi;     /* lead bytes of this row */
    unsigned char second_lo, second_hi; /* its second byte; later ones are 80..BF */
    unsigned length;                    /* bytes of the sequence */
};

static const struct row rows[] = {
    {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3},
    {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
    {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
};

static bool continues(unsigned char c)
{
    return (c & 0xc0) == 0x80;
}

unsigned cla_utf8_sequence(const char *p, size_t n)
{
    const unsigned char *u = (const unsigned char *)p;

    if (u[0] < 0x80)
        return 1;
    for (size_t i = 0; i < CLA_ARRAY_LEN(rows); i++) {
        const struct row *row = &rows[i];

        if (u[0] < row->lead_lo || u[0] > row->lead_hi)
            continue;
        if (n < row->length || u[1] < row->second_lo || u[1] > row->second_hi)
            return 0;
        for (unsigned k = 2; k < row->length; k++) {
            if (!continues(u[k]))
                return 0;
        }
        return row->length;
    }
    return 0;
}

/* Skips whole words of ASCII; returns the new offset. */
static size_t skip_ascii(const char *p, size_t i, size_t n)
{
    uint64_t word;

    while (n - i >= sizeof word) {
        memcpy(&word, p + i, sizeof word);
        if ((word & UINT64_C(0x8080808080808080)) != 0)
            break;
        i += sizeof word;
    }
    return i;
}

size_t cla_utf8_valid_prefix(struct cla_slice s)
{
    size_t i = 0;

    while (i < s.n) {
        unsigned length;

        i = skip_ascii(s.p, i, s.n);
        if (i == s.n)
            break;
        length = cla_utf8_sequence(s.p + i, s.n - i);
        if (length == 0)
            break;
        i += length;
    }
    return i;
}

unsigned cla_utf8_encode(uint32_t c, char *to)
{
    CLA_PRE(c <= 0x10ffff);
    if (c < 0x80) {
        to[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        to[0] = (char)(0xc0 | c >> 6);
        to[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        to[0] = (char)(0xe0 | c >> 12);
        to[1] = (char)(0x80 | (c >> 6 & 0x3f));
        to[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    to[0] = (char)(0xf0 | c >> 18);
    to[1] = (char)(0x80 | (c >> 12 & 0x3f));
    to[2] = (char)(0x80 | (c >> 6 & 0x3f));
    to[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}
