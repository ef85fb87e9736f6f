/* What replies look like. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "rpc/jsonrpc.h"
#include "json/scan.h"

static void check(struct cla_buf *buf, const char *expected)
{
    assert_int_equal(cla_json_check(cla_buf_slice(buf), CLA_JSON_DEPTH_MAX, NULL, NULL), 0);
    assert_int_equal(cla_buf_push(buf, '\0'), 0);
    assert_string_equal(buf->p, expected);
    cla_buf_fini(buf);
}

static void a_success_stands_around_the_result(void **state)
{
    struct cla_buf buf = {0};
    struct cla_slice id = CLA_LIT("\"a\\u0041\"");

    assert_int_equal(cla_jsonrpc_reply_begin(&buf, id), 0);
    assert_int_equal(cla_buf_add(&buf, CLA_LIT("[1]")), 0);
    assert_int_equal(cla_jsonrpc_reply_end(&buf, id), 0);
    check(&buf, "{\"jsonrpc\":\"2.0\",\"id\":\"a\\u0041\",\"result\":[1]}");
}

static void a_begun_reply_can_be_rolled_back(void **state)
{
    struct cla_rpc_error error = {.code = CLA_CODE_INTERNAL};
    struct cla_buf buf = {0};
    size_t before = buf.n;

    assert_int_equal(cla_jsonrpc_reply_begin(&buf, CLA_LIT("1")), 0);
    assert_int_equal(cla_buf_add(&buf, CLA_LIT("{\"half\":")), 0);
    buf.n = before;
    assert_int_equal(cla_jsonrpc_error(&buf, CLA_LIT("1"), &error), 0);
    check(&buf, "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32603,"
                "\"message\":\"internal error\",\"data\":{\"code\":\"internal\"}}}");
}

static void an_error_has_number_message_and_name(void **state)
{
    static const struct {
        struct cla_rpc_error error;
        const char *expected;
    } cases[] = {
        {{CLA_CODE_CANCELED, 0, {NULL, 0}, {NULL, 0}},
         "-32800,\"message\":\"the call was cancelled\",\"data\":{\"code\":\"canceled\"}}}"},
        {{CLA_CODE_UNAVAILABLE, CLA_JSONRPC_SERVER_CANCELLED, {"bye", 3}, {NULL, 0}},
         "-32802,\"message\":\"bye\",\"data\":{\"code\":\"unavailable\"}}}"},
        {{CLA_CODE_UNKNOWN, 42, {"a\"b\n", 4}, {NULL, 0}},
         "42,\"message\":\"a\\\"b\\n\",\"data\":{\"code\":\"unknown\"}}}"},
        {{CLA_CODE_INTERNAL, 0, {"\xff!", 2}, {NULL, 0}},
         "-32603,\"message\":\"\xef\xbf\xbd!\",\"data\":{\"code\":\"internal\"}}}"},
    };

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        struct cla_buf buf = {0}, expected = {0};

        assert_int_equal(cla_buf_printf(&expected,
                                        "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":"
                                        "{\"code\":%s",
                                        cases[i].expected),
                         0);
        assert_int_equal(cla_buf_push(&expected, '\0'), 0);
        assert_int_equal(cla_jsonrpc_error(&buf, CLA_LIT("null"), &cases[i].error), 0);
        check(&buf, expected.p);
        cla_buf_fini(&expected);
    }
}

static void the_scripts_data_joins_the_name(void **state)
{
    static const struct {
        const char *data, *expected;
    } cases[] = {
        {"{\"a\":1}", "{\"code\":\"not_found\",\"a\":1}"},
        {" {\n \"a\" : [1] , \"b\":2 \n} ", "{\"code\":\"not_found\",\"a\" : [1] , \"b\":2 \n}"},
        {"{}", "{\"code\":\"not_found\"}"},
        {"{ \n }", "{\"code\":\"not_found\"}"},
        {"[1]", "{\"code\":\"not_found\",\"value\":[1]}"},
        {"[]", "{\"code\":\"not_found\",\"value\":[]}"},
        {"7", "{\"code\":\"not_found\",\"value\":7}"},
        {"null", "{\"code\":\"not_found\",\"value\":null}"},
        {"\"x\"", "{\"code\":\"not_found\",\"value\":\"x\"}"},
        {"{\"code\":\"not_found\",\"a\":1}", "{\"code\":\"not_found\",\"a\":1}"},
        {"{\"a\":1,\"code\":7}", "{\"code\":\"not_found\",\"value\":{\"a\":1,\"code\":7}}"},
        {"{\"\\u0063ode\":7}", "{\"code\":\"not_found\",\"value\":{\"\\u0063ode\":7}}"},
        {"{\"a\":{\"code\":7}}", "{\"code\":\"not_found\",\"a\":{\"code\":7}}"},
    };

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        struct cla_rpc_error error = {.code = CLA_CODE_NOT_FOUND,
                                      .data = cla_slice_str(cases[i].data)};
        struct cla_buf buf = {0}, expected = {0};

        assert_int_equal(cla_buf_printf(&expected,
                                        "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":"
                                        "-32005,\"message\":\"not found\",\"data\":%s}}",
                                        cases[i].expected),
                         0);
        assert_int_equal(cla_buf_push(&expected, '\0'), 0);
        assert_int_equal(cla_jsonrpc_error(&buf, CLA_LIT("1"), &error), 0);
        check(&buf, expected.p);
        cla_buf_fini(&expected);
    }
}

static void replies_append_to_what_is_there(void **state)
{
    struct cla_buf buf = {0};

    assert_int_equal(cla_buf_push(&buf, '['), 0);
    assert_int_equal(cla_jsonrpc_reply_begin(&buf, CLA_LIT("1")), 0);
    assert_int_equal(cla_buf_add(&buf, CLA_LIT("null")), 0);
    assert_int_equal(cla_jsonrpc_reply_end(&buf, CLA_LIT("1")), 0);
    assert_int_equal(cla_buf_push(&buf, ']'), 0);
    check(&buf, "[{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":null}]");
}

static void the_protocol_is_these_functions(void **state)
{
    assert_string_equal(cla_jsonrpc_protocol.name, "jsonrpc");
    assert_false(cla_jsonrpc_protocol.status_of_code);
    assert_ptr_equal(cla_jsonrpc_protocol.reply_begin, cla_jsonrpc_reply_begin);
    assert_ptr_equal(cla_jsonrpc_protocol.reply_end, cla_jsonrpc_reply_end);
    assert_ptr_equal(cla_jsonrpc_protocol.error, cla_jsonrpc_error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_success_stands_around_the_result),
        cmocka_unit_test(a_begun_reply_can_be_rolled_back),
        cmocka_unit_test(an_error_has_number_message_and_name),
        cmocka_unit_test(the_scripts_data_joins_the_name),
        cmocka_unit_test(replies_append_to_what_is_there),
        cmocka_unit_test(the_protocol_is_these_functions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
