#include "ws/mask.h"

#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define WIDE 256 /* bytes from where on the wide loop pays for its setting up */

/* The key as of offset 'at' of the payload, twice. */
static uint64_t word_of(const unsigned char key[4], size_t at)
{
    unsigned char turned[4];
    uint32_t half;

    for (size_t k = 0; k < sizeof turned; k++)
        turned[k] = key[(at + k) & 3];
    memcpy(&half, (at & 3) == 0 ? key : turned, sizeof half);
    return half | (uint64_t)half << 32;
}

/* Masks whole words; returns the bytes done, a multiple of 8. */
static size_t mask_words(char *p, size_t n, uint64_t mask)
{
    uint64_t word;
    size_t i = 0;

    for (; n - i >= sizeof word; i += sizeof word) {
        memcpy(&word, p + i, sizeof word);
        word ^= mask;
        memcpy(p + i, &word, sizeof word);
    }
    return i;
}

#ifdef __SSE2__
static size_t mask_wide(char *p, size_t n, uint64_t word)
{
    __m128i mask = _mm_set1_epi64x((long long)word);
    size_t i = 0;

    for (; n - i >= 64; i += 64) {
        __m128i *to = (__m128i *)(void *)(p + i);
        __m128i a = _mm_loadu_si128(to), b = _mm_loadu_si128(to + 1);
        __m128i c = _mm_loadu_si128(to + 2), d = _mm_loadu_si128(to + 3);

        _mm_storeu_si128(to, _mm_xor_si128(a, mask));
        _mm_storeu_si128(to + 1, _mm_xor_si128(b, mask));
        _mm_storeu_si128(to + 2, _mm_xor_si128(c, mask));
        _mm_storeu_si128(to + 3, _mm_xor_si128(d, mask));
    }
    return i;
}
#else
#define mask_wide mask_words
#endif

void cla_ws_mask(char *p, size_t n, const unsigned char key[4], size_t at)
{
    uint64_t mask = word_of(key, at);
    size_t i = 0;

    if (n >= WIDE)
        i = mask_wide(p, n, mask);
    i += mask_words(p + i, n - i, mask);
    for (; i < n; i++)
        p[i] ^= (char)key[(at + i) & 3];
}
