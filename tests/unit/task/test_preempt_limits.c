/* Slices: code that computes is held to its limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "preempt_fixture.h"

static void holding_the_vm_too_long_is_a_limit_that_names_the_line(void **state)
{
    struct fixture *f = *state;
    struct body body;

    f->sched->preempt.hold_limit_ns = 20 * CLA_NS_PER_MS;
    fixture_start(f, &body, "local function busy()\n while true do alarm() end\nend\nbusy()", 0);
    fixture_run(f);
    assert_int_equal(body.kind, CLA_CANCEL_LIMIT);
    assert_true(body.own_cancel);
    assert_int_equal(f->sched->counters.holds, 1);
}

static void computing_for_less_than_the_limit_between_awaits_is_no_hold(void **state)
{
    struct fixture *f = *state;
    struct body body;

    f->sched->preempt.hold_limit_ns = 20 * CLA_NS_PER_MS;
    fixture_start(f, &body, "for i = 1, 40 do alarm() sleep(1) end return 'done'", 0);
    fixture_run(f);
    assert_string_equal(body.text, "done");
}

static void preemptible_task_holds_nobody_up(void **state)
{
    struct fixture *f = *state;
    struct body body;

    f->sched->preempt.hold_limit_ns = 20 * CLA_NS_PER_MS;
    fixture_start(f, &body, "for i = 1, 40 do alarm() end return 'done'", 0);
    body.task->preemptible = true;
    fixture_run(f);
    assert_string_equal(body.text, "done");
}

/* Lua text that computes for some time, which no alarm is needed to notice. */
#define BURN "local function burn() for i = 1, 300000 do end end "

static void processor_time_adds_up_over_awaits(void **state)
{
    struct fixture *f = *state;
    struct body body;

    f->sched->preempt.cpu_limit_ns = 20 * CLA_NS_PER_MS;
    fixture_start(f, &body, BURN "while true do burn() sleep(1) end", 0);
    fixture_run(f);
    assert_int_equal(body.kind, CLA_CANCEL_LIMIT);
    assert_true(body.own_cancel);
}

/* What counts is settled: nothing registered for its cancellation is to run any more. */
static void task_that_has_ended_is_not_cancelled_for_what_it_used_last(void **state)
{
    struct fixture *f = *state;
    struct body body;

    f->sched->preempt.cpu_limit_ns = CLA_NS_PER_MS;
    fixture_start(f, &body, BURN "for i = 1, 5 do burn() end return 'done'", 0);
    fixture_run(f);
    assert_string_equal(body.text, "done");
    assert_int_equal(body.cancels, 0);
}

/* Where it waits for its next slice is not settled yet. */
static void task_that_passes_its_limit_as_its_slice_ends_is_cancelled_in_the_next(void **state)
{
    struct fixture *f = *state;
    struct body body;

    fixture_start(f, &body, "while true do alarm() end", 0);
    body.task->preemptible = true;
    fixture_step(f);
    assert_int_equal(body.task->state, CLA_TASK_SLICED);
    f->sched->preempt.cpu_limit_ns = 1;
    f->sched->preempt.began_ns = used_ns();
    cla_preempt_end(body.task);
    assert_int_equal(body.cancels, 0);
    fixture_run(f);
    assert_int_equal(body.kind, CLA_CANCEL_LIMIT);
    assert_true(body.own_cancel);
}

static void less_processor_time_than_the_limit_is_fine(void **state)
{
    struct fixture *f = *state;
    struct body body;

    f->sched->preempt.cpu_limit_ns = 10 * CLA_NS_PER_S;
    fixture_start(f, &body, BURN "burn() sleep(1) burn() return 'done'", 0);
    fixture_run(f);
    assert_string_equal(body.text, "done");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(holding_the_vm_too_long_is_a_limit_that_names_the_line),
        TEST(computing_for_less_than_the_limit_between_awaits_is_no_hold),
        TEST(preemptible_task_holds_nobody_up),
        TEST(processor_time_adds_up_over_awaits),
        TEST(task_that_has_ended_is_not_cancelled_for_what_it_used_last),
        TEST(task_that_passes_its_limit_as_its_slice_ends_is_cancelled_in_the_next),
        TEST(less_processor_time_than_the_limit_is_fine),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
