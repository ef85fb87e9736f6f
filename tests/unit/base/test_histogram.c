#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/histogram.h"

static void a_bound_belongs_to_its_bucket_and_one_more_to_the_next(void **state)
{
    (void)state;
    for (int at = 0; at < CLA_HISTOGRAM_BOUNDS; at++) {
        struct cla_histogram h = {0};

        cla_histogram_add(&h, cla_histogram_bound_ns(at));
        assert_int_equal(h.counts[at], 1);
        cla_histogram_add(&h, cla_histogram_bound_ns(at) + 1);
        assert_int_equal(h.counts[at], 1);
        assert_int_equal(h.counts[at + 1], 1);
        assert_int_equal(h.sum_ns, 2 * cla_histogram_bound_ns(at) + 1);
    }
}

static void each_bound_is_twice_the_one_before(void **state)
{
    (void)state;
    assert_int_equal(cla_histogram_bound_ns(0), 16000);
    for (int at = 1; at < CLA_HISTOGRAM_BOUNDS; at++)
        assert_int_equal(cla_histogram_bound_ns(at), 2 * cla_histogram_bound_ns(at - 1));
}

static void nothing_is_too_short_or_too_long(void **state)
{
    struct cla_histogram h = {0};

    (void)state;
    cla_histogram_add(&h, 0);
    assert_int_equal(h.counts[0], 1);
    cla_histogram_add(&h, UINT64_MAX);
    assert_int_equal(h.counts[CLA_HISTOGRAM_BOUNDS], 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bound_belongs_to_its_bucket_and_one_more_to_the_next),
        cmocka_unit_test(each_bound_is_twice_the_one_before),
        cmocka_unit_test(nothing_is_too_short_or_too_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
