/* How long the WebSocket layer takes: a small masked text in, the same out, masks, UTF-8, and
 * permessage-deflate; and what a connection holds.
 * Usage: bench_ws [rounds]. Prints the best of seven runs. */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "ws/conn.h"
#include "ws/mask.h"

#define TEXT "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"add\",\"params\":{\"a\":2,\"b\":4}}"
#define FRAMES 64
#define BULK ((size_t)1 << 16)

static const struct cla_slice message = CLA_LIT(TEXT);
static const unsigned char key[4] = {0x37, 0xfa, 0x21, 0x3d};
static size_t sink; /* keeps the work from being optimised away */

static void on_message(void *arg, enum cla_ws_kind kind, struct cla_slice text)
{
    sink += text.n;
}

static void on_control(void *arg, struct cla_slice payload)
{
}

static void on_close(void *arg, unsigned code, struct cla_slice reason)
{
}

static void fill_random(void *to, size_t n)
{
    memcpy(to, key, n);
}

static const struct cla_ws_events events = {on_message, on_control, on_control, on_close};
static const struct cla_ws_settings settings = {.message_bytes = 1 << 20,
                                                .fragments = 1000,
                                                .deflate = CLA_WS_DEFLATE_DEFAULTS,
                                                .random = fill_random};

static void init(struct cla_ws_conn *conn, bool client, bool deflate)
{
    const struct cla_ws_agreed agreed = {
        .deflate = deflate, .server_window_bits = 10, .client_window_bits = 10};

    cla_ws_conn_init(conn, client, &settings, &agreed, &events, NULL);
}

/* Frames are fed over and over: unmasking a second time masks again, so a copy is fed. */
static void run_in(size_t rounds)
{
    struct cla_ws_conn conn;
    struct cla_buf frames = {0};
    char copy[FRAMES * 80];
    size_t taken;

    init(&conn, false, false);
    for (size_t i = 0; i < FRAMES; i++)
        CLA_PRE(cla_ws_frame_add(&frames, 0x81, message, key) == 0);
    for (size_t i = 0; i < rounds; i += FRAMES) {
        memcpy(copy, frames.p, frames.n);
        CLA_PRE(cla_ws_conn_feed(&conn, copy, frames.n, &taken) == CLA_WS_MORE);
    }
    cla_buf_fini(&frames);
    cla_ws_conn_fini(&conn);
}

static void run_out(size_t rounds)
{
    struct cla_ws_conn conn;
    struct cla_buf out = {0};

    init(&conn, false, false);
    for (size_t i = 0; i < rounds; i++) {
        out.n = i % FRAMES == 0 ? 0 : out.n;
        CLA_PRE(cla_ws_conn_send(&conn, &out, CLA_WS_KIND_TEXT, message) == 0);
    }
    sink += out.n;
    cla_buf_fini(&out);
    cla_ws_conn_fini(&conn);
}

static void run_in_place(size_t rounds)
{
    struct cla_ws_conn conn;
    struct cla_buf out = {0};
    size_t mark;

    init(&conn, false, false);
    for (size_t i = 0; i < rounds; i++) {
        out.n = i % FRAMES == 0 ? 0 : out.n;
        CLA_PRE(cla_ws_conn_begin(&conn, &out, &mark) == 0);
        CLA_PRE(cla_buf_add(&out, message) == 0);
        CLA_PRE(cla_ws_conn_end(&conn, &out, mark, CLA_WS_KIND_TEXT) == 0);
    }
    sink += out.n;
    cla_buf_fini(&out);
    cla_ws_conn_fini(&conn);
}

static void run_mask(size_t rounds)
{
    static char bytes[BULK];

    for (size_t i = 0; i < rounds; i++) {
        cla_ws_mask(bytes, sizeof bytes, key, i);
        sink += (size_t)bytes[i % BULK];
    }
}

static void run_utf8(size_t rounds, const char *unit)
{
    static char bytes[BULK];
    size_t n = strlen(unit);

    for (size_t i = 0; i + n <= sizeof bytes; i += n)
        memcpy(bytes + i, unit, n);
    for (size_t i = 0; i < rounds; i++) {
        struct cla_ws_utf8 utf8;

        cla_ws_utf8_init(&utf8);
        sink += cla_ws_utf8_feed(&utf8, bytes, sizeof bytes / n * n);
    }
}

static void run_ascii(size_t rounds)
{
    run_utf8(rounds, "plain text");
}

static void run_mixed(size_t rounds)
{
    run_utf8(rounds, "un caf\xc3\xa9 cr\xc3\xa8me s'il vous pla\xc3\xaet ");
}

static void run_greek(size_t rounds)
{
    run_utf8(rounds, "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5 \xf0\x9f\x98\x80");
}

static const char document[] =
    "{\"jsonrpc\":\"2.0\",\"id\":17,\"result\":[{\"name\":\"Ada\",\"born\":1815,\"city\":"
    "\"London\"},"
    "{\"name\":\"Alan\",\"born\":1912,\"city\":\"London\"},{\"name\":\"Grace\",\"born\":1906,"
    "\"city\":\"New York\"},{\"name\":\"Edsger\",\"born\":1930,\"city\":\"Rotterdam\"},{\"name\":"
    "\"Barbara\",\"born\":1939,\"city\":\"Los Angeles\"},{\"name\":\"Roberto\",\"born\":1960,"
    "\"city\":\"Rio de Janeiro\"}]}";

static void run_deflate(size_t rounds)
{
    struct cla_ws_conn from, to;
    struct cla_buf out = {0};
    size_t taken, bytes = 0;

    init(&from, false, true);
    init(&to, true, true);
    for (size_t i = 0; i < rounds; i++) {
        out.n = 0;
        CLA_PRE(cla_ws_conn_send(&from, &out, CLA_WS_KIND_TEXT,
                                 cla_slice(document, sizeof document - 1)) == 0);
        bytes += out.n;
        CLA_PRE(cla_ws_conn_feed(&to, out.p, out.n, &taken) == CLA_WS_MORE);
    }
    sink += bytes;
    cla_buf_fini(&out);
    cla_ws_conn_fini(&from);
    cla_ws_conn_fini(&to);
}

static double best_ns(void run(size_t rounds), size_t rounds)
{
    double best = 1e30;

    for (int i = 0; i < 7; i++) {
        uint64_t start = cla_clock_monotonic_ns();
        double ns;

        run(rounds);
        ns = (double)(cla_clock_monotonic_ns() - start) / (double)rounds;
        best = ns < best ? ns : best;
    }
    return best;
}

static void measure(const char *name, void run(size_t rounds), size_t rounds)
{
    printf("%-36s %8.1f ns\n", name, best_ns(run, rounds));
}

static void measure_bulk(const char *name, void run(size_t rounds))
{
    printf("%-36s %8.1f GB/s\n", name, (double)BULK / best_ns(run, 200));
}

static size_t heap_bytes(void)
{
    return mallinfo2().uordblks;
}

#define SERVERS 200

/* Servers that have both received and sent compressed messages: what one holds between them. */
static void measure_memory(void)
{
    static struct cla_ws_conn servers[SERVERS];
    struct cla_slice text = cla_slice(document, sizeof document - 1);
    size_t taken, received, before = heap_bytes();

    for (size_t i = 0; i < SERVERS; i++) {
        struct cla_ws_conn client;
        struct cla_buf in = {0};

        init(&servers[i], false, true);
        init(&client, true, true);
        for (unsigned k = 0; k < 8; k++)
            CLA_PRE(cla_ws_conn_send(&client, &in, CLA_WS_KIND_TEXT, text) == 0);
        CLA_PRE(cla_ws_conn_feed(&servers[i], in.p, in.n, &taken) == CLA_WS_MORE);
        cla_buf_fini(&in);
        cla_ws_conn_fini(&client);
    }
    received = heap_bytes() - before;
    for (size_t i = 0; i < SERVERS; i++) {
        struct cla_buf out = {0};

        CLA_PRE(cla_ws_conn_send(&servers[i], &out, CLA_WS_KIND_TEXT, text) == 0);
        cla_buf_fini(&out);
    }
    printf("%-36s %8zu bytes\n", "connection", sizeof servers[0]);
    printf("%-36s %8zu bytes\n", "  and after compressed messages in", received / SERVERS);
    printf("%-36s %8zu bytes\n", "  and out", (heap_bytes() - before) / SERVERS);
    for (size_t i = 0; i < SERVERS; i++)
        cla_ws_conn_fini(&servers[i]);
}

int main(int argc, char **argv)
{
    size_t rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 400000;

    printf("text of %zu bytes, document of %zu bytes\n", message.n, sizeof document - 1);
    measure("text in, masked", run_in, rounds / FRAMES * FRAMES);
    measure("text out", run_out, rounds);
    measure("text out, built in place", run_in_place, rounds);
    measure_bulk("unmask", run_mask);
    measure_bulk("UTF-8, ASCII", run_ascii);
    measure_bulk("UTF-8, French", run_mixed);
    measure_bulk("UTF-8, Greek", run_greek);
    measure("document deflated and inflated", run_deflate, rounds / 20 + 1);
    measure_memory();
    return sink == 0;
}
