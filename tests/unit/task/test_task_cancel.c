/* Cancelling tasks: what is raised, when, and what clean-up may do. */
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

static void cancel_raises_in_the_await_within_a_turn(void **state)
{
    struct fixture *f = *state;
    struct body body;

    fixture_start(f, &body, "sleep(10000) note('never')", 0);
    fixture_step(f);
    assert_true(fixture_cancel(&body, CLA_CANCEL_RESET));
    assert_int_equal(body.cancels, 1); /* told at once, before Lua runs */
    assert_int_equal(body.kind, CLA_CANCEL_RESET);
    assert_int_equal(body.ends, 0);
    fixture_step(f);
    assert_int_equal(body.releases, 1);
    assert_true(body.own_cancel);
    assert_string_equal(body.text, "cancelled: reset");
    assert_int_equal(fixture_now_ms(f), 0);
    assert_int_equal(f->sched->counters.cancelled_waits, 1);
}

static void deadline_cancels_with_timeout(void **state)
{
    struct fixture *f = *state;
    struct body body;

    fixture_start(f, &body, "sleep(10000)", 30);
    fixture_run(f);
    assert_int_equal(body.kind, CLA_CANCEL_TIMEOUT);
    assert_true(body.own_cancel);
    assert_int_equal(fixture_now_ms(f), 30);
}

static void task_whose_deadline_passed_in_the_queue_never_enters_lua(void **state)
{
    struct fixture *f = *state;
    struct body body;

    fixture_start(f, &body, "note('never')", 30);
    f->loop.virtual_ns += 30 * FIXTURE_MS; /* other tasks computed so long */
    fixture_run(f);
    assert_int_equal(f->notes.n, 0);
    assert_int_equal(body.end, CLA_TASK_SKIPPED);
    assert_int_equal(body.cancels, 1);
    assert_int_equal(body.kind, CLA_CANCEL_TIMEOUT);
}

static void task_cancelled_before_it_started_never_enters_lua(void **state)
{
    struct fixture *f = *state;
    struct body body;

    fixture_start(f, &body, "note('never')", 0);
    assert_true(fixture_cancel(&body, CLA_CANCEL_RESET));
    fixture_run(f);
    assert_int_equal(f->notes.n, 0);
    assert_int_equal(body.end, CLA_TASK_SKIPPED);
    assert_int_equal(body.status, -1);
    assert_int_equal(body.cancels, 1);
    assert_int_equal(f->sched->counters.skipped, 1);
    assert_int_equal(f->sched->counters.started, 0);
}

static void deadline_that_passes_a_cancelled_task_is_counted_once(void **state)
{
    struct fixture *f = *state;
    struct body body;

    fixture_start(f, &body, "note('never')", 5);
    assert_true(fixture_cancel(&body, CLA_CANCEL_RESET));
    assert_false(fixture_cancel(&body, CLA_CANCEL_DISCONNECT));
    f->loop.virtual_ns += 5 * FIXTURE_MS;
    fixture_run(f);
    assert_int_equal(body.end, CLA_TASK_SKIPPED);
    assert_int_equal(f->sched->counters.cancelled[CLA_CANCEL_RESET], 1);
    assert_int_equal(f->sched->counters.late_cancels[CLA_CANCEL_DISCONNECT], 1);
    assert_int_equal(f->sched->counters.late_cancels[CLA_CANCEL_TIMEOUT], 1);
    assert_int_equal(f->sched->counters.cancelled[CLA_CANCEL_TIMEOUT], 0);
}

static void second_cancel_changes_nothing(void **state)
{
    struct fixture *f = *state;
    struct body body;
    uint64_t grace_end;

    fixture_start(f, &body,
                  "local _ <close> = closing(function() sleep(400) note('clean') end) sleep(9000)",
                  0);
    fixture_step(f);
    assert_true(fixture_cancel(&body, CLA_CANCEL_RESET));
    grace_end = body.task->root.grace_end_ns;
    fixture_run_until(f, 300);
    assert_false(fixture_cancel(&body, CLA_CANCEL_KILLED));
    assert_int_equal(body.task->root.grace_end_ns, grace_end);
    fixture_run(f);
    assert_int_equal(body.cancels, 1);
    assert_int_equal(body.kind, CLA_CANCEL_RESET);
    fixture_require_notes(f, "clean@400");
}

static void cleanup_runs_newest_first_and_may_await(void **state)
{
    struct fixture *f = *state;
    struct body body;

    fixture_start(f, &body,
                  "local a <close> = closing(function(e) sleep(30) note('a') end) "
                  "local b <close> = closing(function(e) sleep(20) note(e) end) "
                  "sleep(9000)",
                  0);
    fixture_step(f);
    fixture_cancel(&body, CLA_CANCEL_DISCONNECT);
    fixture_run(f);
    fixture_require_notes(f, "cancelled: disconnect@20 a@50");
    assert_true(body.own_cancel);
    assert_int_equal(f->sched->counters.grace_exceeded, 0);
}

static void end_of_grace_raises_again_and_outer_handlers_still_run(void **state)
{
    struct fixture *f = *state;
    struct body body;

    fixture_start(f, &body,
                  "local a <close> = closing(function(e) note('a') sleep(1) note('never') end) "
                  "local b <close> = closing(function(e) sleep(9000) note('never') end) "
                  "sleep(9000)",
                  0);
    fixture_step(f);
    fixture_cancel(&body, CLA_CANCEL_RESET);
    fixture_run(f);
    fixture_require_notes(f, "a@500");
    assert_true(body.own_cancel);
    assert_int_equal(f->sched->counters.grace_exceeded, 1);
}

static void completion_before_the_cancel_is_delivered(void **state)
{
    struct fixture *f = *state;
    struct body body;

    fixture_start(f, &body, "note(hold()) sleep(1) note('never')", 0);
    fixture_step(f);
    cla_task_wake(f->held);
    fixture_cancel(&body, CLA_CANCEL_RESET);
    fixture_run(f);
    fixture_require_notes(f, "held@0");
    assert_true(body.own_cancel);
    assert_int_equal(f->sched->counters.cancelled_waits, 0);
}

static void committed_operation_is_delivered_after_the_cancel(void **state)
{
    struct fixture *f = *state;
    struct body body;

    f->hold_answer = CLA_WAIT_PENDING;
    fixture_start(f, &body, "note(hold()) sleep(1) note('never')", 0);
    fixture_step(f);
    fixture_cancel(&body, CLA_CANCEL_RESET);
    fixture_run_until(f, 7);
    assert_int_equal(body.ends, 0);
    cla_task_wake(f->held);
    fixture_run(f);
    fixture_require_notes(f, "held@7");
    assert_true(body.own_cancel);
}

static void task_that_returns_without_awaiting_ends_normally(void **state)
{
    struct fixture *f = *state;
    struct body body;

    fixture_start(f, &body, "hold() return 'value'", 0);
    fixture_step(f);
    cla_task_wake(f->held);
    fixture_cancel(&body, CLA_CANCEL_RESET);
    fixture_run(f);
    assert_int_equal(body.status, LUA_OK);
    assert_string_equal(body.text, "value");
    assert_int_equal(body.cancels, 1);
}

static void late_completion_after_a_cancelled_wait_is_nothing(void **state)
{
    struct fixture *f = *state;
    struct body body;
    struct cla_task *task;

    fixture_start(f, &body, "hold()", 0);
    fixture_step(f);
    task = f->held;
    fixture_cancel(&body, CLA_CANCEL_RESET);
    cla_task_wake(task); /* already ready to raise */
    fixture_run(f);
    assert_true(body.own_cancel);
    cla_task_wake(task); /* idle */
    assert_true(cla_list_empty(&f->sched->ready));
}

static void error_in_cleanup_replaces_the_cancel(void **state)
{
    struct fixture *f = *state;
    struct body body;

    fixture_start(f, &body,
                  "local a <close> = closing(function(e) note(e) end) "
                  "local b <close> = closing(function(e) error('bad clean-up', 0) end) "
                  "sleep(9000)",
                  0);
    fixture_step(f);
    fixture_cancel(&body, CLA_CANCEL_RESET);
    fixture_run(f);
    fixture_require_notes(f, "bad clean-up@0");
    assert_false(body.own_cancel);
    assert_int_equal(body.cancels, 1);
}

static void cancelling_a_parent_cancels_its_child(void **state)
{
    struct fixture *f = *state;
    struct body parent, child;

    fixture_start(f, &parent, "sleep(9000)", 0);
    child = (struct body){.fixture = f, .source = "sleep(9000)", .status = -1};
    child.task = cla_task_get(f->sched);
    cla_task_start(child.task, &fixture_ops, &child, &parent.task->root, parent.task, CLA_NEVER);
    fixture_step(f);
    fixture_cancel(&parent, CLA_CANCEL_RESET);
    fixture_run(f);
    assert_int_equal(child.releases, 1);
    assert_int_equal(parent.releases, 1);
    assert_int_equal(child.cancels, 0); /* its own root was not: the parent's Cancel ended it */
    assert_string_equal(child.text, "cancelled: reset");
}

static void child_that_unwinds_does_not_unwind_its_parent(void **state)
{
    struct fixture *f = *state;
    struct body parent, child;

    f->hold_answer = CLA_WAIT_PENDING;
    fixture_start(f, &parent, "note(hold()) sleep(100) note('never')", 0);
    child = (struct body){.fixture = f, .source = "sleep(9000)", .status = -1};
    child.task = cla_task_get(f->sched);
    cla_task_start(child.task, &fixture_ops, &child, &parent.task->root, parent.task, CLA_NEVER);
    fixture_step(f);
    fixture_cancel(&parent, CLA_CANCEL_RESET);
    fixture_run_until(f, 5);
    assert_string_equal(child.text, "cancelled: reset");
    cla_task_wake(f->held);
    fixture_run(f);
    fixture_require_notes(f, "held@5");
    assert_true(parent.own_cancel);
}

static void cancel_of_a_task_that_has_ended_does_not_move_the_end_of_what_it_left(void **state)
{
    struct fixture *f = *state;
    struct body parent, child;

    fixture_start(f, &parent, "note('ends')", 0);
    child = (struct body){.fixture = f, .status = -1};
    child.source = "local _ <close> = closing(function() sleep(9000) end) sleep(9000)";
    child.task = cla_task_get(f->sched);
    cla_task_start(child.task, &fixture_ops, &child, &parent.task->root, parent.task, CLA_NEVER);
    fixture_run_until(f, 300);
    assert_int_equal(parent.ends, 1);
    fixture_cancel(&parent, CLA_CANCEL_SHUTDOWN);
    fixture_run(f);
    fixture_require_notes(f, "ends@0");
    assert_int_equal(parent.releases, 1);
    assert_int_equal(fixture_now_ms(f), FIXTURE_GRACE_MS);
}

static void ten_thousand_cancelled_tasks_unwind_a_few_a_turn(void **state)
{
    struct fixture *f = *state;
    enum { MANY = 10000, A_TURN = 64 };
    static struct body bodies[MANY];

    for (int i = 0; i < MANY; i++)
        fixture_start(f, &bodies[i], "sleep(9000)", 0);
    while (cla_loop_step(&f->loop, false))
        continue;
    for (int i = 0; i < MANY; i++)
        assert_true(fixture_cancel(&bodies[i], CLA_CANCEL_DISCONNECT));
    f->turns = 0;
    for (unsigned live = f->sched->live; live > 0; live = f->sched->live) {
        fixture_step(f);
        assert_in_range(live - f->sched->live, 1, A_TURN);
    }
    assert_true(f->turns >= (MANY + A_TURN - 1) / A_TURN); /* more, if a turn took its time */
}

/* So much as to leave no time in the turn for the next few. */
static int l_compute(lua_State *L)
{
    uint64_t until = cla_clock_monotonic_ns() + 2 * CLA_NS_PER_MS;

    while (cla_clock_monotonic_ns() < until)
        continue;
    (void)L;
    return 0;
}

static void tasks_whose_cleanup_computes_unwind_fewer_a_turn(void **state)
{
    struct fixture *f = *state;
    enum { MANY = 12, A_TURN = 4 };
    static struct body bodies[MANY];

    lua_register(f->sched->L, "compute", l_compute);
    for (int i = 0; i < MANY; i++)
        fixture_start(f, &bodies[i],
                      "local _ <close> = setmetatable({}, {__close = compute}) sleep(9000)", 0);
    while (cla_loop_step(&f->loop, false))
        continue;
    for (int i = 0; i < MANY; i++)
        assert_true(fixture_cancel(&bodies[i], CLA_CANCEL_DISCONNECT));
    for (unsigned live = f->sched->live; live > 0; live = f->sched->live) {
        fixture_step(f);
        assert_in_range(live - f->sched->live, 1, A_TURN);
    }
}

static void other_tasks_go_on_while_many_unwind(void **state)
{
    struct fixture *f = *state;
    enum { MANY = 1000 };
    static struct body bodies[MANY];
    struct body other;

    for (int i = 0; i < MANY; i++)
        fixture_start(f, &bodies[i], "sleep(9000)", 0);
    while (cla_loop_step(&f->loop, false))
        continue;
    for (int i = 0; i < MANY; i++)
        fixture_cancel(&bodies[i], CLA_CANCEL_DISCONNECT);
    fixture_start(f, &other, "note('other')", 0);
    fixture_step(f);
    assert_int_equal(other.releases, 1);
    fixture_run(f);
    fixture_require_notes(f, "other@0");
}

static void registrations_fire_on_cancel_and_drop_on_a_normal_end(void **state)
{
    static const struct {
        bool cancel;
        unsigned fired, dropped;
    } cases[] = {{true, 1, 0}, {false, 0, 1}};
    struct fixture *f = *state;

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        struct cla_registration r;
        struct body body;

        f->fired = f->dropped = 0;
        fixture_start(f, &body, "sleep(1)", 0);
        fixture_step(f);
        assert_int_equal(cla_token_register(&body.task->root.token, &r), 0);
        if (cases[i].cancel)
            fixture_cancel(&body, CLA_CANCEL_USER);
        fixture_run(f);
        assert_int_equal(f->fired, cases[i].fired);
        assert_int_equal(f->dropped, cases[i].dropped);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_fixture, close_fixture)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(cancel_raises_in_the_await_within_a_turn),
        TEST(deadline_cancels_with_timeout),
        TEST(task_whose_deadline_passed_in_the_queue_never_enters_lua),
        TEST(task_cancelled_before_it_started_never_enters_lua),
        TEST(deadline_that_passes_a_cancelled_task_is_counted_once),
        TEST(second_cancel_changes_nothing),
        TEST(cleanup_runs_newest_first_and_may_await),
        TEST(end_of_grace_raises_again_and_outer_handlers_still_run),
        TEST(completion_before_the_cancel_is_delivered),
        TEST(committed_operation_is_delivered_after_the_cancel),
        TEST(task_that_returns_without_awaiting_ends_normally),
        TEST(late_completion_after_a_cancelled_wait_is_nothing),
        TEST(error_in_cleanup_replaces_the_cancel),
        TEST(cancelling_a_parent_cancels_its_child),
        TEST(child_that_unwinds_does_not_unwind_its_parent),
        TEST(cancel_of_a_task_that_has_ended_does_not_move_the_end_of_what_it_left),
        TEST(ten_thousand_cancelled_tasks_unwind_a_few_a_turn),
        TEST(tasks_whose_cleanup_computes_unwind_fewer_a_turn),
        TEST(other_tasks_go_on_while_many_unwind),
        TEST(registrations_fire_on_cancel_and_drop_on_a_normal_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
