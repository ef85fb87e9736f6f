/* Calls on a WebSocket, against a scripted server on the same loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>

#include "socket_client_fixture.h"

static int set_up(void **state)
{
    static struct fixture fixture;

    fixture = (struct fixture){
        .to = {.host = "127.0.0.1",
               .authority = CLA_LIT("gate:3000"),
               .target = CLA_LIT("/rpc"),
               .timeout_ns = CLA_NEVER},
        .timeout_ns = CLA_NEVER,
        .calls = {"add"},
    };
    assert_int_equal(cla_loop_init(&fixture.loop), 0);
    cla_loop_use_virtual_time(&fixture.loop);
    listen_on_loopback(&fixture);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    close_peer(f);
    uv_close((uv_handle_t *)&f->listener, NULL);
    assert_int_equal(f->loop.pending, 0);
    assert_int_equal(f->loop.timers.active, 0);
    cla_loop_fini(&f->loop);
    if (f->upgraded)
        cla_ws_conn_fini(&f->ws);
    cla_buf_fini(&f->request);
    cla_buf_fini(&f->got);
    cla_buf_fini(&f->said);
    return 0;
}

#define RESULT(id, result) "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"result\":" result "}"
#define CANCELED(id) \
    "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"error\":{\"code\":-32800,\"message\":\"gone\"}}"
#define CALL(id) "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"method\":\"add\"}\n"
#define CANCEL(id) \
    "{\"jsonrpc\":\"2.0\",\"method\":\"$/cancelRequest\",\"params\":{\"id\":" id "}}\n"
#define EVENT "{\"jsonrpc\":\"2.0\",\"method\":\"tick\",\"params\":{\"n\":1}}"

/* --- Calls. --- */

static void the_upgrade_has_host_path_and_fields(void **state)
{
    struct fixture *f = *state;

    f->to.fields = CLA_LIT("X-Tenant: a\r\n");
    f->answers[0] = RESULT("1", "42");
    run(f, "result 42\ncancelled cancelled\n");
    assert_memory_equal(f->request.p, "GET /rpc HTTP/1.1\r\nHost: gate:3000\r\n", 36);
    assert_non_null(strstr(f->request.p, "\r\nX-Tenant: a\r\n"));
    assert_null(strstr(f->request.p, "Content-Length"));
}

static void calls_follow_each_other_and_a_close_frame_them(void **state)
{
    struct fixture *f = *state;

    f->calls[1] = f->calls[2] = "add";
    f->answers[0] = RESULT("1", "42");
    f->answers[1] = CANCELED("2");
    f->answers[2] = RESULT("3", "[1]");
    run(f, "result 42\nerror \"gone\"\nresult [1]\ncancelled cancelled\n");
    assert_string_equal(text_of(&f->got), CALL("1") CALL("2") CALL("3") "close 1000\n");
}

static void large_messages_are_compressed_both_ways(void **state)
{
    static char params[3000], answer[3100];
    struct fixture *f = *state;

    memset(params, ' ', sizeof params - 1);
    params[0] = '[';
    params[sizeof params - 2] = ']';
    snprintf(answer, sizeof answer, RESULT("1", "%s"), params);
    f->to.params = cla_slice_str(params);
    f->answers[0] = answer;
    start(f);
    cla_loop_run(&f->loop);
    assert_true(f->ws.inflate != NULL && f->ws.deflate != NULL);
    assert_non_null(strstr(text_of(&f->said), params));
}

static void what_is_left_of_the_time_is_said(void **state)
{
    struct fixture *f = *state;

    f->timeout_ns = 500 * MS;
    f->to.params = CLA_LIT("{\"a\":1}");
    f->answers[0] = RESULT("1", "42");
    run(f, "result 42\ncancelled cancelled\n");
    assert_non_null(
        strstr(text_of(&f->got), "\"params\":{\"_meta\":{\"timeout_ms\":500},\"a\":1}"));
}

static void a_name_that_is_not_utf8_is_refused_at_once(void **state)
{
    struct fixture *f = *state;

    f->calls[0] = "\xff";
    start(f);
    while (!f->opened)
        cla_loop_step(&f->loop, true);
    assert_string_equal(text_of(&f->said), "no call: not valid UTF-8\n");
    cla_socket_client_close(f->client);
    cla_loop_run(&f->loop);
}

static void what_the_server_sends_by_itself_is_told(void **state)
{
    struct fixture *f = *state;

    f->greeting = EVENT;
    f->calls[1] = "add";
    f->answers[0] = "no JSON-RPC";
    f->timeout_ns = 500 * MS;
    f->think_ns = 1000 * MS;
    f->answers[2] = RESULT("2", "42"); /* behind the cancel of the first */
    f->answers[1] = NOTHING;
    start(f);
    cla_loop_run(&f->loop);
    assert_non_null(strstr(text_of(&f->said), "notice \"tick\"\n"));
    assert_non_null(strstr(text_of(&f->said), "text no JSON-RPC\n"));
}

static void on_part(void *arg, enum cla_client_part kind, struct cla_slice value)
{
    struct fixture *f = arg;

    say(&f->said, kind == CLA_CLIENT_ITEM ? "item " : "progress ", value);
}

#define PART(token, value)                                                        \
    "{\"jsonrpc\":\"2.0\",\"method\":\"$/progress\",\"params\":{\"token\":" token \
    ",\"value\":" value "}}"

static void parts_of_the_present_call_are_told(void **state)
{
    static const struct {
        const char *greeting, *said;
    } cases[] = {
        {PART("\"cancela-items-1\"", "[1]"), "item [1]\n"},
        {PART("\"cancela-progress-1\"", "2"), "progress 2\n"},
        {PART("\"cancela-items-2\"", "3"), ""},
        {PART("1", "4"), "notice \"$/progress\"\n"},
    };

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        struct fixture *f = *state;

        f->to.on_part = on_part;
        f->greeting = cases[i].greeting; /* behind the call, which is made when it is open */
        f->answers[0] = RESULT("1", "42");
        start(f);
        cla_loop_run(&f->loop);
        assert_int_equal(strncmp(text_of(&f->said), cases[i].said, strlen(cases[i].said)), 0);
        assert_string_equal(f->said.p + strlen(cases[i].said), "result 42\ncancelled cancelled\n");
        assert_non_null(strstr(text_of(&f->got), "\"_meta\":{\"itemToken\":\"cancela-items-1\","
                                                 "\"progressToken\":\"cancela-progress-1\"}"));
        tear_down(state);
        set_up(state);
    }
}

static void pings_are_answered_between_calls(void **state)
{
    struct fixture *f = *state;
    struct cla_buf out = {0};

    f->answers[0] = NOTHING;
    start(f);
    while (f->texts == 0)
        cla_loop_step(&f->loop, true);
    cla_ws_conn_ping(&f->ws, &out, CLA_LIT("there?"));
    send_bytes(f, &out);
    while (strstr(text_of(&f->got), "pong there?") == NULL) {
        f->got.n--;
        cla_loop_step(&f->loop, true);
    }
    cla_socket_client_close(f->client);
    cla_loop_run(&f->loop);
}

/* --- Cancel and time. --- */

static void a_cancel_is_a_message_and_its_answer_counts(void **state)
{
    struct fixture *f = *state;

    f->cancels = true;
    f->answers[1] = CANCELED("1");
    run(f, "error \"gone\"\ncancelled cancelled\n");
    assert_string_equal(text_of(&f->got), CALL("1") CANCEL("1") "close 1000\n");
}

static void a_silent_server_is_given_up_on_and_its_late_answer_ignored(void **state)
{
    struct fixture *f = *state;

    f->timeout_ns = 500 * MS;
    f->think_ns = 1000 * MS;
    f->calls[1] = "add";
    f->answers[1] = RESULT("1", "\"late\""); /* to the cancel */
    f->answers[2] = RESULT("2", "42");
    run(f, "timeout the server did not answer in time\nresult 42\ncancelled cancelled\n");
    assert_non_null(strstr(text_of(&f->got), CANCEL("1")));
}

static void an_upgrade_that_takes_too_long_is_given_up(void **state)
{
    struct fixture *f = *state;

    f->refusal = "HTTP/1.1 ";
    f->upgrade_ns = 11 * CLA_NS_PER_S;
    run(f, "unreachable the server did not answer the upgrade in time\n");
}

static void a_limit_makes_that_a_timeout(void **state)
{
    struct fixture *f = *state;

    f->refusal = "HTTP/1.1 ";
    f->to.timeout_ns = 500 * MS;
    f->upgrade_ns = 1000 * MS;
    run(f, "timeout the server did not answer the upgrade in time\n");
}

/* --- Ends. --- */

static void each_end_is_told(void **state)
{
    static const struct {
        const char *answer, *said;
    } cases[] = {
        {END, "broken the server ended the connection without a close frame\n"},
        {RESET, "broken the connection broke\n"},
        {CLOSE, "broken the server closed the connection with code 1001: later\n"},
        {BREAK, "broken the server broke the WebSocket protocol: the opcode is reserved\n"},
    };

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        struct fixture *f = *state;

        f->answers[0] = cases[i].answer;
        run(f, cases[i].said);
        tear_down(state);
        set_up(state);
    }
}

static void each_answer_that_is_no_upgrade_is_told(void **state)
{
    static const struct {
        const char *answer, *said;
    } cases[] = {
        {"HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\nno!\n", "status no!\n\n"},
        {"HTTP/1.1 200 OK\r\n\r\nhello", "status hello\n"},
        {"HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
         "broken Sec-WebSocket-Accept is not the answer to our key\n"},
        {"HTTP/1.1 101 S\r\nConnection: x\r\nUpgrade: websocket\r\n\r\n",
         "broken the server did not upgrade to WebSocket\n"},
        {"HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: websocket\r\nUpgrade: x\r\n\r\n",
         "broken a field of the server's upgrade came twice\n"},
        {"HTTP/1.1 4", "broken the server ended the connection without a close frame\n"},
    };

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        struct fixture *f = *state;

        f->refusal = cases[i].answer;
        run(f, cases[i].said);
        assert_false(f->opened);
        tear_down(state);
        set_up(state);
    }
}

static void a_refused_connection_is_said(void **state)
{
    struct fixture *f = *state;

    uv_close((uv_handle_t *)&f->listener, NULL);
    cla_loop_step(&f->loop, false);
    run(f, "unreachable connection refused (127.0.0.1)\n");
    listen_on_loopback(f);
}

static void a_close_after_any_turn_is_told_once(void **state)
{
    for (unsigned turns = 0; turns < 14; turns++) {
        struct fixture *f = *state;

        f->answers[0] = NOTHING;
        start(f);
        for (unsigned i = 0; i < turns; i++)
            cla_loop_step(&f->loop, false);
        cla_socket_client_close(f->client);
        if (turns % 2 > 0)
            cla_socket_client_close(f->client);
        cla_loop_run(&f->loop);
        assert_string_equal(text_of(&f->said), "cancelled cancelled\n");
        tear_down(state);
        set_up(state);
    }
}

static void a_server_that_ignores_the_close_is_left_after_a_second(void **state)
{
    struct fixture *f = *state;

    start(f);
    while (f->texts == 0)
        cla_loop_step(&f->loop, true);
    uv_read_stop((uv_stream_t *)&f->peer);
    cla_socket_client_close(f->client);
    f->loop.virtual_ns += CLA_NS_PER_S - 1;
    for (unsigned i = 0; i < 10; i++)
        cla_loop_step(&f->loop, false);
    assert_false(f->closed);
    f->loop.virtual_ns++;
    cla_loop_run(&f->loop);
    assert_true(f->closed);
}

/* --- Memory. --- */

/* Runs a session whose allocation number 'n' fails. False if it has none such. */
static bool run_without(struct fixture *f, long n)
{
    int rc;

    assert_int_equal(cla_buf_reserve(&f->said, 4096), 0); /* the test's own */
    f->answers[0] = RESULT("1", "42");
    mem_fault_after(n);
    rc = cla_socket_client_start(&f->client, &f->loop, &f->to, &events, f);
    while (rc == 0 && !f->closed) {
        cla_loop_step(&f->loop, false);
        if (strstr(text_of(&f->said), "no call") != NULL && !f->closed)
            cla_socket_client_close(f->client);
        f->said.n--;
    }
    mem_fault_off();
    return mem_fault.failed;
}

static void each_allocation_may_fail(void **state)
{
    bool failed = true;

    for (long n = 0; failed; n++) {
        failed = run_without(*state, n);
        assert_true(failed || n > 6);
        tear_down(state);
        assert_int_equal(mem_fault.live, 0);
        set_up(state);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_upgrade_has_host_path_and_fields),
        TEST(calls_follow_each_other_and_a_close_frame_them),
        TEST(large_messages_are_compressed_both_ways),
        TEST(what_is_left_of_the_time_is_said),
        TEST(a_name_that_is_not_utf8_is_refused_at_once),
        TEST(what_the_server_sends_by_itself_is_told),
        TEST(parts_of_the_present_call_are_told),
        TEST(pings_are_answered_between_calls),
        TEST(a_cancel_is_a_message_and_its_answer_counts),
        TEST(a_silent_server_is_given_up_on_and_its_late_answer_ignored),
        TEST(an_upgrade_that_takes_too_long_is_given_up),
        TEST(a_limit_makes_that_a_timeout),
        TEST(each_end_is_told),
        TEST(each_answer_that_is_no_upgrade_is_told),
        TEST(a_refused_connection_is_said),
        TEST(a_close_after_any_turn_is_told_once),
        TEST(a_server_that_ignores_the_close_is_left_after_a_second),
        TEST(each_allocation_may_fail),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
