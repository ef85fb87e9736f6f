/* Answers that go out in pieces: their framing, room, and how they end or are cut off. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway_fixture.h"
#include "mem_fault.h"

static struct gate gate;
static struct client c;

static void open_gate(void)
{
    gate_open_worker(&gate);
    client_open(&c, &gate);
}

static int set_up(void **state)
{
    gate_init(&gate);
    return 0;
}

static int tear_down(void **state)
{
    client_close(&c);
    gate_fini(&gate);
    assert_int_equal(mem_fault.live, 0);
    return 0;
}

#define EVENTS "Host: localhost\r\nAccept: text/event-stream\r\n\r\n"

static struct cla_call *start_events(const char *version)
{
    char text[128];

    snprintf(text, sizeof text, "GET /rpc/feed HTTP/%s\r\n" EVENTS, version);
    client_send(&c, text);
    assert_int_equal(gate.app.held_n, 1);
    return gate.app.held[0];
}

static void item(struct cla_call *call, const char *text)
{
    assert_int_equal(cla_call_part(call, CLA_CALL_ITEM, cla_slice_str(text)), 0);
    gate_turns(&gate);
}

/* Takes all that has come. */
static const char *take(void)
{
    static char text[4096];

    gate_turns(&gate);
    client_drain(&c);
    assert_true(c.in.n < sizeof text);
    if (c.in.n > 0)
        memcpy(text, c.in.p, c.in.n);
    text[c.in.n] = '\0';
    c.in.n = 0;
    return text;
}

static void require_head(const char *type, bool chunked)
{
    const char *head = take();

    assert_ptr_equal(strstr(head, "HTTP/1.1 200 OK\r\n"), head);
    assert_non_null(strstr(head, type));
    assert_null(strstr(head, "Content-Length"));
    assert_int_equal(strstr(head, "Transfer-Encoding: chunked\r\n") != NULL, chunked);
    assert_int_equal(strstr(head, "Connection: close\r\n") != NULL, !chunked);
    assert_string_equal(head + strlen(head) - 4, "\r\n\r\n");
}

static void require_start(const char *text, const char *start)
{
    assert_int_equal(strncmp(text, start, strlen(start)), 0);
}

static void pieces_are_chunks_and_the_next_request_follows(void **state)
{
    struct cla_call *call;

    open_gate();
    call = start_events("1.1");
    require_head("Content-Type: text/event-stream\r\n", true);
    item(call, "1");
    assert_string_equal(take(), "9\r\ndata: 1\n\n\r\n");
    client_call(&c, "echo", 7); /* waits behind it */
    client_require_nothing(&c);
    gate_remove(gate.app.held, &gate.app.held_n, call);
    gate_complete(call, CLA_LIT("null"));
    require_start(take(), "15\r\nevent: end\ndata: {}\n\n\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n");
}

static void a_result_is_the_last_item(void **state)
{
    open_gate();
    (void)start_events("1.1");
    (void)take();
    gate_answer(&gate, 0);
    assert_string_equal(take(), "23\r\ndata: \"held\"\n\nevent: end\ndata: {}\n\n\r\n0\r\n\r\n");
    client_call(&c, "echo", 1);
    client_require_result(&c, 1, "null");
}

static void on_http_1_0_the_connection_ends_with_the_body(void **state)
{
    struct cla_call *call;

    open_gate();
    call = start_events("1.0");
    require_head("Content-Type: text/event-stream\r\n", false);
    item(call, "1");
    gate_answer(&gate, 0);
    assert_string_equal(take(), "data: 1\n\ndata: \"held\"\n\nevent: end\ndata: {}\n\n");
    client_require_end(&c);
}

static void an_error_is_an_end(void **state)
{
    const struct cla_rpc_error error = {.code = CLA_CODE_NOT_FOUND, .message = CLA_LIT("no")};
    struct cla_call *call;

    open_gate();
    call = start_events("1.1");
    (void)take();
    gate_remove(gate.app.held, &gate.app.held_n, call);
    assert_true(cla_call_fail(call, &error));
    assert_int_equal(cla_call_part(call, CLA_CALL_ITEM, CLA_LIT("1")), -CLA_ECLOSED);
    assert_null(cla_call_part_writers(call));
    cla_call_release(call);
    assert_string_equal(take(), "40\r\nevent: end\ndata: {\"error\":{\"code\":\"not_found\","
                                "\"message\":\"no\"}}\n\n\r\n0\r\n\r\n");
}

struct writer {
    struct cla_writer base;
    unsigned calls;
};

static void on_room(struct cla_writer *base)
{
    CLA_CONTAINER(base, struct writer, base)->calls++;
}

/* Sends items until there is no room. */
static void fill(struct cla_call *call)
{
    static char text[513];

    memset(text, '7', sizeof text - 1);
    client_narrow(&c);
    for (int i = 0; i < 1000 && cla_writers_may_write(cla_call_part_writers(call)); i++)
        item(call, text);
    assert_false(cla_writers_may_write(cla_call_part_writers(call)));
}

static void who_waits_for_room_is_called_when_the_client_has_read(void **state)
{
    struct writer w = {.base.on_room = on_room};
    struct cla_call *call;

    gate_set(&gate, "out_bytes", "1KiB");
    open_gate();
    call = start_events("1.1");
    fill(call);
    assert_false(cla_writers_take_turn(cla_call_part_writers(call), &w.base));
    gate_turns(&gate);
    assert_int_equal(w.calls, 0);
    for (int i = 0; i < 100; i++) {
        client_drain(&c);
        gate_turns(&gate);
    }
    assert_int_equal(w.calls, 1);
    assert_true(cla_writers_take_turn(cla_call_part_writers(call), &w.base));
    gate_answer(&gate, 0);
}

static void who_waits_for_room_is_called_when_the_client_has_gone(void **state)
{
    struct writer w = {.base.on_room = on_room};
    struct cla_call *call;

    gate_set(&gate, "out_bytes", "1KiB");
    open_gate();
    gate.app.slow_cleanup = true;
    call = start_events("1.1");
    fill(call);
    assert_false(cla_writers_take_turn(cla_call_part_writers(call), &w.base));
    client_close(&c);
    assert_int_equal(w.calls, 1);
    assert_int_equal(gate.app.kind, CLA_CANCEL_DISCONNECT);
    assert_null(cla_call_part_writers(call));
    gate.app.slow_cleanup = false;
    gate_turns(&gate);
}

static void a_client_that_takes_nothing_is_cut_off(void **state)
{
    struct cla_call *call;

    gate_set(&gate, "out_bytes", "1KiB");
    gate_set(&gate, "write_timeout", "100ms");
    open_gate();
    call = start_events("1.1");
    fill(call);
    gate_pass(&gate, 99);
    assert_int_equal(gate.app.cancels, 0);
    gate_pass(&gate, 2);
    assert_int_equal(gate.app.cancels, 1);
    assert_int_equal(gate.app.kind, CLA_CANCEL_SLOW_CONSUMER);
    client_drain(&c);
    assert_true(c.ended);
    assert_memory_not_equal(c.in.p + c.in.n - 5, "0\r\n\r\n", 5);
}

static void waiting_for_the_next_item_is_not_idle(void **state)
{
    struct cla_call *call;

    gate_set(&gate, "idle_timeout", "100ms");
    gate_set(&gate, "write_timeout", "100ms");
    open_gate();
    call = start_events("1.1");
    (void)take();
    gate_pass(&gate, 1000);
    item(call, "1");
    assert_string_equal(take(), "9\r\ndata: 1\n\n\r\n");
    gate_answer(&gate, 0);
    (void)take();
    gate_pass(&gate, 99);
    client_require_nothing(&c);
    gate_pass(&gate, 2);
    client_require_end(&c);
}

static void what_cannot_take_items_is_refused_before_it_begins(void **state)
{
    open_gate();
    client_send(&c, "GET /rpc/feed HTTP/1.1\r\nHost: localhost\r\n\r\n");
    client_require_refusal(&c, 400, "failed_precondition");
    client_call(&c, "feed", 1);
    client_require_refusal(&c, 200, "failed_precondition");
    assert_int_equal(gate.app.started, 0);
}

static void what_is_refused_before_it_begins_has_its_status_for_event_source(void **state)
{
    open_gate();
    client_send(&c, "GET /rpc/feed?message=7 HTTP/1.1\r\n" EVENTS);
    client_require_refusal(&c, 400, "invalid_argument");
    client_send(&c, "GET /rpc/nope HTTP/1.1\r\n" EVENTS);
    client_require_refusal(&c, 404, "unimplemented");
}

static void refusals_of_connect_are_ends_of_streams(void **state)
{
    static const char text[] = "POST /rpc/nope HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
                               "application/connect+json\r\nContent-Length: 0\r\n\r\n";

    open_gate();
    client_send(&c, text);
    assert_non_null(strstr(take(), "application/connect+json"));
    client_call(&c, "echo", 1);
    client_require_result(&c, 1, "null");
}

/* Whichever allocation fails, a stream is whole, or is seen not to be. */
static void each_allocation_fails_in_turn(void **state)
{
    bool failed;
    long n = 0;

    do {
        static const char request[] = "GET /rpc/feed HTTP/1.1\r\n" EVENTS;
        const char *got;
        size_t got_n;

        open_gate();
        mem_fault_after(n);
        if (send(c.fd, request, sizeof request - 1, MSG_NOSIGNAL) < 0)
            fail();
        gate_turns(&gate);
        if (gate.app.held_n > 0 &&
            cla_call_part(gate.app.held[0], CLA_CALL_ITEM, CLA_LIT("1")) == 0)
            gate_turns(&gate);
        if (gate.app.held_n > 0)
            gate_answer(&gate, 0);
        gate_turns(&gate);
        mem_fault_off();
        failed = mem_fault.failed;
        mem_fault.failed = false;
        got = take();
        got_n = strlen(got);
        if (got_n == 0 || strstr(got, "200 OK") == NULL)
            assert_true(failed);
        else if (got_n < 5 || strcmp(got + got_n - 5, "0\r\n\r\n") != 0)
            assert_true(failed && c.ended);
        else
            assert_non_null(strstr(got, "event: end"));
        client_close(&c);
        gate_fini(&gate);
        gate_init(&gate);
    } while (failed && n++ < 200);
    assert_in_range(n, 3, 100);
    open_gate();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(pieces_are_chunks_and_the_next_request_follows),
        TEST(a_result_is_the_last_item),
        TEST(on_http_1_0_the_connection_ends_with_the_body),
        TEST(an_error_is_an_end),
        TEST(who_waits_for_room_is_called_when_the_client_has_read),
        TEST(who_waits_for_room_is_called_when_the_client_has_gone),
        TEST(a_client_that_takes_nothing_is_cut_off),
        TEST(waiting_for_the_next_item_is_not_idle),
        TEST(what_cannot_take_items_is_refused_before_it_begins),
        TEST(what_is_refused_before_it_begins_has_its_status_for_event_source),
        TEST(refusals_of_connect_are_ends_of_streams),
        TEST(each_allocation_fails_in_turn),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
