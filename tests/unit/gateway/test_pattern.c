#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "base/error.h"
#include "gateway/pattern.h"

static struct cla_pattern read_key(const char *key)
{
    struct cla_pattern pattern;
    const char *why = NULL;

    assert_int_equal(cla_pattern_read(&pattern, cla_slice_str(key), &why), 0);
    return pattern;
}

static void keys_that_are_none_are_refused_with_the_remedy(void **state)
{
    static const char *const keys[] = {
        "",         "GET",         "/users",       "get /users", "GET users",  "FETCH /x",
        "GET  /x",  "GET /a//b",   "GET /a b",     "GET /a?b=1", "GET /a#b",   "GET /:",
        "GET /:1",  "GET /:a-b",   "GET /*/b",     "GET /a*",    "GET /:a/:a", "GET /%zz",
        "GET /%00", "GET /a/../b", "GET /%2e%2e/", "GET /a\tb",  "GET /a/**",  "GET ",
    };

    (void)state;
    for (size_t i = 0; i < CLA_ARRAY_LEN(keys); i++) {
        struct cla_pattern pattern;
        const char *why = NULL;

        assert_int_equal(cla_pattern_read(&pattern, cla_slice_str(keys[i]), &why), -CLA_EINVAL);
        assert_non_null(why);
    }
}

static void a_pattern_matches_whole_decoded_segments(void **state)
{
    static const struct {
        const char *key, *path;
        bool matches;
    } cases[] = {
        {"GET /", "/", true},        {"GET /", "/a", false},        {"GET /a", "/a", true},
        {"GET /a", "/a/", false},    {"GET /a/", "/a/", true},      {"GET /a/", "/a", false},
        {"GET /a", "/%61", true},    {"GET /%61", "/a", true},      {"GET /a", "/A", false},
        {"GET /a", "/ab", false},    {"GET /ab", "/a", false},      {"GET /a/b", "/a%2Fb", false},
        {"GET /:x", "/a", true},     {"GET /:x", "/a%2Fb", true},   {"GET /:x", "/", false},
        {"GET /:x", "/a/b", false},  {"GET /:x/b", "//b", false},   {"GET /*", "/", true},
        {"GET /*", "/a/b", true},    {"GET /a/*", "/a/", true},     {"GET /a/*", "/a", false},
        {"GET /a/*", "/b/c", false}, {"GET /:x/*", "/a/b/c", true},
    };

    (void)state;
    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        struct cla_pattern pattern = read_key(cases[i].key);

        if (cla_pattern_matches(&pattern, cla_slice_str(cases[i].path)) != cases[i].matches)
            fail_msg("%s on %s", cases[i].key, cases[i].path);
        cla_pattern_fini(&pattern);
    }
}

static int compare(const void *a, const void *b)
{
    return cla_pattern_compare(*(const struct cla_pattern *const *)a,
                               *(const struct cla_pattern *const *)b);
}

#define COUNT 10

static void the_most_specific_that_takes_the_method_is_chosen(void **state)
{
    static const char *const keys[COUNT] = {
        "GET /*",        "GET /users/:id", "GET /users/me", "POST /users/:id", "ANY /users/*",
        "GET /:kind/me", "HEAD /users/me", "OPTIONS /cors", "GET /users",      "DELETE /gone",
    };
    static const struct {
        enum cla_http_method method;
        const char *path;
        int key; /* -1: none */
    } cases[] = {
        {CLA_HTTP_GET, "/users/me", 2},  {CLA_HTTP_HEAD, "/users/me", 6},
        {CLA_HTTP_POST, "/users/me", 3}, {CLA_HTTP_GET, "/users/7", 1},
        {CLA_HTTP_HEAD, "/users/7", 1},  {CLA_HTTP_PUT, "/users/7", 4},
        {CLA_HTTP_GET, "/users/7/a", 4}, {CLA_HTTP_GET, "/dogs/me", 5},
        {CLA_HTTP_GET, "/dogs/you", 0},  {CLA_HTTP_GET, "/users", 8},
        {CLA_HTTP_OPTIONS, "/cors", 7},  {CLA_HTTP_OPTIONS, "/users/7", -1},
        {CLA_HTTP_POST, "/users", -1},   {CLA_HTTP_OTHER, "/users/7", -1},
    };
    struct cla_pattern patterns[COUNT];
    const struct cla_pattern *sorted[COUNT];
    unsigned methods;

    (void)state;
    for (size_t i = 0; i < COUNT; i++) {
        patterns[i] = read_key(keys[i]);
        sorted[i] = &patterns[i];
    }
    qsort(sorted, COUNT, sizeof sorted[0], compare);
    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        const struct cla_pattern *found = cla_pattern_find(sorted, COUNT, cases[i].method,
                                                           cla_slice_str(cases[i].path), &methods);

        if (found != (cases[i].key < 0 ? NULL : &patterns[cases[i].key]))
            fail_msg("case %zu: %s", i, cases[i].path);
    }
    for (size_t i = 0; i < COUNT; i++)
        cla_pattern_fini(&patterns[i]);
}

static void requests_that_nothing_tells_apart_collide(void **state)
{
    static const struct {
        const char *a, *b;
        bool collide;
    } cases[] = {
        {"GET /a/:x", "GET /a/:y", true},  {"GET /a/*", "GET /a/*", true},
        {"GET /a", "GET /%61", true},      {"GET /a", "POST /a", false},
        {"GET /a", "HEAD /a", false},      {"GET /a", "ANY /a", false},
        {"GET /a/:x", "GET /:x/a", false}, {"GET /a", "GET /a/", false},
    };

    (void)state;
    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        struct cla_pattern a = read_key(cases[i].a), b = read_key(cases[i].b);

        assert_int_equal(cla_pattern_compare(&a, &b) == 0, cases[i].collide);
        assert_int_equal(cla_pattern_compare(&a, &b) < 0, cla_pattern_compare(&b, &a) > 0);
        cla_pattern_fini(&a);
        cla_pattern_fini(&b);
    }
}

static void parameters_are_read_in_order(void **state)
{
    struct cla_pattern pattern = read_key("GET /a/:b/c/:d/*");
    static const char *const expected[][2] = {{"b", "1%20"}, {"d", "x"}, {"*", "y/z"}};
    struct cla_slice path = CLA_LIT("/a/1%20/c/x/y/z"), name, value;
    size_t at = 0;

    (void)state;
    for (size_t i = 0; i < CLA_ARRAY_LEN(expected); i++) {
        assert_true(cla_pattern_param(&pattern, path, &at, &name, &value));
        assert_true(cla_slice_eq(name, cla_slice_str(expected[i][0])));
        assert_true(cla_slice_eq(value, cla_slice_str(expected[i][1])));
    }
    assert_false(cla_pattern_param(&pattern, path, &at, &name, &value));
    cla_pattern_fini(&pattern);
}

static void allow_lists_the_methods_and_options(void **state)
{
    char text[CLA_PATTERN_ALLOW_MAX];

    (void)state;
    cla_pattern_allow(text, CLA_METHOD(CLA_HTTP_GET) | CLA_METHOD(CLA_HTTP_DELETE));
    assert_string_equal(text, "GET, DELETE, OPTIONS");
    cla_pattern_allow(text, ~0U);
    assert_string_equal(text, "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_that_are_none_are_refused_with_the_remedy),
        cmocka_unit_test(a_pattern_matches_whole_decoded_segments),
        cmocka_unit_test(the_most_specific_that_takes_the_method_is_chosen),
        cmocka_unit_test(requests_that_nothing_tells_apart_collide),
        cmocka_unit_test(parameters_are_read_in_order),
        cmocka_unit_test(allow_lists_the_methods_and_options),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
