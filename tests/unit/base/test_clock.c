/* Points in time never wrap. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/clock.h"

static void sums_hold_at_never(void **state)
{
    assert_int_equal(cla_clock_add(1, 2), 3);
    assert_int_equal(cla_clock_add(CLA_NEVER - 1, 1), CLA_NEVER);
    assert_int_equal(cla_clock_add(CLA_NEVER - 1, 2), CLA_NEVER);
    assert_int_equal(cla_clock_add(CLA_NEVER, CLA_NEVER), CLA_NEVER);
    assert_int_equal(cla_clock_add(CLA_NEVER - 2, 1), CLA_NEVER - 1);
}

static void seconds_hold_at_both_ends(void **state)
{
    static const struct {
        double seconds;
        uint64_t ns;
    } cases[] = {
        {0, 0},
        {-0.0, 0},
        {-1, 0},
        {-__builtin_inf(), 0},
        {0.5, 500000000},
        {1, CLA_NS_PER_S},
        {1e300, CLA_NEVER},
        {__builtin_inf(), CLA_NEVER},
        {1.8e10, CLA_NEVER},
        {1.7e10, UINT64_C(17000000000) * CLA_NS_PER_S},
    };

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++)
        assert_int_equal(cla_clock_from_seconds(cases[i].seconds), cases[i].ns);
    assert_int_equal(cla_clock_from_seconds(__builtin_nan("")), 0);
}

static void monotonic_time_does_not_go_back(void **state)
{
    uint64_t last = cla_clock_monotonic_ns();

    for (int i = 0; i < 1000; i++) {
        uint64_t now = cla_clock_monotonic_ns();

        assert_true(now >= last);
        last = now;
    }
}

static void wall_time_is_of_this_century(void **state)
{
    assert_true(cla_clock_wall_ns() / CLA_NS_PER_S > UINT64_C(1700000000));
    assert_true(cla_clock_wall_ns() / CLA_NS_PER_S < UINT64_C(4102444800));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_hold_at_never),
        cmocka_unit_test(seconds_hold_at_both_ends),
        cmocka_unit_test(monotonic_time_does_not_go_back),
        cmocka_unit_test(wall_time_is_of_this_century),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
