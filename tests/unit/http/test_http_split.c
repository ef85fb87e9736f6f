/* The same bytes do the same however they are cut: whole, byte by byte, in two at every place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http_trace.h"

static const struct cla_http_limits limits = {
    .head_bytes = 400, .field_count = 6, .target_bytes = 60, .body_bytes = 100};

struct message {
    const char *bytes;
    int status;         /* of the refusal; 0: none */
    unsigned messages;  /* that end */
    const char *events; /* a part of what is seen; NULL: whatever */
};

#define GET "GET / HTTP/1.1\r\n"
#define POST "POST /rpc HTTP/1.1\r\nHost: a\r\n"
#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"
#define X50 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define X100 X50 X50

static const struct message requests[] = {
    {GET "Host: a\r\n\r\n", 0, 1, "method=1 status=0 1.1 length=0 keep name=GET target=/ host=a"},
    {"\r\n\r\n" GET "Host: a\r\n\r\n\r\n", 0, 1, "end\nfine"},
    {"GET / HTTP/1.0\r\n\r\n", 0, 1, "1.0 length=0 close name=GET target=/ host= type="},
    {"GET / HTTP/1.0\r\nConnection: x, Keep-Alive\r\n\r\n", 0, 1, "1.0 length=0 keep"},
    {GET "Host: a\r\nConnection: keep-alive, Close\t\r\n\r\n", 0, 1, "1.1 length=0 close"},
    {POST "Content-Length: 5\r\n\r\nhello", 0, 1, "length=5 body keep"},
    {POST "Content-Length: 0005\r\n\r\nhello", 0, 1, "length=5 body keep"},
    {POST "Content-Length: \t5 \r\n\r\nhello", 0, 1, "\nbody hello\nend\n"},
    {POST "Content-Length: 0\r\n\r\n", 0, 1, "length=0 keep"},
    {POST "Content-Type:  application/json \r\n\r\n", 0, 1, "type=application/json field=Host"},
    {POST "A:\r\nB: \t \r\nC: d\r\n\r\n", 0, 1, "field=A value= field=B value= field=C value=d\n"},
    {POST "X: \xff\xc3\xa9\ty\r\n\r\n", 0, 1, "value=\xff\xc3\xa9\ty"},
    {CHUNKED
     "5\r\nhello\r\n06;a;b=c;d=\"e\\\" f\"\r\n world\r\n000\r\nT: u\r\nContent-Length: 9\r\n\r\n",
     0, 1, "length=0 body chunked keep"},
    {CHUNKED "1\r\na\r\n0\r\n\r\n" CHUNKED "0\r\n\r\n" GET "Host: b\r\n\r\n", 0, 3,
     "\nbody a\nend\nhead"},
    {POST "Content-Length: 2\r\n\r\nhi\r\n" POST "Content-Length: 1\r\n\r\nx", 0, 2,
     "body hi\nend\nhead"},
    {POST "Expect: 100-Continue\r\nContent-Length: 1\r\n\r\nx", 0, 1, "body keep expect"},
    {GET "Host: a\r\nExpect: 100-continue\r\n\r\n", 0, 1, "length=0 keep name"},
    {"POST / HTTP/1.0\r\nExpect: x\r\nContent-Length: 1\r\n\r\nx", 0, 1,
     "length=1 body close name"},
    {"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 0, 1, "method=7 status=0 1.1 length=0 keep"},
    {"M-SEARCH * HTTP/1.1\r\nHost: a\r\n\r\n", 0, 1,
     "method=0 status=0 1.1 length=0 keep name=M-SEARCH"},
    {"SOURCE / HTTP/1.1\r\nHost: a\r\n\r\n", 0, 1, "name=SOURCE"},
    {"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 0, 1, "method=0"},
    {"GET http://b:1/c?d HTTP/1.1\r\nHost: a\r\n\r\n", 0, 1, "target=http://b:1/c?d host=b:1"},
    {GET "Host: [::1]:80\r\n\r\n", 0, 1, "host=[::1]:80"},
    {GET "Host: a\r\nConnection: Upgrade\r\nUpgrade: h2c, WebSocket\r\n\r\n", 0, 1, "keep upgrade"},
    {GET "Host: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n" GET "Host: a\r\n\r\n", 0, 2,
     "keep name"},
    {GET "Host: a\r\nUpgrade: websocket\r\n\r\n", 0, 1, "keep name"},
    {POST "Content-Length: 5\r\n\r\nhell", 0, 0, "in message, cut"},
    {CHUNKED "5\r\nhello\r\n", 0, 0, "in message, cut"},
    {GET "Host: a\r\n", 0, 0, "in message, cut"},
    {"\r\n", 0, 0, "fine"},
    {"\r", 0, 0, "cut"},
    {GET "Host: a\r\n\r\n" GET "Host: a\r\n\rX", 400, 1, "end\nfailed 400"},
    {GET "Hos\tt: a\x01\r\n\r\n", 400, 0, "failed 400 malformed head"},
    {GET "Host: a\r\nX: y\x01\r\n: z\r\n\r\n", 400, 0, "0x01"},
    {"GET / HTTP/5.6\nx", 400, 0, "Invalid HTTP version"},
    {"FOO\x01 / HTTP/1.1\r\n\r\n", 400, 0, "method is unknown"},
    {POST "Content-Length: 1\r\nContent-Length: 1\r\nX: \x01\r\n\r\n", 400, 0, "Content-Length"},
    {POST "Content-Length: 101\r\n\r\n", 413, 0, NULL},
    {POST "A: b\r\nB:\r\nC:\r\nD:\r\nE:\r\nF:\r\n\r\n", 431, 0, NULL},
    {POST "X: " X100 X100 X100 X100 "\r\n\r\n", 431, 0, "400 bytes"},
    {"GET /" X100 " HTTP/1.1\r\n", 414, 0, "60 bytes"},
    {"GET /" X100 X100 X100 X100, 414, 0, "400 bytes"},
    {CHUNKED "40\r\n" X50 "yyyyyyyyyyyyyy\r\n40\r\n" X50, 413, 0, "yfailed 413"},
    {CHUNKED "5\r\nhello!\r\n0\r\n\r\n", 400, 0, "body hellofailed 400"},
    {CHUNKED "5\r\nhello\r\n0\r\nX: " X100 X100 X100 X100 "\r\n\r\n", 431, 0, NULL},
};

static const struct message responses[] = {
    {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", 0, 1, "status=200 1.1 length=2 body keep"},
    {"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", 0, 1, "status=200 1.1 length=0 keep"},
    {"HTTP/1.1 200 \xe9t\xe9 \r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", 0, 1,
     "\nbody x\nend"},
    {"HTTP/1.1 200 OK\r\n\r\nuntil close", 0, 1,
     "close name= target= host= type=\nbody until close\nend\n"},
    {"HTTP/1.0 200 OK\r\n\r\n", 0, 1, "end\nin message, fine"},
    {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nA: b\r\n\r\nHTTP/1.1 204 No "
     "Content\r\n\r\n",
     0, 1, "head H0a 27 method=0 status=204 1.1 length=0 keep"},
    {"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", 0, 1, "end\nfine"},
    {"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", 0, 1,
     "keep upgrade"},
    {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nxHTTP/1.1 201 Created\r\n"
     "Content-Length: 0\r\n\r\n",
     0, 2, "status=201"},
    {"HTTP/1.1 100 Continue\r\n\r\n", 0, 0, "fine"},
    {"HTTP/1.1 200 OK\r\n\r\n" X100 "x", 413, 0, "xfailed 413"},
    {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400, 0, NULL},
    {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", 400, 0, NULL},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", 400, 0, NULL},
    {"HTTP/2.0 200 OK\r\n\r\n", 400, 0, NULL},
    {"HTTP/1.1 2000 OK\r\n\r\n", 400, 0, NULL},
    {"HTTP/1.1 20 OK\r\n\r\n", 400, 0, NULL},
    {"HTTP/1.1200 OK\r\n\r\n", 400, 0, NULL},
    {"HTTP/1.1 200 OK\n\n", 400, 0, NULL},
    {"\r\nHTTP/1.1 200 OK\r\n\r\n", 400, 0, NULL},
    {"SSH-2.0-OpenSSH\r\n", 400, 0, NULL},
};

static void compare(bool response, struct cla_slice bytes, size_t cut, size_t step,
                    struct cla_slice want)
{
    struct http_trace trace = {0};

    http_trace_run(&trace, response, &limits, bytes, cut, step);
    if (!cla_slice_eq(cla_buf_slice(&trace.text), want))
        fail_msg("%.*s\ncut at %zu, step %zu:\n%.*s\nwhole:\n%.*s", (int)bytes.n, bytes.p, cut,
                 step, (int)trace.text.n, trace.text.p, (int)want.n, want.p);
    http_trace_fini(&trace);
}

static void check(bool response, const struct message *message)
{
    struct cla_slice bytes = cla_slice_str(message->bytes);
    struct http_trace whole = {0};

    http_trace_run(&whole, response, &limits, bytes, 0, 0);
    assert_int_equal(cla_buf_push(&whole.text, '\0'), 0);
    whole.text.n--;
    if (whole.status != message->status || whole.messages != message->messages ||
        (message->events != NULL && strstr(whole.text.p, message->events) == NULL))
        fail_msg("%s\nwant %d and %u messages, %s, got:\n%s", message->bytes, message->status,
                 message->messages, message->events, whole.text.p);
    for (size_t cut = 1; cut < bytes.n; cut++)
        compare(response, bytes, cut, 0, cla_buf_slice(&whole.text));
    for (size_t step = 1; step < 4; step++)
        compare(response, bytes, 0, step, cla_buf_slice(&whole.text));
    http_trace_fini(&whole);
}

static void requests_do_the_same_however_they_are_cut(void **state)
{
    for (size_t i = 0; i < CLA_ARRAY_LEN(requests); i++)
        check(false, &requests[i]);
}

static void responses_do_the_same_however_they_are_cut(void **state)
{
    for (size_t i = 0; i < CLA_ARRAY_LEN(responses); i++)
        check(true, &responses[i]);
}

/* Fed the pieces in turn, the parser is idle or not behind each. */
static void an_idle_parser_serves_another_connection(void **state)
{
    static const struct {
        const char *piece;
        bool idle;
    } pieces[] = {
        {"GET /1 HTTP/1.1\r\nHost: a\r\n", false},
        {"\r\n", true},
        {"\r\n", false}, /* an empty line before a request counts against its connection */
        {"GET /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nx", false},
        {"y", true},
        {"GET /3 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", true},
    };
    struct http_trace first = {0}, second = {0};
    struct cla_http_parser *parser;

    (void)state;
    assert_int_equal(cla_http_parser_new_request(&parser, &limits, &http_trace_events, &first), 0);
    assert_true(cla_http_parser_idle(parser));
    for (size_t i = 0; i < CLA_ARRAY_LEN(pieces); i++) {
        assert_true(http_trace_feed(&first, parser, cla_slice_str(pieces[i].piece)));
        assert_int_equal(cla_http_parser_idle(parser), pieces[i].idle);
    }
    cla_http_parser_set_arg(parser, &second);
    assert_true(http_trace_feed(&second, parser, cla_slice_str(pieces[0].piece)));
    assert_true(http_trace_feed(&second, parser, cla_slice_str(pieces[1].piece)));
    assert_int_equal(first.messages, 3);
    assert_int_equal(second.messages, 1);
    cla_http_parser_free(parser);
    http_trace_fini(&first);
    http_trace_fini(&second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_do_the_same_however_they_are_cut),
        cmocka_unit_test(responses_do_the_same_however_they_are_cut),
        cmocka_unit_test(an_idle_parser_serves_another_connection),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
