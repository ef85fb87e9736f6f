/* Sizes and times: what people write, and both sides of each limit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/units.h"

struct unit_case {
    const char *text;
    uint64_t value;
};

static void sizes_are_read_in_every_unit(void **state)
{
    static const struct unit_case cases[] = {
        {"0", 0},
        {"1", 1},
        {"1B", 1},
        {"1KB", 1000},
        {"1kb", 1000},
        {"1KiB", 1024},
        {"1MB", 1000000},
        {"1MiB", 1 << 20},
        {"2GB", UINT64_C(2000000000)},
        {"1GiB", 1 << 30},
        {" 16 KiB ", 1 << 14},
        {"1.5KiB", 1536},
        {"0.5KB", 500},
        {"9007199254740991", UINT64_C(9007199254740991)},
    };
    uint64_t bytes;

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        assert_int_equal(cla_units_bytes(cla_slice_str(cases[i].text), &bytes), 0);
        assert_int_equal(bytes, cases[i].value);
    }
}

static void what_is_no_size_is_refused(void **state)
{
    static const char *const cases[] = {
        "",
        " ",
        "KiB",
        "-1",
        "+1",
        "1 2",
        "1x",
        "1K",
        "1MiBs",
        "0x10",
        "1e3",
        "1.2.3",
        ".",
        "0.5",
        "1.5B",
        "nan",
        "inf",
        "1,000",
        "9223372036854775808",
        "8589934592GiB",
        "99999999999999999999999999",
    };
    uint64_t bytes;

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        if (cla_units_bytes(cla_slice_str(cases[i]), &bytes) != -CLA_EINVAL)
            fail_msg("'%s' was taken for a size", cases[i]);
    }
}

static void the_largest_size_is_below_2_to_63(void **state)
{
    uint64_t bytes;

    assert_int_equal(cla_units_bytes(CLA_LIT("8589934591GiB"), &bytes), 0);
    assert_int_equal(bytes, UINT64_C(8589934591) << 30);
    assert_int_equal(cla_units_bytes(CLA_LIT("8589934592GiB"), &bytes), -CLA_EINVAL);
}

static void times_are_read_in_every_unit(void **state)
{
    static const struct unit_case cases[] = {
        {"0", 0},
        {"1", CLA_NS_PER_S},
        {"1s", CLA_NS_PER_S},
        {"1 s", CLA_NS_PER_S},
        {"500ms", 500 * CLA_NS_PER_MS},
        {"250us", 250000},
        {"2m", 120 * CLA_NS_PER_S},
        {"1h", 3600 * CLA_NS_PER_S},
        {"0.25", CLA_NS_PER_S / 4},
        {".5s", CLA_NS_PER_S / 2},
        {"1.5m", 90 * CLA_NS_PER_S},
        {"0.000000001", 1},
    };
    uint64_t ns;

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        assert_int_equal(cla_units_duration_ns(cla_slice_str(cases[i].text), &ns), 0);
        assert_int_equal(ns, cases[i].value);
    }
}

static void what_is_no_time_is_refused(void **state)
{
    static const char *const cases[] = {"",    " ",   "s",   "-1",     "-1s", "+1", "5x",
                                        "1ns", "1d",  "1 2", "1m30s",  "1e3", ".",  "1..5",
                                        "nan", "inf", "1,5", "0x1p3s", "five"};
    uint64_t ns;

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        if (cla_units_duration_ns(cla_slice_str(cases[i]), &ns) != -CLA_EINVAL)
            fail_msg("'%s' was taken for a time", cases[i]);
    }
}

static void a_hundred_years_is_the_longest_time(void **state)
{
    uint64_t ns;

    assert_int_equal(cla_units_duration_ns(CLA_LIT("876600h"), &ns), 0);
    assert_int_equal(ns, UINT64_C(876600) * 3600 * CLA_NS_PER_S);
    assert_int_equal(cla_units_duration_ns(CLA_LIT("876600.1h"), &ns), -CLA_EINVAL);
    assert_int_equal(cla_units_duration_ns(CLA_LIT("3155760001"), &ns), -CLA_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_read_in_every_unit),
        cmocka_unit_test(what_is_no_size_is_refused),
        cmocka_unit_test(the_largest_size_is_below_2_to_63),
        cmocka_unit_test(times_are_read_in_every_unit),
        cmocka_unit_test(what_is_no_time_is_refused),
        cmocka_unit_test(a_hundred_years_is_the_longest_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
