/* The timer of a task, which is for its root scope and for what it waits for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "task_fixture.h"

static struct fixture fixture;

static int open_fixture(void **state)
{
    fixture_open(&fixture, 64 << 20);
    *state = &fixture;
    return 0;
}

static int close_fixture(void **state)
{
    fixture_close(*state);
    return 0;
}

static void sleeps_end_in_time_and_the_deadline_after_them(void **state)
{
    struct fixture *f = *state;
    struct body body;

    fixture_start(f, &body, "sleep(10) note('a') sleep(30) note('b') sleep(9000)", 100);
    fixture_step(f);
    assert_int_equal(f->loop.timers.active, 1);
    fixture_run_until(f, 20);
    assert_int_equal(f->loop.timers.active, 1);
    fixture_run_until(f, 99);
    fixture_require_notes(f, "a@10 b@40");
    assert_int_equal(body.ends, 0);
    fixture_run_until(f, 100);
    assert_true(body.own_cancel);
    assert_int_equal(body.kind, CLA_CANCEL_TIMEOUT);
}

static void deadline_comes_to_what_waits_for_something_else_after_a_sleep(void **state)
{
    struct fixture *f = *state;
    struct body body;

    fixture_start(f, &body, "sleep(10) hold()", 100);
    fixture_run_until(f, 99);
    assert_ptr_equal(f->held, body.task);
    fixture_run_until(f, 100);
    assert_null(f->held);
    assert_true(body.own_cancel);
}

static void sleep_that_ends_with_the_deadline_raises(void **state)
{
    struct fixture *f = *state;
    struct body body;

    fixture_start(f, &body, "sleep(10) note('no')", 10);
    fixture_run(f);
    fixture_require_notes(f, "");
    assert_true(body.own_cancel);
    assert_int_equal(fixture_now_ms(f), 10);
}

/* The thread got no processor time for a while. */
static void sleep_that_ended_before_a_deadline_that_passed_too_is_delivered(void **state)
{
    struct fixture *f = *state;
    struct body body;

    fixture_start(f, &body, "sleep(10) note('woke') sleep(1) note('no')", 11);
    fixture_step(f);
    f->loop.virtual_ns += 20 * FIXTURE_MS;
    fixture_run(f);
    fixture_require_notes(f, "woke@20");
    assert_true(body.own_cancel);
}

static void wait_that_a_timeout_has_cut_short_does_not_end_the_next(void **state)
{
    struct fixture *f = *state;
    struct body body;

    fixture_start(f, &body,
                  "timeout(10, function() sleep(20) end) note('a') hold() note('b') sleep(5) "
                  "note('c')",
                  40);
    fixture_run_until(f, 30);
    fixture_require_notes(f, "a@10");
    cla_task_wake(f->held);
    fixture_run(f);
    fixture_require_notes(f, "b@30 c@35");
    assert_int_equal(body.status, LUA_OK);
}

static void deadline_that_is_moved_while_the_task_sleeps_counts(void **state)
{
    struct fixture *f = *state;
    struct body body;

    fixture_start(f, &body, "sleep(50) note('a') sleep(9000)", 100);
    fixture_run_until(f, 10);
    cla_scope_set_deadline(&body.task->root, f->start_ns + 200 * FIXTURE_MS);
    fixture_run_until(f, 150);
    fixture_require_notes(f, "a@50");
    cla_scope_set_deadline(&body.task->root, f->start_ns + 160 * FIXTURE_MS);
    fixture_run_until(f, 160);
    assert_true(body.own_cancel);
}

static void cleanup_sleeps_under_the_end_of_grace(void **state)
{
    struct fixture *f = *state;
    struct body body;

    fixture_start(f, &body,
                  "local _ <close> = closing(function() sleep(100) note('a') sleep(300) note('b') "
                  "pcall(sleep, 9000) note('over') end) sleep(9000)",
                  0);
    fixture_step(f);
    fixture_cancel(&body, CLA_CANCEL_RESET);
    fixture_run(f);
    fixture_require_notes(f, "a@100 b@400 over@500");
}

/* The parent's clean-up has slept, and that is what the timer was for last. */
static void grace_of_a_task_that_has_ended_still_ends_for_its_children(void **state)
{
    struct fixture *f = *state;
    struct body parent, child;

    fixture_start(f, &parent,
                  "local _ <close> = closing(function() sleep(100) note('parent') end) sleep(9000)",
                  0);
    child = (struct body){.fixture = f,
                          .source = "local _ <close> = closing(function() pcall(sleep, 9000) "
                                    "note('child') end) sleep(9000)",
                          .status = -1};
    child.task = cla_task_get(f->sched);
    cla_task_start(child.task, &fixture_ops, &child, &parent.task->root, parent.task, CLA_NEVER);
    fixture_step(f);
    fixture_cancel(&parent, CLA_CANCEL_RESET);
    fixture_run(f);
    fixture_require_notes(f, "parent@100 child@500");
    assert_int_equal(parent.releases, 1);
}

static void manual_task_sleeps_past_its_deadline_until_grace_ends(void **state)
{
    struct fixture *f = *state;
    struct body body;

    fixture_start(f, &body, "sleep(10) note('a') sleep(100) note('b') pcall(sleep, 9000) note('c')",
                  50);
    body.task->manual = true;
    fixture_run(f);
    fixture_require_notes(f, "a@10 b@110 c@550");
}

static void sleeping_task_that_is_given_up_leaves_no_timer(void **state)
{
    struct fixture *f = *state;
    struct body body;

    fixture_start(f, &body, "sleep(10) sleep(9000)", 100);
    fixture_run_until(f, 20);
    assert_true(cla_task_abandon(body.task));
    assert_int_equal(f->loop.timers.active, 0);
    fixture_start(f, &body, "sleep(10) note('next')", 0); /* in the same coroutine */
    fixture_run(f);
    fixture_require_notes(f, "next@30");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_fixture, close_fixture)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(sleeps_end_in_time_and_the_deadline_after_them),
        TEST(deadline_comes_to_what_waits_for_something_else_after_a_sleep),
        TEST(sleep_that_ends_with_the_deadline_raises),
        TEST(sleep_that_ended_before_a_deadline_that_passed_too_is_delivered),
        TEST(wait_that_a_timeout_has_cut_short_does_not_end_the_next),
        TEST(deadline_that_is_moved_while_the_task_sleeps_counts),
        TEST(cleanup_sleeps_under_the_end_of_grace),
        TEST(grace_of_a_task_that_has_ended_still_ends_for_its_children),
        TEST(manual_task_sleeps_past_its_deadline_until_grace_ends),
        TEST(sleeping_task_that_is_given_up_leaves_no_timer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
