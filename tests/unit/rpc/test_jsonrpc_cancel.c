#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"
#include "rpc/jsonrpc.h"

static void cancel_params_name_a_string_or_a_number(void **state)
{
    static const struct {
        const char *params, *id; /* NULL: refused */
    } cases[] = {
        {"{\"id\":1}", "1"},
        {"{ \"id\" : \"a\\u0062\" }", "\"a\\u0062\""},
        {"{\"id\":-1.5e3}", "-1.5e3"},
        {"{\"id\":123456789012345678901234567890}", "123456789012345678901234567890"},
        {"{\"\\u0069d\":7}", "7"},
        {"{\"x\":{\"id\":1},\"id\":2,\"y\":[3]}", "2"},
        {"{\"id\":1,\"id\":2}", "2"}, /* the last counts, as everywhere */
        {"{\"id\":1,\"id\":null}", NULL},
        {"{\"id\":null}", NULL},
        {"{\"id\":true}", NULL},
        {"{\"id\":{}}", NULL},
        {"{\"id\":[1]}", NULL},
        {"{\"x\":{\"id\":1}}", NULL},
        {"{}", NULL},
        {"[1]", NULL},
        {"[]", NULL},
        {"", NULL},
    };

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        struct cla_slice id = {0};
        int rc = cla_jsonrpc_cancel_id(cla_slice_str(cases[i].params), &id);

        if (rc != (cases[i].id != NULL ? 0 : -CLA_EPROTO) ||
            (rc == 0 && !cla_slice_eq(id, cla_slice_str(cases[i].id))))
            fail_msg("%s: %d, %.*s", cases[i].params, rc, (int)id.n, id.p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cancel_params_name_a_string_or_a_number),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
