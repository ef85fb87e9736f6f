#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"
#include "io/loop.h"
#include "mem_fault.h"

static struct cla_loop loop;
static uv_async_t async;
static unsigned fired, turns;
static uint64_t fired_at;

static void count(struct cla_timer *timer)
{
    fired++;
    fired_at = cla_loop_now_ns(&loop);
}

static int open_loop(void **state)
{
    fired = turns = 0;
    return cla_loop_init(&loop);
}

static int close_loop(void **state)
{
    cla_loop_fini(&loop);
    return 0;
}

static void virtual_time_jumps_to_the_next_timer(void **state)
{
    struct cla_timer timer, later;
    uint64_t start;

    cla_loop_use_virtual_time(&loop);
    start = cla_loop_now_ns(&loop);
    cla_timer_init(&timer, count);
    cla_timer_init(&later, count);
    cla_timer_start(&loop.timers, &timer, start + 60 * CLA_NS_PER_S);
    cla_timer_start(&loop.timers, &later, start + 3600 * CLA_NS_PER_S);
    cla_loop_step(&loop, true);
    assert_int_equal(fired, 1);
    assert_int_equal(fired_at, start + 60 * CLA_NS_PER_S);
    cla_loop_step(&loop, true);
    assert_int_equal(fired_at, start + 3600 * CLA_NS_PER_S);
}

static void virtual_time_stands_still_without_leave_to_wait(void **state)
{
    struct cla_timer timer;
    uint64_t start;

    cla_loop_use_virtual_time(&loop);
    start = cla_loop_now_ns(&loop);
    cla_timer_init(&timer, count);
    cla_timer_start(&loop.timers, &timer, start + 1);
    cla_loop_step(&loop, false);
    assert_int_equal(cla_loop_now_ns(&loop), start);
    assert_int_equal(fired, 0);
}

static void on_async(uv_async_t *handle)
{
    loop.pending--;
}

static int close_async_and_loop(void **state)
{
    uv_close((uv_handle_t *)&async, NULL);
    return close_loop(state);
}

static void virtual_time_waits_for_pending_events(void **state)
{
    struct cla_timer timer;
    uint64_t start;

    cla_loop_use_virtual_time(&loop);
    start = cla_loop_now_ns(&loop);
    uv_async_init(&loop.uv, &async, on_async);
    cla_timer_init(&timer, count);
    cla_timer_start(&loop.timers, &timer, start + CLA_NS_PER_S);
    loop.pending = 1;
    uv_async_send(&async);
    cla_loop_step(&loop, true); /* waits for the event, not for the timer */
    assert_int_equal(cla_loop_now_ns(&loop), start);
    assert_int_equal(loop.pending, 0);
    cla_loop_step(&loop, true);
    assert_int_equal(fired, 1);
}

static void on_guard(uv_timer_t *guard)
{
    *(bool *)guard->data = true;
}

static void due_timer_fires_though_events_are_pending(void **state)
{
    struct cla_timer timer;
    bool waited = false;

    cla_loop_use_virtual_time(&loop);
    uv_async_init(&loop.uv, &async, on_async);
    loop.alarm.data = &waited; /* virtual time does not use it; so that a failure does not hang */
    uv_timer_start(&loop.alarm, on_guard, 1000, 0);
    cla_timer_init(&timer, count);
    cla_timer_start(&loop.timers, &timer, cla_loop_now_ns(&loop));
    loop.pending = 1;
    cla_loop_step(&loop, true);
    assert_false(waited);
    assert_int_equal(fired, 1);
}

static void stop(struct cla_timer *timer)
{
    count(timer);
    cla_loop_stop(&loop);
}

static void alarm_wakes_the_real_loop_in_time(void **state)
{
    struct cla_timer timer, late, early;
    uint64_t start = cla_loop_now_ns(&loop);

    cla_timer_init(&late, count);
    cla_timer_init(&early, count);
    cla_timer_init(&timer, stop);
    cla_timer_start(&loop.timers, &late, start + 3600 * CLA_NS_PER_S);
    cla_timer_start(&loop.timers, &early, start);
    cla_timer_start(&loop.timers, &timer, start + 5 * CLA_NS_PER_MS);
    cla_loop_run(&loop);
    assert_int_equal(fired, 2);
    assert_in_range(fired_at - start, 5 * CLA_NS_PER_MS, CLA_NS_PER_S);
}

static int close_alarm_guard(void **state)
{
    uv_close((uv_handle_t *)*state, NULL);
    return close_async_and_loop(state);
}

static void alarm_that_is_due_before_the_poll_is_not_lost(void **state)
{
    static uv_timer_t guard; /* so that a failure does not hang */
    struct cla_timer early, timer;
    uint64_t start = cla_loop_now_ns(&loop);
    bool waited = false;

    *state = &guard;
    uv_timer_init(&loop.uv, &guard);
    guard.data = &waited;
    uv_timer_start(&guard, on_guard, 1000, 0);
    uv_async_init(&loop.uv, &async, on_async);
    uv_async_send(&async);
    cla_timer_init(&early, count);
    cla_timer_start(&loop.timers, &early, start + 2 * CLA_NS_PER_MS);
    cla_loop_step(&loop, true); /* sets the alarm, and comes back for the event */
    cla_timer_stop(&loop.timers, &early);
    cla_timer_init(&timer, count);
    cla_timer_start(&loop.timers, &timer, start + 10 * CLA_NS_PER_MS);
    while (cla_clock_monotonic_ns() < start + 4 * CLA_NS_PER_MS)
        continue;
    while (fired == 0)
        cla_loop_step(&loop, true);
    assert_false(waited);
}

static bool turn(void *arg)
{
    turns++;
    if (turns == *(unsigned *)arg)
        cla_loop_stop(&loop);
    return turns < *(unsigned *)arg;
}

static void busy_turn_is_called_again_without_waiting(void **state)
{
    unsigned limit = 5;

    cla_loop_on_turn(&loop, turn, &limit);
    cla_loop_run(&loop);
    assert_int_equal(turns, 5);
}

static void step_tells_if_there_is_more_to_do(void **state)
{
    unsigned limit = 2;

    assert_false(cla_loop_step(&loop, false));
    cla_loop_on_turn(&loop, turn, &limit);
    assert_true(cla_loop_step(&loop, false));
    assert_false(cla_loop_step(&loop, false));
}

static void pass(uint64_t ns)
{
    uint64_t until = cla_clock_monotonic_ns() + ns;

    while (cla_clock_monotonic_ns() <= until)
        continue;
}

static void time_stands_still_while_it_is_held(void **state)
{
    uint64_t before = cla_loop_now_ns(&loop), held;

    assert_true(cla_loop_hold_now(&loop));
    held = cla_loop_now_ns(&loop);
    assert_true(held >= before);
    pass(1000);
    assert_false(cla_loop_hold_now(&loop)); /* it is; who began it ends it */
    assert_int_equal(cla_loop_now_ns(&loop), held);
    cla_loop_release_now(&loop);
    assert_true(cla_loop_now_ns(&loop) >= held + 1000);
}

static void init_without_memory_leaves_nothing(void **state)
{
    mem_fault_after(0);
    assert_int_equal(cla_loop_init(&loop), -CLA_ENOMEM);
    assert_int_equal(mem_fault.live, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(virtual_time_jumps_to_the_next_timer, open_loop,
                                        close_loop),
        cmocka_unit_test_setup_teardown(virtual_time_stands_still_without_leave_to_wait, open_loop,
                                        close_loop),
        cmocka_unit_test_setup_teardown(virtual_time_waits_for_pending_events, open_loop,
                                        close_async_and_loop),
        cmocka_unit_test_setup_teardown(due_timer_fires_though_events_are_pending, open_loop,
                                        close_async_and_loop),
        cmocka_unit_test_setup_teardown(alarm_wakes_the_real_loop_in_time, open_loop, close_loop),
        cmocka_unit_test_setup_teardown(alarm_that_is_due_before_the_poll_is_not_lost, open_loop,
                                        close_alarm_guard),
        cmocka_unit_test_setup_teardown(busy_turn_is_called_again_without_waiting, open_loop,
                                        close_loop),
        cmocka_unit_test_setup_teardown(step_tells_if_there_is_more_to_do, open_loop, close_loop),
        cmocka_unit_test_setup_teardown(time_stands_still_while_it_is_held, open_loop, close_loop),
        cmocka_unit_test(init_without_memory_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
