/* The operator's requests and what is answered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/error.h"
#include "rpc/admin.h"
#include "json/scan.h"

#define REQUEST(method, params) \
    "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"" method "\",\"params\":" params "}"

static void requests_are_read(void **state)
{
    struct cla_admin_request request;
    struct cla_buf answer = {0};

    assert_int_equal(cla_admin_read(CLA_LIT(REQUEST("ps", "{}")), &request, &answer), 0);
    assert_int_equal(request.method, CLA_ADMIN_PS);
    assert_true(cla_slice_eq(request.id, CLA_LIT("7")));
    assert_int_equal(
        cla_admin_read(CLA_LIT(REQUEST("kill", "{\"id\":9223372036854775807}")), &request, &answer),
        0);
    assert_int_equal(request.method, CLA_ADMIN_KILL);
    assert_int_equal(request.call, INT64_MAX);
    assert_false(request.now);
    assert_int_equal(
        cla_admin_read(CLA_LIT(REQUEST("kill", "{\"now\":true,\"id\":1}")), &request, &answer), 0);
    assert_true(request.now);
    assert_int_equal(
        cla_admin_read(CLA_LIT(REQUEST("log-level", "{\"level\":\"warn\"}")), &request, &answer),
        0);
    assert_true(cla_slice_eq(request.level, CLA_LIT("warn")));
    assert_int_equal(
        cla_admin_read(CLA_LIT("{\"jsonrpc\":\"2.0\",\"id\":\"a\",\"method\":\"status\"}"),
                       &request, &answer),
        0);
    assert_int_equal(request.method, CLA_ADMIN_STATUS);
    assert_int_equal(answer.n, 0);
}

static const struct {
    const char *text, *answer;
} mistakes[] = {
    {"", "not valid JSON"},
    {"{\"jsonrpc\":\"2.0\",\"method\":\"drain\"}", "needs an id"},
    {"[" REQUEST("ps", "{}") "]", "one request a line"},
    {REQUEST("reboot", "{}"), "no such command"},
    {REQUEST("kill", "{}"), "kill takes"},
    {REQUEST("kill", "{\"id\":0}"), "kill takes"},
    {REQUEST("kill", "{\"id\":-1}"), "kill takes"},
    {REQUEST("kill", "{\"id\":\"1\"}"), "kill takes"},
    {REQUEST("kill", "{\"id\":1,\"now\":1}"), "kill takes"},
    {REQUEST("kill", "{\"id\":1,\"soon\":true}"), "kill takes"},
    {REQUEST("kill", "[1]"), "kill takes"},
    {REQUEST("log-level", "{}"), "log-level"},
    {REQUEST("log-level", "{\"level\":3}"), "log-level"},
};

static void mistakes_are_answered(void **state)
{
    for (size_t i = 0; i < CLA_ARRAY_LEN(mistakes); i++) {
        struct cla_admin_request request;
        struct cla_buf answer = {0};

        assert_int_equal(cla_admin_read(cla_slice_str(mistakes[i].text), &request, &answer),
                         -CLA_EINVAL);
        assert_int_equal(cla_json_check(cla_buf_slice(&answer), 8, NULL, NULL), 0);
        assert_int_equal(cla_buf_push(&answer, '\0'), 0);
        if (strstr(answer.p, mistakes[i].answer) == NULL)
            fail_msg("%s -> %s", mistakes[i].text, answer.p);
        cla_buf_fini(&answer);
    }
}

static void names_of_clients_are_no_json(void **state)
{
    const struct cla_admin_call call = {.id = 1,
                                        .procedure = CLA_LIT("a\"\n\xff"),
                                        .protocol = CLA_LIT("p"),
                                        .peer = CLA_LIT("?"),
                                        .phase = "waiting",
                                        .where = "a\"b.lua:1",
                                        .remaining_ms = UINT64_MAX};
    struct cla_buf buf = {0};

    assert_int_equal(cla_buf_push(&buf, '['), 0);
    buf.n = 0;
    assert_int_equal(cla_admin_write_call(&buf, &call), 0);
    assert_int_equal(cla_json_check(cla_buf_slice(&buf), 8, NULL, NULL), 0);
    assert_int_equal(cla_admin_write_call(&buf, &call), 0);
    assert_int_equal(cla_buf_push(&buf, '\0'), 0);
    assert_non_null(strstr(buf.p, "\"remaining_ms\":null},{\"id\":1"));
    cla_buf_fini(&buf);
}

static void status_tells_of_workers_that_do_not_answer(void **state)
{
    const struct cla_admin_worker workers[] = {
        {.answers = true, .connections = 2, .calls = 3, .vm_bytes = 4}, {.answers = false}};
    const char *const addresses[] = {"127.0.0.1:1", "unix:/a\"b"};
    const struct cla_admin_status status = {.version = "1",
                                            .pid = 5,
                                            .uptime_ms = 6,
                                            .generation = 1,
                                            .log_level = "info",
                                            .addresses = addresses,
                                            .address_count = 2,
                                            .workers = workers,
                                            .worker_count = 2};
    struct cla_buf buf = {0};

    assert_int_equal(cla_admin_write_status(&buf, &status), 0);
    assert_int_equal(cla_buf_push(&buf, '\0'), 0);
    assert_string_equal(
        buf.p, "{\"version\":\"1\",\"pid\":5,\"uptime_ms\":6,\"generation\":1,\"reloads\":0,"
               "\"reloads_failed\":0,\"draining\":false,"
               "\"log_level\":\"info\",\"listen\":[\"127.0.0.1:1\",\"unix:/a\\\"b\"],\"workers\":["
               "{\"answers\":true,\"connections\":2,\"calls\":3,\"vm_bytes\":4},"
               "{\"answers\":false}],\"stuck\":[]}");
    cla_buf_fini(&buf);
}

static void what_is_stuck_is_told_as_far_as_it_is_known(void **state)
{
    const struct cla_admin_stuck stuck[] = {
        {.worker = 1, .call = 7, .procedure = "a\"b", .where = "a.lua:3", .ms = 1250},
        {.worker = 2, .procedure = "none", .where = "?", .ms = 100},
    };
    struct cla_buf buf = {0};

    assert_int_equal(cla_admin_write_stuck(&buf, stuck, 2), 0);
    assert_int_equal(cla_buf_push(&buf, '\0'), 0);
    assert_string_equal(buf.p, ",\"stuck\":[{\"worker\":1,\"call\":7,\"procedure\":\"a\\\"b\","
                               "\"where\":\"a.lua:3\",\"stuck_ms\":1250},{\"worker\":2,"
                               "\"call\":null,\"procedure\":null,\"where\":\"?\","
                               "\"stuck_ms\":100}]");
    cla_buf_fini(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_read),
        cmocka_unit_test(mistakes_are_answered),
        cmocka_unit_test(names_of_clients_are_no_json),
        cmocka_unit_test(status_tells_of_workers_that_do_not_answer),
        cmocka_unit_test(what_is_stuck_is_told_as_far_as_it_is_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
