/* Draining a worker, and its limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/worker_survey.h"
#include "gateway_fixture.h"

static struct gate gate;
static struct client client;

static int init_gate(void **state)
{
    gate_init(&gate);
    gate_set(&gate, "drain_timeout", "30s");
    gate_set(&gate, "shutdown_grace", "2s");
    client = (struct client){.fd = -1};
    return 0;
}

static int open_gate(void **state)
{
    init_gate(state);
    gate_open_worker(&gate);
    client_open(&client, &gate);
    gate.loop.stopped = false;
    return 0;
}

static int close_gate(void **state)
{
    if (client.fd >= 0)
        client_close(&client);
    gate_fini(&gate);
    return 0;
}

static void drain_without_connections_stops_at_once(void **state)
{
    client_close(&client);
    gate_post(&gate, CLA_MESSAGE_DRAIN);
    assert_true(gate.loop.stopped);
}

static void drain_closes_idle_connections_and_stops(void **state)
{
    client_call(&client, "echo", 1);
    client_require_result(&client, 1, "null");
    gate_post(&gate, CLA_MESSAGE_DRAIN);
    client_require_end(&client);
    assert_true(gate.loop.stopped);
    assert_int_equal(gate.worker.abandoned, 0);
}

static void drain_lets_running_calls_finish_and_closes_after_them(void **state)
{
    client_call(&client, "hold", 1);
    client_call(&client, "echo", 2);
    gate_post(&gate, CLA_MESSAGE_DRAIN);
    gate_turns(&gate);
    assert_false(gate.loop.stopped);
    assert_int_equal(gate.app.cancels, 0);
    gate_answer(&gate, 0);
    {
        struct response r = client_take(&client, true);

        assert_non_null(strstr(r.body, "held"));
        assert_non_null(strstr(r.head, "Connection: close\r\n"));
    }
    client_require_end(&client); /* the second is the client's to send again elsewhere */
    client_close(&client);
    assert_true(gate.loop.stopped);
    assert_int_equal(gate.app.started, 1);
}

static void request_that_is_half_sent_when_the_drain_begins_is_refused(void **state)
{
    client_send(&client, "POST /rpc HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
                         "application/json\r\nContent-Length: 40\r\n\r\n");
    gate_post(&gate, CLA_MESSAGE_DRAIN);
    gate_turns(&gate);
    client_send(&client, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"echo\"}");
    {
        struct response r = client_require_refusal(&client, 200, "\"code\":-32014");

        assert_non_null(strstr(r.head, "Connection: close\r\n"));
    }
    client_require_end(&client);
}

static void connection_that_arrives_during_the_drain_is_closed(void **state)
{
    struct client late;

    client_call(&client, "hold", 1);
    gate_post(&gate, CLA_MESSAGE_DRAIN);
    client_open(&late, &gate);
    client_require_end(&late);
    assert_int_equal(gate.worker.conn_count, 1);
    client_close(&late);
}

/* Its last answer was still being written when the drain began. */
static void connection_that_becomes_idle_during_the_drain_is_closed(void **state)
{
    static const char look[] = "GET /rpc/look/at HTTP/1.1\r\nHost: localhost\r\n\r\n";
    char some[65536];

    client_narrow(&client);
    while (gate_conn(&gate)->stream.queued == 0) {
        for (int i = 0; i < 20; i++)
            tcp_require(send(client.fd, look, sizeof look - 1, MSG_NOSIGNAL) > 0);
        gate_turns(&gate);
    }
    gate_post(&gate, CLA_MESSAGE_DRAIN);
    while (gate_conn(&gate)->stream.queued > 0) {
        (void)!recv(client.fd, some, sizeof some, MSG_DONTWAIT);
        gate_turns(&gate);
        if (gate.worker.conn_count == 0)
            break;
    }
    gate_turns(&gate);
    assert_int_equal(gate.worker.conn_count, 0);
    assert_true(gate.loop.stopped);
}

static void calls_are_cancelled_when_the_drain_takes_too_long(void **state)
{
    client_call(&client, "hold", 1);
    gate_post(&gate, CLA_MESSAGE_DRAIN);
    gate_pass(&gate, 29999);
    assert_int_equal(gate.app.cancels, 0);
    gate_pass(&gate, 1);
    assert_int_equal(gate.app.kind, CLA_CANCEL_SHUTDOWN);
    assert_int_equal(gate.app.grace_ns, 2 * CLA_NS_PER_S);
    client_require_refusal(&client, 200, "\"code\":-32802");
    client_close(&client);
    assert_true(gate.loop.stopped);
    assert_int_equal(gate.worker.abandoned, 0);
}

static void calls_that_outlive_their_grace_are_abandoned(void **state)
{
    gate.app.slow_cleanup = true;
    client_call(&client, "hold", 1);
    gate_post(&gate, CLA_MESSAGE_DRAIN);
    gate_pass(&gate, 30000);
    client_require_refusal(&client, 200, "\"code\":-32802"); /* not held up by clean-up */
    gate_pass(&gate, 2000);
    assert_int_equal(gate.worker.env.in_flight, 1);
    gate_pass(&gate, 200);
    assert_int_equal(gate.worker.abandoned, 1);
    assert_true(gate.loop.stopped);
}

static void stop_ends_all_at_once_and_twice_is_once(void **state)
{
    gate.app.slow_cleanup = true;
    client_call(&client, "hold", 1);
    gate_post(&gate, CLA_MESSAGE_STOP);
    gate_post(&gate, CLA_MESSAGE_STOP);
    gate_turns(&gate);
    client_require_refusal(&client, 200, "\"code\":-32802");
    assert_true(gate.loop.stopped);
    assert_int_equal(gate.worker.abandoned, 1);
}

static void second_drain_changes_nothing(void **state)
{
    client_call(&client, "hold", 1);
    gate_post(&gate, CLA_MESSAGE_DRAIN);
    gate_pass(&gate, 29000);
    gate_post(&gate, CLA_MESSAGE_DRAIN);
    gate_pass(&gate, 1000);
    assert_int_equal(gate.app.cancels, 1);
}

static void connection_that_is_refused_is_told_so_and_is_not_counted(void **state)
{
    struct client more = {0};
    struct response r;
    int fd;

    tcp_pair(&fd, &more.fd);
    client_arrive(&more, &gate, fd, "too many connections (max_connections)");
    assert_int_equal(cla_worker_connections(&gate.worker), 1);
    r = client_require_refusal(&more, 503, "max_connections");
    assert_non_null(strstr(r.head, "Connection: close\r\n"));
    client_require_end(&more);
    client_close(&more);
    assert_int_equal(cla_worker_connections(&gate.worker), 1);
    client_close(&client);
    assert_int_equal(cla_worker_connections(&gate.worker), 0);
}

static void calls_of_several_workers_have_one_limit_and_different_ids(void **state)
{
    atomic_uint all = 1; /* another worker's */

    gate_set(&gate, "max_calls", "2");
    gate_open_worker(&gate);
    cla_call_env_share(&gate.worker.env, &all, 2, 4);
    client_open(&client, &gate);
    client_call(&client, "hold", 1);
    assert_int_equal(gate.app.held[0]->id, 3);
    assert_int_equal(all, 2);
    gate_answer(&gate, 0);
    client_require_result(&client, 1, "\"held\"");
    assert_int_equal(all, 1);
    all = 2;
    client_call(&client, "echo", 2);
    client_require_refusal(&client, 200, "max_calls");
    all = 1;
    client_call(&client, "hold", 3);
    assert_int_equal(gate.app.held[0]->id, 11);
    gate_answer(&gate, 0);
}

static void call_above_the_limit_is_unavailable(void **state)
{
    struct client more;

    gate_set(&gate, "max_calls", "1");
    gate_open_worker(&gate);
    client_open(&client, &gate);
    client_open(&more, &gate);
    client_call(&client, "hold", 1);
    client_call(&more, "echo", 2);
    client_require_refusal(&more, 200, "max_calls");
    gate_answer(&gate, 0);
    client_call(&more, "echo", 3);
    client_require_result(&more, 3, "null");
    client_close(&more);
}

static void slot_is_free_when_the_work_is_gone_not_the_client(void **state)
{
    gate_set(&gate, "max_calls", "1");
    gate_open_worker(&gate);
    gate.app.slow_cleanup = true;
    client_open(&client, &gate);
    client_call(&client, "hold", 1);
    client_close(&client);
    client_open(&client, &gate);
    client_call(&client, "echo", 2);
    client_require_refusal(&client, 200, "max_calls");
}

static unsigned runs;

static enum cla_app_left run_forever(struct cla_app *app)
{
    runs++;
    return CLA_APP_MORE;
}

static bool always_ready(struct cla_app *app)
{
    return true;
}

/* An app that has more to do has had its share of a turn: sockets are looked at again. */
static void app_runs_once_a_turn_when_no_request_waits(void **state)
{
    static struct cla_app_ops ops;

    ops = gate_app_ops;
    ops.run = run_forever;
    ops.ready = always_ready;
    gate.app.base.ops = &ops;
    runs = 0;
    assert_true(cla_loop_step(&gate.loop, false));
    gate.app.base.ops = &gate_app_ops;
    assert_int_equal(runs, 1);
}

/* The turn's time is over when the last of several pipelined requests has been looked at: nothing
 * else would wake the loop. */
static void no_call_is_left_behind_by_a_turn_that_takes_long(void **state)
{
    char text[1024] = {0};

    gate.app.run_ns = 3 * CLA_NS_PER_MS;
    for (int i = 0; i < 4; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text),
                 "POST /rpc HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                 "Content-Length: 40\r\n\r\n{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":\"echo\"}",
                 i);
    tcp_require(send(client.fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text));
    while (cla_loop_step(&gate.loop, false))
        continue;
    assert_int_equal(gate.app.started, 4);
    assert_int_equal(gate.app.queued_n, 0);
}

static struct cla_survey *ask(enum cla_survey_kind kind, uint64_t call)
{
    struct cla_survey *survey = cla_survey_new(kind, 1);

    survey->call = call;
    cla_worker_survey(&gate.worker, survey, 0);
    return survey;
}

static bool kill_found(uint64_t call)
{
    struct cla_survey *survey = ask(CLA_SURVEY_KILL, call);
    bool found = survey->answers[0].found;

    cla_survey_release(survey);
    return found;
}

static void kill_cancels_the_call_of_that_number_only(void **state)
{
    client_call(&client, "hold", 1);
    gate_turns(&gate);
    assert_false(kill_found(gate.worker.env.next_id + 1));
    assert_int_equal(gate.app.cancels, 0);
    assert_true(kill_found(gate.worker.env.next_id));
    assert_int_equal(gate.app.cancels, 1);
    assert_int_equal(gate.app.kind, CLA_CANCEL_KILLED);
    gate_turns(&gate);
    assert_non_null(strstr(client_take(&client, true).body, "-32010"));
    assert_false(kill_found(gate.worker.env.next_id));
}

static void a_survey_tells_of_each_call(void **state)
{
    struct cla_survey *survey;

    client_call(&client, "hold", 1);
    gate_pass(&gate, 70);
    survey = ask(CLA_SURVEY_CALLS, 0);
    assert_int_equal(survey->answers[0].connections, 1);
    assert_int_equal(survey->answers[0].calls, 1);
    assert_int_equal(cla_buf_push(&survey->answers[0].texts, '\0'), 0);
    assert_string_equal(
        survey->answers[0].texts.p,
        "{\"id\":1,\"procedure\":\"hold\",\"protocol\":\"jsonrpc\",\"peer\":\"192.0.2.1:1234\","
        "\"phase\":\"waiting\",\"where\":\"test:1\",\"age_ms\":70,\"cpu_ms\":3,\"generation\":1,"
        "\"worker\":0,\"remaining_ms\":29930}");
    cla_survey_release(survey);
    gate_answer(&gate, 0);
    survey = ask(CLA_SURVEY_CALLS, 0);
    assert_int_equal(survey->answers[0].texts.n, 0);
    cla_survey_release(survey);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_gate, close_gate)
#define TEST_WITH(name) cmocka_unit_test_setup_teardown(name, init_gate, close_gate)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(no_call_is_left_behind_by_a_turn_that_takes_long),
        TEST(drain_without_connections_stops_at_once),
        TEST(drain_closes_idle_connections_and_stops),
        TEST(drain_lets_running_calls_finish_and_closes_after_them),
        TEST(request_that_is_half_sent_when_the_drain_begins_is_refused),
        TEST(connection_that_arrives_during_the_drain_is_closed),
        TEST(connection_that_becomes_idle_during_the_drain_is_closed),
        TEST(calls_are_cancelled_when_the_drain_takes_too_long),
        TEST(calls_that_outlive_their_grace_are_abandoned),
        TEST(stop_ends_all_at_once_and_twice_is_once),
        TEST(second_drain_changes_nothing),
        TEST(connection_that_is_refused_is_told_so_and_is_not_counted),
        TEST_WITH(calls_of_several_workers_have_one_limit_and_different_ids),
        TEST_WITH(call_above_the_limit_is_unavailable),
        TEST_WITH(slot_is_free_when_the_work_is_gone_not_the_client),
        TEST(app_runs_once_a_turn_when_no_request_waits),
        TEST(a_survey_tells_of_each_call),
        TEST(kill_cancels_the_call_of_that_number_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
