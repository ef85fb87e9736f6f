/* Each allocation of the layer fails in turn: a clean refusal, and nothing leaks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"
#include "http/head.h"
#include "http/parser.h"
#include "http/url.h"
#include "mem_fault.h"

static const struct cla_http_limits limits = {
    .head_bytes = 4096, .field_count = 10, .target_bytes = 100, .body_bytes = 100};

static void on_head(void *arg, const struct cla_http_head *head)
{
}

static void on_body(void *arg, struct cla_slice bytes)
{
}

static void on_end(void *arg)
{
    ++*(unsigned *)arg;
}

static const struct cla_http_events events = {on_head, on_body, on_end, NULL};

/* Two requests byte by byte, whose heads must be gathered. Returns the status, 0 if all is well,
 * or -CLA_ENOMEM if there was no parser. */
static int parse(unsigned *ended)
{
    static const char bytes[] = "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
                                "User-Agent: a program with a long name and version/1.2.3\r\n"
                                "Content-Length: 2\r\n\r\nhiGET / HTTP/1.1\r\nHost: a\r\n\r\n";
    struct cla_http_parser *parser;
    size_t taken;
    int status, rc = cla_http_parser_new_request(&parser, &limits, &events, ended);

    for (size_t i = 0; rc == 0 && i < sizeof(bytes) - 1; i++) {
        if (cla_http_parser_feed(parser, bytes + i, 1, &taken) == CLA_HTTP_FAILED)
            rc = 1;
    }
    if (rc < 0)
        return rc;
    status = rc > 0 ? cla_http_parser_status(parser) : 0;
    cla_http_parser_free(parser);
    return status;
}

static void parser_survives_each_allocation_failing(void **state)
{
    long n = 0;

    do {
        unsigned ended = 0;
        int rc;

        mem_fault_after(n);
        rc = parse(&ended);
        mem_fault_off();
        assert_int_equal(mem_fault.live, 0);
        if (mem_fault.failed)
            assert_int_equal(rc, n == 0 ? -CLA_ENOMEM : 503);
        else
            assert_true(rc == 0 && ended == 2);
    } while (mem_fault.failed && n++ < 100);
    assert_in_range(n, 4, 20); /* the parser, two heads, and the growth of one */
}

typedef int write_fn(struct cla_buf *buf);

static int write_reply(struct cla_buf *buf)
{
    return cla_http_write_reply(buf, &(struct cla_http_reply){.status = 404, .content_type = "a"});
}

static int write_request(struct cla_buf *buf)
{
    return cla_http_write_request(buf, &(struct cla_http_request){.method = "GET"});
}

static int encode(struct cla_buf *buf)
{
    return cla_http_percent_encode(buf, CLA_LIT("a b"));
}

static int decode(struct cla_buf *buf)
{
    return cla_http_percent_decode(buf, CLA_LIT("a%20b"));
}

static void writers_append_nothing_without_memory(void **state)
{
    static write_fn *const writers[] = {write_reply, write_request, encode, decode};

    for (size_t i = 0; i < CLA_ARRAY_LEN(writers); i++) {
        struct cla_buf buf = {0};

        mem_fault_after(0);
        assert_int_equal(writers[i](&buf), -CLA_ENOMEM);
        assert_int_equal(buf.n, 0);
        assert_int_equal(writers[i](&buf), 0);
        assert_true(buf.n > 0);
        cla_buf_fini(&buf);
        assert_int_equal(mem_fault.live, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parser_survives_each_allocation_failing),
        cmocka_unit_test(writers_append_nothing_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
