/* Finds the bytes of a string that need a second look. Private to json.
 *
 * Any thread. Depends on: nothing. */
#ifndef CLA_JSON_PLAIN_H
#define CLA_JSON_PLAIN_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

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

#ifdef __SSE2__
/* One bit for each of the 16 bytes at p that is not plain. Compared as signed numbers, bytes from
 * 80 up are below 20 too. */
static inline unsigned cla_json_marks_16(const char *p)
{
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)p);
    __m128i quotes = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"'));
    __m128i backslashes = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'));
    __m128i others = _mm_cmplt_epi8(bytes, _mm_set1_epi8(0x20));

    return (unsigned)_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quotes, backslashes), others));
}
#endif

/* The first byte of p[0..end) that is not plain, or 'end'. */
static inline const char *cla_json_plain_end(const char *p, const char *end)
{
#ifdef __SSE2__
    for (; end - p >= 16; p += 16) {
        unsigned marks = cla_json_marks_16(p);

        if (marks != 0)
            return p + __builtin_ctz(marks);
    }
#endif
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
