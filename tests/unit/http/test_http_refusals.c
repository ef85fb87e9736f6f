/* What the gate, llhttp and the rules refuse, each with its status and words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http_trace.h"

static const struct cla_http_limits limits = {
    .head_bytes = 16384, .field_count = 100, .target_bytes = 8192, .body_bytes = 1 << 20};

struct refusal {
    struct cla_slice bytes;
    int status;
    const char *text; /* a part of the error */
};

#define LIT(literal)                       \
    {                                      \
        "" literal, sizeof("" literal) - 1 \
    }
#define GET "GET / HTTP/1.1\r\n"
#define POST "POST / HTTP/1.1\r\nHost: a\r\n"
#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"
#define HOST "Host: a\r\n"

static void check(const struct refusal *refusals, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct http_trace trace = {0};

        http_trace_run(&trace, false, &limits, refusals[i].bytes, 0, 0);
        assert_int_equal(cla_buf_push(&trace.text, '\0'), 0);
        if (trace.status != refusals[i].status || strstr(trace.text.p, refusals[i].text) == NULL)
            fail_msg("%.*s\nwant %d %s, got %s", (int)refusals[i].bytes.n, refusals[i].bytes.p,
                     refusals[i].status, refusals[i].text, trace.text.p);
        http_trace_fini(&trace);
    }
}

static void line_discipline_is_strict(void **state)
{
    static const struct refusal refusals[] = {
        {LIT(GET HOST "\r\rX"), 400, "a CR without LF"},
        {LIT(GET HOST "\n"), 400, "ends with LF alone"},
        {LIT("GET / HTTP/1.1\nHost: a\r\n\r\n"), 400, "ends with LF alone"},
        {LIT(GET "Host: a\nX: y\r\n\r\n"), 400, "ends with LF alone"},
        {LIT("GET / HTTP/1.1\rHost: a\r\n\r\n"), 400, "a CR without LF"},
        {LIT(GET HOST "X: a\rb\r\n\r\n"), 400, "a CR without LF"},
        {LIT(GET HOST "X: a\r\r\n\r\n"), 400, "a CR without LF"},
        {LIT(GET " Host: a\r\n\r\n"), 400, "begins with white space"},
        {LIT(GET "\tHost: a\r\n\r\n"), 400, "begins with white space"},
        {LIT(GET " \r\nHost: a\r\n\r\n"), 400, "begins with white space"},
        {LIT(GET HOST "X: y\r\n z\r\n\r\n"), 400, "begins with white space"},
        {LIT(GET HOST "X: y\r\n\tz\r\n\r\n"), 400, "begins with white space"},
        {LIT(GET HOST ": y\r\n\r\n"), 400, "a field has no name"},
        {LIT("\rGET / HTTP/1.1\r\n" HOST "\r\n"), 400, "before the head"},
        {LIT("\nGET / HTTP/1.1\r\n" HOST "\r\n"), 400, "ends with LF alone"},
        {LIT("\r\n\r\n\r\n\r\n\r\n"), 400, "more than 4 empty lines"},
    };

    check(refusals, CLA_ARRAY_LEN(refusals));
}

static void request_line_is_strict(void **state)
{
    static const struct refusal refusals[] = {
        {LIT("GET /\r\n\r\n"), 400, "does not end with HTTP/1.0 or HTTP/1.1"},
        {LIT("GET HTTP/1.1\r\n" HOST "\r\n"), 400, ""},
        {LIT("GET  HTTP/1.1\r\n" HOST "\r\n"), 400, ""},
        {LIT("GET  / HTTP/1.1\r\n" HOST "\r\n"), 400, ""},
        {LIT("GET /  HTTP/1.1\r\n" HOST "\r\n"), 400, ""},
        {LIT("GET / HTTP/1.1 \r\n" HOST "\r\n"), 400, ""},
        {LIT("GET\t/ HTTP/1.1\r\n" HOST "\r\n"), 400, ""},
        {LIT("GET /a\tb HTTP/1.1\r\n" HOST "\r\n"), 400, ""},
        {LIT("GET /a b HTTP/1.1\r\n" HOST "\r\n"), 400, ""},
        {LIT("GET /#a HTTP/1.1\r\n" HOST "\r\n"), 400, "fragment"},
        {LIT("GET /\xc3\xa9 HTTP/1.1\r\n" HOST "\r\n"), 400, ""},
        {LIT("GET /\x7f HTTP/1.1\r\n" HOST "\r\n"), 400, "control character 0x7f"},
        {LIT("GET a HTTP/1.1\r\n" HOST "\r\n"), 400, ""},
        {LIT("GET * HTTP/1.1\r\n" HOST "\r\n"), 400, "is for OPTIONS"},
        {LIT("OPTIONS *a HTTP/1.1\r\n" HOST "\r\n"), 400, "no path, http URL"},
        {LIT("GET ftp://a/ HTTP/1.1\r\n" HOST "\r\n"), 400, "no path, http URL"},
        {LIT("GET http://a@b/ HTTP/1.1\r\n" HOST "\r\n"), 400, "no path, http URL"},
        {LIT("GET / HTTP/0.9\r\n" HOST "\r\n"), 400, "does not end with"},
        {LIT("GET / HTTP/1.2\r\n" HOST "\r\n"), 400, ""},
        {LIT("GET / HTTP/2.0\r\n" HOST "\r\n"), 400, "does not end with"},
        {LIT("GET / HTTP/9.9\r\n" HOST "\r\n"), 400, ""},
        {LIT("GET / HTTP/5.6"), 400, "Invalid HTTP version"},
        {LIT("GET / HTTP/1\r\n" HOST "\r\n"), 400, ""},
        {LIT("GET / HTTP/01.1\r\n" HOST "\r\n"), 400, ""},
        {LIT("GET / http/1.1\r\n" HOST "\r\n"), 400, ""},
        {LIT("SOURCE / ICE/1.0\r\n" HOST "\r\n"), 400, "does not end with"},
        {LIT("OPTIONS / RTSP/1.0\r\n" HOST "\r\n"), 400, "does not end with"},
        {LIT("ANNOUNCE / HTTP/1.1\r\n" HOST "\r\n"), 400, ""},
        {LIT("get / HTTP/1.1\r\n" HOST "\r\n"), 400, "the method is unknown"},
        {LIT("FOOBAR / HTTP/1.1\r\n" HOST "\r\n"), 400, "the method is unknown"},
        {LIT("GETS / HTTP/1.1\r\n" HOST "\r\n"), 400, "the method is unknown"},
        {LIT("G@T / HTTP/1.1\r\n" HOST "\r\n"), 400, ""},
        {LIT("   \r\n\r\n"), 400, ""},
        {LIT("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n"), 501, "not a proxy"},
        {LIT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 400, ""},
        {LIT("PRI * HTTP/1.1\r\n\r\nSM\r\n\r\n"), 400, "HTTP/2"},
        {LIT("\x16\x03\x01\x02"), 400, "control character 0x16"},
    };

    check(refusals, CLA_ARRAY_LEN(refusals));
}

static void fields_are_strict(void **state)
{
    static const struct refusal refusals[] = {
        {LIT(GET HOST "X\r\n\r\n"), 400, ""},
        {LIT(GET HOST "X : y\r\n\r\n"), 400, ""},
        {LIT(GET HOST "X\t: y\r\n\r\n"), 400, ""},
        {LIT(GET HOST "Content-Length : 1\r\n\r\n"), 400, ""},
        {LIT(GET HOST "Transfer-Encoding : chunked\r\n\r\n"), 400, ""},
        {LIT(GET HOST "Connection : close\r\n\r\n"), 400, ""},
        {LIT(GET HOST "X: \0\r\n\r\n"), 400, "control character 0x00"},
        {LIT(GET HOST "X: \x01\r\n\r\n"), 400, "control character 0x01"},
        {LIT(GET HOST "X: \x7f\r\n\r\n"), 400, "control character 0x7f"},
        {LIT(GET "\r\n"), 400, "there is no Host"},
        {LIT(GET "Host:\r\n\r\n"), 400, "Host is empty"},
        {LIT(GET "Host: \t \r\n\r\n"), 400, "Host is empty"},
        {LIT("GET / HTTP/1.0\r\nHost:\r\n\r\n"), 400, "Host is empty"},
        {LIT(GET HOST HOST "\r\n"), 400, "more than one Host"},
        {LIT("GET / HTTP/1.0\r\n" HOST "HOST: b\r\n\r\n"), 400, "more than one Host"},
        {LIT(GET "Host: a, b\r\n\r\n"), 400, "malformed"},
        {LIT(GET "Host: a,b\r\n\r\n"), 400, "malformed"},
        {LIT(GET "Host: u@a\r\n\r\n"), 400, "malformed"},
        {LIT(GET "Host: a/b\r\n\r\n"), 400, "malformed"},
        {LIT(GET "Host: a:b\r\n\r\n"), 400, "malformed"},
        {LIT(GET "Host: a:70000\r\n\r\n"), 400, "malformed"},
        {LIT(GET "Host: [::1\r\n\r\n"), 400, "malformed"},
        {LIT(POST "Expect: 200-ok\r\n\r\n"), 417, "100-continue"},
        {LIT(POST "Expect:\r\n\r\n"), 417, "100-continue"},
    };

    check(refusals, CLA_ARRAY_LEN(refusals));
}

static void framing_is_strict(void **state)
{
    static const struct refusal refusals[] = {
        {LIT(POST "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"), 400, ""},
        {LIT(POST "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n"), 400, ""},
        {LIT(POST "Transfer-Encoding: identity\r\nContent-Length: 1\r\n\r\n"), 400, ""},
        {LIT(POST "Content-Length: 1\r\nContent-Length: 1\r\n\r\n"), 400, ""},
        {LIT(POST "Content-Length: 1\r\nContent-Length: 2\r\n"), 400, ""},
        {LIT(POST "Content-Length: 1, 1\r\n\r\n"), 400, ""},
        {LIT(POST "Content-Length:\r\n\r\n"), 400, ""},
        {LIT(POST "Content-Length: -0\r\n\r\n"), 400, ""},
        {LIT(POST "Content-Length: +1\r\n\r\n"), 400, ""},
        {LIT(POST "Content-Length: 1 0\r\n\r\n"), 400, ""},
        {LIT(POST "Content-Length: 0x1\r\n\r\n"), 400, ""},
        {LIT(POST "Content-Length: 1_0\r\n\r\n"), 400, ""},
        {LIT(POST "Content-Length: 99999999999999999999\r\n"), 400, ""},
        {LIT(POST "Content-Length: 18446744073709551616\r\n"), 400, ""},
        {LIT(POST "Transfer-Encoding:\r\n\r\n"), 400, "is not 'chunked'"},
        {LIT(POST "Transfer-Encoding: gzip\r\n\r\n"), 400, "is not 'chunked'"},
        {LIT(POST "Transfer-Encoding: identity\r\n\r\n"), 400, "is not 'chunked'"},
        {LIT(POST "Transfer-Encoding: xchunked\r\n\r\n"), 400, "is not 'chunked'"},
        {LIT(POST "Transfer-Encoding: chunked, gzip\r\n\r\n"), 400, ""},
        {LIT(POST "Transfer-Encoding: gzip, chunked\r\n\r\n"), 400, "is not 'chunked'"},
        {LIT(POST "Transfer-Encoding: chunked, chunked\r\n\r\n"), 400, ""},
        {LIT(POST "Transfer-Encoding: chunked;a=b\r\n\r\n"), 400, ""},
        {LIT(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"), 400, ""},
        {LIT("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400, "in HTTP/1.0"},
    };

    check(refusals, CLA_ARRAY_LEN(refusals));
}

static void chunks_are_strict(void **state)
{
    static const struct refusal refusals[] = {
        {LIT(CHUNKED "ffffffffffffffff\r\n"), 400, "too large to be one"},
        {LIT(CHUNKED "FFFFFFFFFFFFFFFF0\r\n"), 400, "too large to be one"},
        {LIT(CHUNKED "00000000000000001\r\n"), 400, "too large to be one"},
        {LIT(CHUNKED "g\r\n"), 400, "not hexadecimal"},
        {LIT(CHUNKED "\r\n"), 400, "not hexadecimal"},
        {LIT(CHUNKED ";a\r\n"), 400, "not hexadecimal"},
        {LIT(CHUNKED "-1\r\n"), 400, "not hexadecimal"},
        {LIT(CHUNKED "+1\r\n"), 400, "not hexadecimal"},
        {LIT(CHUNKED "0x1\r\n"), 400, "not hexadecimal"},
        {LIT(CHUNKED "1_0\r\n"), 400, "not hexadecimal"},
        {LIT(CHUNKED " 1\r\n"), 400, "not hexadecimal"},
        {LIT(CHUNKED "1 \r\n"), 400, "not hexadecimal"},
        {LIT(CHUNKED "1 ;a\r\n"), 400, "not hexadecimal"},
        {LIT(CHUNKED "1\n"), 400, "not hexadecimal"},
        {LIT(CHUNKED "1\r\rx"), 400, "does not end with CR LF"},
        {LIT(CHUNKED "1\r\nab"), 400, "longer than its size"},
        {LIT(CHUNKED "1\r\na\n"), 400, "longer than its size"},
        {LIT(CHUNKED "1\r\na\ra"), 400, "a chunk does not end with CR LF"},
        {LIT(CHUNKED "1;\r\n"), 400, "has no name"},
        {LIT(CHUNKED "1;=a\r\n"), 400, "has no name"},
        {LIT(CHUNKED "1;a=\r\n"), 400, "has no value"},
        {LIT(CHUNKED "1;a[=x\r\n"), 400, "malformed"},
        {LIT(CHUNKED "1; a\r\n"), 400, "has no name"},
        {LIT(CHUNKED "1;a\n"), 400, "malformed"},
        {LIT(CHUNKED "1;a=b=c\r\n"), 400, "malformed"},
        {LIT(CHUNKED "1;a=\"b\r\n"), 400, "malformed"},
        {LIT(CHUNKED "1;a=\"b\\\n"), 400, "malformed"},
        {LIT(CHUNKED "1;a=\"b\"c\r\n"), 400, "malformed"},
        {LIT(CHUNKED "0\r\n\n"), 400, "does not begin with a field name"},
        {LIT(CHUNKED "0\r\n\rX"), 400, "the trailer does not end"},
        {LIT(CHUNKED "0\r\n A: b\r\n\r\n"), 400, "does not begin with a field name"},
        {LIT(CHUNKED "0\r\n: b\r\n\r\n"), 400, "does not begin with a field name"},
        {LIT(CHUNKED "0\r\nA : b\r\n\r\n"), 400, "name is malformed"},
        {LIT(CHUNKED "0\r\nA\r\n\r\n"), 400, "name is malformed"},
        {LIT(CHUNKED "0\r\nA: b\nB: c\r\n\r\n"), 400, "control character in the trailer"},
        {LIT(CHUNKED "0\r\nA: \0\r\n\r\n"), 400, "control character in the trailer"},
        {LIT(CHUNKED "0\r\nA: b\rc"), 400, "a trailer line does not end"},
        {LIT(CHUNKED "0\r\nA: b\r\n c\r\n\r\n"), 400, "does not begin with a field name"},
    };

    check(refusals, CLA_ARRAY_LEN(refusals));
}

/* A byte in the middle of a name, a value, a target: which are allowed is known for all 256. */
static bool survives(const char *before, unsigned byte, const char *after)
{
    struct http_trace trace = {0};
    char c = (char)byte;
    struct cla_buf bytes = {0};
    bool fine;

    assert_int_equal(cla_buf_add(&bytes, cla_slice_str(before)), 0);
    assert_int_equal(cla_buf_push(&bytes, c), 0);
    assert_int_equal(cla_buf_add(&bytes, cla_slice_str(after)), 0);
    http_trace_run(&trace, false, &limits, cla_buf_slice(&bytes), 0, 0);
    fine = trace.status == 0 && trace.messages == 1;
    http_trace_fini(&trace);
    cla_buf_fini(&bytes);
    return fine;
}

static bool is_alnum(unsigned c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static void every_byte_is_judged_in_name_value_and_target(void **state)
{
    for (unsigned c = 0; c < 256; c++) {
        bool token = is_alnum(c) || (c != 0 && c < 128 && strchr("!#$%&'*+-.^_`|~", (int)c));
        bool text = c == '\t' || (c >= 0x20 && c != 0x7f);

        /* a colon ends the name and so is fine there */
        assert_int_equal(survives(GET HOST "Na", c, "me: x\r\n\r\n"), token || c == ':');
        assert_int_equal(survives(GET HOST "Name: a", c, "b\r\n\r\n"), text);
        assert_int_equal(survives("GET /a", c, "b HTTP/1.1\r\n" HOST "\r\n"),
                         c > 0x20 && c < 0x7f && c != '#');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(line_discipline_is_strict),
        cmocka_unit_test(request_line_is_strict),
        cmocka_unit_test(fields_are_strict),
        cmocka_unit_test(framing_is_strict),
        cmocka_unit_test(chunks_are_strict),
        cmocka_unit_test(every_byte_is_judged_in_name_value_and_target),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
