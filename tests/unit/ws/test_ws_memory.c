/* Each allocation of the layer fails in turn: a clean refusal, nothing leaks, and the two halves of
 * a connection still understand each other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"
#include "mem_fault.h"
#include "ws/conn.h"
#include "ws/handshake.h"

static void no_random(void *to, size_t n)
{
    memset(to, 1, n);
}

static const struct cla_ws_settings settings = {
    .message_bytes = 100000,
    .fragments = 10,
    .deflate = {.on = true,
                .window_bits = 10,
                .peer_window_bits = 10,
                .mem_level = 2,
                .level = 6,
                .threshold_bytes = 100},
    .random = no_random,
};

static const struct cla_ws_agreed agreed = {
    .deflate = true, .server_window_bits = 10, .client_window_bits = 10};

struct seen {
    unsigned messages, controls;
    size_t bytes;
};

static void on_message(void *arg, enum cla_ws_kind kind, struct cla_slice message)
{
    struct seen *seen = arg;

    seen->messages++;
    seen->bytes += message.n;
}

static void on_control(void *arg, struct cla_slice payload)
{
    ((struct seen *)arg)->controls++;
}

static void on_close(void *arg, unsigned code, struct cla_slice reason)
{
    ((struct seen *)arg)->controls++;
}

static const struct cla_ws_events events = {on_message, on_control, on_control, on_close};

#define MESSAGES 5
#define SHORT 2 /* the message that is not compressed */
#define NOISE 3 /* the one that grows when it is: its buffer must, too, meanwhile */
static char text[4090];

/* Text, in part like the one before. */
static struct cla_slice message_of(unsigned i)
{
    uint32_t noise = 1;

    for (size_t k = 0; k < sizeof text; k++) {
        noise = noise * 1664525 + 1013904223;
        text[k] = (char)(i == NOISE ? noise >> 24 : 'a' + (k * (i + 3) + k / 7) % 23);
    }
    return cla_slice(text, i == SHORT ? 50 : sizeof text - (i == NOISE ? 4 : 1000));
}

/* Frames with everything in them that makes a reader take memory. */
static void write_input(struct cla_ws_conn *client, struct cla_buf *to)
{
    static const unsigned char key[4] = {1, 2, 3, 4};

    for (unsigned i = 0; i < MESSAGES; i++)
        assert_int_equal(cla_ws_conn_send(client, to, CLA_WS_KIND_BINARY, message_of(i)), 0);
    assert_int_equal(cla_ws_conn_ping(client, to, CLA_LIT("a ping that comes in pieces")), 0);
    assert_int_equal(cla_ws_frame_add(to, 0x01, CLA_LIT("one "), key), 0);
    assert_int_equal(cla_ws_conn_ping(client, to, message_of(SHORT)), 0);
    assert_int_equal(cla_ws_frame_add(to, 0x80, CLA_LIT("message"), key), 0);
    assert_int_equal(cla_ws_conn_close(client, to, 1000, CLA_LIT("done")), 0);
}

static void reader_survives_each_allocation_failing(void **state)
{
    struct cla_ws_conn client;
    struct cla_buf input = {0};
    long n = 0, live, failures = 0;

    cla_ws_conn_init(&client, true, &settings, &agreed, &events, NULL);
    write_input(&client, &input);
    cla_ws_conn_fini(&client);
    live = mem_fault.live;
    do {
        enum cla_ws_result result = CLA_WS_MORE;
        struct cla_ws_conn server;
        struct seen seen = {0};
        size_t taken;

        mem_fault_after(n);
        cla_ws_conn_init(&server, false, &settings, &agreed, &events, &seen);
        for (size_t i = 0; i < input.n && result == CLA_WS_MORE; i++) {
            char c = input.p[i];

            result = cla_ws_conn_feed(&server, &c, 1, &taken);
        }
        mem_fault_off();
        if (result == CLA_WS_FAILED)
            assert_int_equal(server.code, CLA_WS_INTERNAL);
        else
            assert_true(seen.messages == MESSAGES + 1 && seen.controls == 3);
        assert_true(mem_fault.failed || result == CLA_WS_PEER_CLOSED);
        failures += result == CLA_WS_FAILED;
        cla_ws_conn_fini(&server);
        assert_int_equal(mem_fault.live, live);
    } while (mem_fault.failed && n++ < 200);
    assert_in_range(failures, 20, 100);
    assert_in_range(n - failures, 1, MESSAGES); /* only to let a stream rest is memory not needed */
    cla_buf_fini(&input);
}

/* A struct and a window; zlib's state only if the window is so large that copying it is dear. */
static void reader_keeps_a_small_window_and_no_stream_between_messages(void **state)
{
    static const struct {
        unsigned char bits;
        long blocks;
    } cases[] = {{10, 2}, {15, 3}};

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        const struct cla_ws_agreed wide = {.deflate = true,
                                           .server_window_bits = cases[i].bits,
                                           .client_window_bits = cases[i].bits};
        struct cla_ws_conn client, server;
        struct cla_buf sent = {0};
        struct seen seen = {0};
        size_t taken;

        cla_ws_conn_init(&client, true, &settings, &wide, &events, NULL);
        for (unsigned k = 0; k < MESSAGES; k++)
            assert_int_equal(cla_ws_conn_send(&client, &sent, CLA_WS_KIND_BINARY, message_of(k)),
                             0);
        cla_ws_conn_fini(&client);
        cla_ws_conn_init(&server, false, &settings, &wide, &events, &seen);
        assert_int_equal(cla_ws_conn_feed(&server, sent.p, sent.n, &taken), CLA_WS_MORE);
        assert_int_equal(seen.messages, MESSAGES);
        cla_buf_fini(&sent);
        assert_int_equal(mem_fault.live, cases[i].blocks);
        cla_ws_conn_fini(&server);
        assert_int_equal(mem_fault.live, 0);
    }
}

/* Sends until it works; each message on a buffer of its own, so that each must grow. */
static void send_all(struct cla_ws_conn *from, struct cla_buf sent[MESSAGES])
{
    for (unsigned i = 0; i < MESSAGES; i++) {
        struct cla_slice message = message_of(i);
        int rc = cla_ws_conn_send(from, &sent[i], CLA_WS_KIND_BINARY, message);

        if (rc != 0) {
            assert_int_equal(rc, -CLA_ENOMEM);
            assert_int_equal(sent[i].n, 0);
            assert_int_equal(cla_ws_conn_send(from, &sent[i], CLA_WS_KIND_BINARY, message), 0);
        }
    }
}

static void receive_all(struct cla_ws_conn *to, struct cla_buf sent[MESSAGES])
{
    for (unsigned i = 0; i < MESSAGES; i++) {
        size_t taken;

        assert_int_equal(cla_ws_conn_feed(to, sent[i].p, sent[i].n, &taken), CLA_WS_MORE);
        cla_buf_fini(&sent[i]);
    }
}

static size_t bytes_of_all(void)
{
    size_t n = 0;

    for (unsigned i = 0; i < MESSAGES; i++)
        n += message_of(i).n;
    return n;
}

/* Where compressing fails the message goes as it is, and the window of the peer is not in doubt. */
static void writer_survives_each_allocation_failing(void **state)
{
    long n = 0;

    do {
        struct cla_ws_conn client, server;
        struct cla_buf sent[MESSAGES] = {0};
        struct seen seen = {0};

        cla_ws_conn_init(&client, true, &settings, &agreed, &events, NULL);
        cla_ws_conn_init(&server, false, &settings, &agreed, &events, &seen);
        mem_fault_after(n);
        send_all(&client, sent);
        mem_fault_off();
        receive_all(&server, sent);
        assert_true(seen.messages == MESSAGES && seen.bytes == bytes_of_all());
        cla_ws_conn_fini(&client);
        cla_ws_conn_fini(&server);
        assert_int_equal(mem_fault.live, 0);
    } while (mem_fault.failed && n++ < 200);
    assert_in_range(n, 10, 100);
}

static void frame_that_cannot_grow_is_gone(void **state)
{
    const size_t full = (size_t)1 << 17; /* a power of two, as its buffer is */
    struct cla_buf buf = {0};
    size_t mark;

    assert_int_equal(cla_ws_frame_begin(&buf, false, &mark), 0);
    assert_int_equal(cla_buf_reserve(&buf, full - buf.n), 0);
    memset(buf.p + buf.n, 'x', full - buf.n);
    buf.n = full;
    assert_int_equal(buf.cap, full);
    mem_fault_after(0);
    assert_int_equal(cla_ws_frame_end(&buf, mark, 0x82, NULL), -CLA_ENOMEM);
    assert_int_equal(buf.n, mark);
    buf.n = full;
    assert_int_equal(cla_ws_frame_end(&buf, mark, 0x82, NULL), 0);
    assert_int_equal(buf.n, full + 6);
    cla_buf_fini(&buf);
    assert_int_equal(mem_fault.live, 0);
}

typedef int write_fn(struct cla_ws_conn *conn, struct cla_buf *buf);

static int write_ping(struct cla_ws_conn *conn, struct cla_buf *buf)
{
    return cla_ws_conn_ping(conn, buf, CLA_LIT("p"));
}

static int write_pong(struct cla_ws_conn *conn, struct cla_buf *buf)
{
    return cla_ws_conn_pong(conn, buf, CLA_LIT("p"));
}

static int write_close(struct cla_ws_conn *conn, struct cla_buf *buf)
{
    return cla_ws_conn_close(conn, buf, 1000, CLA_LIT("p"));
}

static int write_begin(struct cla_ws_conn *conn, struct cla_buf *buf)
{
    size_t mark;

    return cla_ws_conn_begin(conn, buf, &mark);
}

static const struct cla_slice protocol = CLA_LIT("chat");

static int write_request(struct cla_ws_conn *conn, struct cla_buf *buf)
{
    const struct cla_ws_offer offer = {
        .protocols = &protocol, .protocol_count = 1, .deflate = settings.deflate};

    return cla_ws_handshake_request(buf, "dGhlIHNhbXBsZSBub25jZQ==", &offer);
}

static int write_answer(struct cla_ws_conn *conn, struct cla_buf *buf)
{
    const struct cla_ws_accept accept = {
        .accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo", .protocol = protocol, .agreed = agreed};

    return cla_ws_handshake_answer(buf, &accept);
}

static void writers_append_nothing_without_memory(void **state)
{
    static write_fn *const writers[] = {write_ping,  write_pong,    write_close,
                                        write_begin, write_request, write_answer};

    for (size_t i = 0; i < CLA_ARRAY_LEN(writers); i++) {
        long n = 0;

        do {
            struct cla_ws_conn conn;
            struct cla_buf buf = {0};
            int rc;

            cla_ws_conn_init(&conn, false, &settings, &agreed, &events, NULL);
            mem_fault_after(n);
            rc = writers[i](&conn, &buf);
            mem_fault_off();
            assert_int_equal(rc, mem_fault.failed ? -CLA_ENOMEM : 0);
            assert_int_equal(buf.n == 0, mem_fault.failed);
            if (mem_fault.failed)
                assert_int_equal(writers[i](&conn, &buf), 0);
            cla_buf_fini(&buf);
            cla_ws_conn_fini(&conn);
            assert_int_equal(mem_fault.live, 0);
        } while (mem_fault.failed && n++ < 20);
        assert_in_range(n, 1, 10);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reader_survives_each_allocation_failing),
        cmocka_unit_test(reader_keeps_a_small_window_and_no_stream_between_messages),
        cmocka_unit_test(writer_survives_each_allocation_failing),
        cmocka_unit_test(frame_that_cannot_grow_is_gone),
        cmocka_unit_test(writers_append_nothing_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
