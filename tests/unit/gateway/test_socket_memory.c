/* Each allocation of a WebSocket and its texts fails in turn: the client gets whole frames, and
 * either an answer to each call or a closed connection; nothing leaks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_call_is_answered_or_the_socket_closed_whichever_allocation_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
