/* Finds the bytes of a string that need a second look. Private to json.
 *
 * Any thread. Depends on: nothing. */
#ifndef CLA_JSON_PLAIN_H
#define CLA_JSON_PLAIN_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define CLA_JSON_ONES UINT64_C(0x0101010101010101)
#define CLA_JSON_HIGHS UINT64_C(0x8080808080808080)

/* True for a byte that stands for itself in a JSON string and is ASCII. */
static inline bool cla_json_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

/* The high bit of each byte of 'word' that is not plain. A borrow may mark plain bytes too, but
 * only above (in value) one that is rightly marked: the lowest mark is exact. */
static inline uint64_t cla_json_marks(uint64_t word)
{
    uint64_t quote = word ^ (CLA_JSON_ONES * '"');
    uint64_t backslash = word ^ (CLA_JSON_ONES * '\\');
    uint64_t below = (word - CLA_JSON_ONES * 0x20) & ~word;

    below |= (quote - CLA_JSON_ONES) & ~quote;
    below |= (backslash - CLA_JSON_ONES) & ~backslash;
    return (below | word) & CLA_JSON_HIGHS;
}

/* The first byte of p[0..end) that is not plain, or 'end'. */
static inline const char *cla_json_plain_end(const char *p, const char *end)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    while (end - p >= 8) {
        uint64_t word, marks;

        memcpy(&word, p, sizeof word);
        marks = cla_json_marks(word);
        if (marks != 0)
            return p + (__builtin_ctzll(marks) >> 3);
        p += sizeof word;
    }
#endif
    while (p < end && cla_json_plain((unsigned char)*p))
        p++;
    return p;
}

#endif
