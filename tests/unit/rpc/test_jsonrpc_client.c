/* The client's half, against the server's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "rpc/recorder.h"

static const struct cla_rpc_limits limits = {.json_depth = 8, .batch_items = 4};

static void a_request_is_read_back_by_the_server(void **state)
{
    static const struct {
        const char *id, *method, *params, *expected;
    } cases[] = {
        {"1", "add", "[1,2]", "call id=1 add [1,2]\n"},
        {"\"x\"", "a\"b\\", "{}", "call id=\"x\" a\"b\\ {}\n"},
        {"null", "m", "", "call id=null m\n"},
        {"", "$/cancelRequest", "{\"id\":1}", "notify id= $/cancelRequest {\"id\":1}\n"},
    };

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        struct cla_buf buf = {0}, log;

        assert_int_equal(cla_jsonrpc_request(&buf, cla_slice_str(cases[i].id),
                                             cla_slice_str(cases[i].method),
                                             cla_slice_str(cases[i].params)),
                         0);
        log = recorder_read(cla_buf_slice(&buf), &limits);
        assert_string_equal(log.p, cases[i].expected);
        cla_buf_fini(&buf);
        cla_buf_fini(&log);
    }
}

static void the_time_that_is_left_stands_where_the_server_looks(void **state)
{
    static const struct {
        const char *params, *expected;
    } cases[] = {
        {"", ",\"_meta\":{\"timeout_ms\":7}}"},
        {"[1]", ",\"params\":[1],\"_meta\":{\"timeout_ms\":7}}"},
        {" { \"a\": 1}", ",\"params\":{\"_meta\":{\"timeout_ms\":7}, \"a\": 1}}"},
        {"{ }", ",\"params\":{\"_meta\":{\"timeout_ms\":7} }}"},
    };

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        struct cla_buf buf = {0};
        const char *end;

        assert_int_equal(cla_jsonrpc_request_within(&buf, CLA_LIT("1"), CLA_LIT("m"),
                                                    cla_slice_str(cases[i].params), 7),
                         0);
        assert_int_equal(cla_buf_push(&buf, '\0'), 0);
        end = strstr(buf.p, "\"method\":\"m\"");
        assert_non_null(end);
        assert_string_equal(end + strlen("\"method\":\"m\""), cases[i].expected);
        cla_buf_fini(&buf);
    }
}

static void what_a_call_asks_for_is_read_back_by_the_server(void **state)
{
    static const struct {
        struct cla_rpc_options options;
        const char *params, *expected;
    } cases[] = {
        {{.has_timeout = false}, "[1]", "call id=1 m [1]\n"},
        {{.item_token = CLA_LIT("\"i\"")}, "", "call id=1 m item=\"i\"\n"},
        {{.item_token = CLA_LIT("7"), .progress_token = CLA_LIT("8")},
         "[1]",
         "call id=1 m [1] progress=8 item=7\n"},
        {{.has_timeout = true, .timeout_ms = 5, .progress_token = CLA_LIT("8")},
         "[]",
         "call id=1 m [] timeout=5 progress=8\n"},
    };

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        struct cla_buf buf = {0}, log;

        assert_int_equal(cla_jsonrpc_request_with(&buf, CLA_LIT("1"), CLA_LIT("m"),
                                                  cla_slice_str(cases[i].params),
                                                  &cases[i].options),
                         0);
        log = recorder_read(cla_buf_slice(&buf), &limits);
        assert_string_equal(log.p, cases[i].expected);
        cla_buf_fini(&buf);
        cla_buf_fini(&log);
    }
}

static void a_method_that_is_not_utf8_appends_nothing(void **state)
{
    struct cla_buf buf = {0};

    assert_int_equal(cla_buf_add(&buf, CLA_LIT("keep")), 0);
    assert_int_equal(cla_jsonrpc_request(&buf, CLA_LIT("1"), CLA_LIT("\xff"), CLA_LIT("[]")),
                     -CLA_EUTF8);
    assert_int_equal(buf.n, 4);
    cla_buf_fini(&buf);
}

static void assert_slice(struct cla_slice s, const char *expected)
{
    assert_int_equal(s.n, strlen(expected));
    assert_memory_equal(s.p, expected, s.n);
}

static void a_success_gives_id_and_result(void **state)
{
    static const struct {
        const char *text, *id, *result;
    } cases[] = {
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":[1, 2]}", "1", "[1, 2]"},
        {" {\"result\" : null , \"id\" : \"a\" , \"jsonrpc\" : \"2.0\", \"x\":{}} ", "\"a\"",
         "null"},
        {"{\"jsonrpc\":\"2.0\",\"id\":null,\"result\":0,\"error\":null}", "null", "0"},
        {"{\"\\u006asonrpc\":\"2.0\",\"\\u0069d\":1,\"r\\u0065sult\":0}", "1", "0"},
    };
    struct cla_rpc_response response;

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        assert_int_equal(cla_jsonrpc_response_read(cla_slice_str(cases[i].text), &response), 0);
        assert_slice(response.id, cases[i].id);
        assert_slice(response.result, cases[i].result);
        assert_int_equal(response.code, CLA_CODE_OK);
        assert_int_equal(response.data.n, 0);
    }
}

static void an_error_gives_number_message_and_data(void **state)
{
    struct cla_rpc_response r;

    assert_int_equal(cla_jsonrpc_response_read(
                         CLA_LIT("{\"jsonrpc\":\"2.0\",\"id\":7,\"error\":{\"code\":-32005,"
                                 "\"message\":\"no \\\"x\\\"\",\"data\":[1]}}"),
                         &r),
                     0);
    assert_slice(r.id, "7");
    assert_int_equal(r.result.n, 0);
    assert_int_equal(r.number, -32005);
    assert_slice(r.message, "\"no \\\"x\\\"\"");
    assert_slice(r.data, "[1]");
    assert_int_equal(r.code, CLA_CODE_NOT_FOUND);
}

static void the_code_is_that_of_the_data_or_else_of_the_number(void **state)
{
    static const struct {
        const char *error;
        enum cla_code code;
    } cases[] = {
        {"\"code\":1,\"data\":{\"code\":\"aborted\"}", CLA_CODE_ABORTED},
        {"\"code\":-32603,\"data\":{\"x\":1,\"code\":\"data_loss\"}", CLA_CODE_DATA_LOSS},
        {"\"code\":-32603,\"data\":{\"code\":\"ok\"}", CLA_CODE_INTERNAL},
        {"\"code\":-32603,\"data\":{\"code\":7}", CLA_CODE_INTERNAL},
        {"\"code\":-32800", CLA_CODE_CANCELED},
        {"\"code\":-32802", CLA_CODE_UNAVAILABLE},
        {"\"code\":-32601", CLA_CODE_UNIMPLEMENTED},
        {"\"code\":-32700", CLA_CODE_INVALID_ARGUMENT},
        {"\"code\":-32600", CLA_CODE_INVALID_ARGUMENT},
        {"\"code\":0", CLA_CODE_UNKNOWN},
        {"\"code\":42", CLA_CODE_UNKNOWN},
    };

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        struct cla_rpc_response response;
        struct cla_buf text = {0};

        assert_int_equal(cla_buf_printf(&text,
                                        "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{%s,"
                                        "\"message\":\"\"}}",
                                        cases[i].error),
                         0);
        assert_int_equal(cla_jsonrpc_response_read(cla_buf_slice(&text), &response), 0);
        assert_int_equal(response.code, cases[i].code);
        cla_buf_fini(&text);
    }
}

static void our_own_error_is_read_back(void **state)
{
    for (unsigned code = CLA_CODE_OK + 1; code < CLA_CODE_COUNT; code++) {
        const struct cla_rpc_error error = {
            .code = (enum cla_code)code, .number = 42, .data = CLA_LIT("{\"code\":\"mine\"}")};
        struct cla_rpc_response response;
        struct cla_buf buf = {0};

        assert_int_equal(cla_jsonrpc_error(&buf, CLA_LIT("1"), &error), 0);
        assert_int_equal(cla_jsonrpc_response_read(cla_buf_slice(&buf), &response), 0);
        assert_int_equal(response.code, code);
        assert_int_equal(response.number, 42);
        cla_buf_fini(&buf);
    }
}

static void what_is_no_response_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "1",
        "[]",
        "{}",
        "{\"jsonrpc\":\"2.0\",\"id\":1}",
        "{\"jsonrpc\":\"2.0\",\"result\":1}",
        "{\"jsonrpc\":\"2.0\",\"id\":true,\"result\":1}",
        "{\"jsonrpc\":\"2.0\",\"id\":{},\"result\":1}",
        "{\"jsonrpc\":\"1.0\",\"id\":1,\"result\":1}",
        "{\"id\":1,\"result\":1}",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":1,\"error\":{\"code\":1,\"message\":\"\"}}",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":1}",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"message\":\"\"}}",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":1}}",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":\"1\",\"message\":\"\"}}",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":1.5,\"message\":\"\"}}",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":2147483648,\"message\":\"\"}}",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":1,\"message\":null}}",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":1",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":1}}",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":tru}",
    };
    struct cla_rpc_response response;

    for (size_t i = 0; i < CLA_ARRAY_LEN(texts); i++) {
        if (cla_jsonrpc_response_read(cla_slice_str(texts[i]), &response) != -CLA_EPROTO)
            fail_msg("'%s' was taken for a response", texts[i]);
    }
}

static void a_notification_gives_method_and_params(void **state)
{
    struct cla_rpc_notice notice;

    assert_int_equal(
        cla_jsonrpc_notice_read(
            CLA_LIT("{\"jsonrpc\":\"2.0\",\"method\":\"a\\n\",\"params\": {\"b\":1} }"), &notice),
        0);
    assert_slice(notice.method, "\"a\\n\"");
    assert_slice(notice.params, "{\"b\":1}");
    assert_int_equal(
        cla_jsonrpc_notice_read(CLA_LIT("{\"jsonrpc\":\"2.0\",\"method\":\"a\"}"), &notice), 0);
    assert_int_equal(notice.params.n, 0);
}

static void what_is_no_notification_is_refused(void **state)
{
    static const char *const cases[] = {
        "",
        "[]",
        "{\"jsonrpc\":\"2.0\"}",
        "{\"jsonrpc\":\"2.0\",\"method\":1}",
        "{\"jsonrpc\":\"1.0\",\"method\":\"a\"}",
        "{\"method\":\"a\"}",
        "{\"jsonrpc\":\"2.0\",\"method\":\"a\",\"id\":null}",
        "{\"jsonrpc\":\"2.0\",\"method\":\"a\"} 1",
    };
    struct cla_rpc_notice notice;

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++)
        assert_int_equal(cla_jsonrpc_notice_read(cla_slice_str(cases[i]), &notice), -CLA_EPROTO);
}

static int read_progress(const char *params, struct cla_slice *token, struct cla_slice *value)
{
    const struct cla_rpc_notice notice = {CLA_LIT("\"$/progress\""), cla_slice_str(params)};

    return cla_jsonrpc_progress_read(&notice, token, value);
}

static void progress_gives_token_and_value(void **state)
{
    static const char *const cases[] = {"", "[]", "{}", "{\"token\":1}", "{\"value\":1}"};
    const struct cla_rpc_notice other = {CLA_LIT("\"progress\""),
                                         CLA_LIT("{\"token\":1,\"value\":2}")};
    struct cla_slice token, value;

    assert_int_equal(read_progress("{\"value\": [ null ], \"token\": \"a\"}", &token, &value), 0);
    assert_slice(token, "\"a\"");
    assert_slice(value, "[ null ]");
    assert_int_equal(read_progress("{\"token\":1,\"value\":null}", &token, &value), 0);
    assert_slice(value, "null");
    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++)
        assert_int_equal(read_progress(cases[i], &token, &value), -CLA_EPROTO);
    assert_int_equal(cla_jsonrpc_progress_read(&other, &token, &value), -CLA_EPROTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_read_back_by_the_server),
        cmocka_unit_test(the_time_that_is_left_stands_where_the_server_looks),
        cmocka_unit_test(what_a_call_asks_for_is_read_back_by_the_server),
        cmocka_unit_test(a_method_that_is_not_utf8_appends_nothing),
        cmocka_unit_test(a_success_gives_id_and_result),
        cmocka_unit_test(an_error_gives_number_message_and_data),
        cmocka_unit_test(the_code_is_that_of_the_data_or_else_of_the_number),
        cmocka_unit_test(our_own_error_is_read_back),
        cmocka_unit_test(what_is_no_response_is_refused),
        cmocka_unit_test(a_notification_gives_method_and_params),
        cmocka_unit_test(what_is_no_notification_is_refused),
        cmocka_unit_test(progress_gives_token_and_value),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
