/* Targets, percent-encoding, queries and URLs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"
#include "http/url.h"

static void assert_slice(struct cla_slice s, const char *text)
{
    if (!cla_slice_eq(s, cla_slice_str(text)))
        fail_msg("want '%s', got '%.*s'", text, (int)s.n, s.p);
}

static void targets_split(void **state)
{
    static const struct {
        const char *target, *path, *query, *host;
    } cases[] = {
        {"/", "/", "", ""},
        {"/a/b?c=d?e&f", "/a/b", "c=d?e&f", ""},
        {"/?", "/", "", ""},
        {"//a", "//a", "", ""},
        {"/a|\"b\"%00", "/a|\"b\"%00", "", ""},
        {"*", "*", "", ""},
        {"http://a", "/", "", "a"},
        {"HTTP://a.b:80/c?d", "/c", "d", "a.b:80"},
        {"https://[::1]:80?q", "/", "q", "[::1]:80"},
    };

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        struct cla_http_target target;

        assert_int_equal(cla_http_target_split(cla_slice_str(cases[i].target), &target), 0);
        assert_slice(target.path, cases[i].path);
        assert_slice(target.query, cases[i].query);
        assert_slice(target.host, cases[i].host);
    }
}

static void bad_targets_are_refused(void **state)
{
    static const char *const cases[] = {"",           "a",           "**",        "/a#b",
                                        "/a b",       "/\t",         "/\xc3\xa9", "/\x7f",
                                        "http:///a",  "http://",     "ftp://a/",  "http://u@a/",
                                        "http://a:x", "http://a:/b", "a:443"};
    struct cla_http_target target;

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++)
        assert_int_equal(cla_http_target_split(cla_slice_str(cases[i]), &target), -CLA_EINVAL);
}

static void hosts_are_valid_or_not(void **state)
{
    static const char *const good[] = {"a",     "A.b-c_d~e",   "1.2.3.4:80", "a:0",  "a:65535",
                                       "[::1]", "[fe80::1]:1", "a=b",        "%41b", "a."};
    static const char *const bad[] = {
        "",       ":80", "a:",  "a:65536", "a:123456", "a:-1",     "a:8x",   "a,b",    "a b",
        "u@a",    "a/b", "a?b", "a#b",     "a\\b",     "[]",       "[::1",   "::1]",   "[a.g]",
        "[::1]x", "%4",  "%zz", "::1",     "a:1:2",    "\xc3\xa9", "[::1]:", "[[::1]]"};

    for (size_t i = 0; i < CLA_ARRAY_LEN(good); i++) {
        if (!cla_http_host_valid(cla_slice_str(good[i])))
            fail_msg("'%s' was refused", good[i]);
    }
    for (size_t i = 0; i < CLA_ARRAY_LEN(bad); i++) {
        if (cla_http_host_valid(cla_slice_str(bad[i])))
            fail_msg("'%s' was accepted", bad[i]);
    }
}

static void percent_decoding_keeps_plus(void **state)
{
    struct cla_buf buf = {0};

    assert_int_equal(cla_http_percent_decode(&buf, CLA_LIT("a+%20%c3%A9%2Fb")), 0);
    assert_slice(cla_buf_slice(&buf), "a+ \xc3\xa9/b");
    cla_buf_fini(&buf);
}

static void malformed_escapes_append_nothing(void **state)
{
    static const char *const cases[] = {"ab%", "ab%2", "ab%2g", "ab%g2", "ab%00", "%%20"};
    struct cla_buf buf = {0};

    assert_int_equal(cla_buf_push(&buf, 'x'), 0);
    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        assert_int_equal(cla_http_percent_decode(&buf, cla_slice_str(cases[i])), -CLA_EINVAL);
        assert_slice(cla_buf_slice(&buf), "x");
    }
    cla_buf_fini(&buf);
}

static void percent_encoding_is_undone_by_decoding(void **state)
{
    struct cla_buf encoded = {0}, decoded = {0};
    char all[255];

    for (unsigned i = 0; i < sizeof(all); i++)
        all[i] = (char)(i + 1);
    assert_int_equal(cla_http_percent_encode(&encoded, CLA_LIT("aZ9-._~ /\xff")), 0);
    assert_slice(cla_buf_slice(&encoded), "aZ9-._~%20%2F%FF");
    encoded.n = 0;
    assert_int_equal(cla_http_percent_encode(&encoded, cla_slice(all, sizeof(all))), 0);
    assert_int_equal(cla_http_percent_decode(&decoded, cla_buf_slice(&encoded)), 0);
    assert_int_equal(decoded.n, sizeof(all));
    assert_memory_equal(decoded.p, all, sizeof(all));
    cla_buf_fini(&encoded);
    cla_buf_fini(&decoded);
}

static void queries_give_their_pairs(void **state)
{
    static const char *const pairs[][2] = {{"a", "b"}, {"c", ""},    {"d", ""},
                                           {"", "e"},  {"f", "g=h"}, {"i", "%20+"}};
    struct cla_slice query = CLA_LIT("&a=b&c&d=&&=e&f=g=h&=&i=%20+&"), name, value;

    for (size_t i = 0; i < CLA_ARRAY_LEN(pairs); i++) {
        assert_true(cla_http_query_next(&query, &name, &value));
        assert_slice(name, pairs[i][0]);
        assert_slice(value, pairs[i][1]);
    }
    assert_false(cla_http_query_next(&query, &name, &value));
    query = cla_slice(NULL, 0);
    assert_false(cla_http_query_next(&query, &name, &value));
}

static void urls_parse(void **state)
{
    static const struct {
        const char *text, *scheme, *host, *target;
        unsigned port;
        bool ipv6;
    } cases[] = {
        {"localhost:3000", "", "localhost", "", 3000, false},
        {"localhost", "", "localhost", "", 80, false},
        {"127.0.0.1:1/rpc?a=b", "", "127.0.0.1", "/rpc?a=b", 1, false},
        {"http://a", "http", "a", "", 80, false},
        {"https://a/b", "https", "a", "/b", 443, false},
        {"ws://a:65535/", "ws", "a", "/", 65535, false},
        {"WSS://a?b", "WSS", "a", "?b", 443, false},
        {"[::1]:3000/x", "", "::1", "/x", 3000, true},
        {"http://[fe80::1]", "http", "fe80::1", "", 80, true},
    };

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        struct cla_http_url url;

        assert_int_equal(cla_http_url_parse(cla_slice_str(cases[i].text), &url), 0);
        assert_slice(url.scheme, cases[i].scheme);
        assert_slice(url.host, cases[i].host);
        assert_slice(url.target, cases[i].target);
        assert_int_equal(url.port, cases[i].port);
        assert_int_equal(url.ipv6, cases[i].ipv6);
    }
}

static void bad_urls_are_refused(void **state)
{
    static const char *const cases[] = {
        "",        ":3000", "http://",    "http:///a",  "ftp://a", "a:0",
        "a:65536", "a:",    "a:b",        "http://u@a", "a b",     "http://a/b c",
        "[::1",    "::1",   "http://a#b", "a/b#c",      "://a",    "unix:/a"};
    struct cla_http_url url;

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        if (cla_http_url_parse(cla_slice_str(cases[i]), &url) != -CLA_EINVAL)
            fail_msg("'%s' was accepted", cases[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(targets_split),
        cmocka_unit_test(bad_targets_are_refused),
        cmocka_unit_test(hosts_are_valid_or_not),
        cmocka_unit_test(percent_decoding_keeps_plus),
        cmocka_unit_test(malformed_escapes_append_nothing),
        cmocka_unit_test(percent_encoding_is_undone_by_decoding),
        cmocka_unit_test(queries_give_their_pairs),
        cmocka_unit_test(urls_parse),
        cmocka_unit_test(bad_urls_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
