/* JSON numbers, in both directions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/error.h"
#include "json/scan.h"
#include "json/write.h"

static enum cla_json_event scan_one(struct cla_slice text, struct cla_json_scan *scan)
{
    enum cla_json_event event;

    cla_json_scan_init(scan, text, 1);
    event = cla_json_scan_next(scan);
    return event;
}

static void assert_same_bits(double a, double b)
{
    assert_memory_equal(&a, &b, sizeof a);
}

static void assert_number(struct cla_slice text, double expected)
{
    struct cla_json_scan scan;

    assert_int_equal(scan_one(text, &scan), CLA_JSON_NUMBER);
    assert_same_bits(scan.number, expected);
    assert_int_equal(cla_json_scan_next(&scan), CLA_JSON_END);
}

static void integers_are_exact_to_the_ends_of_int64(void **state)
{
    static const struct {
        const char *text;
        int64_t value;
    } cases[] = {
        {"0", 0},
        {"-0", 0},
        {"7", 7},
        {"-1", -1},
        {"1234567890", 1234567890},
        {"9007199254740993", INT64_C(9007199254740993)},
        {"999999999999999999", INT64_C(999999999999999999)},
        {"9223372036854775807", INT64_MAX},
        {"-9223372036854775807", -INT64_MAX},
        {"-9223372036854775808", INT64_MIN},
    };
    struct cla_json_scan scan;

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        assert_int_equal(scan_one(cla_slice_str(cases[i].text), &scan), CLA_JSON_INT);
        assert_true(scan.integer == cases[i].value);
    }
}

static void other_numbers_are_the_nearest_double(void **state)
{
    static const struct {
        const char *text;
        double value;
    } cases[] = {
        {"0.0", 0.0},
        {"-0.0", -0.0},
        {"-0e5", -0.0},
        {"0e999999999999999999999", 0.0},
        {"1.0", 1.0},
        {"1E2", 100.0},
        {"1e+2", 100.0},
        {"0.1", 0.1},
        {"9223372036854775808", 9223372036854775808.0},
        {"-9223372036854775809", -9223372036854775808.0},
        {"18446744073709551616", 18446744073709551616.0},
        {"100000000000000000000", 1e20},
        {"9007199254740993.0", 9007199254740992.0},
        {"9007199254740993.000000000000000000000000000000000001", 9007199254740994.0},
        {"1e22", 1e22},
        {"1e23", 1e23},
        {"123456789012345678901234567890", 123456789012345678901234567890.0},
        {"0.30000000000000004", 0.30000000000000004},
        {"1.7976931348623157e308", 1.7976931348623157e308},
        {"4.9e-324", 4.9e-324},
        {"2.2250738585072014e-308", 2.2250738585072014e-308},
        {"2.4703282292062327e-324", 0.0},
        {"2.4703282292062328e-324", 4.9e-324},
        {"1e-400", 0.0},
        {"-1e-99999999999999999999", -0.0},
        {"0.00000000000000000000000000001e29", 1.0},
    };

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++)
        assert_number(cla_slice_str(cases[i].text), cases[i].value);
}

static void numbers_beyond_a_double_are_refused(void **state)
{
    static const char *const cases[] = {
        "1e309",         "-1e309", "1.7976931348623159e308", "1e99999999999999999999999999",
        "123123e100000", "0.1e400"};
    struct cla_json_scan scan;

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        assert_int_equal(scan_one(cla_slice_str(cases[i]), &scan), CLA_JSON_ERROR);
        assert_string_equal(scan.error, "number out of range");
    }
}

/* Repeats 'c' so often at the end of 'text'. */
static void repeat(struct cla_buf *text, char c, size_t times)
{
    assert_int_equal(cla_buf_reserve(text, times), 0);
    memset(text->p + text->n, c, times);
    text->n += times;
}

#define LONG 1000000

static void very_long_numbers_are_exact(void **state)
{
    struct cla_buf text = {0};
    struct cla_json_scan scan;

    repeat(&text, '9', LONG);
    assert_int_equal(scan_one(cla_buf_slice(&text), &scan), CLA_JSON_ERROR);
    assert_int_equal(cla_buf_printf(&text, "e-%d", LONG - 1), 0);
    assert_number(cla_buf_slice(&text), 10.0);

    text.n = 0;
    assert_int_equal(cla_buf_add(&text, CLA_LIT("0.")), 0);
    repeat(&text, '0', LONG);
    assert_int_equal(cla_buf_printf(&text, "25e%d", LONG), 0);
    assert_number(cla_buf_slice(&text), 0.25);
    cla_buf_fini(&text);
}

static void the_last_of_many_digits_can_decide(void **state)
{
    struct cla_buf text = {0};

    assert_int_equal(cla_buf_add(&text, CLA_LIT("9007199254740993.")), 0);
    repeat(&text, '0', LONG);
    assert_number(cla_buf_slice(&text), 9007199254740992.0);
    assert_int_equal(cla_buf_push(&text, '1'), 0);
    assert_number(cla_buf_slice(&text), 9007199254740994.0);
    cla_buf_fini(&text);
}

/* xorshift64*: the same numbers in every run. */
static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed >> 12;
    *seed ^= *seed << 25;
    *seed ^= *seed >> 27;
    return *seed * UINT64_C(2685821657736338717);
}

static void decimals_agree_with_strtod(void **state)
{
    uint64_t seed = 42;
    char text[64];

    for (int i = 0; i < 200000; i++) {
        uint64_t r = next_random(&seed);
        uint64_t mantissa = next_random(&seed) >> r % 64;
        int exponent = (int)(r >> 8 & 63) - 32;

        if ((r >> 16 & 3) == 0)
            exponent *= 9;
        snprintf(text, sizeof text, "%s%llu.%llue%d", (r >> 20 & 1) != 0 ? "-" : "",
                 (unsigned long long)mantissa, (unsigned long long)(r >> 24) % 1000, exponent);
        assert_number(cla_slice_str(text), strtod(text, NULL));
    }
}

static void written_doubles_read_back_and_are_the_shortest(void **state)
{
    uint64_t seed = 7;
    char shortest[64];
    struct cla_buf buf = {0};

    for (int i = 0; i < 200000; i++) {
        uint64_t bits = next_random(&seed);
        double value;

        memcpy(&value, &bits, sizeof value);
        if (i % 2 == 0)
            value = (double)(int64_t)(bits >> 30) / (double)(1 << bits % 20);
        if (i % 5 == 0)
            value = (double)(bits >> i % 50) / 1000.0;
        if (!isfinite(value))
            continue;
        for (int digits = 15; digits <= 17; digits++) {
            snprintf(shortest, sizeof shortest, "%.*g", digits, value);
            if (strtod(shortest, NULL) == value)
                break;
        }
        if (strpbrk(shortest, ".e") == NULL)
            strcat(shortest, ".0");
        buf.n = 0;
        assert_int_equal(cla_json_write_number(&buf, value), 0);
        assert_number(cla_buf_slice(&buf), value);
        assert_true(cla_slice_eq(cla_buf_slice(&buf), cla_slice_str(shortest)));
    }
    cla_buf_fini(&buf);
}

static void written_integers_read_back(void **state)
{
    uint64_t seed = 3;
    struct cla_buf buf = {0};
    struct cla_json_scan scan;

    for (int i = 0; i < 100000; i++) {
        uint64_t r = next_random(&seed);
        int64_t value = (int64_t)next_random(&seed) >> r % 64;

        buf.n = 0;
        assert_int_equal(cla_json_write_int(&buf, value), 0);
        assert_int_equal(scan_one(cla_buf_slice(&buf), &scan), CLA_JSON_INT);
        assert_true(scan.integer == value);
    }
    cla_buf_fini(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_are_exact_to_the_ends_of_int64),
        cmocka_unit_test(other_numbers_are_the_nearest_double),
        cmocka_unit_test(numbers_beyond_a_double_are_refused),
        cmocka_unit_test(very_long_numbers_are_exact),
        cmocka_unit_test(the_last_of_many_digits_can_decide),
        cmocka_unit_test(decimals_agree_with_strtod),
        cmocka_unit_test(written_doubles_read_back_and_are_the_shortest),
        cmocka_unit_test(written_integers_read_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
