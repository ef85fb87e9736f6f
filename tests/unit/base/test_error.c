/* The table of errors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/error.h"

static void the_table_is_that_of_the_protocol(void **state)
{
    static const struct {
        const char *name;
        int http, jsonrpc;
    } cases[] = {
        {"canceled", 499, -32800},
        {"deadline_exceeded", 504, -32004},
        {"unavailable", 503, -32014},
        {"aborted", 409, -32010},
        {"resource_exhausted", 429, -32008},
        {"invalid_argument", 400, -32602},
        {"unimplemented", 501, -32601},
        {"not_found", 404, -32005},
        {"already_exists", 409, -32006},
        {"failed_precondition", 400, -32009},
        {"out_of_range", 400, -32011},
        {"unauthenticated", 401, -32016},
        {"permission_denied", 403, -32007},
        {"internal", 500, -32603},
        {"unknown", 500, -32002},
        {"data_loss", 500, -32015},
    };

    assert_int_equal(CLA_ARRAY_LEN(cases) + 1, CLA_CODE_COUNT);
    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        enum cla_code code;

        assert_true(cla_code_by_name(cla_slice_str(cases[i].name), &code));
        assert_string_equal(cla_code_info(code)->name, cases[i].name);
        assert_int_equal(cla_code_info(code)->http, cases[i].http);
        assert_int_equal(cla_code_info(code)->jsonrpc, cases[i].jsonrpc);
    }
}

static void names_and_jsonrpc_codes_are_unique(void **state)
{
    for (unsigned a = 0; a < CLA_CODE_COUNT; a++) {
        for (unsigned b = a + 1; b < CLA_CODE_COUNT; b++) {
            const struct cla_code_info *x = cla_code_info((enum cla_code)a);
            const struct cla_code_info *y = cla_code_info((enum cla_code)b);

            assert_string_not_equal(x->name, y->name);
            assert_int_not_equal(x->jsonrpc, y->jsonrpc);
        }
    }
}

static void codes_of_no_specification_follow_the_grpc_number(void **state)
{
    static const enum cla_code fixed[] = {CLA_CODE_OK, CLA_CODE_CANCELED, CLA_CODE_INVALID_ARGUMENT,
                                          CLA_CODE_UNIMPLEMENTED, CLA_CODE_INTERNAL};

    for (unsigned code = 0; code < CLA_CODE_COUNT; code++) {
        bool is_fixed = false;

        for (size_t i = 0; i < CLA_ARRAY_LEN(fixed); i++)
            is_fixed = is_fixed || fixed[i] == (enum cla_code)code;
        if (!is_fixed)
            assert_int_equal(cla_code_info((enum cla_code)code)->jsonrpc, -32000 - (int)code);
    }
}

static void unknown_names_are_not_found(void **state)
{
    static const char *const cases[] = {"", "cancelled", "Canceled", "canceled ", "cancele"};
    enum cla_code code = CLA_CODE_DATA_LOSS;

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++)
        assert_false(cla_code_by_name(cla_slice_str(cases[i]), &code));
    assert_int_equal(code, CLA_CODE_DATA_LOSS);
}

static void every_return_code_has_its_own_text(void **state)
{
    for (int a = 0; a < CLA_E_COUNT; a++) {
        assert_string_not_equal(cla_error_text(-a), "unknown error");
        for (int b = a + 1; b < CLA_E_COUNT; b++)
            assert_string_not_equal(cla_error_text(-a), cla_error_text(-b));
    }
}

static void other_return_codes_are_unknown_errors(void **state)
{
    assert_string_equal(cla_error_text(1), "unknown error");
    assert_string_equal(cla_error_text(-CLA_E_COUNT), "unknown error");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_is_that_of_the_protocol),
        cmocka_unit_test(names_and_jsonrpc_codes_are_unique),
        cmocka_unit_test(codes_of_no_specification_follow_the_grpc_number),
        cmocka_unit_test(unknown_names_are_not_found),
        cmocka_unit_test(every_return_code_has_its_own_text),
        cmocka_unit_test(other_return_codes_are_unknown_errors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
