/* WebSockets of handlers, on_connect, and turns to write, with an app that is C. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "gateway/socket_in.h"
#include "socket_gate.h"

#define FEED                                                                                     \
    "GET /feed?x=1 HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"

static void ask(void)
{
    gate_open_worker(&gate);
    client_open(&c, &gate);
    client_send(&c, FEED);
}

static struct cla_socket *open_feed(void)
{
    ask();
    assert_int_equal(client_take(&c, false).status, 101);
    return gate.app.opened;
}

/* Takes the next message; it must be this. */
static void require_message(struct cla_socket *socket, const char *text)
{
    struct cla_socket_message *message = cla_socket_in_take(socket);

    assert_non_null(message);
    assert_true(cla_slice_eq(cla_slice(message->bytes, message->n), cla_slice_str(text)));
    cla_mem_free(message);
}

static void messages_wait_for_the_handler(void **state)
{
    struct cla_socket *socket = open_feed();

    socket_send(&c, "one");
    socket_send(&c, "two");
    assert_int_equal(gate.app.readable, 2);
    require_message(socket, "one");
    require_message(socket, "two");
    assert_null(cla_socket_in_take(socket));
}

static void a_full_inbox_stops_the_reading_until_there_is_room(void **state)
{
    char text[101] = {0};
    struct cla_socket *socket;
    unsigned taken = 0;

    memset(text, 'x', 100);
    gate_set(&gate, "pipeline_bytes", "1KiB");
    socket = open_feed();
    for (int i = 0; i < 50; i++)
        socket_send(&c, text);
    assert_true(socket->inbox->full);
    assert_true(gate.app.readable < 12);
    assert_false(gate_conn(&gate)->stream.reading);
    while (cla_socket_in_any(socket)) {
        require_message(socket, text);
        taken++;
        gate_turns(&gate);
    }
    assert_int_equal(taken, 50);
    assert_true(gate_conn(&gate)->stream.reading);
}

static void a_full_inbox_is_no_silence(void **state)
{
    char text[901] = {0};

    memset(text, 'x', 900);
    gate_set(&gate, "pipeline_bytes", "1KiB");
    (void)open_feed();
    socket_send(&c, text);
    socket_send(&c, text);
    for (int i = 0; i < 20; i++)
        gate_pass(&gate, 20000);
    assert_int_equal(gate.app.overs, 0);
    assert_int_equal(gate.worker.conn_count, 1);
}

static void a_lost_connection_drops_what_was_not_read(void **state)
{
    struct cla_socket *socket = cla_socket_hold(open_feed());

    socket_send(&c, "unread");
    client_close(&c);
    assert_int_equal(gate.app.over_code, CLA_WS_ABNORMAL);
    assert_int_equal(gate.app.over_kind, CLA_CANCEL_DISCONNECT);
    assert_false(gate.app.over_clean);
    assert_false(cla_socket_in_any(socket));
    cla_socket_release(socket);
}

static void a_close_frame_is_answered_when_what_came_before_is_read(void **state)
{
    struct cla_socket *socket = cla_socket_hold(open_feed());

    socket_send(&c, "unread");
    socket_send_frame(&c, CLA_WS_CLOSE, "\x0f\xa1thanks", 8);
    client_require_nothing(&c);
    assert_int_equal(gate.app.overs, 0);
    require_message(socket, "unread");
    assert_int_equal(cla_socket_send(socket, CLA_WS_KIND_TEXT, CLA_LIT("echo")), 0);
    cla_socket_all_read(socket);
    socket_require(&c, "echo");
    socket_require_close(&c, 4001);
    assert_int_equal(gate.app.over_code, 4001);
    assert_true(cla_slice_eq(cla_reason_message(&socket->cause), CLA_LIT("thanks")));
    cla_socket_release(socket);
}

static void a_broken_frame_counts_when_what_came_before_is_read(void **state)
{
    struct cla_socket *socket = open_feed();

    socket_send(&c, "unread");
    socket_send_frame(&c, 5, "x", 1);
    client_require_nothing(&c);
    require_message(socket, "unread");
    cla_socket_all_read(socket);
    socket_require_close(&c, CLA_WS_PROTOCOL);
    assert_int_equal(gate.app.over_kind, CLA_CANCEL_DISCONNECT);
}

static void a_close_frame_leaves_call_timeout_to_read_what_came_before(void **state)
{
    struct cla_socket *socket = cla_socket_hold(open_feed());

    socket_send(&c, "unread");
    socket_send_frame(&c, CLA_WS_CLOSE, "\x0f\xa1thanks", 8);
    gate_pass(&gate, 29000);
    assert_true(cla_socket_in_any(socket));
    assert_int_equal(gate.app.stops, 0);
    gate_pass(&gate, 2000);
    assert_false(cla_socket_in_any(socket));
    assert_int_equal(gate.app.stops, 1);
    assert_int_equal(gate.app.over_code, 4001);
    cla_socket_release(socket);
}

static void a_connection_lost_behind_a_close_frame_leaves_what_came_to_read(void **state)
{
    struct cla_socket *socket = cla_socket_hold(open_feed());

    socket_send(&c, "unread");
    socket_send_frame(&c, CLA_WS_CLOSE, "\x0f\xa1thanks", 8);
    client_close(&c);
    assert_int_equal(gate.app.over_code, 4001);
    assert_true(gate.app.over_clean);
    require_message(socket, "unread");
    cla_socket_release(socket);
}

static void limits_of_the_route_count(void **state)
{
    char text[1002] = {0};
    struct cla_socket *socket = open_feed();

    memset(text, 'x', 1000);
    socket_send(&c, text);
    require_message(socket, text);
    text[1000] = 'x';
    socket_send(&c, text);
    socket_require_close(&c, CLA_WS_TOO_BIG);
}

/* --- on_connect. --- */

static void nothing_is_answered_before_the_app_admits(void **state)
{
    struct cla_buf early = {0};

    gate.app.asks = true;
    ask();
    socket_frame(&early, CLA_WS_TEXT, "early", 5);
    client_send_bytes(&c, early.p, early.n);
    cla_buf_fini(&early);
    client_require_nothing(&c);
    assert_true(cla_slice_eq(gate.app.asked->path, CLA_LIT("/feed")));
    cla_socket_admit(gate.app.asked);
    cla_socket_job_over(gate.app.asked, &gate.app.base);
    assert_int_equal(client_take(&c, false).status, 101);
    require_message(gate.app.opened, "early");
}

static void the_app_may_refuse(void **state)
{
    gate.app.asks = true;
    ask();
    cla_socket_refuse(gate.app.asked, 401, "who?");
    cla_socket_refuse(gate.app.asked, 403, "again");
    cla_socket_admit(gate.app.asked);
    cla_socket_job_over(gate.app.asked, &gate.app.base);
    client_require(&c, 401, "who?");
    client_require_end(&c);
    assert_int_equal(gate.app.overs, 0);
}

static void a_client_that_leaves_stops_on_connect(void **state)
{
    gate.app.asks = true;
    ask();
    shutdown(c.fd, SHUT_WR);
    gate_turns(&gate);
    assert_int_equal(gate.app.stops, 1);
    assert_int_equal(gate.app.kind, CLA_CANCEL_DISCONNECT);
    cla_socket_admit(gate.app.asked); /* too late */
    cla_socket_job_over(gate.app.asked, &gate.app.base);
    assert_int_equal(gate.worker.conn_count, 0);
    assert_null(gate.app.opened);
}

static void a_draining_worker_admits_nobody(void **state)
{
    gate.app.asks = true;
    ask();
    gate_post(&gate, CLA_MESSAGE_DRAIN);
    cla_socket_admit(gate.app.asked);
    cla_socket_job_over(gate.app.asked, &gate.app.base);
    client_require(&c, 503, "the server is shutting down");
}

static void a_worker_ends_only_when_jobs_are_over(void **state)
{
    struct cla_socket *socket = open_feed();

    cla_socket_job_begins(socket, &gate.app.base);
    gate_post(&gate, CLA_MESSAGE_DRAIN);
    client_close(&c);
    gate_turns(&gate);
    assert_int_equal(gate.worker.conn_count, 0);
    assert_false(gate.loop.stopped);
    cla_socket_job_over(socket, &gate.app.base);
    gate_turns(&gate);
    assert_true(gate.loop.stopped);
}

/* --- Turns to write. --- */

struct writer {
    struct cla_writer base;
    unsigned calls;
};

static void on_room(struct cla_writer *base)
{
    CLA_CONTAINER(base, struct writer, base)->calls++;
}

/* Sends until there is no room. */
static void fill(struct cla_socket *socket)
{
    static const char text[512];

    client_narrow(&c);
    for (int i = 0; i < 1000 && cla_socket_has_room(socket); i++) {
        assert_int_equal(cla_socket_send(socket, CLA_WS_KIND_TEXT, cla_slice(text, sizeof text)),
                         0);
        gate_turns(&gate);
    }
    assert_false(cla_socket_has_room(socket));
}

static void drain(void)
{
    for (int i = 0; i < 100; i++) {
        client_drain(&c);
        gate_turns(&gate);
    }
}

static void writers_get_their_turns_in_order(void **state)
{
    struct writer w[3] = {
        {.base.on_room = on_room}, {.base.on_room = on_room}, {.base.on_room = on_room}};
    struct cla_socket *socket;

    gate_set(&gate, "out_bytes", "1KiB");
    socket = open_feed();
    fill(socket);
    for (int i = 0; i < 3; i++)
        assert_false(cla_writers_take_turn(&socket->writers, &w[i].base));
    drain();
    assert_int_equal(w[0].calls, 1);
    assert_int_equal(w[1].calls, 0);
    assert_false(cla_writers_may_write(&socket->writers)); /* who comes now is behind those */
    assert_true(cla_writers_take_turn(&socket->writers, &w[0].base));
    assert_int_equal(cla_socket_send(socket, CLA_WS_KIND_TEXT, CLA_LIT("x")), 0);
    assert_int_equal(w[1].calls, 1);
    cla_list_remove(&w[2].base.link);   /* its wait is cancelled */
    cla_writers_pass(&socket->writers); /* and the other, whose turn it is, wants it no more */
    assert_int_equal(w[2].calls, 0);
    assert_true(cla_writers_may_write(&socket->writers));
}

static void a_writer_whose_room_was_taken_stays_first(void **state)
{
    struct writer w[2] = {{.base.on_room = on_room}, {.base.on_room = on_room}};
    struct cla_socket *socket;

    gate_set(&gate, "out_bytes", "1KiB");
    socket = open_feed();
    fill(socket);
    assert_false(cla_writers_take_turn(&socket->writers, &w[0].base));
    assert_false(cla_writers_take_turn(&socket->writers, &w[1].base));
    drain();
    fill(socket);
    assert_false(cla_writers_take_turn(&socket->writers, &w[0].base));
    drain();
    assert_int_equal(w[0].calls, 2);
    cla_list_remove(&w[1].base.link);
}

static void the_end_of_the_socket_wakes_all_writers(void **state)
{
    struct writer w[2] = {{.base.on_room = on_room}, {.base.on_room = on_room}};
    struct cla_socket *socket;

    gate_set(&gate, "out_bytes", "1KiB");
    socket = cla_socket_hold(open_feed());
    fill(socket);
    assert_false(cla_writers_take_turn(&socket->writers, &w[0].base));
    assert_false(cla_writers_take_turn(&socket->writers, &w[1].base));
    client_close(&c);
    assert_int_equal(w[0].calls + w[1].calls, 2);
    assert_true(cla_writers_take_turn(&socket->writers, &w[0].base));
    assert_int_equal(cla_socket_send(socket, CLA_WS_KIND_TEXT, CLA_LIT("x")), -CLA_ECLOSED);
    cla_socket_release(socket);
}

static void who_takes_nothing_for_write_timeout_is_closed_with_1013(void **state)
{
    struct cla_socket *socket;

    gate_set(&gate, "out_bytes", "1KiB");
    socket = open_feed();
    fill(socket);
    gate_pass(&gate, 29000);
    assert_int_equal(gate.app.overs, 0);
    gate_pass(&gate, 2000);
    assert_int_equal(gate.app.over_code, CLA_WS_TRY_LATER);
    assert_int_equal(gate.app.over_kind, CLA_CANCEL_SLOW_CONSUMER);
    gate_pass(&gate, 31000);
    gate_turns(&gate);
    assert_int_equal(gate.worker.conn_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(messages_wait_for_the_handler),
        TEST(a_full_inbox_stops_the_reading_until_there_is_room),
        TEST(a_full_inbox_is_no_silence),
        TEST(a_lost_connection_drops_what_was_not_read),
        TEST(a_close_frame_is_answered_when_what_came_before_is_read),
        TEST(a_broken_frame_counts_when_what_came_before_is_read),
        TEST(a_close_frame_leaves_call_timeout_to_read_what_came_before),
        TEST(a_connection_lost_behind_a_close_frame_leaves_what_came_to_read),
        TEST(limits_of_the_route_count),
        TEST(nothing_is_answered_before_the_app_admits),
        TEST(the_app_may_refuse),
        TEST(a_client_that_leaves_stops_on_connect),
        TEST(a_draining_worker_admits_nobody),
        TEST(a_worker_ends_only_when_jobs_are_over),
        TEST(writers_get_their_turns_in_order),
        TEST(a_writer_whose_room_was_taken_stays_first),
        TEST(the_end_of_the_socket_wakes_all_writers),
        TEST(who_takes_nothing_for_write_timeout_is_closed_with_1013),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
