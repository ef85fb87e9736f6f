/* One connection: keep-alive, pipelining, the end of input, closing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway_fixture.h"

static struct gate gate;
static struct client client;

static int init_gate(void **state)
{
    gate_init(&gate);
    return 0;
}

static int open_gate(void **state)
{
    init_gate(state);
    gate_open_worker(&gate);
    client_open(&client, &gate);
    return 0;
}

static int close_gate(void **state)
{
    if (client.fd >= 0)
        client_close(&client);
    cla_buf_fini(&client.in);
    gate_fini(&gate);
    return 0;
}

/* A gate with one setting that is not the default. */
static void open_with(const char *name, const char *value)
{
    gate_set(&gate, name, value);
    gate_open_worker(&gate);
    client_open(&client, &gate);
}

static void connection_is_kept_alive(void **state)
{
    for (int i = 0; i < 5; i++) {
        struct response r;

        client_call(&client, "echo", i);
        r = client_take(&client, true);
        assert_int_equal(r.status, 200);
        assert_null(strstr(r.head, "Connection:"));
        assert_non_null(strstr(r.head, "\r\nDate: "));
        assert_non_null(strstr(r.head, "\r\nContent-Type: application/json\r\n"));
    }
    client_require_nothing(&client);
}

static void request_may_come_byte_by_byte(void **state)
{
    static const char text[] = "POST /rpc HTTP/1.1\r\nHost: a.localhost\r\nContent-Type: "
                               "application/json\r\nContent-Length: 41\r\n\r\n"
                               "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"echo\"}\n";

    for (size_t i = 0; i < sizeof text - 1; i++)
        client_send_bytes(&client, text + i, 1);
    client_require_result(&client, 1, "null");
}

static void version_1_0_closes_unless_asked_to_keep_alive(void **state)
{
    struct response r;

    client_send(&client, "GET /rpc/look/at HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    r = client_take(&client, true);
    assert_int_equal(r.status, 200);
    assert_non_null(strstr(r.head, "Connection: keep-alive\r\n"));
    client_send(&client, "GET /rpc/look/at HTTP/1.0\r\n\r\n");
    r = client_take(&client, true);
    assert_non_null(strstr(r.head, "Connection: close\r\n"));
    client_require_end(&client);
}

static void connection_close_is_honoured(void **state)
{
    client_send(&client, "GET /rpc/look/at HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
                         "GET /rpc/look/at HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_non_null(strstr(client_take(&client, true).head, "Connection: close\r\n"));
    client_require_end(&client); /* the second is not answered */
    assert_int_equal(gate.app.started, 1);
}

static void last_of_the_allowed_requests_closes(void **state)
{
    open_with("requests_per_connection", "2");
    client_call(&client, "echo", 1);
    assert_null(strstr(client_take(&client, true).head, "Connection:"));
    client_call(&client, "echo", 2);
    assert_non_null(strstr(client_take(&client, true).head, "Connection: close\r\n"));
    client_require_end(&client);
}

static const char look[] = "GET /rpc/look/at HTTP/1.1\r\nHost: localhost\r\n\r\n";

static void replies_of_one_turn_leave_in_one_write(void **state)
{
    struct client packets;
    char text[sizeof look * 8] = "";

    client_open_packets(&packets, &gate);
    for (int i = 0; i < 8; i++)
        strcat(text, look);
    client_send(&packets, text);
    assert_int_equal(packets.reads, 1);
    for (int i = 0; i < 8; i++)
        client_require(&packets, 200, "null");
    client_close(&packets);
}

static void pipelined_requests_run_in_order_one_at_a_time(void **state)
{
    client_call(&client, "hold", 1);
    client_call(&client, "echo", 2);
    client_call(&client, "hold", 3);
    client_call(&client, "echo", 4);
    assert_int_equal(gate.app.started, 1);
    client_require_nothing(&client);
    gate_answer(&gate, 0);
    client_require_result(&client, 1, "\"held\"");
    client_require_result(&client, 2, "null");
    client_require_nothing(&client);
    assert_int_equal(gate.app.started, 3);
    gate_answer(&gate, 0);
    client_require_result(&client, 3, "\"held\"");
    client_require_result(&client, 4, "null");
}

static void refusal_waits_for_the_replies_before_it(void **state)
{
    client_call(&client, "hold", 1);
    client_send(&client, "nonsense\r\n\r\n");
    client_require_nothing(&client);
    gate_answer(&gate, 0);
    client_require_result(&client, 1, "\"held\"");
    client_require_refusal(&client, 400, "");
    client_require_end(&client);
}

static void reading_pauses_behind_a_running_call_and_goes_on_after_it(void **state)
{
    open_with("pipeline_bytes", "200");
    client_call(&client, "hold", 0);
    for (int i = 1; i <= 10; i++)
        client_call(&client, "echo", i);
    assert_false(gate_conn(&gate)->stream.reading);
    assert_in_range(gate_conn(&gate)->pending.n, 200, 500);
    assert_int_equal(gate.worker.backlogged, 1);
    gate_answer(&gate, 0);
    client_require_result(&client, 0, "\"held\"");
    for (int i = 1; i <= 10; i++)
        client_require_result(&client, i, "null");
    assert_int_equal(gate.worker.backlogged, 0);
    assert_true(gate_conn(&gate)->stream.reading);
}

/* With three requests always on their way, the bytes behind the running one never run out. */
static void steady_pipelining_does_not_grow(void **state)
{
    client_call(&client, "hold", 0);
    client_call(&client, "hold", 1);
    client_call(&client, "hold", 2);
    for (int i = 3; i < 300; i++) {
        gate_answer(&gate, 0);
        client_require_result(&client, i - 3, "\"held\"");
        client_call(&client, "hold", i);
    }
    assert_in_range(gate_conn(&gate)->pending.cap, 1, 4096);
}

static void slow_reader_holds_up_its_own_requests(void **state)
{
    struct cla_buf text = {0};
    unsigned started;

    open_with("out_bytes", "1KiB");
    client_narrow(&client);
    for (int i = 0; i < 30000; i++)
        assert_int_equal(cla_buf_append(&text, look, sizeof look - 1), 0);
    tcp_require(send(client.fd, text.p, text.n, MSG_NOSIGNAL | MSG_DONTWAIT) > 0);
    do {
        started = gate.app.started;
        gate_turns(&gate);
    } while (gate.app.started > started);
    assert_in_range(gate.app.started, 1, 29999);
    assert_in_range(gate_conn(&gate)->stream.queued, 1, 2 << 20);
    cla_buf_fini(&text);
}

static void request_that_expected_100_runs_once_though_its_body_came_along(void **state)
{
    client_send(&client, "GET /rpc/look/at HTTP/1.1\r\nHost: localhost\r\n"
                         "Content-Type: application/json\r\nContent-Length: 2\r\n"
                         "Expect: 100-continue\r\n\r\n{}");
    client_require(&client, 200, "null");
    client_require_end(&client);
    assert_int_equal(gate.app.started, 1);
}

static void orderly_end_cancels_the_running_call(void **state)
{
    client_call(&client, "hold", 1);
    client_call(&client, "hold", 2); /* goes too, without having begun */
    shutdown(client.fd, SHUT_WR);
    gate_turns(&gate);
    assert_int_equal(gate.app.cancels, 1);
    assert_int_equal(gate.app.kind, CLA_CANCEL_DISCONNECT);
    assert_int_equal(gate.app.started, 1);
    client_require_end(&client);
    assert_int_equal(gate.worker.conn_count, 0);
}

static void reset_cancels_the_running_call(void **state)
{
    client_call(&client, "hold", 1);
    tcp_reset(client.fd);
    client.fd = -1;
    gate_turns(&gate);
    assert_int_equal(gate.app.cancels, 1);
    assert_int_equal(gate.app.kind, CLA_CANCEL_DISCONNECT);
    assert_int_equal(gate.worker.conn_count, 0);
    assert_int_equal(gate.worker.env.in_flight, 0);
}

static void end_behind_unread_bytes_cancels_the_running_call(void **state)
{
    static const bool resets[] = {false, true};

    gate_set(&gate, "pipeline_bytes", "200");
    gate_open_worker(&gate);
    for (size_t i = 0; i < CLA_ARRAY_LEN(resets); i++) {
        client_open(&client, &gate);
        client_call(&client, "hold", 1);
        for (int n = 0; n < 5; n++)
            client_call(&client, "echo", 2);
        assert_false(gate_conn(&gate)->stream.reading);
        if (resets[i])
            tcp_reset(client.fd);
        else
            close(client.fd);
        client.fd = -1;
        gate_turns(&gate);
        assert_int_equal(gate.app.cancels, i + 1);
        assert_int_equal(gate.worker.conn_count, 0);
    }
}

static void call_in_cleanup_keeps_its_slot_after_the_client_is_gone(void **state)
{
    gate.app.slow_cleanup = true;
    client_call(&client, "hold", 1);
    client_close(&client);
    assert_int_equal(gate.worker.conn_count, 0);
    assert_int_equal(gate.worker.env.in_flight, 1);
    gate.app.slow_cleanup = false;
    gate_turns(&gate);
    assert_int_equal(gate.worker.env.in_flight, 0);
}

static void half_close_may_be_allowed(void **state)
{
    open_with("half_close", "allow");
    client_call(&client, "hold", 1);
    shutdown(client.fd, SHUT_WR);
    gate_turns(&gate);
    assert_int_equal(gate.app.cancels, 0);
    gate_answer(&gate, 0);
    client_require_result(&client, 1, "\"held\"");
    client_require_end(&client);
    assert_int_equal(gate.worker.conn_count, 0);
}

static void half_close_allowed_answers_what_was_pipelined(void **state)
{
    open_with("half_close", "allow");
    client_call(&client, "hold", 1);
    client_call(&client, "hold", 2);
    client_call(&client, "echo", 3);
    client_send(&client, "POST /rpc HT"); /* never to be completed */
    shutdown(client.fd, SHUT_WR);
    gate_turns(&gate);
    gate_answer(&gate, 0);
    client_require_result(&client, 1, "\"held\"");
    gate_answer(&gate, 0);
    client_require_result(&client, 2, "\"held\"");
    client_require_result(&client, 3, "null");
    client_require_end(&client);
    assert_int_equal(gate.worker.conn_count, 0);
}

static void end_while_idle_closes(void **state)
{
    client_call(&client, "echo", 1);
    client_require_result(&client, 1, "null");
    shutdown(client.fd, SHUT_WR);
    client_require_end(&client);
    assert_int_equal(gate.worker.conn_count, 0);
    assert_int_equal(gate.app.cancels, 0);
}

static void answer_that_came_at_once_is_delivered_to_a_client_that_ended(void **state)
{
    char text[512];

    /* request and FIN are there before the first turn */
    snprintf(text, sizeof text, "%s", look);
    tcp_require(send(client.fd, text, strlen(text), 0) == (ssize_t)strlen(text));
    shutdown(client.fd, SHUT_WR);
    client_require(&client, 200, "null");
    client_require_end(&client);
}

static void closing_connection_lingers_until_the_client_ends(void **state)
{
    client_send(&client, "BAD\r\n\r\n");
    client_require_refusal(&client, 400, "");
    client_require_end(&client);                 /* our FIN */
    assert_int_equal(gate.worker.conn_count, 1); /* still reading, so that no reset is sent */
    client_send(&client, "more that nobody wants");
    assert_false(client.reset);
    shutdown(client.fd, SHUT_WR);
    gate_turns(&gate);
    assert_int_equal(gate.worker.conn_count, 0);
}

static void lingering_ends_after_a_while(void **state)
{
    client_send(&client, "BAD\r\n\r\n");
    gate_pass(&gate, 1900);
    assert_int_equal(gate.worker.conn_count, 1);
    gate_pass(&gate, 200);
    assert_int_equal(gate.worker.conn_count, 0);
}

static void descriptor_that_is_no_socket_is_survived(void **state)
{
    struct cla_message message = {.kind = CLA_MESSAGE_CONNECTION,
                                  .arrival = {.fd = 9999, .via = &gate.via}};

    cla_worker_expect(&gate.worker, &message.arrival);
    cla_worker_on_message(&gate.worker, &message);
    gate_turns(&gate);
    assert_int_equal(gate.worker.conn_count, 1); /* the fixture's client */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_gate, close_gate)
#define TEST_WITH(name) cmocka_unit_test_setup_teardown(name, init_gate, close_gate)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(connection_is_kept_alive),
        TEST(request_may_come_byte_by_byte),
        TEST(version_1_0_closes_unless_asked_to_keep_alive),
        TEST(connection_close_is_honoured),
        TEST_WITH(last_of_the_allowed_requests_closes),
        TEST(replies_of_one_turn_leave_in_one_write),
        TEST(pipelined_requests_run_in_order_one_at_a_time),
        TEST(refusal_waits_for_the_replies_before_it),
        TEST_WITH(reading_pauses_behind_a_running_call_and_goes_on_after_it),
        TEST(steady_pipelining_does_not_grow),
        TEST_WITH(slow_reader_holds_up_its_own_requests),
        TEST(request_that_expected_100_runs_once_though_its_body_came_along),
        TEST(orderly_end_cancels_the_running_call),
        TEST(reset_cancels_the_running_call),
        TEST_WITH(end_behind_unread_bytes_cancels_the_running_call),
        TEST(call_in_cleanup_keeps_its_slot_after_the_client_is_gone),
        TEST_WITH(half_close_may_be_allowed),
        TEST_WITH(half_close_allowed_answers_what_was_pipelined),
        TEST(end_while_idle_closes),
        TEST(answer_that_came_at_once_is_delivered_to_a_client_that_ended),
        TEST(closing_connection_lingers_until_the_client_ends),
        TEST(lingering_ends_after_a_while),
        TEST(descriptor_that_is_no_socket_is_survived),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
