/* Formats, number comparison, paths and sorted text: both sides of every rule. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/error.h"
#include "mem_fault.h"
#include "json/format.h"
#include "json/number.h"
#include "json/path.h"
#include "json/sort.h"

#define X10 "aaaaaaaaaa"
#define X60 X10 X10 X10 X10 X10 X10

struct format_case {
    const char *name, *good[16], *bad[32];
};

static const struct format_case formats[] = {
    {"date",
     {"2026-11-22", "2024-02-29", "2000-02-29", "0000-01-31", "9999-12-31"},
     {"", "2026-11-22 ", "2023-02-29", "1900-02-29", "2026-00-10", "2026-13-01", "2026-04-31",
      "2026-01-00", "26-01-01", "2026-1-01", "2026/01/01", "20260101", "2026-01-0a"}},
    {"time",
     {"00:00:00Z", "23:59:59z", "12:00:00+00:00", "12:00:00.5-23:59", "23:59:60Z", "00:59:60+01:00",
      "22:59:60.123-01:00"},
     {"", "12:00:00", "24:00:00Z", "12:60:00Z", "12:00:61Z", "12:00:60Z", "23:59:60+01:00",
      "12:00:00.Z", "12:00:00+24:00", "12:00:00+00:60", "12:00:00+0000", "1:00:00Z", "12:00Z",
      "12:00:00ZZ"}},
    {"date-time",
     {"2026-11-22T13:35:07Z", "2026-11-22t13:35:07.123456789+05:30"},
     {"", "2026-11-22", "13:35:07Z", "2026-11-22 13:35:07Z", "2026-11-22T13:35:07",
      "2026-02-30T13:35:07Z", "2026-11-22T"}},
    {"duration",
     {"P1Y2M3DT4H5M6S", "P4W", "PT0S", "P10D", "P1Y", "PT36H", "P1M", "PT1M", "P2M3D", "P1DT12H"},
     {"", "P", "PT", "1D", "P1", "P1DT", "P1H", "P1Y2D", "PT1H2S", "P1W2D", "P1D1D", "P-1D",
      "P1.5D", "P1S", "PT1D", "P1D ", "p1d"}},
    {"email",
     {"a@b", "ana@example.com", "a.b+c@x-y.example", "!#$%&'*+-/=?^_`{|}~@x",
      "aaaa" X60 "@x" /* 64 bytes before '@' */},
     {"", "a", "@b", "a@", "a@b@c", ".a@b", "a.@b", "a..b@c", "a b@c", "\"a\"@b", "a@[127.0.0.1]",
      "a@b..c", "aaaaa" X60 "@x", "\xc3\xa9@x"}},
    {"hostname",
     {"a", "localhost", "a-b.example", "1.2.3", X60 "aaa",
      X60 "." X60 "." X60 "." X60 ".aaaaaaaaa"},
     {"", ".", "a.", ".a", "a..b", "-a", "a-", "a_b", X60 "aaaa", "a b",
      X60 "." X60 "." X60 "." X60 "." X10}},
    {"ipv4",
     {"0.0.0.0", "192.0.2.1", "255.255.255.255"},
     {"", "1.2.3", "1.2.3.4.5", "256.1.1.1", "01.2.3.4", "1.2.3.4 ", "::1", "0x7f.1.1.1"}},
    {"ipv6",
     {"::", "::1", "2001:db8::1", "::ffff:192.0.2.1", "1:2:3:4:5:6:7:8"},
     {"", ":", "1::2::3", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "12345::", "fe80::1%eth0", "[::1]",
      "1.2.3.4"}},
    {"uri",
     {"https://example.com/a?b=c#d", "urn:isbn:1", "a:", "x+y-z.1:%41", "http://[::1]:80/"},
     {"", "example.com", "/a", "//x/y", ":a", "1a:b", "a b:c", "a:b c", "a:%4", "a:%4g", "a:#b#c",
      "a:<b>", "a:\xc3\xa9", "a:\\"}},
    {"uuid",
     {"123e4567-e89b-12d3-a456-426614174000", "00000000-0000-0000-0000-000000000000",
      "123E4567-E89B-12D3-A456-426614174000"},
     {"", "123e4567-e89b-12d3-a456-42661417400", "123e4567-e89b-12d3-a456-4266141740000",
      "123e4567e89b12d3a456426614174000", "123e4567-e89b-12d3-a456-42661417400g",
      "{23e4567-e89b-12d3-a456-42661417400}", "123e45670e89b-12d3-a456-426614174000"}},
    {"byte",
     {"", "aGVsbG8=", "QQ==", "QUI=", "QUJD", "+/+/"},
     {"Q", "QQ", "QQ=", "QQ===", "====", "=QQQ", "Q=QQ", "-_-_", "QUJ D", "QUJD\n"}},
};

/* In memory of its own size, so that reading past it is noticed. */
static bool matches(const struct cla_json_format *format, const char *text)
{
    size_t n = strlen(text);
    char *copy = malloc(n + (n == 0));
    bool result;

    assert_non_null(copy);
    memcpy(copy, text, n);
    result = format->matches(cla_slice(copy, n));
    free(copy);
    return result;
}

static void each_format_takes_what_it_should_and_nothing_else(void **state)
{
    for (size_t i = 0; i < CLA_ARRAY_LEN(formats); i++) {
        const struct format_case *c = &formats[i];
        const struct cla_json_format *format = cla_json_format_find(cla_slice_str(c->name));

        assert_non_null(format);
        assert_true(matches(format, format->example));
        for (const char *const *good = c->good; *good != NULL; good++) {
            if (!matches(format, *good))
                fail_msg("%s refuses %s", c->name, *good);
        }
        for (const char *const *bad = c->bad; *bad != NULL; bad++) {
            if (matches(format, *bad))
                fail_msg("%s takes %s", c->name, *bad);
        }
    }
}

static void a_nul_fits_no_format(void **state)
{
    const struct cla_slice nuls[] = {{"a\0", 2},  {"a:\0", 3},      {"a\0@b", 4},
                                     {"P1\0", 3}, {"1.2.3.4\0", 8}, {"QUI\0", 4}};

    for (const struct cla_json_format *f = cla_json_formats; f->name != NULL; f++) {
        for (size_t i = 0; i < CLA_ARRAY_LEN(nuls); i++)
            assert_false(f->matches(nuls[i]));
    }
}

static void there_is_a_case_for_each_format(void **state)
{
    size_t count = 0;

    for (const struct cla_json_format *f = cla_json_formats; f->name != NULL; f++)
        count++;
    assert_int_equal(count, CLA_ARRAY_LEN(formats));
    assert_null(cla_json_format_find(CLA_LIT("Date")));
    assert_null(cla_json_format_find(CLA_LIT("")));
}

static struct cla_json_number integer(int64_t i)
{
    return (struct cla_json_number){.integer = true, .i = i};
}

static struct cla_json_number real(double d)
{
    return (struct cla_json_number){.integer = false, .d = d};
}

static void numbers_are_compared_without_rounding(void **state)
{
    const struct {
        struct cla_json_number a, b;
        int order;
    } cases[] = {
        {integer(1), integer(2), -1},
        {integer(INT64_MIN), integer(INT64_MAX), -1},
        {integer(3), real(3.0), 0},
        {integer(3), real(3.5), -1},
        {integer(4), real(3.5), 1},
        {integer(-3), real(-3.5), 1},
        {integer(-4), real(-3.5), -1},
        {integer(0), real(-0.5), 1},
        {integer(0), real(-0.0), 0},
        {integer(INT64_MAX), real(9223372036854775808.0), -1},
        {integer(INT64_MIN), real(-9223372036854775808.0), 0},
        {integer(INT64_MIN), real(-1e300), 1},
        {integer(INT64_MAX), real(1e300), -1},
        {integer(9007199254740993), real(9007199254740992.0), 1},
        {real(0.1), real(0.2), -1},
        {real(2.0), real(2.0), 0},
    };

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        assert_int_equal(cla_json_number_compare(cases[i].a, cases[i].b), cases[i].order);
        assert_int_equal(cla_json_number_compare(cases[i].b, cases[i].a), -cases[i].order);
    }
}

static void a_double_is_an_integer_if_it_fits(void **state)
{
    int64_t i;

    assert_true(cla_json_number_to_int(-9223372036854775808.0, &i));
    assert_true(i == INT64_MIN);
    assert_true(cla_json_number_to_int(9223372036854774784.0, &i));
    assert_true(i == INT64_C(9223372036854774784));
    assert_false(cla_json_number_to_int(9223372036854775808.0, &i));
    assert_false(cla_json_number_to_int(-9223372036854777856.0, &i));
    assert_false(cla_json_number_to_int(0.5, &i));
}

static void a_path_names_each_step(void **state)
{
    const struct cla_json_path items = {.name = CLA_LIT("items")};
    const struct cla_json_path third = {.up = &items, .index = 3};
    const struct cla_json_path price = {.up = &third, .name = CLA_LIT("price")};
    const struct cla_json_path odd = {.up = &third, .name = CLA_LIT("a b\n\xc3\xa9")};
    const struct cla_json_path empty = {.name = CLA_LIT("")};
    char text[CLA_JSON_PATH_TEXT];

    cla_json_path_print("params", &price, text);
    assert_string_equal(text, "params.items[3].price");
    cla_json_path_print("params", &odd, text);
    assert_string_equal(text, "params.items[3][\"a b???\"]");
    cla_json_path_print("params", &empty, text);
    assert_string_equal(text, "params[\"\"]");
    cla_json_path_print("params", NULL, text);
    assert_string_equal(text, "params");
}

static void a_long_path_is_cut(void **state)
{
    struct cla_json_path steps[32];
    char text[CLA_JSON_PATH_TEXT];

    for (size_t i = 0; i < CLA_ARRAY_LEN(steps); i++)
        steps[i] = (struct cla_json_path){.up = i > 0 ? &steps[i - 1] : NULL,
                                          .name = CLA_LIT(X10 X10 X10 X10 "b")};
    cla_json_path_print("params", &steps[0], text);
    assert_string_equal(text, "params." X10 X10 X10 X10);
    cla_json_path_print("params", &steps[31], text);
    assert_true(strlen(text) < CLA_JSON_PATH_TEXT);
    assert_string_equal(text + strlen(text) - 4, "a...");
}

static void assert_sorts(const char *text, unsigned depth, const char *sorted)
{
    struct cla_buf out = {0};
    int rc = cla_json_sort(cla_slice_str(text), depth, &out);

    assert_int_equal(rc, sorted != NULL ? 0 : -CLA_EJSON);
    assert_true(cla_slice_eq(cla_buf_slice(&out), cla_slice_str(sorted != NULL ? sorted : "")));
    cla_buf_fini(&out);
}

static void members_are_sorted_at_every_level(void **state)
{
    assert_sorts("{\"b\":1,\"a\":{\"d\":[ {\"z\":null, \"y\":\"\\u00e9\"} ],\"c\":2.50}}", 8,
                 "{\"a\":{\"c\":2.50,\"d\":[{\"y\":\"\\u00e9\",\"z\":null}]},\"b\":1}");
    assert_sorts(" true ", 1, "true");
    assert_sorts("{}", 1, "{}");
    assert_sorts("[]", 1, "[]");
    assert_sorts("[1,{\"aa\":1,\"a\":2}]", 2, "[1,{\"a\":2,\"aa\":1}]");
    assert_sorts("[[1]]", 1, NULL);
    assert_sorts("[1", 2, NULL);
    assert_sorts("1", 0, NULL);
}

static void sorting_reports_each_failing_allocation(void **state)
{
    long n = 0;

    do {
        struct cla_buf out = {0};
        int rc;

        mem_fault_after(n++);
        rc = cla_json_sort(CLA_LIT("{\"b\":[1,{\"c\":2}],\"a\":1}"), 8, &out);
        mem_fault_off();
        assert_int_equal(rc, mem_fault.failed ? -CLA_ENOMEM : 0);
        cla_buf_fini(&out);
        assert_int_equal(mem_fault.live, 0);
    } while (mem_fault.failed);
    assert_true(n > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_format_takes_what_it_should_and_nothing_else),
        cmocka_unit_test(a_nul_fits_no_format),
        cmocka_unit_test(there_is_a_case_for_each_format),
        cmocka_unit_test(numbers_are_compared_without_rounding),
        cmocka_unit_test(a_double_is_an_integer_if_it_fits),
        cmocka_unit_test(a_path_names_each_step),
        cmocka_unit_test(a_long_path_is_cut),
        cmocka_unit_test(members_are_sorted_at_every_level),
        cmocka_unit_test(sorting_reports_each_failing_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
