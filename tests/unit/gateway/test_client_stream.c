/* One call over HTTP that may stream, against a scripted server on the same loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>

#include "client_fixture.h"

#define EVENTS "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
#define CHUNKED                                              \
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n" \
    "Transfer-Encoding: chunked\r\n\r\n"
#define END "event: end\ndata: {}\n\n"

static struct {
    char text[256];
    size_t n;
    bool cancels;
} parts;

static void on_part(void *arg, enum cla_client_part kind, struct cla_slice value)
{
    struct fixture *f = arg;

    parts.n += (size_t)snprintf(parts.text + parts.n, sizeof parts.text - parts.n, "%s%.*s;",
                                kind == CLA_CLIENT_ITEM ? "" : "progress ", (int)value.n, value.p);
    if (parts.cancels)
        cla_client_cancel(f->client);
}

static int set_up_stream(void **state)
{
    int rc = set_up(state);

    memset(&parts, 0, sizeof parts);
    ((struct fixture *)*state)->call.on_part = on_part;
    return rc;
}

static void the_request_asks_for_events_below_the_target(void **state)
{
    struct fixture *f = *state;

    f->call.target = CLA_LIT("/rpc?key=1");
    f->call.procedure = CLA_LIT("a.b c");
    run_answer(f, EVENTS END);
    assert_int_equal(cla_buf_push(&f->request, '\0'), 0);
    assert_string_equal(f->request.p, "POST /rpc/a.b%20c?key=1 HTTP/1.1\r\n"
                                      "Host: gate:3000\r\n"
                                      "Content-Type: application/json\r\n"
                                      "Content-Length: 5\r\n"
                                      "Accept: text/event-stream\r\n"
                                      "Connection: close\r\n"
                                      "\r\n"
                                      "[1,2]");
}

static void parts_come_before_the_end(void **state)
{
    for (size_t piece = 1; piece < 100; piece += 7) {
        struct fixture *f = *state;

        f->piece = piece;
        f->ends = true;
        assert_int_equal(run_answer(f, EVENTS "data: 1\n\nevent: progress\ndata: 2\n\n"
                                              "event: else\ndata: x\n\ndata: [3]\n\n" END
                                              "data: 4\n\n"),
                         CLA_CLIENT_RESULT);
        assert_string_equal(parts.text, "1;progress 2;[3];");
        assert_string_equal(f->result, "");
        tear_down(state);
        set_up_stream(state);
    }
}

static void each_end_is_told(void **state)
{
    static const struct {
        const char *answer;
        enum cla_client_end end;
        const char *detail;
    } cases[] = {
        {EVENTS "data: 1\n\nevent: end\ndata: {\"error\":{\"code\":\"not_found\"}}\n\n",
         CLA_CLIENT_ERROR, ""},
        {EVENTS "data: 1\n\n", CLA_CLIENT_BROKEN, "the stream was cut off: its end is missing"},
        {CHUNKED "9\r\ndata: 1\n\n\r\n0\r\n\r\n", CLA_CLIENT_BROKEN,
         "the stream was cut off: its end is missing"},
        {CHUNKED "9\r\ndata: 1\n\n\r\n", CLA_CLIENT_BROKEN,
         "the stream was cut off: the connection ended"},
        {EVENTS "data: 1\n\ndata: {\n\n", CLA_CLIENT_BROKEN, "an event of the stream is not JSON"},
        {EVENTS "data: 1\n\nevent: end\ndata: 1\n\n", CLA_CLIENT_BROKEN,
         "the end of the stream makes no sense"},
    };

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        struct fixture *f = *state;

        f->ends = true;
        assert_int_equal(run_answer(f, cases[i].answer), cases[i].end);
        assert_string_equal(f->detail, cases[i].detail);
        assert_string_equal(parts.text, "1;");
        tear_down(state);
        set_up_stream(state);
    }
}

static void what_is_no_stream_is_an_error_a_status_or_nonsense(void **state)
{
    static const struct {
        const char *answer;
        enum cla_client_end end;
    } cases[] = {
        {"HTTP/1.1 404 Not Found\r\nContent-Length: 24\r\n\r\n{\"code\":\"unimplemented\"}",
         CLA_CLIENT_ERROR},
        {"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno", CLA_CLIENT_STATUS},
        {GOOD, CLA_CLIENT_BROKEN},
        {"HTTP/1.1 404 Not Found\r\nContent-Type: text/event-stream\r\n\r\n" END,
         CLA_CLIENT_STATUS},
    };

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        struct fixture *f = *state;

        f->ends = true;
        assert_int_equal(run_answer(f, cases[i].answer), cases[i].end);
        assert_string_equal(parts.text, "");
        tear_down(state);
        set_up_stream(state);
    }
}

static void a_cancel_from_inside_a_part_is_the_end(void **state)
{
    struct fixture *f = *state;

    parts.cancels = true;
    assert_int_equal(run_answer(f, EVENTS "data: 1\n\ndata: 2\n\n" END), CLA_CLIENT_CANCELLED);
    assert_string_equal(parts.text, "1;");
}

static void a_silent_server_is_given_up_on(void **state)
{
    struct fixture *f = *state;

    f->call.timeout_ns = 500 * MS;
    f->think_ns = 1000 * MS;
    f->silent = true;
    assert_int_equal(run(f), CLA_CLIENT_TIMEOUT);
}

static void a_name_that_is_not_utf8_is_refused_at_once(void **state)
{
    struct fixture *f = *state;

    f->call.procedure = CLA_LIT("\xff");
    assert_int_equal(cla_client_start(&f->client, &f->loop, &f->call, on_answer, f), -CLA_EUTF8);
}

/* Runs a call whose allocation number 'n' fails. False if it has none such. */
static bool run_without(struct fixture *f, long n)
{
    int rc;

    assert_int_equal(cla_buf_reserve(&f->request, 1024), 0); /* the server's own */
    f->answer = CLA_LIT(EVENTS "data: 1\n\n" END);
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
        set_up_stream(state);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_stream, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_request_asks_for_events_below_the_target),
        TEST(parts_come_before_the_end),
        TEST(each_end_is_told),
        TEST(what_is_no_stream_is_an_error_a_status_or_nonsense),
        TEST(a_cancel_from_inside_a_part_is_the_end),
        TEST(a_silent_server_is_given_up_on),
        TEST(a_name_that_is_not_utf8_is_refused_at_once),
        TEST(each_allocation_may_fail),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
