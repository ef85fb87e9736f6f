/* Each allocation of a WebSocket and its texts, or of one that on_connect judges and a handler
 * reads, fails in turn: the client gets whole frames, and either an answer to each call and message
 * or a closed connection; nothing leaks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/socket_in.h"
#include "mem_fault.h"
#include "socket_fixture.h"

static struct gate gate;

static const char *const texts[] = {
    SOCKET_CALL("hold", "1"),
    "[" SOCKET_CALL("echo", "2") "," SOCKET_CALL("nope", "3") "]",
    SOCKET_CALL("hold", "1"), /* refused: its id is live */
    SOCKET_CANCEL("1"),
};

/* Plain sends, for the connection may be gone by now; what is sent is made beforehand. */
static void converse(struct client *c, const struct cla_buf *frames)
{
    static const char upgrade[] =
        SOCKET_UPGRADE "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n";

    if (send(c->fd, upgrade, sizeof upgrade - 1, MSG_NOSIGNAL) < 0)
        return;
    gate_turns(&gate);
    for (size_t i = 0; i < CLA_ARRAY_LEN(texts); i++) {
        size_t half = frames[i].n / 2;

        if (send(c->fd, frames[i].p, half, MSG_NOSIGNAL) < 0)
            return;
        gate_turns(&gate);
        if (send(c->fd, frames[i].p + half, frames[i].n - half, MSG_NOSIGNAL) < 0)
            return;
        gate_turns(&gate);
    }
}

/* Returns how many texts came; the last frame may be a close. */
static unsigned take_all(struct client *c)
{
    struct socket_frame frame;
    unsigned n = 0;

    if (client_take(c, true).status != 101)
        return 0;
    while ((frame = socket_take(c)).opcode == CLA_WS_TEXT)
        n++;
    assert_true(frame.opcode == 0 || frame.opcode == CLA_WS_CLOSE);
    return n;
}

/* Returns false once no allocation was left to fail. */
static bool run(long n, const struct cla_buf *frames)
{
    struct client c;
    unsigned answers;
    bool failed;

    gate_init(&gate);
    gate_open_worker(&gate);
    mem_fault_after(n);
    client_open(&c, &gate);
    converse(&c, frames);
    failed = mem_fault.failed;
    mem_fault_off();
    answers = take_all(&c);
    if (answers != 3)
        assert_true(failed && c.ended);
    client_close(&c);
    gate_fini(&gate);
    return failed;
}

static void every_call_is_answered_or_the_socket_closed_whichever_allocation_fails(void **state)
{
    struct cla_buf frames[CLA_ARRAY_LEN(texts)] = {{0}};
    long n = 0, live;

    for (size_t i = 0; i < CLA_ARRAY_LEN(texts); i++)
        socket_frame(&frames[i], CLA_WS_TEXT, texts[i], strlen(texts[i]));
    live = mem_fault.live;
    while (run(n, frames)) {
        assert_int_equal(mem_fault.live, live);
        assert_in_range(++n, 1, 200);
    }
    assert_in_range(n, 10, 200);
    for (size_t i = 0; i < CLA_ARRAY_LEN(texts); i++)
        cla_buf_fini(&frames[i]);
    assert_int_equal(mem_fault.live, 0);
}

/* --- A handler. --- */

#define MESSAGES 12 /* more than pipeline_bytes has room for */
#define CHUNK 300   /* bytes of a message */

static const char feed_upgrade[] =
    "GET /feed HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

static bool echo(struct cla_socket *socket)
{
    struct cla_socket_message *message = cla_socket_in_take(socket);

    if (message == NULL)
        return false;
    (void)cla_socket_send(socket, message->kind, cla_slice(message->bytes, message->n));
    cla_mem_free(message);
    return true;
}

/* on_connect keeps something with the socket and admits it; the handler echoes, slower than
 * messages come, to the close frame. */
static void serve(struct client *c, const struct cla_buf *frames)
{
    struct cla_socket *socket;

    if (send(c->fd, feed_upgrade, sizeof feed_upgrade - 1, MSG_NOSIGNAL) < 0)
        return;
    gate_turns(&gate);
    socket = gate.app.asked;
    if (socket == NULL)
        return;
    (void)cla_socket_data_set(&socket->data, CLA_LIT("name"), CLA_LIT("value"));
    cla_socket_admit(socket);
    gate_turns(&gate);
    if (send(c->fd, frames->p, frames->n, MSG_NOSIGNAL) > 0)
        gate_turns(&gate);
    while (echo(socket))
        gate_turns(&gate);
    cla_socket_all_read(socket);
    gate_turns(&gate);
    cla_socket_job_over(socket, &gate.app.base);
}

static unsigned take_echoes(struct client *c)
{
    struct socket_frame frame;
    unsigned n = 0;

    if (client_take(c, true).status != 101)
        return 0;
    while ((frame = socket_take(c)).opcode == CLA_WS_TEXT) {
        assert_int_equal(frame.n, CHUNK);
        n++;
    }
    assert_true(frame.opcode == 0 || frame.opcode == CLA_WS_CLOSE);
    return n;
}

static bool run_handler(long n, const struct cla_buf *frames)
{
    struct client c;
    bool failed;

    gate_init(&gate);
    gate_set(&gate, "pipeline_bytes", "1KiB");
    gate_open_worker(&gate);
    gate.app.asks = true;
    mem_fault_after(n);
    client_open(&c, &gate);
    serve(&c, frames);
    failed = mem_fault.failed;
    mem_fault_off();
    if (take_echoes(&c) != MESSAGES)
        assert_true(failed && c.ended);
    client_close(&c);
    gate_fini(&gate);
    return failed;
}

static void every_message_is_echoed_or_the_socket_closed_whichever_allocation_fails(void **state)
{
    static const char text[CHUNK];
    struct cla_buf frames = {0};
    long n = 0, live;

    for (int i = 0; i < MESSAGES; i++)
        socket_frame(&frames, CLA_WS_TEXT, text, sizeof text);
    socket_frame(&frames, CLA_WS_CLOSE, "\x03\xe8", 2);
    live = mem_fault.live;
    while (run_handler(n, &frames)) {
        assert_int_equal(mem_fault.live, live);
        assert_in_range(++n, 1, 200);
    }
    assert_in_range(n, 20, 200);
    cla_buf_fini(&frames);
    assert_int_equal(mem_fault.live, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_is_echoed_or_the_socket_closed_whichever_allocation_fails),
        cmocka_unit_test(every_call_is_answered_or_the_socket_closed_whichever_allocation_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
