#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "socket_gate.h"

#define ECHOED(id) "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"result\":null}"
#define HELD(id) "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"result\":\"held\"}"

static void texts_are_answered_as_they_end(void **state)
{
    socket_gate_open();
    socket_send(&c, SOCKET_CALL("hold", "1"));
    socket_send(&c, SOCKET_CALL("hold", "2"));
    socket_send(&c, SOCKET_CALL("echo", "3"));
    socket_require(&c, "{\"jsonrpc\":\"2.0\",\"id\":3,\"result\":null}");
    gate_answer(&gate, 1);
    socket_require(&c, HELD("2"));
    gate_answer(&gate, 0);
    socket_require(&c, HELD("1"));
}

static void texts_behind_the_upgrade_request_are_fed(void **state)
{
    struct cla_buf bytes = {0};

    gate_open_worker(&gate);
    client_open(&c, &gate);
    tcp_require(cla_buf_add(&bytes, CLA_LIT(SOCKET_UPGRADE "\r\n")) == 0);
    socket_frame(&bytes, CLA_WS_TEXT, SOCKET_CALL("echo", "1"), strlen(SOCKET_CALL("echo", "1")));
    client_send_bytes(&c, bytes.p, bytes.n);
    cla_buf_fini(&bytes);
    assert_int_equal(client_take(&c, false).status, 101);
    socket_require(&c, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":null}");
}

static void notifications_are_not_answered(void **state)
{
    socket_gate_open();
    socket_send(&c, "{\"jsonrpc\":\"2.0\",\"method\":\"echo\"}");
    socket_send(&c, "{\"jsonrpc\":\"2.0\",\"method\":\"$/anything\"}");
    client_require_nothing(&c);
    assert_int_equal(gate.app.started, 1);
}

static void calls_per_connection_counts_calls_until_they_are_released(void **state)
{
    gate_set(&gate, "calls_per_connection", "1");
    gate.app.slow_cleanup = true;
    socket_gate_open();
    socket_send(&c, SOCKET_CALL("hold", "1"));
    socket_send(&c, SOCKET_CANCEL("1"));
    socket_require_part(&c, "-32800");
    socket_send(&c, SOCKET_CALL("echo", "2"));
    socket_require_part(&c, "calls_per_connection");
    gate.app.slow_cleanup = false;
    gate_turns(&gate);
    socket_send(&c, SOCKET_CALL("echo", "3"));
    socket_require_part(&c, "\"id\":3,\"result\"");
}

static void resets_per_second_admits_as_many_at_once_and_more_after_a_while(void **state)
{
    gate_set(&gate, "resets_per_second", "20");
    socket_gate_open();
    for (int i = 0; i < 20; i++) {
        socket_send(&c, SOCKET_CALL("hold", "1"));
        socket_send(&c, SOCKET_CANCEL("1"));
        socket_require_part(&c, "-32800");
    }
    gate_pass(&gate, 50);
    socket_send(&c, SOCKET_CALL("hold", "1"));
    socket_send(&c, SOCKET_CANCEL("1"));
    socket_require_part(&c, "-32800");
    socket_send(&c, SOCKET_CALL("echo", "2"));
    socket_require_part(&c, "\"result\"");
    gate_pass(&gate, 49);
    socket_send(&c, SOCKET_CALL("hold", "1"));
    socket_send(&c, SOCKET_CANCEL("1"));
    socket_require_part(&c, "-32800");
    socket_require_close(&c, CLA_WS_POLICY);
}

static void more_than_resets_per_second_closes_and_cancels_the_rest(void **state)
{
    gate_set(&gate, "resets_per_second", "2");
    socket_gate_open();
    socket_send(&c, SOCKET_CALL("hold", "0"));
    for (int i = 0; i < 2; i++) {
        socket_send(&c, SOCKET_CALL("hold", "1"));
        socket_send(&c, SOCKET_CANCEL("1"));
        socket_require_part(&c, "-32800");
    }
    socket_send(&c, SOCKET_CANCEL("1")); /* of no live call: does not count */
    socket_send(&c, SOCKET_CALL("echo", "2"));
    socket_require_part(&c, "\"result\"");
    socket_send(&c, SOCKET_CALL("hold", "3"));
    socket_send(&c, SOCKET_CANCEL("3"));
    socket_require_part(&c, "-32800");
    socket_require_close(&c, CLA_WS_POLICY);
    assert_int_equal(gate.app.cancels, 4);
    assert_int_equal(gate.app.kind, CLA_CANCEL_LIMIT);
    assert_int_equal(gate.worker.env.in_flight, 0);
    client_close(&c);
    socket_gate_require_gone();
}

static void message_bytes_admits_just_so_many(void **state)
{
    char text[258] = SOCKET_CALL("echo", "1");

    memset(text + strlen(text), ' ', sizeof text - 1 - strlen(text));
    gate_set(&gate, "message_bytes", "256");
    socket_gate_open();
    socket_send_frame(&c, CLA_WS_TEXT, text, 256);
    socket_require(&c, ECHOED("1"));
    socket_send_frame(&c, CLA_WS_TEXT, text, 257);
    socket_require_close(&c, CLA_WS_TOO_BIG);
}

/* Sends a call in so many frames. */
static void send_in_frames(unsigned n)
{
    static const char text[] = SOCKET_CALL("echo", "1");
    const char first[] = {CLA_WS_TEXT, (char)(0x80 | (sizeof text - 1)), 0, 0, 0, 0};
    struct cla_buf bytes = {0};

    tcp_require(cla_buf_append(&bytes, first, sizeof first) == 0 &&
                cla_buf_append(&bytes, text, sizeof text - 1) == 0);
    for (unsigned i = 2; i < n; i++)
        tcp_require(cla_buf_append(&bytes, "\x00\x80\0\0\0\0", 6) == 0);
    tcp_require(cla_buf_append(&bytes, "\x80\x80\0\0\0\0", 6) == 0);
    client_send_bytes(&c, bytes.p, bytes.n);
    cla_buf_fini(&bytes);
}

static void message_fragments_admits_just_so_many(void **state)
{
    gate_set(&gate, "message_fragments", "3");
    socket_gate_open();
    send_in_frames(3);
    socket_require(&c, ECHOED("1"));
    send_in_frames(4);
    socket_require_close(&c, CLA_WS_POLICY);
}

static void many_texts_at_once_take_turns_with_those_of_others(void **state)
{
    struct cla_buf texts = {0};
    struct client other;

    socket_gate_open();
    socket_upgrade(&other, &gate);
    for (int i = 0; i < 250; i++)
        socket_frame(&texts, CLA_WS_TEXT, SOCKET_CALL("hold", "null"),
                     strlen(SOCKET_CALL("hold", "null")));
    assert_int_equal(write(c.fd, texts.p, texts.n), texts.n);
    cla_buf_fini(&texts);
    uv_run(&gate.loop.uv, UV_RUN_NOWAIT);    /* reads, and does no more of the turn */
    assert_int_equal(gate.app.started, 126); /* 256 KiB, by their bytes and 2 KiB each */
    socket_frame(&texts, CLA_WS_TEXT, SOCKET_CALL("echo", "1"), strlen(SOCKET_CALL("echo", "1")));
    assert_int_equal(write(other.fd, texts.p, texts.n), texts.n);
    cla_buf_fini(&texts);
    uv_run(&gate.loop.uv, UV_RUN_NOWAIT);
    assert_int_equal(gate.app.started, 127);
    gate_turns(&gate);
    assert_int_equal(gate.app.started, 251);
    socket_require_part(&other, "\"id\":1,\"result\"");
    client_close(&other);
}

enum { LOST = 3, EACH = 70 };

/* Opens LOST connections with EACH calls. */
static void open_to_lose(struct client *clients)
{
    socket_gate_open();
    for (int i = 0; i < LOST; i++) {
        socket_upgrade(&clients[i], &gate);
        for (int n = 0; n < EACH; n++)
            socket_send(&clients[i], SOCKET_CALL("hold", "null"));
    }
    gate_turns(&gate);
    assert_int_equal(gate.app.held_n, LOST * EACH);
}

/* Ends them, and has the worker find that, but do no more of its turn. */
static void lose(struct client *clients)
{
    for (int i = 0; i < LOST; i++) {
        client_drain(&clients[i]);
        close(clients[i].fd);
        cla_buf_fini(&clients[i].in);
    }
    uv_run(&gate.loop.uv, UV_RUN_NOWAIT);
}

static void connections_lost_together_are_cancelled_one_after_the_other(void **state)
{
    struct client clients[LOST];

    open_to_lose(clients);
    lose(clients);
    assert_int_equal(gate.app.cancels, EACH);
    for (int n = 2; n <= LOST; n++) {
        assert_true(cla_loop_step(&gate.loop, false)); /* there is more to do */
        assert_int_equal(gate.app.cancels, n * EACH);
    }
    gate_turns(&gate);
    assert_int_equal(gate.worker.conn_count, 1);
    assert_int_equal(gate.worker.env.in_flight, 0);
}

static void what_is_lost_with_others_may_be_answered_and_closed_meanwhile(void **state)
{
    struct client clients[LOST];

    open_to_lose(clients);
    lose(clients);
    for (int i = 0; i < EACH; i++)
        gate_answer(&gate, 0);
    gate_post(&gate, CLA_MESSAGE_STOP);
    gate_turns(&gate);
    assert_int_equal(gate.worker.conn_count, 0);
    assert_int_equal(gate.worker.env.in_flight, 0);
}

static void what_a_burst_of_texts_left_is_given_back_when_it_is_quiet(void **state)
{
    struct cla_buf texts = {0};
    char text[96];

    socket_gate_open();
    cla_blocks_init(&gate.worker.texts, CLA_BLOCKS_SLABS); /* in every build */
    for (int i = 0; i < 200; i++) {
        snprintf(text, sizeof text, "{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":\"hold\"}", i);
        socket_frame(&texts, CLA_WS_TEXT, text, strlen(text));
    }
    client_send_bytes(&c, texts.p, texts.n);
    cla_buf_fini(&texts);
    gate_turns(&gate);
    assert_int_equal(gate.worker.env.in_flight, 200);
    client_close(&c);
    gate_turns(&gate);
    assert_int_equal(gate.worker.env.in_flight, 0);
    assert_false(cla_list_empty(&gate.worker.texts.spans.roomy));
    assert_int_equal(gate.app.trims, 0);
    gate_pass(&gate, 200);
    assert_true(cla_list_empty(&gate.worker.texts.spans.roomy));
    assert_int_equal(gate.app.trims, 3);
    assert_int_equal(gate.worker.parser_count, 1);
}

static void the_peers_close_cancels_and_is_answered(void **state)
{
    socket_gate_open();
    socket_send(&c, SOCKET_CALL("hold", "1"));
    socket_send_frame(&c, CLA_WS_CLOSE, "\x03\xe8", 2);
    assert_int_equal(gate.app.kind, CLA_CANCEL_DISCONNECT);
    socket_require_close(&c, CLA_WS_NORMAL);
    client_require_end(&c);
    client_close(&c);
    socket_gate_require_gone();
}

static void calls_may_clean_up_longer_than_their_socket_lives(void **state)
{
    gate.app.slow_cleanup = true;
    socket_gate_open();
    socket_send(&c, SOCKET_CALL("hold", "1"));
    client_close(&c);
    assert_int_equal(gate.worker.conn_count, 0);
    assert_int_equal(gate.app.over_n, 1);
    assert_int_equal(gate.app.over[0]->request->head.n, strlen(SOCKET_UPGRADE "\r\n"));
    gate.app.slow_cleanup = false;
    socket_gate_require_gone();
}

static void a_broken_frame_closes_with_its_code_and_cancels(void **state)
{
    socket_gate_open();
    socket_send(&c, SOCKET_CALL("hold", "1"));
    client_send_bytes(&c, "\x81\x00", 2); /* not masked */
    socket_require_close(&c, CLA_WS_PROTOCOL);
    assert_int_equal(gate.app.cancels, 1);
    client_require_end(&c);
}

static void nothing_is_read_behind_our_own_close(void **state)
{
    socket_gate_open();
    gate_post(&gate, CLA_MESSAGE_DRAIN);
    socket_require_close(&c, CLA_WS_GOING_AWAY);
    socket_send(&c, SOCKET_CALL("echo", "1"));
    client_require_end(&c);
    assert_int_equal(gate.app.started, 0);
}

static void a_drain_closes_when_the_last_text_is_answered(void **state)
{
    socket_gate_open();
    socket_send(&c, SOCKET_CALL("hold", "1"));
    gate_post(&gate, CLA_MESSAGE_DRAIN);
    client_require_nothing(&c);
    gate_answer(&gate, 0);
    socket_require(&c, HELD("1"));
    socket_require_close(&c, CLA_WS_GOING_AWAY);
    client_require_end(&c);
}

static void silence_is_asked_about_and_more_silence_is_a_disconnect(void **state)
{
    socket_gate_open();
    socket_send(&c, SOCKET_CALL("hold", "1"));
    gate_pass(&gate, 29999);
    client_require_nothing(&c);
    gate_pass(&gate, 1);
    assert_int_equal(socket_take(&c).opcode, CLA_WS_PING);
    gate_pass(&gate, 9999); /* pong_timeout, not ping_interval, though the ping was a write */
    assert_int_equal(gate.app.cancels, 0);
    gate_pass(&gate, 1);
    assert_int_equal(gate.app.kind, CLA_CANCEL_DISCONNECT);
    socket_gate_require_gone();
}

static void a_pong_is_enough_to_stay(void **state)
{
    socket_gate_open();
    for (int i = 0; i < 3; i++) {
        gate_pass(&gate, 30000);
        assert_int_equal(socket_take(&c).opcode, CLA_WS_PING);
        gate_pass(&gate, 9999);
        socket_send_frame(&c, CLA_WS_PONG, "", 0);
    }
    socket_send(&c, SOCKET_CALL("echo", "1"));
    socket_require_part(&c, "\"id\":1");
}

static void writing_to_a_silent_peer_is_no_sign_of_life(void **state)
{
    socket_gate_open();
    socket_send(&c, SOCKET_CALL("hold", "1"));
    gate_pass(&gate, 20000);
    gate_answer(&gate, 0);
    socket_require(&c, HELD("1"));
    gate_pass(&gate, 10000);
    assert_int_equal(socket_take(&c).opcode, CLA_WS_PING);
}

/* Leaves more than out_bytes (1 KiB) unread by the client. */
static void fill_output(void)
{
    char text[3100];

    snprintf(text, sizeof text,
             "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"echo\",\"params\":[\"%2900s\"]}", "x");
    for (int i = 0; i < 200 && gate_conn(&gate)->stream.queued <= 1024; i++) {
        struct cla_buf frame = {0};

        socket_frame(&frame, CLA_WS_TEXT, text, strlen(text));
        tcp_require(send(c.fd, frame.p, frame.n, MSG_NOSIGNAL) == (ssize_t)frame.n);
        gate_turns(&gate);
        cla_buf_fini(&frame);
    }
    assert_true(gate_conn(&gate)->stream.queued > 1024);
}

/* Sends a text without reading what comes back. */
static void send_blindly(const char *text)
{
    struct cla_buf frame = {0};

    socket_frame(&frame, CLA_WS_TEXT, text, strlen(text));
    tcp_require(send(c.fd, frame.p, frame.n, MSG_NOSIGNAL) == (ssize_t)frame.n);
    cla_buf_fini(&frame);
    gate_turns(&gate);
}

/* What cannot wait goes out to a client that reads slowly, up to out_bytes of it. The text that is
 * being read holds the cancel whose answer is too much: the socket is closed, and what comes behind
 * the cancel in it never starts. */
static void case_17_a_cancel_behind_a_result_that_is_not_sent_yet_is_late(void **state)
{
    socket_gate_open();
    socket_send(&c, SOCKET_CALL("hold", "1"));
    gate_answer(&gate, 0); /* written at the end of the next turn, which reads first */
    send_blindly(SOCKET_CANCEL("1"));
    socket_require(&c, HELD("1"));
    client_require_nothing(&c);
    assert_int_equal(gate.app.cancels, 0);
    assert_int_equal(gate.worker.env.app->late_resets, 1);
}

static void a_slow_reader_may_be_closed_by_a_text_that_is_being_read(void **state)
{
    char id[1100], text[4096];

    gate_set(&gate, "out_bytes", "1KiB");
    socket_gate_open();
    client_narrow(&c);
    memset(id, 'i', sizeof id);
    id[0] = id[sizeof id - 2] = '"';
    id[sizeof id - 1] = '\0';
    snprintf(text, sizeof text, "{\"jsonrpc\":\"2.0\",\"id\":%s,\"method\":\"hold\"}", id);
    socket_send(&c, text);
    fill_output();
    gate.app.started = 0;
    send_blindly(SOCKET_CALL("fail", "5"));
    assert_int_equal(gate.app.started, 1);
    assert_int_equal(gate.app.overs, 0);
    snprintf(
        text, sizeof text,
        "[{\"jsonrpc\":\"2.0\",\"method\":\"$/cancelRequest\",\"params\":{\"id\":%s}}," SOCKET_CALL(
            "hold", "8") "," SOCKET_CALL("hold", "9") "]",
        id);
    gate.app.started = 0;
    send_blindly(text);
    assert_int_equal(gate.app.overs, 1);
    assert_int_equal(gate.app.over_kind, CLA_CANCEL_SLOW_CONSUMER);
    assert_int_equal(gate.app.over_code, CLA_WS_TRY_LATER);
    assert_int_equal(gate.app.started, 0);
    assert_int_equal(gate_conn(&gate)->state, CLA_CONN_FLUSHING);
    assert_int_equal(gate.worker.env.in_flight, 0);
}

static void upgrades_that_are_not_get_are_refused(void **state)
{
    gate_open_worker(&gate);
    client_open(&c, &gate);
    client_send(&c, "DELETE" /* for GET */ " /rpc HTTP/1.1\r\nHost: localhost\r\nConnection: "
                    "Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    assert_int_equal(client_take(&c, true).status, 405);
}

static void a_version_that_is_not_13_is_told_which_to_use(void **state)
{
    struct response r;

    gate_open_worker(&gate);
    client_open(&c, &gate);
    client_send(&c, "GET /rpc HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: "
                    "websocket\r\nSec-WebSocket-Version: 8\r\n"
                    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    r = client_require_refusal(&c, 426, "must be 13");
    assert_non_null(strstr(r.head, "\r\nSec-WebSocket-Version: 13\r\n"));
    client_require_end(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(texts_are_answered_as_they_end),
        TEST(texts_behind_the_upgrade_request_are_fed),
        TEST(notifications_are_not_answered),
        TEST(case_17_a_cancel_behind_a_result_that_is_not_sent_yet_is_late),
        TEST(calls_per_connection_counts_calls_until_they_are_released),
        TEST(resets_per_second_admits_as_many_at_once_and_more_after_a_while),
        TEST(more_than_resets_per_second_closes_and_cancels_the_rest),
        TEST(message_bytes_admits_just_so_many),
        TEST(message_fragments_admits_just_so_many),
        TEST(many_texts_at_once_take_turns_with_those_of_others),
        TEST(connections_lost_together_are_cancelled_one_after_the_other),
        TEST(what_is_lost_with_others_may_be_answered_and_closed_meanwhile),
        TEST(what_a_burst_of_texts_left_is_given_back_when_it_is_quiet),
        TEST(the_peers_close_cancels_and_is_answered),
        TEST(calls_may_clean_up_longer_than_their_socket_lives),
        TEST(a_broken_frame_closes_with_its_code_and_cancels),
        TEST(nothing_is_read_behind_our_own_close),
        TEST(a_drain_closes_when_the_last_text_is_answered),
        TEST(silence_is_asked_about_and_more_silence_is_a_disconnect),
        TEST(a_pong_is_enough_to_stay),
        TEST(writing_to_a_silent_peer_is_no_sign_of_life),
        TEST(a_slow_reader_may_be_closed_by_a_text_that_is_being_read),
        TEST(upgrades_that_are_not_get_are_refused),
        TEST(a_version_that_is_not_13_is_told_which_to_use),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
