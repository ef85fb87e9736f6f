/* Both sides of every limit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "http/chunk.h"
#include "http_trace.h"

#define POST "POST / HTTP/1.1\r\nHost: a\r\n"
#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"

static const struct cla_http_limits wide = {
    .head_bytes = 65536, .field_count = 100, .target_bytes = 8192, .body_bytes = 1 << 20};

/* Runs 'bytes' and checks the status (0: accepted as one message) and a part of the error. */
static void expect(const struct cla_http_limits *limits, bool response, const char *bytes,
                   int status, const char *text)
{
    struct http_trace trace = {0};

    http_trace_run(&trace, response, limits, cla_slice_str(bytes), 0, 0);
    assert_int_equal(cla_buf_push(&trace.text, '\0'), 0);
    if (trace.status != status || strstr(trace.text.p, text) == NULL)
        fail_msg("want %d %s, got %.200s", status, text, trace.text.p);
    assert_int_equal(trace.messages, status == 0);
    http_trace_fini(&trace);
}

static void head_limit_refuses_one_byte_more(void **state)
{
    static const char head[] = POST "X: y\r\n\r\n";
    struct cla_http_limits limits = wide;

    limits.head_bytes = sizeof(head) - 1;
    expect(&limits, false, head, 0, "end");
    limits.head_bytes--;
    expect(&limits, false, head, 431, "the head is larger than");
    limits.head_bytes = 20;
    expect(&limits, false, "GET /aaaaaaaaaaaaaaaaaaaaaa", 414, "longer than 20 bytes");
}

static void trailer_counts_in_the_head_limit(void **state)
{
    struct cla_http_limits limits = wide;

    limits.head_bytes = sizeof(CHUNKED) - 1 + 8;
    expect(&limits, false, CHUNKED "0\r\nX: y\r\n\r\n", 0, "end");
    limits.head_bytes--;
    expect(&limits, false, CHUNKED "0\r\nX: y\r\n\r\n", 431, "head and trailer are larger than");
}

static void field_limit_refuses_one_more(void **state)
{
    struct cla_http_limits limits = wide;

    limits.field_count = 3;
    expect(&limits, false, POST "A: b\r\nC: d\r\n\r\n", 0, "end");
    expect(&limits, false, POST "A: b\r\nC: d\r\nE: f\r\n\r\n", 431, "more than 3 fields");
    expect(&limits, false, CHUNKED "0\r\nA: b\r\n\r\n", 0, "end");
    expect(&limits, false, CHUNKED "0\r\nA: b\r\nC: d\r\n\r\n", 431, "too many fields");
}

static void as_many_fields_as_there_is_room_for(void **state)
{
    struct cla_http_limits limits = wide;
    struct cla_buf bytes = {0};

    limits.field_count = CLA_HTTP_FIELDS_MAX;
    assert_int_equal(cla_buf_add(&bytes, CLA_LIT(POST)), 0);
    for (unsigned i = 1; i < CLA_HTTP_FIELDS_MAX; i++)
        assert_int_equal(cla_buf_printf(&bytes, "F%u: %u\r\n", i, i), 0);
    assert_int_equal(cla_buf_append(&bytes, "\r\n", 3), 0);
    expect(&limits, false, bytes.p, 0, "field=F127 value=127");
    bytes.n -= 3;
    assert_int_equal(cla_buf_append(&bytes, "X: y\r\n\r\n", 9), 0);
    expect(&limits, false, bytes.p, 431, "more than 128 fields");
    cla_buf_fini(&bytes);
}

static void target_limit_refuses_one_byte_more(void **state)
{
    struct cla_http_limits limits = wide;

    limits.target_bytes = 4;
    expect(&limits, false, "GET /abc HTTP/1.1\r\nHost: a\r\n\r\n", 0, "end");
    expect(&limits, false, "GET /abcd HTTP/1.1\r\nHost: a\r\n\r\n", 414, "longer than 4 bytes");
}

static void body_limit_refuses_one_byte_more(void **state)
{
    struct cla_http_limits limits = wide;

    limits.body_bytes = 3;
    expect(&limits, false, POST "Content-Length: 3\r\n\r\nabc", 0, "abc");
    expect(&limits, false, POST "Content-Length: 4\r\n\r\n", 413, "larger than 3 bytes");
    expect(&limits, false, CHUNKED "1\r\na\r\n2\r\nbc\r\n0\r\n\r\n", 0, "abc");
    expect(&limits, false, CHUNKED "1\r\na\r\n3\r\n", 413, "larger than 3 bytes");
    expect(&limits, true, "HTTP/1.1 200 OK\r\n\r\nabc", 0, "abc");
    expect(&limits, true, "HTTP/1.1 200 OK\r\n\r\nabcd", 413, "larger than 3 bytes");
    expect(&limits, true, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", 413, "larger than 3");
    limits.body_bytes = 0;
    expect(&limits, false, POST "\r\n", 0, "end");
    expect(&limits, false, POST "Content-Length: 1\r\n\r\n", 413, "larger than 0 bytes");
}

static void a_refused_length_is_seen_instead_of_the_head(void **state)
{
    struct cla_http_limits limits = wide;
    struct http_trace trace = {0};

    limits.body_bytes = 3;
    http_trace_run(&trace, false, &limits, CLA_LIT(POST "Content-Length: 4\r\n\r\n"), 0, 0);
    assert_true(
        cla_slice_starts(cla_buf_slice(&trace.text), CLA_LIT("too large host=a\nfailed 413")));
    http_trace_fini(&trace);
}

static void extension_limit_refuses_one_byte_more(void **state)
{
    char bytes[CLA_HTTP_CHUNK_EXTENSIONS_MAX + 200];
    int n = snprintf(bytes, sizeof(bytes), CHUNKED "1;%0*d\r\na\r\n0\r\n\r\n",
                     CLA_HTTP_CHUNK_EXTENSIONS_MAX, 1);

    assert_in_range(n, 0, sizeof(bytes) - 1);
    expect(&wide, false, bytes, 0, "body a");
    snprintf(bytes, sizeof(bytes), CHUNKED "1;%0*d\r\na\r\n0\r\n\r\n",
             CLA_HTTP_CHUNK_EXTENSIONS_MAX + 1, 1);
    expect(&wide, false, bytes, 400, "larger than 4096 bytes");
    snprintf(bytes, sizeof(bytes), CHUNKED "1;%0*d\r\na\r\n1;x\r\n", CLA_HTTP_CHUNK_EXTENSIONS_MAX,
             1);
    expect(&wide, false, bytes, 400, "larger than 4096 bytes"); /* of all chunks together */
}

static void four_empty_lines_are_skipped(void **state)
{
    expect(&wide, false, "\r\n\r\n\r\n\r\n" POST "\r\n", 0, "end");
    expect(&wide, false, "\r\n\r\n\r\n\r\n\r\n" POST "\r\n", 400, "more than 4 empty lines");
}

static void messages_end_one_at_a_time(void **state)
{
    static const char two[] = POST "Content-Length: 1\r\n\r\nxGET / HTTP/1.1\r\nHost: b\r\n\r\n";
    struct http_trace trace = {0};
    struct cla_http_parser *parser;
    size_t taken, more;

    assert_int_equal(cla_http_parser_new_request(&parser, &wide, &http_trace_events, &trace), 0);
    assert_false(cla_http_parser_in_message(parser));
    assert_int_equal(cla_http_parser_feed(parser, two, sizeof(two) - 1, &taken), CLA_HTTP_PAUSED);
    assert_int_equal(taken, sizeof(POST "Content-Length: 1\r\n\r\nx") - 1);
    assert_int_equal(trace.messages, 1);
    assert_false(cla_http_parser_in_message(parser));
    assert_int_equal(cla_http_parser_feed(parser, two + taken, 5, &more), CLA_HTTP_MORE);
    assert_true(cla_http_parser_in_message(parser));
    assert_int_equal(
        cla_http_parser_feed(parser, two + taken + 5, sizeof(two) - 1 - taken - 5, &more),
        CLA_HTTP_PAUSED);
    assert_int_equal(more, sizeof(two) - 1 - taken - 5);
    assert_int_equal(trace.messages, 2);
    cla_http_parser_free(parser);
    http_trace_fini(&trace);
}

static void an_upgrade_not_taken_goes_on_as_http(void **state)
{
    static const char bytes[] = "GET /rpc HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\n"
                                "Upgrade: websocket\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n";
    struct http_trace trace = {0};
    struct cla_http_parser *parser;
    size_t taken, more;

    assert_int_equal(cla_http_parser_new_request(&parser, &wide, &http_trace_events, &trace), 0);
    assert_int_equal(cla_http_parser_feed(parser, bytes, sizeof(bytes) - 1, &taken),
                     CLA_HTTP_UPGRADE);
    assert_int_equal(taken, strstr(bytes, "GET / ") - bytes);
    assert_int_equal(cla_http_parser_feed(parser, bytes + taken, sizeof(bytes) - 1 - taken, &more),
                     CLA_HTTP_PAUSED);
    assert_int_equal(trace.messages, 2);
    cla_http_parser_free(parser);
    http_trace_fini(&trace);
}

static void the_answer_to_head_has_no_body(void **state)
{
    static const char bytes[] = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"
                                "Content-Length: 5\r\n\r\nHTTP/1.1 200 OK\r\n"
                                "Content-Length: 1\r\n\r\nx";
    struct http_trace trace = {0};
    struct cla_http_parser *parser;

    assert_int_equal(cla_http_parser_new_response(&parser, &wide, &http_trace_events, &trace), 0);
    cla_http_parser_no_body(parser);
    assert_true(http_trace_feed(&trace, parser, cla_slice(bytes, sizeof(bytes) - 1)));
    assert_int_equal(trace.messages, 2);
    assert_int_equal(cla_buf_push(&trace.text, '\0'), 0);
    assert_non_null(strstr(trace.text.p, "body x\nend\n"));
    cla_http_parser_free(parser);
    http_trace_fini(&trace);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(head_limit_refuses_one_byte_more),
        cmocka_unit_test(trailer_counts_in_the_head_limit),
        cmocka_unit_test(field_limit_refuses_one_more),
        cmocka_unit_test(as_many_fields_as_there_is_room_for),
        cmocka_unit_test(target_limit_refuses_one_byte_more),
        cmocka_unit_test(body_limit_refuses_one_byte_more),
        cmocka_unit_test(a_refused_length_is_seen_instead_of_the_head),
        cmocka_unit_test(extension_limit_refuses_one_byte_more),
        cmocka_unit_test(four_empty_lines_are_skipped),
        cmocka_unit_test(messages_end_one_at_a_time),
        cmocka_unit_test(an_upgrade_not_taken_goes_on_as_http),
        cmocka_unit_test(the_answer_to_head_has_no_body),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
