/* The JSON scanner: events, errors and their places, limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/error.h"
#include "json/scan.h"

/* The events of 'text' as letters, one each; an error ends them with '!'. */
static const char *events_of(struct cla_slice text, unsigned max_depth, char *letters)
{
    static const char names[] = "!.nft0#sk[]{}";
    struct cla_json_scan scan;
    enum cla_json_event event;
    size_t n = 0;

    cla_json_scan_init(&scan, text, max_depth);
    do {
        event = cla_json_scan_next(&scan);
        letters[n++] = names[event];
    } while (event != CLA_JSON_ERROR && event != CLA_JSON_END);
    assert_int_equal(cla_json_scan_next(&scan), event);
    letters[n] = '\0';
    return letters;
}

/* Bytes in an allocation of just their size, so that reading past them is noticed. */
static char *exact_copy(struct cla_slice s)
{
    char *copy = malloc(s.n + (s.n == 0));

    assert_non_null(copy);
    if (s.n > 0)
        memcpy(copy, s.p, s.n);
    return copy;
}

static void every_kind_of_value_is_an_event(void **state)
{
    static const struct {
        const char *text, *events;
    } cases[] = {
        {"null", "n."},
        {" true ", "t."},
        {"false\n", "f."},
        {"0", "0."},
        {"-12", "0."},
        {"1.5", "#."},
        {"1e3", "#."},
        {"\"\"", "s."},
        {"[]", "[]."},
        {"{}", "{}."},
        {"[1,\"a\",[null],{}]", "[0s[n]{}]."},
        {"{\"a\":1,\"b\":[true]}", "{k0k[t]}."},
        {"\t{ \"a\" :\r1 , \"b\" : { } } ", "{k0k{}}."},
        {"[[[]],[]]", "[[[]][]]."},
    };
    char letters[64];

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++)
        assert_string_equal(events_of(cla_slice_str(cases[i].text), 16, letters), cases[i].events);
}

static const struct {
    const char *text;
    size_t at;
    const char *error;
} mistakes[] = {
    {"", 0, "unexpected end of text"},
    {"  ", 2, "unexpected end of text"},
    {"[", 1, "unexpected end of text"},
    {"[1", 2, "unexpected end of text"},
    {"{\"a\"", 4, "unexpected end of text"},
    {"\"a", 2, "unexpected end of text"},
    {"\"\\", 2, "unexpected end of text"},
    {"\"\\u12", 5, "unexpected end of text"},
    {"-", 1, "unexpected end of text"},
    {"1.", 2, "unexpected end of text"},
    {"1e+", 3, "unexpected end of text"},
    {"[1,]", 3, "expected a value"},
    {"[,1]", 1, "expected a value"},
    {"nul", 0, "expected a value"},
    {"tRue", 0, "expected a value"},
    {"'a'", 0, "expected a value"},
    {"\xef\xbb\xbf{}", 0, "expected a value"},
    {"+1", 0, "expected a value"},
    {"NaN", 0, "expected a value"},
    {"[1 2]", 3, "expected ',' or ']'"},
    {"[1}", 2, "expected ',' or ']'"},
    {"{\"a\":1]", 6, "expected ',' or '}'"},
    {"{\"a\":1,}", 7, "expected a member's name in quotes"},
    {"{1:1}", 1, "expected a member's name in quotes"},
    {"{\"a\" 1}", 5, "expected ':'"},
    {"{\"a\":}", 5, "expected a value"},
    {"1 2", 2, "expected the end of the text"},
    {"[]]", 2, "expected the end of the text"},
    {"truex", 4, "expected the end of the text"},
    {"01", 0, "number with a leading zero"},
    {"-01", 1, "number with a leading zero"},
    {"-a", 1, "expected a digit"},
    {"1.e1", 2, "expected a digit"},
    {"1ex", 2, "expected a digit"},
    {"1e309", 0, "number out of range"},
    {"[-1e400]", 1, "number out of range"},
    {"\"a\nb\"", 2, "control character in a string"},
    {"\"\x1f\"", 1, "control character in a string"},
    {"\"\\x\"", 2, "unknown escape"},
    {"\"\\u12g4\"", 5, "expected four hexadecimal digits"},
    {"\"\\ud800\"", 1, "lone surrogate"},
    {"\"\\ud800x\"", 1, "lone surrogate"},
    {"\"\\ud800\\n\"", 1, "lone surrogate"},
    {"\"\\ud800\\ud800\"", 1, "lone surrogate"},
    {"\"\\udc00\"", 1, "lone surrogate"},
    {"\"\\ude00\\ud800\"", 1, "lone surrogate"},
    {"\"ab\xff\"", 3, "not valid UTF-8"},
    {"\"\xc0\x80\"", 1, "not valid UTF-8"},
    {"\"\xed\xa0\x80\"", 1, "not valid UTF-8"},
    {"\"\xf4\x90\x80\x80\"", 1, "not valid UTF-8"},
    {"{\"\xe2\x82\":1}", 2, "not valid UTF-8"},
};

static void what_is_wrong_is_named_with_its_place(void **state)
{
    for (size_t i = 0; i < CLA_ARRAY_LEN(mistakes); i++) {
        const char *error = NULL;
        size_t at = SIZE_MAX;

        assert_int_equal(cla_json_check(cla_slice_str(mistakes[i].text), 16, &error, &at),
                         -CLA_EJSON);
        assert_string_equal(error, mistakes[i].error);
        assert_int_equal(at, mistakes[i].at);
    }
}

static void a_nul_byte_is_refused_everywhere(void **state)
{
    static const struct cla_slice cases[] = {
        {"\0", 1}, {"1\0", 2}, {"[\0]", 3}, {"\"\0\"", 3}, {"tru\0", 4}};

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++)
        assert_int_equal(cla_json_check(cases[i], 4, NULL, NULL), -CLA_EJSON);
}

static void depth_limit_admits_just_so_many(void **state)
{
    static const unsigned depths[] = {1, 2, 63, 64, 65, 128, CLA_JSON_DEPTH_MAX};

    for (size_t i = 0; i < CLA_ARRAY_LEN(depths); i++) {
        unsigned n = depths[i];
        char text[2 * CLA_JSON_DEPTH_MAX + 2];
        const char *error;

        memset(text, '[', n + 1);
        memset(text + n + 1, ']', n + 1);
        assert_int_equal(cla_json_check(cla_slice(text + 1, 2 * n), n, NULL, NULL), 0);
        assert_int_equal(cla_json_check(cla_slice(text, 2 * n + 2), n, &error, NULL), -CLA_EJSON);
        assert_string_equal(error, "nested too deeply");
    }
}

static void a_million_levels_are_refused(void **state)
{
    static const char *const openings[] = {"[", "{\"\":", "[{\"a\":"};

    for (size_t i = 0; i < CLA_ARRAY_LEN(openings); i++) {
        struct cla_buf text = {0};

        for (int n = 0; n < 1000000; n++)
            assert_int_equal(cla_buf_add(&text, cla_slice_str(openings[i])), 0);
        assert_int_equal(cla_json_check(cla_buf_slice(&text), CLA_JSON_DEPTH_MAX, NULL, NULL),
                         -CLA_EJSON);
        cla_buf_fini(&text);
    }
}

static void kinds_of_containers_are_kept_apart_at_every_depth(void **state)
{
    struct cla_buf text = {0};

    for (int n = 0; n < CLA_JSON_DEPTH_MAX / 2; n++)
        assert_int_equal(cla_buf_add(&text, CLA_LIT("[{\"\":")), 0);
    assert_int_equal(cla_buf_push(&text, '1'), 0);
    for (int n = 0; n < CLA_JSON_DEPTH_MAX / 2; n++)
        assert_int_equal(cla_buf_add(&text, CLA_LIT("}]")), 0);
    assert_int_equal(cla_json_check(cla_buf_slice(&text), CLA_JSON_DEPTH_MAX, NULL, NULL), 0);
    cla_buf_fini(&text);
}

static void a_cut_text_is_refused(void **state)
{
    struct cla_slice text = CLA_LIT("{\"a\\n\\ud83d\\ude00\":[1.5e-3,-20,true,false,null,"
                                    "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80 plain text\"],"
                                    "\"b\":{}}");
    char letters[64];

    for (size_t n = 0; n < text.n; n++) {
        char *copy = exact_copy(cla_slice(text.p, n));

        events_of(cla_slice(copy, n), 8, letters);
        assert_int_equal(letters[strlen(letters) - 1], '!');
        free(copy);
    }
    assert_string_equal(events_of(text, 8, letters), "{k[#0tfns]k{}}.");
}

static size_t unescape(const char *quoted, char *to)
{
    struct cla_json_scan scan;

    cla_json_scan_init(&scan, cla_slice_str(quoted), 1);
    assert_int_equal(cla_json_scan_next(&scan), CLA_JSON_STRING);
    assert_int_equal(scan.escaped, strchr(quoted, '\\') != NULL);
    return cla_json_unescape(scan.string, to);
}

static void every_escape_is_decoded(void **state)
{
    static const struct {
        const char *text;
        struct cla_slice value;
    } cases[] = {
        {"\"\"", {"", 0}},
        {"\"plain\"", {"plain", 5}},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", {"\"\\/\b\f\n\r\t", 8}},
        {"\"\\u0000\"", {"\0", 1}},
        {"\"\\u0041b\\u00e4\"", {"Ab\xc3\xa4", 4}},
        {"\"\\u20AC\\u20ac\"", {"\xe2\x82\xac\xe2\x82\xac", 6}},
        {"\"\\ud83d\\ude00!\"", {"\xf0\x9f\x98\x80!", 5}},
        {"\"\\uDBFF\\uDFFF\"", {"\xf4\x8f\xbf\xbf", 4}},
        {"\"\\uD7FF\\uE000\\uFFFF\"", {"\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf", 9}},
        {"\"x\\ny\\\\\"", {"x\ny\\", 4}},
    };
    char to[64];

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        size_t n = unescape(cases[i].text, to);

        assert_true(cla_slice_eq(cla_slice(to, n), cases[i].value));
    }
}

static void a_special_byte_is_seen_at_every_offset(void **state)
{
    static const struct {
        const char *special;
        bool valid;
    } cases[] = {{"\x1f", false}, {"\x7f", true},  {" ", true},    {"\xc3\xa4", true},
                 {"\\n", true},   {"\xff", false}, {"!#[]", true}, {"\\", false}};
    char text[64];

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        for (int offset = 0; offset < 24; offset++) {
            snprintf(text, sizeof text, "\"%.*s%s%.*s\"", offset, "........................",
                     cases[i].special, 24 - offset, ",,,,,,,,,,,,,,,,,,,,,,,,");
            assert_int_equal(cla_json_check(cla_slice_str(text), 1, NULL, NULL) == 0,
                             cases[i].valid);
        }
    }
}

static void a_value_is_read_over_as_a_whole(void **state)
{
    struct cla_json_scan scan;
    struct cla_slice value;

    cla_json_scan_init(&scan, CLA_LIT("{\"a\" : [1, {\"b\":[]}] ,\"c\": -7 }"), 8);
    assert_int_equal(cla_json_scan_next(&scan), CLA_JSON_OBJECT_BEGIN);
    assert_int_equal(cla_json_scan_next(&scan), CLA_JSON_KEY);
    assert_int_equal(cla_json_scan_value(&scan, &value), 0);
    assert_true(cla_slice_eq(value, CLA_LIT("[1, {\"b\":[]}]")));
    assert_int_equal(cla_json_scan_next(&scan), CLA_JSON_KEY);
    assert_int_equal(cla_json_scan_value(&scan, &value), 0);
    assert_true(cla_slice_eq(value, CLA_LIT("-7")));
    assert_int_equal(cla_json_scan_next(&scan), CLA_JSON_OBJECT_END);
    assert_int_equal(cla_json_scan_value(&scan, &value), -CLA_EOF);
}

static void elements_are_read_over_until_the_array_ends(void **state)
{
    struct cla_json_scan scan;
    struct cla_slice value;
    int count = 0;

    cla_json_scan_init(&scan, CLA_LIT("[ {\"a\":[]}, \"x\", 3 ]"), 8);
    assert_int_equal(cla_json_scan_next(&scan), CLA_JSON_ARRAY_BEGIN);
    while (cla_json_scan_value(&scan, &value) == 0)
        count++;
    assert_int_equal(count, 3);
    assert_int_equal(cla_json_scan_next(&scan), CLA_JSON_END);
}

static void a_bad_value_is_not_read_over(void **state)
{
    struct cla_json_scan scan;
    struct cla_slice value;

    cla_json_scan_init(&scan, CLA_LIT("[1,{\"a\":x}]"), 8);
    assert_int_equal(cla_json_scan_value(&scan, &value), -CLA_EJSON);
    assert_int_equal(scan.error_at, 8);
}

static void a_token_says_where_it_was(void **state)
{
    struct cla_json_scan scan;

    cla_json_scan_init(&scan, CLA_LIT("[  \"ab\" , 12.5 ]"), 8);
    cla_json_scan_next(&scan);
    assert_int_equal(cla_json_scan_next(&scan), CLA_JSON_STRING);
    assert_int_equal(scan.token - scan.start, 3);
    assert_int_equal(scan.p - scan.start, 7);
    assert_int_equal(cla_json_scan_next(&scan), CLA_JSON_NUMBER);
    assert_int_equal(scan.token - scan.start, 10);
    assert_int_equal(scan.p - scan.start, 14);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_value_is_an_event),
        cmocka_unit_test(what_is_wrong_is_named_with_its_place),
        cmocka_unit_test(a_nul_byte_is_refused_everywhere),
        cmocka_unit_test(depth_limit_admits_just_so_many),
        cmocka_unit_test(a_million_levels_are_refused),
        cmocka_unit_test(kinds_of_containers_are_kept_apart_at_every_depth),
        cmocka_unit_test(a_cut_text_is_refused),
        cmocka_unit_test(every_escape_is_decoded),
        cmocka_unit_test(a_special_byte_is_seen_at_every_offset),
        cmocka_unit_test(a_value_is_read_over_as_a_whole),
        cmocka_unit_test(elements_are_read_over_until_the_array_ends),
        cmocka_unit_test(a_bad_value_is_not_read_over),
        cmocka_unit_test(a_token_says_where_it_was),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
