/* Ids of calls on a WebSocket: cancelled by, live, and come again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "socket_gate.h"

#define HELD(id) "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"result\":\"held\"}"

static void a_cancel_resets_its_call_only_and_is_answered_once(void **state)
{
    socket_gate_open();
    socket_send(&c, SOCKET_CALL("hold", "1"));
    socket_send(&c, SOCKET_CALL("hold", "2"));
    socket_send(&c, SOCKET_CANCEL("2"));
    assert_int_equal(gate.app.kind, CLA_CANCEL_RESET);
    socket_require_part(&c, "\"id\":2,\"error\":{\"code\":-32800,");
    socket_send(&c, SOCKET_CANCEL("2"));
    socket_send(&c, SOCKET_CANCEL("9"));
    client_require_nothing(&c);
    assert_int_equal(gate.app.cancels, 1);
}

static void a_cancel_of_what_was_never_there_is_not_late(void **state)
{
    socket_gate_open();
    socket_send(&c, SOCKET_CANCEL("1"));
    socket_send(&c, SOCKET_CALL("hold", "1"));
    socket_send(&c, SOCKET_CANCEL("2"));
    socket_send(&c, SOCKET_CANCEL("1"));
    socket_require_part(&c, "\"id\":1,\"error\":{\"code\":-32800,");
    socket_send(&c, SOCKET_CANCEL("1"));
    client_require_nothing(&c);
    assert_int_equal(gate.worker.env.app->late_resets, 0);
}

static void a_live_id_is_refused_without_settling_the_first_call(void **state)
{
    socket_gate_open();
    socket_send(&c, SOCKET_CALL("hold", "1"));
    socket_send(&c, SOCKET_CALL("hold", "1"));
    socket_require_part(&c, "\"id\":null,\"error\":{\"code\":-32600,");
    assert_int_equal(gate.app.started, 1);
    gate_answer(&gate, 0);
    socket_require(&c, HELD("1"));
}

/* Sends several texts in one piece. */
static void send_together(const char *const *texts, size_t n)
{
    struct cla_buf bytes = {0};

    for (size_t i = 0; i < n; i++)
        socket_frame(&bytes, CLA_WS_TEXT, texts[i], strlen(texts[i]));
    client_send_bytes(&c, bytes.p, bytes.n);
    cla_buf_fini(&bytes);
}

#define ECHOED(id) "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"result\":null}"

/* Whether an id is live is decided when its call could begin, not when its text was read. */
static void an_id_may_come_again_behind_a_call_that_ends_at_once(void **state)
{
    static const char *const texts[] = {SOCKET_CALL("echo", "1"), SOCKET_CALL("echo", "1"),
                                        SOCKET_CALL("echo", "2"), SOCKET_CALL("echo", "1")};

    socket_gate_open();
    send_together(texts, CLA_ARRAY_LEN(texts));
    socket_require(&c, ECHOED("1"));
    socket_require(&c, ECHOED("2"));
    socket_require(&c, ECHOED("1"));
    socket_require(&c, ECHOED("1"));
    client_require_nothing(&c);
}

static void case_19_a_cancel_before_its_request_is_nothing(void **state)
{
    static const char *const texts[] = {SOCKET_CANCEL("1"), SOCKET_CALL("echo", "1")};

    socket_gate_open();
    send_together(texts, CLA_ARRAY_LEN(texts));
    socket_require(&c, ECHOED("1"));
    client_require_nothing(&c);
    assert_int_equal(gate.app.cancels, 0);
}

/* What is left of a call whose id was given again cannot be taken for the second, nor end it. */
static void case_22_a_second_call_of_an_id_outlives_the_clean_up_of_the_first(void **state)
{
    gate.app.slow_cleanup = true;
    socket_gate_open();
    socket_send(&c, SOCKET_CALL("hold", "7"));
    socket_send(&c, SOCKET_CANCEL("7"));
    socket_require_part(&c, "\"id\":7,\"error\":{\"code\":-32800,");
    socket_send(&c, SOCKET_CALL("hold", "7"));
    client_require_nothing(&c);
    assert_int_equal(gate.app.over_n, 1);
    gate.app.slow_cleanup = false; /* the first is released */
    client_require_nothing(&c);
    assert_int_equal(gate.app.over_n, 0);
    assert_int_equal(gate.app.held_n, 1);
    socket_send(&c, SOCKET_CANCEL("7"));
    socket_require_part(&c, "\"id\":7,\"error\":{\"code\":-32800,");
    assert_int_equal(gate.app.cancels, 2);
}

static void case_23_a_client_that_counts_past_its_end_is_refused_the_live_id_only(void **state)
{
    char text[64], want[64];

    socket_gate_open();
    socket_send(&c, SOCKET_CALL("hold", "3"));
    for (uint32_t id = UINT32_MAX - 5; id != 6; id++) {
        snprintf(text, sizeof text, "{\"jsonrpc\":\"2.0\",\"id\":%u,\"method\":\"echo\"}", id);
        snprintf(want, sizeof want, "{\"jsonrpc\":\"2.0\",\"id\":%u,\"result\":null}", id);
        socket_send(&c, text);
        if (id == 3)
            socket_require_part(&c, "\"id\":null,\"error\":{\"code\":-32600,");
        else
            socket_require(&c, want);
    }
    gate_answer(&gate, 0);
    socket_require(&c, HELD("3"));
}

/* Its name is not in the text as it stands there, and is known for as long as the call waits. */
static void a_call_that_waits_for_its_id_may_have_no_procedure(void **state)
{
    static const char *const texts[] = {SOCKET_CALL("echo", "1"), SOCKET_CALL("n\\u006fne", "1")};

    socket_gate_open();
    send_together(texts, CLA_ARRAY_LEN(texts));
    socket_require(&c, ECHOED("1"));
    socket_require_part(&c, "no such procedure: none\"");
    client_require_nothing(&c);
}

static void an_id_may_not_come_again_behind_a_call_that_waits(void **state)
{
    static const char *const texts[] = {SOCKET_CALL("hold", "1"), SOCKET_CALL("echo", "1"),
                                        SOCKET_CALL("echo", "1")};

    socket_gate_open();
    send_together(texts, CLA_ARRAY_LEN(texts));
    socket_require_part(&c, "\"id\":null,\"error\":{\"code\":-32600");
    socket_require_part(&c, "\"id\":null,\"error\":{\"code\":-32600");
    gate_answer(&gate, 0);
    socket_require(&c, HELD("1"));
    client_require_nothing(&c);
}

static void a_cancel_ends_the_first_of_two_with_one_id(void **state)
{
    static const char *const texts[] = {SOCKET_CALL("hold", "1"), SOCKET_CALL("echo", "1"),
                                        SOCKET_CANCEL("1")};

    socket_gate_open();
    send_together(texts, CLA_ARRAY_LEN(texts));
    socket_require_part(&c, "-32800");
    socket_require(&c, ECHOED("1"));
    assert_int_equal(gate.app.started, 2);
}

/* Leaves no room, not even for what cannot wait. */
static void leave_no_room(void)
{
    struct cla_socket *socket = gate_conn(&gate)->socket;
    char text[600] = {0};

    client_narrow(&c);
    for (int i = 0; i < 1000 && cla_socket_has_room(socket); i++) {
        assert_int_equal(cla_socket_send(socket, CLA_WS_KIND_TEXT, cla_slice(text, sizeof text)),
                         0);
        gate_turns(&gate);
    }
    socket->forced_n = gate.worker.out_bytes;
}

static void a_call_that_waits_for_its_id_is_dropped_when_the_answer_to_another_closes(void **state)
{
    static const char *const texts[] = {SOCKET_CALL("hold", "1"), SOCKET_CALL("hold", "1"),
                                        SOCKET_CALL("hold", "2"), SOCKET_CALL("hold", "2")};

    gate_set(&gate, "out_bytes", "1KiB");
    socket_gate_open();
    gate.app.waits = true;
    send_together(texts, CLA_ARRAY_LEN(texts));
    leave_no_room();
    gate.app.queued[1]->begun = true; /* so the second 2 is refused */
    gate_turns(&gate);
    assert_int_equal(gate.app.over_kind, CLA_CANCEL_SLOW_CONSUMER);
    gate.app.waits = false;
    gate_turns(&gate);
    assert_int_equal(gate.app.started, 2);
    assert_int_equal(gate.worker.env.in_flight, 0);
}

static void a_call_that_waits_for_its_id_is_dropped_with_the_connection(void **state)
{
    static const char *const texts[] = {SOCKET_CALL("hold", "1"), SOCKET_CALL("hold", "1")};
    struct cla_buf bytes = {0};

    socket_gate_open();
    for (size_t i = 0; i < CLA_ARRAY_LEN(texts); i++)
        socket_frame(&bytes, CLA_WS_TEXT, texts[i], strlen(texts[i]));
    socket_frame(&bytes, CLA_WS_CLOSE, "\x03\xe8", 2);
    client_send_bytes(&c, bytes.p, bytes.n);
    cla_buf_fini(&bytes);
    socket_require_close(&c, CLA_WS_NORMAL);
    assert_int_equal(gate.app.started, 1);
    client_close(&c);
    socket_gate_require_gone();
}

static void null_names_no_call_and_may_come_again(void **state)
{
    socket_gate_open();
    socket_send(&c, SOCKET_CALL("hold", "null"));
    socket_send(&c, SOCKET_CALL("hold", "null"));
    assert_int_equal(gate.app.started, 2);
    gate_answer(&gate, 0);
    socket_require(&c, HELD("null"));
    gate_answer(&gate, 0);
    socket_require(&c, HELD("null"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_cancel_resets_its_call_only_and_is_answered_once),
        TEST(a_cancel_of_what_was_never_there_is_not_late),
        TEST(a_live_id_is_refused_without_settling_the_first_call),
        TEST(an_id_may_come_again_behind_a_call_that_ends_at_once),
        TEST(case_19_a_cancel_before_its_request_is_nothing),
        TEST(case_22_a_second_call_of_an_id_outlives_the_clean_up_of_the_first),
        TEST(case_23_a_client_that_counts_past_its_end_is_refused_the_live_id_only),
        TEST(a_call_that_waits_for_its_id_may_have_no_procedure),
        TEST(an_id_may_not_come_again_behind_a_call_that_waits),
        TEST(a_cancel_ends_the_first_of_two_with_one_id),
        TEST(a_call_that_waits_for_its_id_is_dropped_when_the_answer_to_another_closes),
        TEST(a_call_that_waits_for_its_id_is_dropped_with_the_connection),
        TEST(null_names_no_call_and_may_come_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
