/* The states of one call, with a sink that counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/error.h"

#include "gateway/call.h"
#include "gateway/unknown.h"

struct fixture {
    struct cla_app app;
    struct cla_loop loop;
    struct cla_log log;
    struct cla_buf log_buf;
    struct cla_call_env env;
    struct cla_request request;
    struct cla_call call;
    struct cla_buf reply;
    struct cla_rpc_error error; /* the last */
    char message[128];          /* its */
    unsigned completed, rollbacks, errors, releases, starts, cancels;
    int start_rc, end_rc;
};

static struct fixture f;
static const struct cla_procedure procedure = {.name = {"p", 1}};
static const struct cla_rpc_protocol protocol = {.name = "test"};

static struct cla_buf *result_begin(struct cla_call *call)
{
    return &f.reply;
}

static int result_end(struct cla_call *call)
{
    return f.end_rc;
}

static void completed(struct cla_call *call)
{
    f.completed++;
}

static void result_rollback(struct cla_call *call)
{
    f.rollbacks++;
}

static void on_error(struct cla_call *call, const struct cla_rpc_error *error)
{
    f.errors++;
    f.error = *error;
    snprintf(f.message, sizeof f.message, "%.*s", (int)error->message.n,
             error->message.n > 0 ? error->message.p : "");
}

static void release(struct cla_call *call)
{
    f.releases++;
}

static const struct cla_call_sink sink = {
    .result_begin = result_begin,
    .result_end = result_end,
    .completed = completed,
    .result_rollback = result_rollback,
    .error = on_error,
    .release = release,
};

static int start(struct cla_app *app, struct cla_call *call)
{
    f.starts++;
    return f.start_rc;
}

static void cancel(struct cla_app *app, struct cla_call *call, enum cla_cancel_kind kind,
                   struct cla_slice message)
{
    struct cla_reason reason = cla_reason_make(kind, 1, message);

    f.cancels++;
    cla_call_cancelled(call, &reason);
    cla_reason_fini(&reason);
}

static const struct cla_app_ops ops = {.start = start, .cancel = cancel};

static int open_fixture(void **state)
{
    static struct cla_config config;

    f = (struct fixture){.app = {&ops}, .log = {.level = CLA_LOG_OFF}};
    assert_int_equal(cla_config_init(&config), 0);
    assert_int_equal(cla_loop_init(&f.loop), 0);
    cla_loop_use_virtual_time(&f.loop);
    cla_call_env_init(&f.env, &f.app, &f.loop, &f.log, &f.log_buf, &config);
    cla_config_fini(&config);
    f.request = (struct cla_request){.env = &f.env, .sink = &sink, .protocol = &protocol};
    f.call = (struct cla_call){.request = &f.request,
                               .app = &f.app,
                               .received_ns = cla_loop_now_ns(&f.loop),
                               .procedure = &procedure};
    cla_call_set_deadline(&f.call, false, 0);
    return 0;
}

static int close_fixture(void **state)
{
    cla_loop_fini(&f.loop);
    cla_buf_fini(&f.reply);
    cla_buf_fini(&f.log_buf);
    return 0;
}

static void deadline_is_the_least_of_those_who_speak(void **state)
{
    static const struct {
        bool has;
        uint64_t client_ms, procedure_ms, want_ms;
    } cases[] = {
        {false, 0, 0, 30000},
        {true, 100, 0, 100},
        {true, 0, 0, 0},
        {false, 0, 50, 50},
        {true, 100, 50, 50},
        {true, 20, 50, 20},
        {true, 9999999999, 0, 300000},
        {true, UINT64_MAX, 0, 30000},
        {false, 0, 400000, 300000},
    };

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        const struct cla_procedure p = {.timeout_ns = cases[i].procedure_ms * CLA_NS_PER_MS};

        f.call.procedure = &p;
        cla_call_set_deadline(&f.call, cases[i].has, cases[i].client_ms);
        assert_int_equal(f.call.deadline_ns - f.call.received_ns, cases[i].want_ms * CLA_NS_PER_MS);
    }
}

static void completed_call_stays_completed(void **state)
{
    struct cla_rpc_error error = {.code = CLA_CODE_INTERNAL};
    const struct cla_reason reason = {.kind = CLA_CANCEL_TIMEOUT};

    cla_call_start(&f.call);
    assert_int_equal(f.env.in_flight, 1);
    assert_ptr_equal(cla_call_result_begin(&f.call), &f.reply);
    cla_call_result_end(&f.call);
    assert_int_equal(f.call.state, CLA_CALL_COMPLETED);
    assert_false(cla_call_fail(&f.call, &error));
    assert_false(cla_call_cancelled(&f.call, &reason));
    cla_call_cancel(&f.call, CLA_CANCEL_RESET, cla_slice(NULL, 0));
    assert_int_equal(f.env.app->late_resets, 1);
    assert_int_equal(f.cancels, 0);
    assert_int_equal(f.completed, 1);
    assert_int_equal(f.errors, 0);
    cla_call_release(&f.call);
    assert_int_equal(f.env.in_flight, 0);
    assert_int_equal(f.releases, 1);
}

static void failed_call_stays_failed(void **state)
{
    struct cla_rpc_error error = {.code = CLA_CODE_ABORTED};

    cla_call_start(&f.call);
    assert_true(cla_call_fail(&f.call, &error));
    assert_false(cla_call_fail(&f.call, &error));
    cla_call_cancel(&f.call, CLA_CANCEL_RESET, cla_slice(NULL, 0));
    assert_int_equal(f.call.state, CLA_CALL_FAILED);
    assert_null(cla_call_result_begin(&f.call));
    assert_int_equal(f.errors, 1);
    assert_int_equal(f.rollbacks, 1);
    assert_int_equal(f.env.app->late_resets, 0);
    cla_call_release(&f.call);
}

static void cancelled_call_ends_as_its_reason_says(void **state)
{
    static const struct {
        enum cla_cancel_kind kind;
        enum cla_code code;
        int number;
        const char *message; /* only where it is not the client's business alone */
    } cases[] = {
        {CLA_CANCEL_RESET, CLA_CODE_CANCELED, 0, ""},
        {CLA_CANCEL_DISCONNECT, CLA_CODE_CANCELED, 0, ""},
        {CLA_CANCEL_TIMEOUT, CLA_CODE_DEADLINE_EXCEEDED, 0, ""},
        {CLA_CANCEL_SHUTDOWN, CLA_CODE_UNAVAILABLE, -32802, ""},
        {CLA_CANCEL_RELOAD, CLA_CODE_UNAVAILABLE, -32802, ""},
        {CLA_CANCEL_KILLED, CLA_CODE_ABORTED, 0, ""},
        {CLA_CANCEL_LIMIT, CLA_CODE_RESOURCE_EXHAUSTED, 0, ""},
        {CLA_CANCEL_USER, CLA_CODE_ABORTED, 0, "why"},
    };

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        cla_call_start(&f.call);
        cla_call_cancel(&f.call, cases[i].kind, CLA_LIT("why"));
        cla_call_cancel(&f.call, CLA_CANCEL_RESET, CLA_LIT("again"));
        assert_int_equal(f.call.state, CLA_CALL_CANCELLED);
        assert_int_equal(f.error.code, cases[i].code);
        assert_int_equal(f.error.number, cases[i].number);
        assert_string_equal(f.message, cases[i].message);
        assert_int_equal(f.errors, i + 1);
        cla_call_release(&f.call);
    }
}

/* Lets the lines of calls be kept, or written to nowhere. */
static void begin_access_log(void)
{
    f.log.level = CLA_LOG_INFO;
    f.log.fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    f.env.access_log = CLA_ACCESS_LOG_ALL;
    f.request.peer = CLA_LIT("192.0.2.1:80");
    assert_true(f.log.fd >= 0);
}

static void run_logged_call(enum cla_cancel_kind kind, struct cla_slice message)
{
    cla_call_start(&f.call);
    cla_call_cancel(&f.call, kind, message);
    cla_call_release(&f.call);
}

static void access_line_says_how_a_call_ended_and_whose_it_was(void **state)
{
    static const char reset[] = " call id=1 procedure=p outcome=canceled reason=reset ms=1.500 "
                                "in=2 out=0 peer=192.0.2.1:80 protocol=test request_id=7\n";
    static const char user[] = " call id=2 procedure=p outcome=aborted reason=user "
                               "message=\"so it is\" ms=1.500 in=2 out=0 peer=192.0.2.1:80 "
                               "protocol=test notification=true\n";

    begin_access_log();
    f.call.params = CLA_LIT("[]");
    f.call.received_ns = cla_loop_now_ns(&f.loop) - 1500 * 1000;
    f.call.client_id = cla_call_id_make(CLA_LIT("7"));
    run_logged_call(CLA_CANCEL_RESET, CLA_LIT(""));
    assert_memory_equal(f.log_buf.p + f.log_buf.n - strlen(reset), reset, strlen(reset));
    f.call.client_id = cla_call_id_make(CLA_LIT(""));
    run_logged_call(CLA_CANCEL_USER, CLA_LIT("so it is"));
    assert_memory_equal(f.log_buf.p + f.log_buf.n - strlen(user), user, strlen(user));
    close(f.log.fd);
}

static void lines_of_many_calls_are_written_before_they_fill_memory(void **state)
{
    size_t most = 0;

    begin_access_log();
    for (unsigned i = 0; i < 2000; i++) {
        run_logged_call(CLA_CANCEL_RESET, CLA_LIT(""));
        most = f.log_buf.n > most ? f.log_buf.n : most;
    }
    assert_in_range(most, 60000, 65536);
    assert_in_range(f.log_buf.cap, 65536, 131072);
    close(f.log.fd);
}

static void result_that_cannot_be_kept_is_an_error(void **state)
{
    f.end_rc = -CLA_ENOMEM;
    cla_call_start(&f.call);
    cla_call_result_begin(&f.call);
    cla_call_result_end(&f.call);
    assert_int_equal(f.call.state, CLA_CALL_FAILED);
    assert_int_equal(f.error.code, CLA_CODE_UNAVAILABLE);
    assert_int_equal(f.rollbacks, 1);
    assert_int_equal(f.completed, 0);
    cla_call_release(&f.call);
}

static void require_refused(enum cla_code code, const char *message, unsigned starts)
{
    cla_call_start(&f.call);
    assert_int_equal(f.error.code, code);
    assert_non_null(strstr(f.message, message));
    assert_int_equal(f.starts, starts);
    assert_int_equal(f.env.in_flight, 0);
    assert_int_equal(f.releases, 1);
}

static void unknown_procedure_is_refused_by_name(void **state)
{
    char name[200];

    memset(name, 'n', sizeof name);
    f.call.procedure = cla_unknown_new(cla_slice(name, sizeof name));
    assert_non_null(f.call.procedure);
    require_refused(CLA_CODE_UNIMPLEMENTED, "no such procedure: nnn", 0);
    cla_unknown_free(f.call.procedure);
}

static void call_during_the_drain_is_refused(void **state)
{
    f.env.draining = true;
    require_refused(CLA_CODE_UNAVAILABLE, "shutting down", 0);
}

static void call_above_the_limit_is_refused(void **state)
{
    f.env.max_in_flight = 0;
    require_refused(CLA_CODE_UNAVAILABLE, "max_calls", 0);
}

static void call_past_its_deadline_is_refused(void **state)
{
    cla_call_set_deadline(&f.call, true, 5);
    f.loop.virtual_ns += 5 * CLA_NS_PER_MS;
    require_refused(CLA_CODE_DEADLINE_EXCEEDED, "deadline", 0);
}

static void call_that_the_app_does_not_take_is_refused(void **state)
{
    f.start_rc = -CLA_ELIMIT;
    require_refused(CLA_CODE_UNAVAILABLE, "vm_memory", 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_fixture, close_fixture)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(deadline_is_the_least_of_those_who_speak),
        TEST(completed_call_stays_completed),
        TEST(failed_call_stays_failed),
        TEST(cancelled_call_ends_as_its_reason_says),
        TEST(access_line_says_how_a_call_ended_and_whose_it_was),
        TEST(lines_of_many_calls_are_written_before_they_fill_memory),
        TEST(result_that_cannot_be_kept_is_an_error),
        TEST(unknown_procedure_is_refused_by_name),
        TEST(call_during_the_drain_is_refused),
        TEST(call_above_the_limit_is_refused),
        TEST(call_past_its_deadline_is_refused),
        TEST(call_that_the_app_does_not_take_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
