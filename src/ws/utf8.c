#include "ws/utf8.h"

/* An automaton in shifts: a state is a multiple of 6, and the row of a byte holds, at the bit that
 * is the state, the next state. So one step is one load, which depends on no other, and one shift.
 * States: text refused, between code points, 1 to 3 continuation bytes wanted, and those whose
 * second byte has a narrower range (table 3-7 of the Unicode Standard). */
enum { BAD = 0, OK = 6, ONE = 12, TWO = 18, E0 = 24, ED = 30, THREE = 36, F0 = 42, F4 = 48 };

#define GO(from, to) ((uint64_t)(to) << (from))

#define ASCII GO(OK, OK)
#define LOW (GO(ONE, OK) | GO(TWO, ONE) | GO(ED, ONE) | GO(THREE, TWO) | GO(F4, TWO))
#define MIDDLE (GO(ONE, OK) | GO(TWO, ONE) | GO(ED, ONE) | GO(THREE, TWO) | GO(F0, TWO))
#define HIGH (GO(ONE, OK) | GO(TWO, ONE) | GO(E0, ONE) | GO(THREE, TWO) | GO(F0, TWO))

#define X2(row) row, row
#define X4(row) X2(row), X2(row)
#define X12(row) X4(row), X4(row), X4(row)
#define X16(row) X12(row), X4(row)
#define X32(row) X16(row), X16(row)
#define X128(row) X32(row), X32(row), X32(row), X32(row)

/* clang-format off */
static const uint64_t rows[256] = {
    X128(ASCII),                                 /* 00 to 7F */
    X16(LOW), X16(MIDDLE), X32(HIGH),            /* 80 to BF */
    X2(BAD), X12(GO(OK, ONE)), X2(GO(OK, ONE)),  /* C0 to CF */
    X16(GO(OK, ONE)),                            /* D0 to DF */
    GO(OK, E0), X12(GO(OK, TWO)), GO(OK, ED),    /* E0 to ED */
    X2(GO(OK, TWO)), GO(OK, F0),                 /* EE to F0 */
    X2(GO(OK, THREE)), GO(OK, THREE),            /* F1 to F3 */
    GO(OK, F4),                                  /* F4; F5 to FF are BAD */
};
/* clang-format on */

#define HIGH_BITS UINT64_C(0x8080808080808080)

static uint64_t word_at(const char *p)
{
    uint64_t word;

    memcpy(&word, p, sizeof word);
    return word;
}

static uint64_t run(uint64_t state, const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        state = rows[(unsigned char)p[i]] >> (state & 63);
    return state & 63;
}

void cla_ws_utf8_init(struct cla_ws_utf8 *utf8)
{
    utf8->state = OK;
}

bool cla_ws_utf8_feed(struct cla_ws_utf8 *utf8, const char *p, size_t n)
{
    uint64_t state = utf8->state;

    for (; n >= 16; p += 16, n -= 16) {
        if (state == OK && ((word_at(p) | word_at(p + 8)) & HIGH_BITS) == 0)
            continue;
        state = run(state, p, 16);
        if (state == BAD)
            break;
    }
    if (n >= 8 && n < 16 && state == OK && (word_at(p) & HIGH_BITS) == 0) {
        p += 8;
        n -= 8;
    }
    if (n < 16)
        state = run(state, p, n);
    utf8->state = (uint8_t)state;
    return state != BAD;
}

bool cla_ws_utf8_complete(const struct cla_ws_utf8 *utf8)
{
    return utf8->state == OK;
}
