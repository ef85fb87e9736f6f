/* How long the HTTP layer takes: parse of a POST, of it alone the gate, and a reply's head.
 * Usage: bench_http [rounds]. Prints nanoseconds for each, the best of seven runs. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "http/gate.h"
#include "http/head.h"
#include "http/parser.h"

#define HEAD                                                                                   \
    "POST /rpc HTTP/1.1\r\nHost: localhost:3000\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n" \
    "Content-Type: application/json\r\nContent-Length: 62\r\n\r\n"
#define BODY "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"add\",\"params\":{\"a\":2,\"b\":4}}"

static const char message[] = HEAD BODY;
static const struct cla_http_limits limits = {
    .head_bytes = 16384, .field_count = 100, .target_bytes = 8192, .body_bytes = 1 << 20};
static size_t sink; /* keeps the work from being optimised away */

static void on_head(void *arg, const struct cla_http_head *head)
{
    sink += head->field_count;
}

static void on_body(void *arg, struct cla_slice bytes)
{
    sink += bytes.n;
}

static void on_end(void *arg)
{
    sink++;
}

static void run_parser(size_t rounds)
{
    static const struct cla_http_events events = {on_head, on_body, on_end, NULL};
    struct cla_http_parser *parser;
    size_t taken;

    CLA_PRE(cla_http_parser_new_request(&parser, &limits, &events, NULL) == 0);
    for (size_t i = 0; i < rounds; i++)
        CLA_PRE(cla_http_parser_feed(parser, message, sizeof(message) - 1, &taken) ==
                CLA_HTTP_PAUSED);
    cla_http_parser_free(parser);
}

static void run_gate(size_t rounds)
{
    struct cla_http_fault fault = {0};

    for (size_t i = 0; i < rounds; i++) {
        struct cla_http_gate gate = {0};

        CLA_PRE(cla_http_gate_scan(&gate, &limits, message, sizeof(message) - 1, &fault) ==
                CLA_HTTP_GATE_DONE);
        sink += gate.at;
    }
}

static void run_reply(size_t rounds)
{
    struct cla_http_date date = {0};
    struct cla_buf buf = {0};
    uint64_t now_ns = cla_clock_wall_ns();

    for (size_t i = 0; i < rounds; i++) {
        struct cla_http_reply reply = {.status = 200,
                                       .content_type = "application/json",
                                       .content_length = 38 + (i & 1),
                                       .date = cla_http_date_line(&date, now_ns)};

        buf.n = 0;
        CLA_PRE(cla_http_write_reply(&buf, &reply) == 0);
        sink += buf.n;
    }
    cla_buf_fini(&buf);
}

static void measure(const char *name, void run(size_t rounds), size_t rounds)
{
    double best = 1e30;

    for (int i = 0; i < 7; i++) {
        uint64_t start = cla_clock_monotonic_ns();
        double ns;

        run(rounds);
        ns = (double)(cla_clock_monotonic_ns() - start) / (double)rounds;
        best = ns < best ? ns : best;
    }
    printf("%-28s %7.1f ns\n", name, best);
}

int main(int argc, char **argv)
{
    size_t rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 200000;

    printf("head %zu bytes, body %zu bytes\n", sizeof(HEAD) - 1, sizeof(BODY) - 1);
    measure("gate", run_gate, rounds);
    measure("parser (gate, llhttp, rules)", run_parser, rounds);
    measure("reply head", run_reply, rounds);
    return sink == 0;
}
