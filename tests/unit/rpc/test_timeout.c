/* Timeouts in headers, both sides of each limit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/error.h"
#include "rpc/timeout.h"

struct good_case {
    const char *value;
    uint64_t ms;
};

static void connect_takes_one_to_ten_digits(void **state)
{
    static const struct good_case cases[] = {
        {"0", 0}, {"1", 1}, {"0000000001", 1}, {"9999999999", UINT64_C(9999999999)}};
    uint64_t ms;

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        assert_int_equal(cla_rpc_timeout_connect(cla_slice_str(cases[i].value), &ms), 0);
        assert_int_equal(ms, cases[i].ms);
    }
}

static void connect_refuses_the_rest(void **state)
{
    static const char *const cases[] = {"",    "10000000000", "00000000001", "-1",  "+1",
                                        "1.5", "1e3",         "NaN",         "inf", "1 ",
                                        " 1",  "1s",          "0x1",         "1,1", "\xd9\xa1"};
    uint64_t ms;

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        if (cla_rpc_timeout_connect(cla_slice_str(cases[i]), &ms) != -CLA_EINVAL)
            fail_msg("'%s' was taken for a timeout", cases[i]);
    }
}

static void grpc_takes_one_to_eight_digits_and_a_unit(void **state)
{
    static const struct good_case cases[] = {
        {"0n", 0},
        {"0H", 0},
        {"1H", 3600000},
        {"2M", 120000},
        {"3S", 3000},
        {"4m", 4},
        {"1u", 1},
        {"1000u", 1},
        {"1001u", 2},
        {"1n", 1},
        {"1000000n", 1},
        {"1000001n", 2},
        {"99999999m", 99999999},
        {"99999999H", UINT64_C(359999996400000)},
    };
    uint64_t ms;

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        assert_int_equal(cla_rpc_timeout_grpc(cla_slice_str(cases[i].value), &ms), 0);
        assert_int_equal(ms, cases[i].ms);
    }
}

static void grpc_refuses_the_rest(void **state)
{
    static const char *const cases[] = {"",   "S",   "1",   "100000000S", "-1S",  "1.5S", "1s",
                                        "1h", "1ms", "1 S", "1S ",        "NaNS", "1Sm"};
    uint64_t ms;

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        if (cla_rpc_timeout_grpc(cla_slice_str(cases[i]), &ms) != -CLA_EINVAL)
            fail_msg("'%s' was taken for a timeout", cases[i]);
    }
}

static void of_both_headers_connects_counts_and_neither_may_be_malformed(void **state)
{
    const struct cla_slice none = {NULL, 0};
    uint64_t ms;

    assert_int_equal(cla_rpc_timeout_header(none, none, &ms), -CLA_ENOTFOUND);
    assert_int_equal(cla_rpc_timeout_header(CLA_LIT("5"), none, &ms), 0);
    assert_int_equal(ms, 5);
    assert_int_equal(cla_rpc_timeout_header(none, CLA_LIT("6m"), &ms), 0);
    assert_int_equal(ms, 6);
    assert_int_equal(cla_rpc_timeout_header(CLA_LIT("5"), CLA_LIT("6m"), &ms), 0);
    assert_int_equal(ms, 5);
    assert_int_equal(cla_rpc_timeout_header(CLA_LIT("5"), CLA_LIT("6"), &ms), -CLA_EINVAL);
    assert_int_equal(cla_rpc_timeout_header(CLA_LIT("x"), CLA_LIT("6m"), &ms), -CLA_EINVAL);
    assert_int_equal(cla_rpc_timeout_header(CLA_LIT(""), none, &ms), -CLA_EINVAL);
    assert_int_equal(cla_rpc_timeout_header(none, CLA_LIT(""), &ms), -CLA_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connect_takes_one_to_ten_digits),
        cmocka_unit_test(connect_refuses_the_rest),
        cmocka_unit_test(grpc_takes_one_to_eight_digits_and_a_unit),
        cmocka_unit_test(grpc_refuses_the_rest),
        cmocka_unit_test(of_both_headers_connects_counts_and_neither_may_be_malformed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
