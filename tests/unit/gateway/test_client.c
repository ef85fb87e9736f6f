/* One call over HTTP and JSON-RPC, against a scripted server on the same loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>

#include "client_fixture.h"

/* --- Answers. --- */

static void the_request_is_a_post_of_one_call(void **state)
{
    struct fixture *f = *state;

    f->call.fields = CLA_LIT("X-Tenant: a\r\n");
    f->call.timeout_ns = 500 * MS;
    run_answer(f, GOOD);
    assert_int_equal(cla_buf_push(&f->request, '\0'), 0);
    assert_string_equal(f->request.p,
                        "POST /rpc HTTP/1.1\r\n"
                        "Host: gate:3000\r\n"
                        "Content-Type: application/json\r\n"
                        "Content-Length: 54\r\n"
                        "Accept: application/json\r\n"
                        "Connection: close\r\n"
                        "Connect-Timeout-Ms: 500\r\n"
                        "X-Tenant: a\r\n"
                        "\r\n"
                        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"add\",\"params\":[1,2]}");
}

static void a_good_answer_is_the_result(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(run_answer(f, GOOD), CLA_CLIENT_RESULT);
    assert_string_equal(f->result, "42");
    assert_int_equal(f->got.status, 200);
}

static void an_answer_may_come_in_any_pieces(void **state)
{
    struct fixture *f = *state;

    f->piece = 1;
    assert_int_equal(run_answer(f, GOOD), CLA_CLIENT_RESULT);
    assert_string_equal(f->result, "42");
}

static void an_error_answer_has_its_code_and_message(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(run_answer(f, JSON(101, ERROR)), CLA_CLIENT_ERROR);
    assert_int_equal(f->got.response.code, CLA_CODE_NOT_FOUND);
    assert_int_equal(f->got.response.number, -32005);
    assert_string_equal(f->message, "\"no such user\"");
}

static void other_answers_are_what_they_are(void **state)
{
    static const struct {
        const char *answer;
        enum cla_client_end end;
        int status;
    } cases[] = {
        {"HTTP/1.1 200 OK\r\n\r\n{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":42}", CLA_CLIENT_RESULT,
         200},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
         "24\r\n{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":42}\r\n0\r\n\r\n",
         CLA_CLIENT_RESULT, 200},
        {"HTTP/1.1 204 No Content\r\n\r\n", CLA_CLIENT_RESULT, 204},
        {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", CLA_CLIENT_RESULT, 204},
        {"HTTP/1.1 500 No\r\nContent-Length: 101\r\n\r\n" ERROR, CLA_CLIENT_ERROR, 500},
        {"HTTP/1.1 400 No\r\n\r\n{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":"
         "{\"code\":-32700,\"message\":\"parse error\"}}",
         CLA_CLIENT_ERROR, 400},
        {"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone", CLA_CLIENT_STATUS, 404},
        {"HTTP/1.1 101 Up\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", CLA_CLIENT_STATUS, 101},
        {"HTTP/1.1 200 OK\r\n\r\n{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":42}", CLA_CLIENT_BROKEN,
         200},
        {"HTTP/1.1 200 OK\r\n\r\n{\"jsonrpc\":\"2.0\",\"id\":null,\"result\":42}",
         CLA_CLIENT_BROKEN, 200},
        {"HTTP/1.1 200 OK\r\n\r\n<html>", CLA_CLIENT_BROKEN, 200},
        {"HTTP/1.1 200 OK\r\nContent-Length: 67108865\r\n\r\n", CLA_CLIENT_BROKEN, 0},
        {"SSH-2.0-OpenSSH_9.0\r\n", CLA_CLIENT_BROKEN, 0},
        {"HTTP/1.1 200 OK\r\nContent-Length: 36\r\n\r\n{\"jsonrpc\":\"2.0\",", CLA_CLIENT_BROKEN,
         200},
        {"HTTP/1.1 200 OK\r\nContent-", CLA_CLIENT_BROKEN, 0},
        {"", CLA_CLIENT_BROKEN, 0},
    };

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        struct fixture *f;

        if (i > 0)
            set_up(state);
        f = *state;
        f->ends = true;
        assert_int_equal(run_answer(f, cases[i].answer), cases[i].end);
        assert_int_equal(f->got.status, cases[i].status);
        if (i + 1 < CLA_ARRAY_LEN(cases))
            tear_down(state);
    }
}

static void a_head_beyond_the_limit_is_refused(void **state)
{
    struct fixture *f = *state;
    struct cla_buf answer = {0};

    assert_int_equal(cla_buf_add(&answer, CLA_LIT("HTTP/1.1 200 OK\r\nA: ")), 0);
    while (answer.n <= CLA_CLIENT_HEAD_BYTES_MAX)
        assert_int_equal(cla_buf_push(&answer, 'a'), 0);
    f->answer = cla_buf_slice(&answer);
    assert_int_equal(run(f), CLA_CLIENT_BROKEN);
    assert_non_null(strstr(f->detail, "65536"));
    cla_buf_fini(&answer);
}

/* --- Connections. --- */

static void an_early_end_is_said(void **state)
{
    struct fixture *f = *state;

    f->ends = true;
    assert_int_equal(run_answer(f, "HTTP/1.1"), CLA_CLIENT_BROKEN);
    assert_string_equal(f->detail, "the server closed the connection before it answered");
}

static void a_reset_is_said(void **state)
{
    struct fixture *f = *state;

    f->ends = f->resets = true;
    assert_int_equal(run_answer(f, "HTTP/1.1"), CLA_CLIENT_BROKEN);
    assert_string_equal(f->detail, "the connection broke before the server answered");
}

static void a_refused_connection_is_said(void **state)
{
    struct fixture *f = *state;

    uv_close((uv_handle_t *)&f->listener, NULL);
    cla_loop_step(&f->loop, false);
    assert_int_equal(run(f), CLA_CLIENT_UNREACHABLE);
    assert_true(f->got.refused);
    assert_string_equal(f->detail, "connection refused (127.0.0.1)");
    listen_on_loopback(f);
}

static void a_name_that_is_not_utf8_is_refused_at_once(void **state)
{
    struct fixture *f = *state;

    f->call.procedure = CLA_LIT("\xff");
    assert_int_equal(cla_client_start(&f->client, &f->loop, &f->call, on_answer, f), -CLA_EUTF8);
    assert_int_equal(f->answers, 0);
}

/* --- Time. --- */

static void a_silent_server_is_given_up_on(void **state)
{
    struct fixture *f = *state;

    f->call.timeout_ns = 500 * MS;
    f->think_ns = 1000 * MS;
    f->silent = true;
    assert_int_equal(run(f), CLA_CLIENT_TIMEOUT);
}

static void the_servers_own_deadline_has_precedence(void **state)
{
    struct fixture *f = *state;

    f->call.timeout_ns = 500 * MS;
    f->think_ns = 501 * MS;
    assert_int_equal(run_answer(f, JSON(101, ERROR)), CLA_CLIENT_ERROR);
}

static void no_limit_waits_for_the_answer(void **state)
{
    struct fixture *f = *state;

    f->think_ns = 3600 * CLA_NS_PER_S;
    assert_int_equal(run_answer(f, GOOD), CLA_CLIENT_RESULT);
}

static void a_limit_that_connecting_used_up_is_a_timeout(void **state)
{
    struct fixture *f = *state;

    f->call.timeout_ns = 1;
    start(f);
    f->loop.virtual_ns += 2;
    cla_loop_run(&f->loop);
    assert_int_equal(f->answers, 1);
    assert_int_equal(f->got.end, CLA_CLIENT_TIMEOUT);
}

/* --- TLS, as far as a server that knows none shows it; tests/e2e has the rest. --- */

static enum cla_client_end run_tls(struct fixture *f)
{
    const struct cla_tls_client_files files = {.insecure = true};
    struct cla_tls_error error;
    enum cla_client_end end;

    assert_int_equal(cla_tls_context_new_client(&f->call.tls, &files, &error), 0);
    end = run(f);
    cla_tls_context_put(f->call.tls);
    return end;
}

static void a_handshake_that_takes_too_long_is_no_connection(void **state)
{
    struct fixture *f = *state;

    f->silent = true;
    f->think_ns = 10 * CLA_NS_PER_S;
    assert_int_equal(run_tls(f), CLA_CLIENT_UNREACHABLE);
    assert_string_equal(f->detail, "the TLS handshake took too long");
}

static void the_time_limit_of_a_call_is_that_of_its_handshake_too(void **state)
{
    struct fixture *f = *state;

    f->silent = true;
    f->think_ns = 1000 * MS;
    f->call.timeout_ns = 500 * MS;
    assert_int_equal(run_tls(f), CLA_CLIENT_TIMEOUT);
}

static void a_server_that_speaks_plain_http_is_no_connection(void **state)
{
    struct fixture *f = *state;

    f->answer = CLA_LIT(GOOD);
    assert_int_equal(run_tls(f), CLA_CLIENT_UNREACHABLE);
    assert_non_null(strstr(f->detail, "does not speak TLS"));
    assert_null(memmem(f->request.p, f->request.n, "add", 3)); /* it got nothing in clear */
}

static void a_cancel_during_the_handshake_is_one(void **state)
{
    const struct cla_tls_client_files files = {.insecure = true};
    struct fixture *f = *state;
    struct cla_tls_error error;

    f->silent = true;
    assert_int_equal(cla_tls_context_new_client(&f->call.tls, &files, &error), 0);
    start(f);
    while (!f->asked)
        cla_loop_step(&f->loop, true);
    cla_client_cancel(f->client);
    cla_loop_run(&f->loop);
    assert_int_equal(f->got.end, CLA_CLIENT_CANCELLED);
    cla_tls_context_put(f->call.tls);
}

/* --- Cancel. --- */

static void a_cancel_closes_the_connection(void **state)
{
    struct fixture *f = *state;

    f->silent = true;
    start(f);
    while (!f->asked)
        cla_loop_step(&f->loop, true);
    cla_client_cancel(f->client);
    assert_int_equal(f->answers, 0);
    while (f->answers == 0 || !f->peer_ended)
        cla_loop_step(&f->loop, true);
    assert_int_equal(f->answers, 1);
    assert_int_equal(f->got.end, CLA_CLIENT_CANCELLED);
}

static void a_cancel_after_any_turn_is_reported_once(void **state)
{
    for (unsigned turns = 0; turns < 12; turns++) {
        struct fixture *f = *state;

        f->answer = CLA_LIT(GOOD);
        start(f);
        for (unsigned i = 0; i < turns && f->answers == 0; i++)
            cla_loop_step(&f->loop, true);
        if (f->answers == 0) {
            cla_client_cancel(f->client);
            cla_client_cancel(f->client);
            cla_loop_run(&f->loop);
        }
        assert_int_equal(f->answers, 1);
        assert_true(f->got.end == CLA_CLIENT_CANCELLED || f->got.end == CLA_CLIENT_RESULT);
        tear_down(state);
        set_up(state);
    }
}

/* --- Memory. --- */

/* Runs a call whose allocation number 'n' fails. False if it has none such. */
static bool run_without(struct fixture *f, long n)
{
    int rc;

    assert_int_equal(cla_buf_reserve(&f->request, 1024), 0); /* the server's own */
    f->answer = CLA_LIT(GOOD);
    f->piece = 7;
    mem_fault_after(n);
    rc = cla_client_start(&f->client, &f->loop, &f->call, on_answer, f);
    if (rc == 0)
        cla_loop_run(&f->loop);
    mem_fault_off();
    if (!mem_fault.failed)
        return false;
    assert_true(rc == -CLA_ENOMEM || rc == 0);
    assert_int_equal(f->answers, rc == 0 ? 1 : 0);
    if (rc == 0)
        assert_int_equal(f->got.end, CLA_CLIENT_BROKEN);
    return true;
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
        TEST(the_request_is_a_post_of_one_call),
        TEST(a_good_answer_is_the_result),
        TEST(an_answer_may_come_in_any_pieces),
        TEST(an_error_answer_has_its_code_and_message),
        TEST(other_answers_are_what_they_are),
        TEST(a_head_beyond_the_limit_is_refused),
        TEST(an_early_end_is_said),
        TEST(a_reset_is_said),
        TEST(a_refused_connection_is_said),
        TEST(a_name_that_is_not_utf8_is_refused_at_once),
        TEST(a_silent_server_is_given_up_on),
        TEST(the_servers_own_deadline_has_precedence),
        TEST(no_limit_waits_for_the_answer),
        TEST(a_limit_that_connecting_used_up_is_a_timeout),
        TEST(a_handshake_that_takes_too_long_is_no_connection),
        TEST(the_time_limit_of_a_call_is_that_of_its_handshake_too),
        TEST(a_server_that_speaks_plain_http_is_no_connection),
        TEST(a_cancel_during_the_handshake_is_one),
        TEST(a_cancel_closes_the_connection),
        TEST(a_cancel_after_any_turn_is_reported_once),
        TEST(each_allocation_may_fail),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
