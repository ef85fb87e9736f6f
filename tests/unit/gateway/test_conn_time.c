/* Time limits of a connection, in virtual time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway_fixture.h"

static struct gate gate;
static struct client client;

static int open_gate(void **state)
{
    gate_init(&gate);
    gate_set(&gate, "header_timeout", "10s");
    gate_set(&gate, "body_timeout", "30s");
    gate_set(&gate, "idle_timeout", "60s");
    gate_set(&gate, "write_timeout", "20s");
    gate_open_worker(&gate);
    client_open(&client, &gate);
    return 0;
}

static int close_gate(void **state)
{
    if (client.fd >= 0)
        client_close(&client);
    gate_fini(&gate);
    return 0;
}

#define S 1000 /* milliseconds in a second */

static void head_that_takes_too_long_is_refused(void **state)
{
    struct response r;

    client_send(&client, "POST /rpc HTTP/1.1\r\n");
    gate_pass(&gate, 6 * S);
    client_send(&client, "Host: localhost\r\n"); /* some progress does not help */
    gate_pass(&gate, 3 * S);
    client_require_nothing(&client);
    gate_pass(&gate, 1 * S);
    r = client_require_refusal(&client, 408, "header_timeout");
    assert_non_null(strstr(r.head, "Connection: close\r\n"));
    client_require_end(&client);
}

static void body_that_takes_too_long_is_refused(void **state)
{
    client_send(&client, "POST /rpc HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
                         "application/json\r\nContent-Length: 100\r\n\r\n{");
    gate_pass(&gate, 29 * S);
    client_require_nothing(&client);
    gate_pass(&gate, 1 * S);
    client_require_refusal(&client, 408, "body_timeout");
    client_require_end(&client);
    assert_int_equal(gate.app.started, 0);
}

static void connection_that_never_sends_is_closed(void **state)
{
    gate_pass(&gate, 9 * S);
    client_require_nothing(&client);
    gate_pass(&gate, 1 * S);
    client_require_end(&client);
    assert_int_equal(gate.worker.conn_count, 0);
}

static void idle_connection_is_closed_without_a_word(void **state)
{
    client_call(&client, "echo", 1);
    client_require_result(&client, 1, "null");
    gate_pass(&gate, 59 * S);
    client_call(&client, "echo", 2); /* the time begins anew */
    client_require_result(&client, 2, "null");
    gate_pass(&gate, 59 * S);
    client_require_nothing(&client);
    gate_pass(&gate, 1 * S);
    client_require_end(&client);
}

static void running_call_has_no_limit_of_the_connection(void **state)
{
    client_call(&client, "hold", 1);
    gate_pass(&gate, 3600 * S);
    client_require_nothing(&client);
    gate_answer(&gate, 0);
    client_require_result(&client, 1, "\"held\"");
    gate_pass(&gate, 59 * S);
    client_require_nothing(&client);
    gate_pass(&gate, 1 * S);
    client_require_end(&client);
}

static void pipelined_head_has_its_time_from_when_it_was_read(void **state)
{
    client_call(&client, "hold", 1);
    client_send(&client, "POST /rpc HTTP/1.1\r\n");
    gate_pass(&gate, 30 * S);
    gate_answer(&gate, 0);
    gate_turns(&gate);
    client_require_result(&client, 1, "\"held\"");
    gate_pass(&gate, 0);
    client_require_refusal(&client, 408, "header_timeout");
}

/* Makes the gateway wait for another client to read. */
static void fill(void)
{
    static const char look[] = "GET /rpc/look/at HTTP/1.1\r\nHost: localhost\r\n\r\n";
    char text[sizeof look * 100] = "";
    size_t at = 0;

    client_close(&client);
    gate_turns(&gate);
    client_open_local(&client, &gate);
    client_narrow(&client);
    for (int i = 0; i < 100; i++)
        strcat(text, look);
    while (gate_conn(&gate)->stream.reading) {
        ssize_t n = send(client.fd, text + at, strlen(text) - at, MSG_NOSIGNAL | MSG_DONTWAIT);

        tcp_require(n > 0);
        at = (at + (size_t)n) % strlen(text);
        gate_turns(&gate);
    }
}

static void client_that_takes_nothing_is_closed(void **state)
{
    fill();
    gate_pass(&gate, 19 * S);
    assert_int_equal(gate.worker.conn_count, 1);
    gate_pass(&gate, 1 * S);
    assert_int_equal(gate.worker.conn_count, 0);
}

static void sending_does_not_make_up_for_not_reading(void **state)
{
    fill();
    for (int i = 0; i < 4; i++) {
        assert_int_equal(gate.worker.conn_count, 1);
        tcp_require(send(client.fd, "G", 1, MSG_NOSIGNAL) == 1);
        gate_pass(&gate, 5 * S);
    }
    assert_int_equal(gate.worker.conn_count, 0);
}

static void client_that_reads_slowly_is_not_closed(void **state)
{
    char some[3000];
    size_t before;

    fill();
    before = cla_stream_unwritten(&gate_conn(&gate)->stream);
    for (int i = 0; i < 6; i++) {
        size_t left = cla_stream_unwritten(&gate_conn(&gate)->stream);

        while (cla_stream_unwritten(&gate_conn(&gate)->stream) == left) {
            tcp_require(recv(client.fd, some, sizeof some, 0) > 0);
            gate_turns(&gate);
        }
        gate_pass(&gate, 15 * S);
        assert_int_equal(gate.worker.conn_count, 1);
    }
    assert_in_range(cla_stream_unwritten(&gate_conn(&gate)->stream), 1, before - 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_gate, close_gate)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(head_that_takes_too_long_is_refused),
        TEST(body_that_takes_too_long_is_refused),
        TEST(connection_that_never_sends_is_closed),
        TEST(idle_connection_is_closed_without_a_word),
        TEST(running_call_has_no_limit_of_the_connection),
        TEST(pipelined_head_has_its_time_from_when_it_was_read),
        TEST(client_that_takes_nothing_is_closed),
        TEST(sending_does_not_make_up_for_not_reading),
        TEST(client_that_reads_slowly_is_not_closed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
