#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/origin.h"

static const struct cla_slice list[] = {{"https://app.example", 19}};
static const struct cla_slice any[] = {{"*", 1}};

static void a_request_without_origin_is_no_page(void **state)
{
    (void)state;
    assert_int_equal(cla_origin_check(cla_slice("", 0), CLA_LIT("localhost:3000"), NULL, 0),
                     CLA_ORIGIN_OWN);
}

static void the_gateways_own_pages_may_call(void **state)
{
    static const struct {
        const char *origin, *host;
        enum cla_origin verdict;
    } cases[] = {
        {"http://localhost:3000", "localhost:3000", CLA_ORIGIN_OWN},
        {"http://LOCALHOST:3000", "localhost:3000", CLA_ORIGIN_OWN},
        {"https://api.example", "api.example", CLA_ORIGIN_OWN},
        {"http://localhost:3001", "localhost:3000", CLA_ORIGIN_REFUSED},
        {"http://localhost:3000.evil.example", "localhost:3000", CLA_ORIGIN_REFUSED},
        {"http://evil.example", "localhost:3000", CLA_ORIGIN_REFUSED},
        {"null", "localhost:3000", CLA_ORIGIN_REFUSED},
        {"://", "", CLA_ORIGIN_REFUSED},
    };

    (void)state;
    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++)
        assert_int_equal(
            cla_origin_check(cla_slice_str(cases[i].origin), cla_slice_str(cases[i].host), NULL, 0),
            cases[i].verdict);
}

static void listed_origins_and_all_with_a_star_may_call(void **state)
{
    struct cla_slice host = CLA_LIT("localhost:3000");

    (void)state;
    assert_int_equal(cla_origin_check(CLA_LIT("https://app.example"), host, list, 1),
                     CLA_ORIGIN_ALLOWED);
    assert_int_equal(cla_origin_check(CLA_LIT("http://app.example"), host, list, 1),
                     CLA_ORIGIN_REFUSED);
    assert_int_equal(cla_origin_check(CLA_LIT("null"), host, any, 1), CLA_ORIGIN_ALLOWED);
}

static void only_a_preflight_is_told_the_methods(void **state)
{
    struct cla_buf plain = {0}, preflight = {0};

    (void)state;
    assert_int_equal(cla_origin_fields(&plain, list[0], NULL), 0);
    assert_int_equal(cla_origin_fields(&preflight, list[0], "POST"), 0);
    assert_int_equal(cla_buf_push(&plain, '\0') + cla_buf_push(&preflight, '\0'), 0);
    assert_string_equal(plain.p,
                        "Access-Control-Allow-Origin: https://app.example\r\nVary: Origin\r\n");
    assert_non_null(strstr(preflight.p, "Access-Control-Allow-Methods: POST\r\n"));
    assert_non_null(strstr(preflight.p, "Access-Control-Max-Age: "));
    cla_buf_fini(&plain);
    cla_buf_fini(&preflight);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_without_origin_is_no_page),
        cmocka_unit_test(the_gateways_own_pages_may_call),
        cmocka_unit_test(listed_origins_and_all_with_a_star_may_call),
        cmocka_unit_test(only_a_preflight_is_told_the_methods),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
