/* UTF-8: every well-formed sequence passes, the classic malformed ones do not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/utf8.h"

static const struct {
    struct cla_slice text;
    size_t valid; /* bytes before the malformed sequence */
} malformed[] = {
    {CLA_LIT("\x80"), 0}, /* lone continuation bytes */
    {CLA_LIT("a\xbf"), 1},
    {CLA_LIT("\xc0\xaf"), 0}, /* overlong forms of '/' */
    {CLA_LIT("\xe0\x80\xaf"), 0},
    {CLA_LIT("\xf0\x80\x80\xaf"), 0},
    {CLA_LIT("\xf8\x80\x80\x80\xaf"), 0},
    {CLA_LIT("\xc0\x80"), 0}, /* overlong NUL */
    {CLA_LIT("\xc1\xbf"), 0}, /* the highest overlong of each length */
    {CLA_LIT("\xe0\x9f\xbf"), 0},
    {CLA_LIT("\xf0\x8f\xbf\xbf"), 0},
    {CLA_LIT("\xed\xa0\x80"), 0},             /* surrogates: D800 */
    {CLA_LIT("\xed\xbf\xbf"), 0},             /* DFFF */
    {CLA_LIT("\xed\xa0\xbd\xed\xb8\x80"), 0}, /* a pair (CESU-8) */
    {CLA_LIT("\xf4\x90\x80\x80"), 0},         /* 110000 */
    {CLA_LIT("\xf5\x80\x80\x80"), 0},         /* lead bytes that are never used */
    {CLA_LIT("\xf8\x88\x80\x80\x80"), 0},     /* five and six bytes */
    {CLA_LIT("\xfc\x84\x80\x80\x80\x80"), 0},
    {CLA_LIT("\xfe"), 0},
    {CLA_LIT("\xff"), 0},
    {CLA_LIT("ab\xc3"), 2}, /* cut short */
    {CLA_LIT("\xe2\x82"), 0},
    {CLA_LIT("\xf0\x9f\x98"), 0},
    {CLA_LIT("\xc3("), 0}, /* broken off by another character */
    {CLA_LIT("\xe2\x82("), 0},
    {CLA_LIT("\xe2(\xa1"), 0},
    {CLA_LIT("\xf0\x9f\x98("), 0},
    {CLA_LIT("\xf0(\x8c\xbc"), 0},
    {CLA_LIT("12345678\xff"), 8}, /* behind a whole word of ASCII */
    {CLA_LIT("1234567\xff"), 7},  /* within one */
    {CLA_LIT("\xc3\xa4"
             "12345678\xc3"),
     10},
};

static void malformed_sequences_are_refused_where_they_start(void **state)
{
    for (size_t i = 0; i < CLA_ARRAY_LEN(malformed); i++) {
        assert_int_equal(cla_utf8_valid_prefix(malformed[i].text), malformed[i].valid);
        assert_false(cla_utf8_valid(malformed[i].text));
    }
}

static bool surrogate(uint32_t c)
{
    return c >= 0xd800 && c <= 0xdfff;
}

static void every_code_point_encodes_to_one_valid_sequence(void **state)
{
    char bytes[4];

    for (uint32_t c = 0; c <= 0x10ffff; c++) {
        unsigned n = cla_utf8_encode(c, bytes);

        if (n != (c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4))
            fail_msg("U+%04X has %u bytes", (unsigned)c, n);
        if (cla_utf8_sequence(bytes, n) != (surrogate(c) ? 0 : n))
            fail_msg("U+%04X is misjudged", (unsigned)c);
    }
}

static void two_byte_forms_are_judged_exhaustively(void **state)
{
    for (unsigned lead = 0x80; lead <= 0xff; lead++) {
        for (unsigned second = 0; second <= 0xff; second++) {
            const char bytes[] = {(char)lead, (char)second};
            bool good = lead >= 0xc2 && lead <= 0xdf && second >= 0x80 && second <= 0xbf;

            assert_int_equal(cla_utf8_sequence(bytes, 2), good ? 2 : 0);
        }
    }
}

static void known_characters_have_their_known_bytes(void **state)
{
    static const struct {
        uint32_t code_point;
        const char *bytes;
    } cases[] = {
        {0x7f, "\x7f"},
        {0x80, "\xc2\x80"},
        {0x7ff, "\xdf\xbf"},
        {0x800, "\xe0\xa0\x80"},
        {0x20ac, "\xe2\x82\xac"},
        {0xffff, "\xef\xbf\xbf"},
        {0x10000, "\xf0\x90\x80\x80"},
        {0x1f600, "\xf0\x9f\x98\x80"},
        {0x10ffff, "\xf4\x8f\xbf\xbf"},
    };
    char bytes[4];

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        unsigned n = cla_utf8_encode(cases[i].code_point, bytes);

        assert_int_equal(n, strlen(cases[i].bytes));
        assert_memory_equal(bytes, cases[i].bytes, n);
    }
}

static void empty_text_is_valid(void **state)
{
    assert_true(cla_utf8_valid(cla_slice(NULL, 0)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(malformed_sequences_are_refused_where_they_start),
        cmocka_unit_test(every_code_point_encodes_to_one_valid_sequence),
        cmocka_unit_test(two_byte_forms_are_judged_exhaustively),
        cmocka_unit_test(known_characters_have_their_known_bytes),
        cmocka_unit_test(empty_text_is_valid),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
