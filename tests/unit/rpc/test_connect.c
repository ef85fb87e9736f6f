/* The bare-result protocol. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "rpc/connect.h"
#include "json/scan.h"

static void a_success_is_the_result_alone(void **state)
{
    struct cla_buf buf = {0};

    assert_int_equal(cla_connect_protocol.reply_begin(&buf, CLA_LIT("1")), 0);
    assert_int_equal(cla_buf_add(&buf, CLA_LIT("42")), 0);
    assert_int_equal(cla_connect_protocol.reply_end(&buf, CLA_LIT("1")), 0);
    assert_int_equal(buf.n, 2);
    assert_true(cla_connect_protocol.status_of_code);
    cla_buf_fini(&buf);
}

static void an_error_has_code_message_and_details(void **state)
{
    static const struct {
        struct cla_rpc_error error;
        const char *expected;
    } cases[] = {
        {{CLA_CODE_NOT_FOUND, 0, {NULL, 0}, {NULL, 0}},
         "{\"code\":\"not_found\",\"message\":\"not found\"}"},
        {{CLA_CODE_UNKNOWN, 42, {"a\"\xff", 3}, {NULL, 0}},
         "{\"code\":\"unknown\",\"message\":\"a\\\"\xef\xbf\xbd\"}"},
        {{CLA_CODE_ABORTED, 0, {"m", 1}, {"7", 1}},
         "{\"code\":\"aborted\",\"message\":\"m\",\"details\":[{\"type\":\"google.protobuf.Value\","
         "\"value\":\"EQAAAAAAABxA\",\"debug\":7}]}"},
        {{CLA_CODE_ABORTED, 0, {"m", 1}, {"[]", 2}},
         "{\"code\":\"aborted\",\"message\":\"m\",\"details\":[{\"type\":\"google.protobuf.Value\","
         "\"value\":\"MgA\",\"debug\":[]}]}"},
        {{CLA_CODE_ABORTED, 0, {"m", 1}, {"\"~\xc3\xbf\xc3\xbf\"", 7}},
         "{\"code\":\"aborted\",\"message\":\"m\",\"details\":[{\"type\":\"google.protobuf.Value\","
         "\"value\":\"GgV+w7/Dvw\",\"debug\":\"~\xc3\xbf\xc3\xbf\"}]}"},
        {{CLA_CODE_ABORTED, 0, {"m", 1}, {"123", 3}},
         "{\"code\":\"aborted\",\"message\":\"m\",\"details\":[{\"type\":\"google.protobuf.Value\","
         "\"value\":\"EQAAAAAAwF5A\",\"debug\":123}]}"},
    };

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        struct cla_buf buf = {0};

        assert_int_equal(cla_connect_protocol.error(&buf, CLA_LIT("1"), &cases[i].error), 0);
        assert_int_equal(cla_json_check(cla_buf_slice(&buf), 8, NULL, NULL), 0);
        assert_int_equal(cla_buf_push(&buf, '\0'), 0);
        assert_string_equal(buf.p, cases[i].expected);
        cla_buf_fini(&buf);
    }
}

static void a_result_of_null_is_the_empty_message_for_a_client_of_connect(void **state)
{
    static const struct {
        const char *result, *expected;
    } cases[] = {{"null", "{}"}, {"[null]", "[null]"}, {"7", "7"}, {"\"null\"", "\"null\""}};

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        struct cla_buf buf = {0};

        assert_int_equal(cla_connect_client_protocol.reply_begin(&buf, CLA_LIT("1")), 0);
        assert_int_equal(cla_buf_add(&buf, cla_slice_str(cases[i].result)), 0);
        assert_int_equal(cla_connect_client_protocol.reply_end(&buf, CLA_LIT("1")), 0);
        assert_true(cla_slice_eq(cla_buf_slice(&buf), cla_slice_str(cases[i].expected)));
        cla_buf_fini(&buf);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_success_is_the_result_alone),
        cmocka_unit_test(a_result_of_null_is_the_empty_message_for_a_client_of_connect),
        cmocka_unit_test(an_error_has_code_message_and_details),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
