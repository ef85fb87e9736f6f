#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/origin.h"

static const struct cla_slice list[] = {{"https://app.example", 19}};
static const struct cla_slice any[] = {{"*", 1}};
static const struct cla_slice both[] = {{"*", 1}, {"https://app.example", 19}};

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
    assert_int_equal(cla_origin_check(CLA_LIT("null"), host, any, 1), CLA_ORIGIN_ANY);
    assert_int_equal(cla_origin_check(CLA_LIT("https://app.example"), host, both, 2),
                     CLA_ORIGIN_ALLOWED);
    assert_int_equal(cla_origin_check(CLA_LIT("https://b.example"), host, both, 2), CLA_ORIGIN_ANY);
}

static void fields_depend_on_what_is_asked(void **state)
{
#define FROM .origin = { "https://app.example", 19 }
#define ALLOW "Access-Control-Allow-Origin: https://app.example\r\n"
#define PREFLIGHT \
    "Vary: Origin, Access-Control-Request-Headers, Access-Control-Request-Private-Network\r\n"
#define ANSWER \
    PREFLIGHT ALLOW "Access-Control-Allow-Methods: POST\r\nAccess-Control-Max-Age: 7200\r\n"
#define OWN                                                                                 \
    "Access-Control-Allow-Headers: Authorization, Content-Type, Connect-Protocol-Version, " \
    "Connect-Timeout-Ms, Grpc-Timeout"
    static const struct {
        struct cla_cors cors;
        const char *methods, *expected;
    } cases[] = {
        {{.preflight = false}, NULL, "Vary: Origin\r\n"},
        {{.preflight = false}, "POST", PREFLIGHT},
        {{FROM}, NULL, "Vary: Origin\r\n" ALLOW "Access-Control-Expose-Headers: *\r\n"},
        {{FROM}, "POST", ANSWER OWN "\r\n"},
        {{FROM, .headers = {"x-a, content-type ,X-B,", 23}}, "POST", ANSWER OWN ", x-a, X-B\r\n"},
        {{FROM, .headers = {"x-a,b c", 7}}, "POST", ANSWER OWN "\r\n"},
        {{FROM, .headers = {"x-a,,b", 6}}, "POST", ANSWER OWN "\r\n"},
        {{FROM, .private_network = true},
         "POST",
         ANSWER OWN "\r\nAccess-Control-Allow-Private-Network: true\r\n"},
    };

    (void)state;
    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        struct cla_buf to = {0};

        assert_int_equal(cla_origin_fields(&to, &cases[i].cors, cases[i].methods), 0);
        assert_int_equal(cla_buf_push(&to, '\0'), 0);
        assert_string_equal(to.p, cases[i].expected);
        cla_buf_fini(&to);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_without_origin_is_no_page),
        cmocka_unit_test(the_gateways_own_pages_may_call),
        cmocka_unit_test(listed_origins_and_all_with_a_star_may_call),
        cmocka_unit_test(fields_depend_on_what_is_asked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
