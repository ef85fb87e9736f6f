/* UTF-8 as it arrives: the same verdict as on the whole text, and at the first byte that is wrong.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/utf8.h"
#include "seed.h"
#include "ws/utf8.h"

static bool valid(const char *p, size_t n)
{
    struct cla_ws_utf8 utf8;

    cla_ws_utf8_init(&utf8);
    return cla_ws_utf8_feed(&utf8, p, n) && cla_ws_utf8_complete(&utf8);
}

/* The offset of the first byte that makes the text wrong; n: none does. */
static size_t first_wrong(const char *p, size_t n)
{
    struct cla_ws_utf8 utf8;

    cla_ws_utf8_init(&utf8);
    for (size_t i = 0; i < n; i++) {
        if (!cla_ws_utf8_feed(&utf8, p + i, 1))
            return i;
    }
    return n;
}

static void every_sequence_of_three_bytes_is_judged_as_by_the_table(void **state)
{
    for (unsigned value = 0; value < 1 << 24; value += value < 0x800000 ? 251 : 1) {
        char p[3] = {(char)(value >> 16), (char)(value >> 8), (char)value};

        if (valid(p, 3) != cla_utf8_valid(cla_slice(p, 3)))
            fail_msg("%06x", value);
    }
}

static void every_code_point_is_judged_as_by_the_table(void **state)
{
    for (unsigned c = 0; c < 0x200000; c++) {
        char p[4] = {(char)(0xf0 | c >> 18), (char)(0x80 | (c >> 12 & 0x3f)),
                     (char)(0x80 | (c >> 6 & 0x3f)), (char)(0x80 | (c & 0x3f))};

        if (valid(p, 4) != (c >= 0x10000 && c <= 0x10ffff))
            fail_msg("%x", c);
    }
}

struct wrong {
    const char *text;
    size_t at; /* first byte that cannot be right */
};

/* Among them those of the Autobahn suite, section 6. */
static const struct wrong wrongs[] = {
    {"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80"
     "edited",
     12},
    {"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90\x80\x80"
     "edited",
     12},
    {"\x80", 0},
    {"\xbf\x80", 0},
    {"ab\xc0\xaf", 2},
    {"\xc1\xbf", 0},
    {"\xe0\x80\xaf", 1},
    {"\xe0\x9f\xbf", 1},
    {"\xf0\x80\x80\xaf", 1},
    {"\xf0\x8f\xbf\xbf", 1},
    {"\xf5\x80\x80\x80", 0},
    {"\xf8\x88\x80\x80\x80", 0},
    {"\xfe", 0},
    {"\xff", 0},
    {"\xed\xbf\xbf", 1},
    {"\xc2 ", 1},
    {"\xe1\x80 ", 2},
    {"\xf1\x80\x80\xc0", 3},
    {"0123456789abcdef\xff", 16},
    {"0123456789abcdef0123456\xff", 23},
    {"01234567\xff", 8},
};

static void text_is_refused_at_the_first_byte_that_cannot_be_right(void **state)
{
    for (size_t i = 0; i < CLA_ARRAY_LEN(wrongs); i++) {
        const struct wrong *wrong = &wrongs[i];

        if (first_wrong(wrong->text, strlen(wrong->text)) != wrong->at)
            fail_msg("%zu: %zu", i, first_wrong(wrong->text, strlen(wrong->text)));
        assert_false(valid(wrong->text, strlen(wrong->text)));
    }
}

static void refusal_is_remembered(void **state)
{
    struct cla_ws_utf8 utf8;

    cla_ws_utf8_init(&utf8);
    assert_false(cla_ws_utf8_feed(&utf8, "\xff", 1));
    assert_false(cla_ws_utf8_feed(&utf8, "fine", 4));
    assert_false(cla_ws_utf8_feed(&utf8, "fine fine fine fine", 19));
    assert_false(cla_ws_utf8_complete(&utf8));
}

static void cut_code_point_is_not_complete(void **state)
{
    static const char text[] = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80";
    static const bool complete[] = {true, true,  false, true,  false, false,
                                    true, false, false, false, true};
    struct cla_ws_utf8 utf8;

    for (size_t n = 0; n < sizeof text; n++) {
        cla_ws_utf8_init(&utf8);
        assert_true(cla_ws_utf8_feed(&utf8, text, n));
        assert_int_equal(cla_ws_utf8_complete(&utf8), complete[n]);
    }
}

/* Mostly well-formed, so that the runs of ASCII and the tails are met in all lengths. */
static size_t make_text(char *to, size_t max)
{
    size_t n = 0;

    while (n + 40 < max) {
        for (uint64_t run = seed_below(20); run > 0; run--)
            to[n++] = (char)('a' + run);
        n += cla_utf8_encode((uint32_t[]){0xe9, 0x20ac, 0x1f600, 0x7f}[seed_below(4)], to + n);
    }
    if (seed_below(2) == 0)
        to[seed_below(n)] = (char)seed_below(256);
    return n;
}

static void verdict_does_not_depend_on_the_pieces(void **state)
{
    char text[120];

    for (unsigned round = 0; round < 20000; round++) {
        size_t n = make_text(text, sizeof text), at = 0;
        struct cla_ws_utf8 utf8;
        bool fine = true;

        cla_ws_utf8_init(&utf8);
        while (at < n) {
            size_t piece = 1 + seed_below(n - at);

            fine = cla_ws_utf8_feed(&utf8, text + at, piece);
            at += piece;
        }
        assert_int_equal(fine && cla_ws_utf8_complete(&utf8), cla_utf8_valid(cla_slice(text, n)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_sequence_of_three_bytes_is_judged_as_by_the_table),
        cmocka_unit_test(every_code_point_is_judged_as_by_the_table),
        cmocka_unit_test(text_is_refused_at_the_first_byte_that_cannot_be_right),
        cmocka_unit_test(refusal_is_remembered),
        cmocka_unit_test(cut_code_point_is_not_complete),
        cmocka_unit_test(verdict_does_not_depend_on_the_pieces),
    };

    seed_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
