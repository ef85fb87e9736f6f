/* Connect's errors and ends of streams as clients read them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "rpc/connect.h"

static void assert_slice(struct cla_slice s, const char *expected)
{
    assert_int_equal(s.n, strlen(expected));
    assert_memory_equal(s.n > 0 ? s.p : "", expected, s.n);
}

static void our_own_error_is_read_back(void **state)
{
    const struct cla_rpc_error error = {CLA_CODE_NOT_FOUND, 0, CLA_LIT("no \"user\""),
                                        CLA_LIT("{\"id\":7}")};
    struct cla_rpc_response response;
    struct cla_buf buf = {0};

    assert_int_equal(cla_connect_error(&buf, CLA_LIT("null"), &error), 0);
    assert_int_equal(cla_connect_error_read(cla_buf_slice(&buf), &response), 0);
    assert_int_equal(response.code, CLA_CODE_NOT_FOUND);
    assert_int_equal(response.number, -32005);
    assert_slice(response.message, "\"no \\\"user\\\"\"");
    assert_slice(response.data, "{\"id\":7}");
    cla_buf_fini(&buf);
}

static void an_error_of_others_is_read(void **state)
{
    static const struct {
        const char *text;
        enum cla_code code;
        const char *message, *data;
    } cases[] = {
        {"{\"code\":\"aborted\"}", CLA_CODE_ABORTED, "\"\"", ""},
        {"{\"code\":\"strange\",\"message\":\"m\"}", CLA_CODE_UNKNOWN, "\"m\"", ""},
        {"{\"code\":\"ok\",\"message\":\"m\"}", CLA_CODE_UNKNOWN, "\"m\"", ""},
        {"{\"code\":\"internal\",\"message\":1,\"details\":{}}", CLA_CODE_INTERNAL, "\"\"", ""},
        {"{\"code\":\"internal\",\"details\":[]}", CLA_CODE_INTERNAL, "\"\"", ""},
        {"{\"code\":\"internal\",\"details\":[1]}", CLA_CODE_INTERNAL, "\"\"", ""},
        {"{\"code\":\"internal\",\"details\":[{\"type\":\"t\"},{\"debug\":1}]}", CLA_CODE_INTERNAL,
         "\"\"", ""},
        {" { \"details\" : [ { \"debug\" : [ 1 ] } ] , \"code\" : \"internal\" } ",
         CLA_CODE_INTERNAL, "\"\"", "[ 1 ]"},
    };
    struct cla_rpc_response response;

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        assert_int_equal(cla_connect_error_read(cla_slice_str(cases[i].text), &response), 0);
        assert_int_equal(response.code, cases[i].code);
        assert_slice(response.message, cases[i].message);
        assert_slice(response.data, cases[i].data);
    }
}

static void what_is_no_error_is_refused(void **state)
{
    static const char *const texts[] = {"",
                                        "{}",
                                        "[]",
                                        "{\"code\":5}",
                                        "{\"message\":\"m\"}",
                                        "\"",
                                        "{\"code\":",
                                        "{\"code\":\"internal\"} 1"};
    struct cla_rpc_response response;

    for (size_t i = 0; i < CLA_ARRAY_LEN(texts); i++) {
        if (cla_connect_error_read(cla_slice_str(texts[i]), &response) != -CLA_EPROTO)
            fail_msg("'%s' was taken for an error", texts[i]);
    }
}

static void the_end_of_a_stream_is_well_or_an_error(void **state)
{
    static const char *const texts[] = {
        "", "[]", "null", "{", "{\"error\":{}}", "{\"error\":null}"};
    struct cla_rpc_response response;

    assert_int_equal(cla_connect_end_read(CLA_LIT("{\"metadata\":{}}"), &response), 0);
    assert_int_equal(response.code, CLA_CODE_OK);
    assert_int_equal(cla_connect_end_read(CLA_LIT("{\"error\":{\"code\":\"aborted\"}}"), &response),
                     0);
    assert_int_equal(response.code, CLA_CODE_ABORTED);
    for (size_t i = 0; i < CLA_ARRAY_LEN(texts); i++) {
        if (cla_connect_end_read(cla_slice_str(texts[i]), &response) != -CLA_EPROTO)
            fail_msg("'%s' was taken for an end", texts[i]);
    }
}

static void an_item_is_one_json_value(void **state)
{
    assert_int_equal(cla_connect_item_check(CLA_LIT("null")), 0);
    assert_int_equal(cla_connect_item_check(CLA_LIT("{\"a\":\n[1]}")), 0);
    assert_int_equal(cla_connect_item_check(CLA_LIT("")), -CLA_EPROTO);
    assert_int_equal(cla_connect_item_check(CLA_LIT("1 2")), -CLA_EPROTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(our_own_error_is_read_back),
        cmocka_unit_test(an_error_of_others_is_read),
        cmocka_unit_test(what_is_no_error_is_refused),
        cmocka_unit_test(the_end_of_a_stream_is_well_or_an_error),
        cmocka_unit_test(an_item_is_one_json_value),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
