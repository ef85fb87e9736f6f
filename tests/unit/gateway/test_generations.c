/* The generations of the app on one worker, with apps that are C. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "generation_fixture.h"

#define FEED                                                                                 \
    "GET /feed HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"

static struct client c, d;

static int set_up(void **state)
{
    c.fd = d.fd = -1;
    generations_open("10s");
    client_open(&c, &gate);
    return 0;
}

static int tear_down(void **state)
{
    if (c.fd >= 0)
        client_close(&c);
    if (d.fd >= 0)
        client_close(&d);
    gate_fini(&gate);
    return 0;
}

static void one_that_nothing_refers_to_is_let_go_of_in_the_turn_that_it_is_retired(void **state)
{
    adopt(1);
    assert_true(generations[0].left);
    require_story(0, "enter begin retire cleaned unload unloaded leave");
    require_story(1, "enter begin");
    assert_true(cla_list_empty(&gate.worker.older));
    assert_null(generations[0].app.base.topics);
}

static void its_calls_keep_it_and_new_ones_are_the_current_ones(void **state)
{
    client_call(&c, "hold", 1);
    assert_int_equal(generations[0].app.base.pins, 1);
    adopt(1);
    assert_int_equal(generations[0].adoption.calls, 1);
    client_open(&d, &gate);
    client_call(&d, "hold", 2);
    assert_int_equal(generations[0].app.started, 1);
    assert_int_equal(generations[1].app.started, 1);
    assert_false(generations[0].left);
    answer(0);
    client_require_result(&c, 1, "\"held\"");
    assert_true(generations[0].left);
    client_call(&c, "echo", 3);
    client_require_result(&c, 3, "null");
    assert_int_equal(generations[1].app.started, 2);
    answer(1);
}

static void a_request_belongs_to_the_one_of_the_end_of_its_head(void **state)
{
    client_send(&c, "POST /rpc HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
                    "application/json\r\nContent-Length: 40\r\n");
    adopt(1);
    assert_true(generations[0].left);
    client_send(&c, "\r\n");
    assert_int_equal(generations[1].app.base.pins, 1);
    adopt(2);
    assert_false(generations[1].left);
    client_send(&c, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"echo\"}");
    client_require_result(&c, 1, "null");
    assert_int_equal(generations[1].app.started, 1);
    assert_true(generations[1].left);
}

/* How many the last adoption has counted on the first three. */
static void require_calls(unsigned first, unsigned second, unsigned third)
{
    assert_int_equal(generations[0].adoption.calls, first);
    assert_int_equal(generations[1].adoption.calls, second);
    assert_int_equal(generations[2].adoption.calls, third);
}

static void calls_are_counted_by_their_generation(void **state)
{
    generations[1].slow_background = true; /* that keeps it, without a call */
    client_call(&c, "hold", 1);
    adopt(1);
    client_open(&d, &gate);
    client_call(&d, "hold", 2);
    adopt(2);
    require_calls(1, 1, 0);
    answer(1);
    client_require_result(&d, 2, "\"held\"");
    client_call(&d, "hold", 3);
    adopt(3);
    require_calls(1, 0, 1);
    answer(0);
    assert_true(generations[0].left);
    answer(2);
    assert_true(generations[2].left);
    assert_false(generations[1].left);
    end_background(&generations[1]);
}

static void background_begins_when_that_of_all_others_is_over(void **state)
{
    generations[0].slow_background = generations[1].slow_background = true;
    adopt(1);
    assert_true(gate.worker.waits_to_begin);
    require_story(1, "enter");
    adopt(2);
    require_story(1, "enter retire unload unloaded leave"); /* it never began */
    require_story(2, "enter");
    end_background(&generations[0]);
    gate_turns(&gate);
    cla_generations_tidy(&gate.worker);
    require_story(2, "enter begin");
    assert_true(generations[0].left);
    assert_false(gate.worker.waits_to_begin);
}

static void unload_is_last_and_may_take_its_time(void **state)
{
    generations[0].slow_unload = true;
    client_call(&c, "hold", 1);
    adopt(1);
    require_story(0, "enter begin retire cleaned");
    require_story(1, "enter begin"); /* which need not wait for that */
    answer(0);
    require_story(0, "enter begin retire cleaned unload");
    assert_false(generations[0].left);
    end_unload(&generations[0]);
    cla_generations_tidy(&gate.worker);
    assert_true(generations[0].left);
}

static void case_84_what_outlasts_the_drain_is_cancelled_and_then_given_up(void **state)
{
    generations[0].app.slow_cleanup = true;
    client_call(&c, "hold", 1);
    adopt(1);
    gate_pass(&gate, 9999);
    assert_int_equal(generations[0].app.base.stage, CLA_APP_RETIRED);
    assert_int_equal(generations[0].app.cancels, 0);
    gate_pass(&gate, 1);
    assert_int_equal(generations[0].app.base.stage, CLA_APP_CANCELLED);
    assert_int_equal(generations[0].app.cancels, 1);
    assert_int_equal(generations[0].app.kind, CLA_CANCEL_RELOAD);
    (void)client_require_refusal(&c, 200, "\"code\":-32802");
    gate_pass(&gate, 1199);
    assert_false(generations[0].left);
    gate_pass(&gate, 1);
    assert_true(generations[0].left);
    require_story(0, "enter begin retire cleaned stop abandon leave"); /* without on_unload */
    assert_int_equal(gate.worker.env.in_flight, 0);
    client_call(&c, "echo", 2);
    client_require_result(&c, 2, "null");
}

static void one_whose_calls_end_after_the_cancel_is_unloaded(void **state)
{
    client_call(&c, "hold", 1);
    adopt(1);
    gate_pass(&gate, 10000);
    assert_true(generations[0].left);
    require_story(0, "enter begin retire cleaned stop unload unloaded leave");
    assert_int_equal(gate.loop.timers.active,
                     gate_conn(&gate) != NULL ? 1 : 0); /* the connection's */
}

static void calls_of_the_current_one_are_not_cancelled_with_it(void **state)
{
    client_call(&c, "hold", 1);
    adopt(1);
    client_open(&d, &gate);
    client_call(&d, "hold", 2);
    gate_pass(&gate, 10000);
    assert_int_equal(generations[0].app.cancels, 1);
    assert_int_equal(generations[1].app.cancels, 0);
    answer(1);
    client_require_result(&d, 2, "\"held\"");
}

static struct cla_socket *open_feed(unsigned n)
{
    client_send(&c, FEED);
    assert_int_equal(client_take(&c, false).status, 101);
    assert_non_null(generations[n].app.opened);
    return generations[n].app.opened;
}

static const struct cla_socket_route *find_events(struct cla_app *app, struct cla_slice path)
{
    return &events_route;
}

static void a_handler_that_reads_by_itself_stays_until_the_drain_is_over(void **state)
{
    struct cla_socket *socket = open_feed(0);

    adopt(1);
    assert_int_equal(generations[1].adoption.sockets, 1);
    assert_ptr_equal(socket->app, &generations[0].app.base);
    assert_int_equal(generations[0].app.base.pins, 1);
    gate_pass(&gate, 10000);
    client_drain(&c);
    assert_memory_equal(c.in.p + c.in.n - 33, "\x03\xf4", 2); /* 1012 */
    assert_true(generations[0].left);
    assert_int_equal(generations[1].app.overs, 1); /* on_disconnect is the current one's */
    assert_int_equal(generations[1].app.over_kind, CLA_CANCEL_RELOAD);
}

static void a_handler_of_events_moves_at_once(void **state)
{
    struct cla_socket *socket;

    generation_ops.find_socket = find_events;
    socket = open_feed(0);
    assert_int_equal(generations[0].app.base.pins, 1);
    adopt(1);
    assert_ptr_equal(socket->app, &generations[1].app.base);
    assert_int_equal(generations[1].app.base.pins, 1);
    assert_true(generations[0].left);
}

static void a_drain_of_the_server_ends_all_of_them(void **state)
{
    client_call(&c, "hold", 1);
    adopt(1);
    client_open(&d, &gate);
    client_call(&d, "hold", 2);
    gate_post(&gate, CLA_MESSAGE_DRAIN);
    gate_turns(&gate);
    answer(1);
    assert_false(gate.loop.stopped);
    answer(0);
    client_close(&c);
    client_close(&d);
    assert_true(gate.loop.stopped);
    require_story(1, "enter begin retire-shutdown cleaned unload unloaded");
    cla_generations_leave(&gate.worker);
    require_story(1, "enter begin retire-shutdown cleaned unload unloaded leave");
    assert_non_null(strstr(generations[0].story, "unloaded leave"));
}

static void a_second_request_to_stop_gives_all_of_them_up(void **state)
{
    generations[0].app.slow_cleanup = generations[1].app.slow_cleanup = true;
    client_call(&c, "hold", 1);
    adopt(1);
    client_open(&d, &gate);
    client_call(&d, "hold", 2);
    gate_post(&gate, CLA_MESSAGE_STOP);
    gate_turns(&gate);
    assert_int_equal(gate.worker.abandoned, 2);
    assert_true(gate.loop.stopped);
    assert_null(strstr(generations[0].story, "unload"));
    assert_null(strstr(generations[1].story, "unload"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_that_nothing_refers_to_is_let_go_of_in_the_turn_that_it_is_retired),
        TEST(its_calls_keep_it_and_new_ones_are_the_current_ones),
        TEST(a_request_belongs_to_the_one_of_the_end_of_its_head),
        TEST(calls_are_counted_by_their_generation),
        TEST(background_begins_when_that_of_all_others_is_over),
        TEST(unload_is_last_and_may_take_its_time),
        TEST(case_84_what_outlasts_the_drain_is_cancelled_and_then_given_up),
        TEST(one_whose_calls_end_after_the_cancel_is_unloaded),
        TEST(calls_of_the_current_one_are_not_cancelled_with_it),
        TEST(a_handler_that_reads_by_itself_stays_until_the_drain_is_over),
        TEST(a_handler_of_events_moves_at_once),
        TEST(a_drain_of_the_server_ends_all_of_them),
        TEST(a_second_request_to_stop_gives_all_of_them_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
