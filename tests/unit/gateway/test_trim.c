/* When memory is given back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "gateway/trim.h"

#define WATCH_MS 200
#define LEAST 64

static struct cla_loop loop;
static struct cla_trim trim;
static unsigned slices;      /* run */
static unsigned slices_left; /* until the trimming under way is done */
static uint64_t slice_ns;    /* how long each takes */

static bool slice(struct cla_trim *arg)
{
    uint64_t until_ns = cla_clock_monotonic_ns() + slice_ns;

    (void)arg;
    while (cla_clock_monotonic_ns() < until_ns)
        continue;
    slices++;
    return --slices_left > 0;
}

static int open_trim(void **state)
{
    (void)state;
    slices = 0;
    slices_left = 1;
    slice_ns = 0;
    assert_int_equal(cla_loop_init(&loop), 0);
    cla_loop_use_virtual_time(&loop);
    cla_trim_init(&trim, &loop, slice, LEAST, WATCH_MS * CLA_NS_PER_MS);
    return 0;
}

static int close_trim(void **state)
{
    (void)state;
    cla_trim_fini(&trim);
    cla_loop_fini(&loop);
    return 0;
}

/* A turn that begins with one load and ends with another; returns what cla_trim_turn_ends() does.
 */
static bool turn(unsigned before, unsigned after)
{
    cla_trim_turn_begins(&trim, before);
    return cla_trim_turn_ends(&trim, after, true);
}

/* Lets time pass; what is due then fires. */
static void pass(unsigned ms)
{
    loop.virtual_ns += ms * CLA_NS_PER_MS;
    cla_timers_fire(&loop.timers, loop.virtual_ns);
}

static void load_that_stays_at_a_quarter_for_a_while_is_trimmed_once(void **state)
{
    assert_false(turn(1000, 250));
    pass(WATCH_MS - 1);
    assert_false(turn(250, 250));
    assert_int_equal(slices, 0);
    pass(1);
    assert_false(turn(250, 250));
    assert_int_equal(slices, 1);
    pass(10 * WATCH_MS);
    assert_false(turn(250, 250));
    assert_int_equal(slices, 1);
}

static void load_above_a_quarter_is_not_trimmed(void **state)
{
    assert_false(turn(1000, 251));
    pass(10 * WATCH_MS);
    assert_false(turn(251, 251));
    assert_int_equal(slices, 0);
    assert_int_equal(cla_timers_next_ns(&loop.timers), CLA_NEVER);
}

static void load_that_comes_again_and_again_is_not_trimmed(void **state)
{
    for (int i = 0; i < 100; i++) {
        turn(1000, 0);
        pass(WATCH_MS / 3);
    }
    assert_int_equal(slices, 0);
    pass(WATCH_MS);
    turn(0, 0);
    pass(WATCH_MS);
    turn(0, 0);
    assert_int_equal(slices, 1);
}

static void small_load_is_not_worth_it(void **state)
{
    turn(LEAST - 1, 0);
    pass(10 * WATCH_MS);
    turn(0, 0);
    assert_int_equal(slices, 0);
}

static void slices_are_run_in_turns_with_nothing_else_to_do(void **state)
{
    slices_left = 3;
    turn(1000, 0);
    pass(WATCH_MS);
    assert_true(turn(0, 0));
    assert_true(cla_trim_turn_ends(&trim, 0, false));
    assert_int_equal(slices, 1);
    assert_true(turn(0, 0));
    assert_false(turn(0, 0));
    assert_int_equal(slices, 3);
}

static void trimming_takes_no_more_than_its_share_of_the_time(void **state)
{
    slice_ns = 20 * CLA_NS_PER_MS;
    turn(1000, 0);
    pass(WATCH_MS);
    turn(0, 0);
    assert_int_equal(slices, 1);
    turn(1000, 0);
    pass(20 * 20 - 1);
    turn(0, 0);
    assert_int_equal(slices, 1);
    slices_left = 1;
    pass(20 * 20 * 100); /* the machine may be busy: it then took longer */
    turn(0, 0);
    assert_int_equal(slices, 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_trim, close_trim)
    const struct CMUnitTest tests[] = {
        TEST(load_that_stays_at_a_quarter_for_a_while_is_trimmed_once),
        TEST(load_above_a_quarter_is_not_trimmed),
        TEST(load_that_comes_again_and_again_is_not_trimmed),
        TEST(small_load_is_not_worth_it),
        TEST(slices_are_run_in_turns_with_nothing_else_to_do),
        TEST(trimming_takes_no_more_than_its_share_of_the_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
