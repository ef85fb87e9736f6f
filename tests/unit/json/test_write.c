/* The JSON writer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "base/error.h"
#include "mem_fault.h"
#include "json/scan.h"
#include "json/write.h"

static void assert_holds(struct cla_buf *buf, const char *text)
{
    assert_true(cla_slice_eq(cla_buf_slice(buf), cla_slice_str(text)));
    cla_buf_fini(buf);
}

static void strings_escape_only_what_must_be(void **state)
{
    static const struct {
        struct cla_slice text;
        const char *json;
    } cases[] = {
        {{NULL, 0}, "\"\""},
        {{"plain /text/", 12}, "\"plain /text/\""},
        {{"\"\\\b\f\n\r\t", 7}, "\"\\\"\\\\\\b\\f\\n\\r\\t\""},
        {{"\0\x1f\x7f", 3}, "\"\\u0000\\u001f\x7f\""},
        {{"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", 9}, "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\""},
        {{"long enough for words\n and more", 31}, "\"long enough for words\\n and more\""},
    };

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        struct cla_buf buf = {0};

        assert_int_equal(cla_json_write_string(&buf, cases[i].text), 0);
        assert_holds(&buf, cases[i].json);
    }
}

static void every_byte_reads_back(void **state)
{
    for (int c = 0; c < 0x80; c++) {
        char text[3] = {'a', (char)c, 'b'}, read[16];
        struct cla_buf buf = {0};
        struct cla_json_scan scan;

        assert_int_equal(cla_json_write_string(&buf, cla_slice(text, 3)), 0);
        cla_json_scan_init(&scan, cla_buf_slice(&buf), 1);
        assert_int_equal(cla_json_scan_next(&scan), CLA_JSON_STRING);
        assert_int_equal(cla_json_unescape(scan.string, read), 3);
        assert_memory_equal(read, text, 3);
        cla_buf_fini(&buf);
    }
}

static void invalid_utf8_appends_nothing(void **state)
{
    static const char *const cases[] = {"\xff",         "abc\x80",      "a\n\xc0\x80",
                                        "\xed\xa0\x80", "\xf5\x80\x80", "\xe2\x82"};

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        struct cla_buf buf = {0};

        assert_int_equal(cla_buf_push(&buf, '['), 0);
        assert_int_equal(cla_json_write_string(&buf, cla_slice_str(cases[i])), -CLA_EUTF8);
        assert_holds(&buf, "[");
    }
}

static void text_nobody_vouches_for_gets_replacement_characters(void **state)
{
    struct cla_buf buf = {0};

    assert_int_equal(cla_json_write_text(&buf, CLA_LIT("a\xff\nb\xc3\xa4\xe2\x82")), 0);
    assert_holds(&buf, "\"a\xef\xbf\xbd\\nb\xc3\xa4\xef\xbf\xbd\xef\xbf\xbd\"");
}

static void integers_are_plain_digits(void **state)
{
    static const struct {
        int64_t value;
        const char *json;
    } cases[] = {{0, "0"},
                 {-1, "-1"},
                 {1234567, "1234567"},
                 {INT64_MAX, "9223372036854775807"},
                 {INT64_MIN, "-9223372036854775808"}};

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        struct cla_buf buf = {0};

        assert_int_equal(cla_json_write_int(&buf, cases[i].value), 0);
        assert_holds(&buf, cases[i].json);
    }
}

static void floats_are_short_and_stay_floats(void **state)
{
    static const struct {
        double value;
        const char *json;
    } cases[] = {{0.0, "0.0"},
                 {-0.0, "-0.0"},
                 {3.0, "3.0"},
                 {-2.5, "-2.5"},
                 {0.1, "0.1"},
                 {100.25, "100.25"},
                 {0.1 + 0.2, "0.30000000000000004"},
                 {1e15, "1e+15"},
                 {1763794800.125, "1763794800.125"},
                 {99999999999999.0, "99999999999999.0"},
                 {999999999.9999999, "999999999.9999999"},
                 {123456789012345.0, "123456789012345.0"},
                 {999999999.0, "999999999.0"},
                 {1e-4, "0.0001"},
                 {1e-5, "1e-05"},
                 {1.0 / 3, "0.3333333333333333"},
                 {4.9e-324, "4.94065645841247e-324"},
                 {1.7976931348623157e308, "1.7976931348623157e+308"}};

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        struct cla_buf buf = {0};

        assert_int_equal(cla_json_write_number(&buf, cases[i].value), 0);
        assert_holds(&buf, cases[i].json);
    }
}

static void what_json_has_no_number_for_is_refused(void **state)
{
    static const double cases[] = {NAN, INFINITY, -INFINITY};

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        struct cla_buf buf = {0};

        assert_int_equal(cla_json_write_number(&buf, cases[i]), -CLA_EINVAL);
        assert_int_equal(buf.n, 0);
    }
}

/* Appends one of everything, long enough for the buffer to grow more than once. */
static int write_all(struct cla_buf *buf)
{
    struct cla_slice text = CLA_LIT("\x01\x02\x03\x04\x05\x06\x07\x0e\x0f\x10\x11\x12\xff");
    int rc = cla_json_write_text(buf, text);

    if (rc == 0)
        rc = cla_json_write_int(buf, INT64_MIN);
    if (rc == 0)
        rc = cla_json_write_number(buf, 1e-300);
    if (rc == 0)
        rc = cla_json_write_string(buf, CLA_LIT("\x01\x02\x03\x04\x05\x06\x07\x0e\x0f\x10"));
    return rc;
}

static void each_failing_allocation_is_reported(void **state)
{
    long n = 0;

    do {
        struct cla_buf buf = {0};
        int rc;

        mem_fault_after(n++);
        rc = write_all(&buf);
        mem_fault_off();
        assert_int_equal(rc, mem_fault.failed ? -CLA_ENOMEM : 0);
        cla_buf_fini(&buf);
        assert_int_equal(mem_fault.live, 0);
    } while (mem_fault.failed);
    assert_true(n > 2);
}

static void a_string_that_does_not_fit_is_taken_back(void **state)
{
    struct cla_buf buf = {0};

    assert_int_equal(cla_buf_push(&buf, '['), 0);
    mem_fault_after(0);
    assert_int_equal(cla_json_write_string(&buf, CLA_LIT("\1\1\1\1\1\1\1\1\1\1\1\1")), -CLA_ENOMEM);
    mem_fault_off();
    assert_holds(&buf, "[");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strings_escape_only_what_must_be),
        cmocka_unit_test(every_byte_reads_back),
        cmocka_unit_test(invalid_utf8_appends_nothing),
        cmocka_unit_test(text_nobody_vouches_for_gets_replacement_characters),
        cmocka_unit_test(integers_are_plain_digits),
        cmocka_unit_test(floats_are_short_and_stay_floats),
        cmocka_unit_test(what_json_has_no_number_for_is_refused),
        cmocka_unit_test(each_failing_allocation_is_reported),
        cmocka_unit_test(a_string_that_does_not_fit_is_taken_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
