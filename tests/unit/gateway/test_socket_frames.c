/* Calls in binary frames on a WebSocket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mem_fault.h"
#include "rpc/frame.h"
#include "socket_gate.h"

#define UPGRADE(path, protocol)                                                                 \
    "GET " path " HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n" protocol "\r\n"
#define OFFER "Sec-WebSocket-Protocol: " CLA_FRAME_V0_1 "\r\n"

static void open_socket(void)
{
    gate_open_worker(&gate);
    client_open(&c, &gate);
    client_send(&c, UPGRADE("/socket", OFFER));
    assert_int_equal(client_take(&c, false).status, 101);
}

static void add_frame(struct cla_buf *bytes, enum cla_frame_kind kind, uint32_t id,
                      const char *name, const char *payload)
{
    const struct cla_frame frame = {
        .kind = kind, .id = id, .name = cla_slice_str(name), .payload = cla_slice_str(payload)};
    struct cla_buf message = {0};

    assert_int_equal(cla_frame_write(&message, &frame), 0);
    socket_frame(bytes, CLA_WS_BINARY, message.p, message.n);
    cla_buf_fini(&message);
}

static void send_one(enum cla_frame_kind kind, uint32_t id, const char *name, const char *payload)
{
    struct cla_buf bytes = {0};

    add_frame(&bytes, kind, id, name, payload);
    client_send_bytes(&c, bytes.p, bytes.n);
    cla_buf_fini(&bytes);
}

static void call(uint32_t id, const char *name)
{
    send_one(CLA_FRAME_REQUEST, id, name, "");
}

static void reset(uint32_t id)
{
    send_one(CLA_FRAME_RESET, id, "", "");
}

/* Requires that the next message is the Response to 'id' with this payload. */
static void require(uint32_t id, const char *payload)
{
    struct socket_frame message = socket_take(&c);
    struct cla_frame frame;
    const char *why;

    assert_int_equal(message.opcode, CLA_WS_BINARY);
    assert_int_equal(cla_frame_read(cla_slice(message.payload, message.n), CLA_FRAME_TO_CLIENT_V0_1,
                                    &frame, &why),
                     0);
    assert_int_equal(frame.kind, CLA_FRAME_RESPONSE);
    assert_int_equal(frame.id, id);
    assert_int_equal(frame.payload.n, strlen(payload));
    assert_memory_equal(frame.payload.p, payload, frame.payload.n);
}

static void a_request_is_answered_by_a_response_with_its_id(void **state)
{
    open_socket();
    send_one(CLA_FRAME_REQUEST, 0x6e756c6c, "echo", " [1] ");
    require(0x6e756c6c, "[1]");
    call(0, "echo");
    require(0, "null");
    call(UINT32_MAX, "fail");
    require(UINT32_MAX, "{\"error\":{\"code\":\"not_found\",\"message\":\"none\"}}");
    client_require_nothing(&c);
}

static void a_payload_that_is_no_object_or_array_is_answered_before_the_call(void **state)
{
    open_socket();
    send_one(CLA_FRAME_REQUEST, 1, "echo", "{");
    require(1,
            "{\"error\":{\"code\":\"invalid_argument\",\"message\":\"unexpected end of text\"}}");
    send_one(CLA_FRAME_REQUEST, 1, "echo", "7");
    require(1, "{\"error\":{\"code\":\"invalid_argument\",\"message\":\"the parameters must be an "
               "object or an array\"}}");
    send_one(CLA_FRAME_NOTIFY, 0, "echo", "7");
    client_require_nothing(&c);
    assert_int_equal(gate.app.started, 0);
}

static void a_notify_runs_and_is_never_answered(void **state)
{
    open_socket();
    send_one(CLA_FRAME_NOTIFY, 0, "echo", "[1]");
    send_one(CLA_FRAME_NOTIFY, 0, "fail", "");
    send_one(CLA_FRAME_NOTIFY, 0, "nope", "");
    client_require_nothing(&c);
    assert_int_equal(gate.app.started, 2);
    assert_int_equal(gate.worker.env.in_flight, 0);
}

static void case_90_a_reset_cancels_and_is_silent(void **state)
{
    open_socket();
    call(1, "hold");
    call(2, "hold");
    reset(2);
    assert_int_equal(gate.app.kind, CLA_CANCEL_RESET);
    client_require_nothing(&c);
    assert_int_equal(gate.app.held_n, 1);
    reset(2);
    reset(9);
    client_require_nothing(&c);
    assert_int_equal(gate.app.cancels, 1);
    gate_answer(&gate, 0);
    require(1, "\"held\"");
    client_require_nothing(&c);
}

static void ignore_cancel(struct cla_app *app, struct cla_call *cancelled,
                          enum cla_cancel_kind kind, struct cla_slice message)
{
    gate_app_of(app)->cancels++;
}

/* As a procedure that decides itself when it ends, and with what. */
static void case_90_a_call_that_was_reset_and_still_answers_is_silent(void **state)
{
    struct cla_app_ops ops = gate_app_ops;

    ops.cancel = ignore_cancel;
    open_socket();
    call(1, "hold");
    gate.app.base.ops = &ops;
    reset(1);
    reset(1);
    gate.app.base.ops = &gate_app_ops;
    assert_int_equal(gate.app.cancels, 1);
    call(1, "hold"); /* its id is free */
    gate_answer(&gate, 0);
    client_require_nothing(&c);
    gate_answer(&gate, 0);
    require(1, "\"held\"");
}

static void case_21_a_live_id_again_closes(void **state)
{
    open_socket();
    call(7, "hold");
    call(7, "echo");
    socket_require_close(&c, CLA_WS_PROTOCOL);
    assert_int_equal(gate.app.kind, CLA_CANCEL_DISCONNECT);
    assert_int_equal(gate.app.started, 1);
    assert_int_equal(gate.worker.env.in_flight, 0);
}

/* Unlike in JSON-RPC: the client cannot know that the first would end at once. */
static void case_21_a_live_id_again_closes_though_its_call_has_not_begun(void **state)
{
    struct cla_buf bytes = {0};

    open_socket();
    add_frame(&bytes, CLA_FRAME_REQUEST, 7, "echo", "");
    add_frame(&bytes, CLA_FRAME_REQUEST, 7, "echo", "");
    client_send_bytes(&c, bytes.p, bytes.n);
    cla_buf_fini(&bytes);
    socket_require_close(&c, CLA_WS_PROTOCOL);
}

static void case_21_an_id_may_come_again_while_its_first_call_cleans_up(void **state)
{
    gate.app.slow_cleanup = true;
    open_socket();
    call(7, "hold");
    reset(7);
    call(7, "hold");
    client_require_nothing(&c);
    gate.app.slow_cleanup = false;
    client_require_nothing(&c);
    gate_answer(&gate, 0);
    require(7, "\"held\"");
}

static void case_23_ids_wrap_and_the_live_one_alone_is_refused(void **state)
{
    open_socket();
    call(3, "hold");
    for (uint32_t id = UINT32_MAX - 5; id != 3; id++) {
        call(id, "echo");
        require(id, "null");
    }
    call(3, "echo");
    socket_require_close(&c, CLA_WS_PROTOCOL);
}

static void a_reset_behind_the_result_is_late(void **state)
{
    open_socket();
    call(1, "echo");
    require(1, "null");
    reset(1);
    reset(2);
    client_require_nothing(&c);
    assert_int_equal(gate.worker.env.app->late_resets, 1);
}

static void a_frame_that_is_none_closes_and_cancels(void **state)
{
    open_socket();
    call(1, "hold");
    socket_send_frame(&c, CLA_WS_BINARY, "\x04\0\0\0\x01", 5);
    socket_require_close(&c, CLA_WS_PROTOCOL);
    assert_int_equal(gate.app.kind, CLA_CANCEL_DISCONNECT);
    assert_int_equal(gate.app.over_code, CLA_WS_PROTOCOL);
    assert_int_equal(gate.worker.env.in_flight, 0);
}

static void what_comes_behind_a_broken_frame_is_not_looked_at(void **state)
{
    struct cla_buf bytes = {0};

    open_socket();
    socket_frame(&bytes, CLA_WS_BINARY, "", 0);
    add_frame(&bytes, CLA_FRAME_REQUEST, 1, "echo", "");
    client_send_bytes(&c, bytes.p, bytes.n);
    cla_buf_fini(&bytes);
    socket_require_close(&c, CLA_WS_PROTOCOL);
    assert_int_equal(gate.app.started, 0);
}

static void a_socket_that_offers_no_frames_is_refused_at_their_path(void **state)
{
    gate_open_worker(&gate);
    client_open(&c, &gate);
    client_send(&c, UPGRADE("/socket", ""));
    assert_int_equal(client_take(&c, true).status, 400);
}

/* Two calls, one of which is reset, and a third; plain sends, for the socket may be gone by now. */
static void converse(const struct cla_buf *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (send(c.fd, bytes[i].p, bytes[i].n, MSG_NOSIGNAL) < 0)
            return;
        gate_turns(&gate);
    }
}

/* Returns false once no allocation was left to fail. */
static bool run_short_of_memory(long n, const struct cla_buf *bytes, size_t count)
{
    struct socket_frame frame;
    unsigned answers = 0;
    bool failed;

    gate_init(&gate);
    open_socket();
    mem_fault_after(n);
    converse(bytes, count);
    failed = mem_fault.failed;
    mem_fault_off();
    while ((frame = socket_take(&c)).opcode == CLA_WS_BINARY)
        answers++;
    assert_true(answers == 2 || (failed && c.ended));
    client_close(&c);
    gate_fini(&gate);
    return failed;
}

static void each_call_is_answered_or_the_socket_closed_whichever_allocation_fails(void **state)
{
    struct cla_buf bytes[4] = {{0}};
    long n = 0, live;

    add_frame(&bytes[0], CLA_FRAME_REQUEST, 1, "echo", "[1]");
    add_frame(&bytes[1], CLA_FRAME_REQUEST, 2, "hold", "");
    add_frame(&bytes[2], CLA_FRAME_RESET, 2, "", "");
    add_frame(&bytes[3], CLA_FRAME_REQUEST, 3, "nope", "");
    live = mem_fault.live;
    while (run_short_of_memory(n, bytes, CLA_ARRAY_LEN(bytes))) {
        assert_int_equal(mem_fault.live, live);
        n++;
    }
    assert_true(n > 2);
    for (size_t i = 0; i < CLA_ARRAY_LEN(bytes); i++)
        cla_buf_fini(&bytes[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_request_is_answered_by_a_response_with_its_id),
        TEST(a_payload_that_is_no_object_or_array_is_answered_before_the_call),
        TEST(a_notify_runs_and_is_never_answered),
        TEST(case_90_a_reset_cancels_and_is_silent),
        TEST(case_90_a_call_that_was_reset_and_still_answers_is_silent),
        TEST(case_21_a_live_id_again_closes),
        TEST(case_21_a_live_id_again_closes_though_its_call_has_not_begun),
        TEST(case_21_an_id_may_come_again_while_its_first_call_cleans_up),
        TEST(case_23_ids_wrap_and_the_live_one_alone_is_refused),
        TEST(a_reset_behind_the_result_is_late),
        TEST(a_frame_that_is_none_closes_and_cancels),
        TEST(what_comes_behind_a_broken_frame_is_not_looked_at),
        TEST(a_socket_that_offers_no_frames_is_refused_at_their_path),
        cmocka_unit_test(each_call_is_answered_or_the_socket_closed_whichever_allocation_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
