#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"
#include "http/conditional.h"
#include "http/media_type.h"
#include "http/path.h"

/* What the path means, "-" for nothing, "!" for a path that is not even looked at. */
static void check_file(const char *path, const char *expected)
{
    struct cla_buf file = {0};
    const char *got = "!";

    if (cla_http_path_problem(cla_slice_str(path)) == NULL)
        got = cla_http_path_file(cla_slice_str(path), &file) == 0 ? file.p : "-";
    if (strcmp(got, expected) != 0)
        fail_msg("%s: %s, not %s", path, got, expected);
    cla_buf_fini(&file);
}

static void a_path_means_a_file_inside_of_the_folder_or_none(void **state)
{
    static const char *const cases[][2] = {
        {"/", "index.html"},
        {"/a.txt", "a.txt"},
        {"/a/b%20c.txt", "a/b c.txt"},
        {"/a/", "a/index.html"},
        {"/%C3%A9", "\xc3\xa9"},
        {"/.well-known/x", ".well-known/x"},
        {"//", "-"},
        {"//a", "-"},
        {"/a//b", "-"},
        {"/.git/config", "-"},
        {"/a/.htaccess", "-"},
        {"/%2egit/config", "-"},
        {"/a/.well-known/x", "-"},
        {"/.well-known/.x", "-"},
        {"/...", "-"},
        {"/a%2Fb", "-"},
        {"/..%2Fetc/passwd", "-"},
        {"/a%5Cb", "-"},
        {"/a\\b", "-"},
        {"/a%0Ab", "-"},
        {"/a%7F", "-"},
        {"/..", "!"},
        {"/../etc/passwd", "!"},
        {"/%2e%2E/etc/passwd", "!"},
        {"/.%2e/x", "!"},
        {"/./x", "!"},
        {"/a/..", "!"},
        {"/a%00.txt", "!"},
        {"/a%", "!"},
        {"/a%2", "!"},
        {"/a%zz", "!"},
        {"a", "!"},
        {"", "!"},
    };

    (void)state;
    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++)
        check_file(cases[i][0], cases[i][1]);
}

static void the_ending_says_the_type(void **state)
{
    (void)state;
    assert_string_equal(cla_http_media_type(CLA_LIT("a/b.HTML")), "text/html; charset=utf-8");
    assert_string_equal(cla_http_media_type(CLA_LIT("a.min.js")), "text/javascript; charset=utf-8");
    assert_string_equal(cla_http_media_type(CLA_LIT("a.css/b")), "application/octet-stream");
    assert_string_equal(cla_http_media_type(CLA_LIT("html")), "application/octet-stream");
    assert_string_equal(cla_http_media_type(CLA_LIT("a.")), "application/octet-stream");
    assert_string_equal(cla_http_media_type(CLA_LIT("")), "application/octet-stream");
}

static void dates_are_read_in_their_one_form(void **state)
{
    static const struct {
        const char *text;
        uint64_t seconds;
    } cases[] = {
        {"Sun, 06 Nov 1994 08:49:37 GMT", 784111777},
        {"Thu, 01 Jan 1970 00:00:01 GMT", 1},
        {"Thu, 29 Feb 2024 23:59:59 GMT", 1709251199},
        {"Fri, 01 Mar 2024 00:00:00 GMT", 1709251200},
        {"Sunday, 06-Nov-94 08:49:37 GMT", 0},
        {"Sun Nov  6 08:49:37 1994", 0},
        {"Sun, 06 Nov 1994 08:49:37 UTC", 0},
        {"Sun, 06 Nov 1994 24:49:37 GMT", 0},
        {"Sun, 00 Nov 1994 08:49:37 GMT", 0},
        {"Sun, 06 Nox 1994 08:49:37 GMT", 0},
        {"Sun, 06 Nov 1894 08:49:37 GMT", 0},
        {"Sun, 06 Nov 1994 08:49:37 GMT ", 0},
        {"", 0},
    };

    (void)state;
    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++)
        assert_int_equal(cla_http_date_read(cla_slice_str(cases[i].text)), cases[i].seconds);
}

#define DATE "Sun, 06 Nov 1994 08:49:37 GMT"
#define LATER "Sun, 06 Nov 1994 08:49:38 GMT"
#define EARLIER "Sun, 06 Nov 1994 08:49:36 GMT"

static struct cla_http_verdict judge(const char *fields, uint64_t size, bool get)
{
    struct cla_http_conditions conditions = cla_http_conditions_read(cla_slice_str(fields));
    const struct cla_http_entity entity = {
        .etag = CLA_LIT("\"e\""), .modified_s = 784111777, .size = size};

    return cla_http_conditions_judge(&conditions, &entity, get);
}

static void conditions_are_judged_in_their_order(void **state)
{
    static const struct {
        const char *fields;
        int status;
    } cases[] = {
        {"GET / HTTP/1.1\r\nHost: a\r\n", 200},
        {"If-None-Match: \"e\"\r\n", 304},
        {"if-none-match: \"x\", W/\"e\"\r\n", 304},
        {"If-None-Match: *\r\n", 304},
        {"If-None-Match: \"x\"\r\n", 200},
        {"If-None-Match: \"x\"\r\nIf-Modified-Since: " DATE "\r\n", 200},
        {"If-None-Match: \r\nIf-Modified-Since: " DATE "\r\n", 200},
        {"If-Modified-Since: " DATE "\r\n", 304},
        {"If-Modified-Since: " LATER "\r\n", 304},
        {"If-Modified-Since: " EARLIER "\r\n", 200},
        {"If-Modified-Since: yesterday\r\n", 200},
        {"If-Match: \"e\"\r\n", 200},
        {"If-Match: *\r\n", 200},
        {"If-Match: W/\"e\"\r\n", 412},
        {"If-Match: \"x\"\r\nIf-None-Match: \"e\"\r\n", 412},
        {"If-Unmodified-Since: " EARLIER "\r\n", 412},
        {"If-Unmodified-Since: " DATE "\r\n", 200},
        {"If-None-Match: \"e\"\r\nRange: bytes=0-1\r\n", 304},
        {"Range: bytes=0-1\r\nIf-Range: \"e\"\r\n", 206},
        {"Range: bytes=0-1\r\nIf-Range: \"x\"\r\n", 200},
        {"Range: bytes=0-1\r\nIf-Range: W/\"e\"\r\n", 200},
        {"Range: bytes=0-1\r\nIf-Range: " DATE "\r\n", 206},
        {"Range: bytes=0-1\r\nIf-Range: " LATER "\r\n", 200},
    };

    (void)state;
    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        if (judge(cases[i].fields, 10, true).status != cases[i].status)
            fail_msg("%s", cases[i].fields);
    }
    assert_int_equal(judge("Range: bytes=0-1\r\n", 10, false).status, 200);
}

static void a_range_is_satisfied_refused_or_ignored(void **state)
{
    static const struct {
        const char *fields;
        uint64_t of;
        int status;
        uint64_t first, size;
    } cases[] = {
        {"Range: bytes=0-0\r\n", 10, 206, 0, 1},
        {"Range: bytes=0-9\r\n", 10, 206, 0, 10},
        {"Range: bytes=0-10\r\n", 10, 206, 0, 10},
        {"Range: bytes=9-\r\n", 10, 206, 9, 1},
        {"Range: bytes=10-\r\n", 10, 416, 0, 10},
        {"Range: bytes=-1\r\n", 10, 206, 9, 1},
        {"Range: bytes=-10\r\n", 10, 206, 0, 10},
        {"Range: bytes=-11\r\n", 10, 206, 0, 10},
        {"Range: bytes=-0\r\n", 10, 416, 0, 10},
        {"Range: bytes=0-\r\n", 0, 416, 0, 0},
        {"Range: bytes=-5\r\n", 0, 416, 0, 0},
        {"Range: bytes=3-2\r\n", 10, 200, 0, 10},
        {"Range: bytes=-\r\n", 10, 200, 0, 10},
        {"Range: bytes=\r\n", 10, 200, 0, 10},
        {"Range: bytes=a-b\r\n", 10, 200, 0, 10},
        {"Range: bytes=0-1,3-4\r\n", 10, 200, 0, 10},
        {"Range: lines=0-1\r\n", 10, 200, 0, 10},
        {"Range: bytes=1-99999999999999999999999999\r\n", 10, 206, 1, 9},
        {"Range: bytes=99999999999999999999999999-\r\n", 10, 416, 0, 10},
        {"Range: bytes=-99999999999999999999999999\r\n", 10, 206, 0, 10},
    };

    (void)state;
    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        struct cla_http_verdict verdict = judge(cases[i].fields, cases[i].of, true);

        if (verdict.status != cases[i].status || verdict.first != cases[i].first ||
            verdict.size != cases[i].size)
            fail_msg("%s: %d %d+%d", cases[i].fields, verdict.status, (int)verdict.first,
                     (int)verdict.size);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_means_a_file_inside_of_the_folder_or_none),
        cmocka_unit_test(the_ending_says_the_type),
        cmocka_unit_test(dates_are_read_in_their_one_form),
        cmocka_unit_test(conditions_are_judged_in_their_order),
        cmocka_unit_test(a_range_is_satisfied_refused_or_ignored),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
