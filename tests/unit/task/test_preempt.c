/* Slices: code that computes gives way, and ends when it is cancelled. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>

#include "preempt_fixture.h"

static void code_between_two_awaits_is_atomic(void **state)
{
    struct fixture *f = *state;
    struct body first, second;

    fixture_start(f, &first, "note('a') alarm() note('b') sleep(0) note('c')", 0);
    fixture_start(f, &second, "note('other')", 0);
    fixture_step(f);
    assert_int_equal(first.task->state, CLA_TASK_SLICED);
    assert_int_equal(second.ends, 0);
    fixture_run(f);
    fixture_require_notes(f, "a@0 b@0 other@0 c@0");
    assert_int_equal(f->sched->counters.slices, 1);
}

static void others_run_between_the_slices_of_a_preemptible_task(void **state)
{
    struct fixture *f = *state;
    struct body first, second;

    fixture_start(f, &first, "note('a') alarm() note('b')", 0);
    first.task->preemptible = true;
    fixture_start(f, &second, "note('other')", 0);
    fixture_run(f);
    fixture_require_notes(f, "a@0 other@0 b@0");
}

static void several_that_compute_take_turns(void **state)
{
    static const char *const sources[] = {
        "for i = 1, 3 do note('a') alarm() end",
        "for i = 1, 3 do note('b') alarm() end",
    };
    struct fixture *f = *state;
    struct body bodies[CLA_ARRAY_LEN(sources)];

    for (size_t i = 0; i < CLA_ARRAY_LEN(sources); i++) {
        fixture_start(f, &bodies[i], sources[i], 0);
        bodies[i].task->preemptible = true;
    }
    fixture_run(f);
    fixture_require_notes(f, "a@0 b@0 a@0 b@0 a@0 b@0");
}

static void one_of_many_that_compute_ends_as_soon_as_it_is_cancelled(void **state)
{
    struct fixture *f = *state;
    struct body bodies[8];

    for (size_t i = 0; i < CLA_ARRAY_LEN(bodies); i++) {
        fixture_start(f, &bodies[i], "while true do alarm() end", 0);
        bodies[i].task->preemptible = true;
    }
    for (size_t i = 0; i < 3 * CLA_ARRAY_LEN(bodies); i++)
        fixture_step(f);
    for (size_t i = CLA_ARRAY_LEN(bodies); i-- > 0;) {
        fixture_cancel(&bodies[i], CLA_CANCEL_RESET);
        fixture_step(f);
        fixture_step(f);
        assert_int_equal(bodies[i].ends, 1);
    }
}

static void cancelled_tasks_unwind_beside_one_that_computes(void **state)
{
    struct fixture *f = *state;
    struct body endless, cancelled;

    fixture_start(f, &cancelled, "sleep(1000)", 0);
    fixture_step(f);
    fixture_start(f, &endless, "while true do alarm() end", 0);
    endless.task->preemptible = true;
    for (int i = 0; i < 5; i++)
        fixture_step(f);
    fixture_cancel(&cancelled, CLA_CANCEL_RESET);
    fixture_step(f);
    fixture_step(f);
    assert_int_equal(cancelled.ends, 1);
    fixture_cancel(&endless, CLA_CANCEL_RESET);
    fixture_run(f);
}

/* Every way to go round for ever. */
static const char *const loops[] = {
    "while true do alarm() end",
    "repeat alarm() until false",
    "for i = 1, math.huge do alarm() end",
    "for _ in function() return 1 end do alarm() end",
    "::again:: alarm() goto again",
    "local function f() alarm() return f() end f()",
    "local function f(n) alarm() if n > 100 then return end f(n + 1) end while true do f(1) end",
    "local t = setmetatable({}, {__index = function(t, k) alarm() return nil end}) "
    "while not t[1] do end",
    "local a = setmetatable({}, {__add = function() while true do alarm() end end}) return a + 1",
    "local a = setmetatable({}, {__lt = function() while true do alarm() end end}) return a < a",
    "local t = setmetatable({}, {__call = function() while true do alarm() end end}) t()",
    "for _ in pairs(setmetatable({}, {__pairs = function() while true do alarm() end end})) do end",
    "local s = '' while true do s = s .. 'x' alarm() if #s > 100 then s = '' end end",
};

static void endless_loops_of_every_form_end_when_cancelled(void **state)
{
    struct fixture *f = *state;
    struct body body;

    for (size_t i = 0; i < CLA_ARRAY_LEN(loops); i++) {
        fixture_start(f, &body, loops[i], 0);
        for (int n = 0; n < 5; n++)
            fixture_step(f);
        assert_int_equal(body.ends, 0);
        assert_true(fixture_cancel(&body, CLA_CANCEL_RESET));
        for (int n = 0; n < 3 && body.ends == 0; n++)
            fixture_step(f);
        if (body.ends != 1 || !body.own_cancel)
            fail_msg("%s: ended %u times, with '%s'", loops[i], body.ends, body.text);
    }
}

static void deadline_that_passes_while_it_computes_ends_it(void **state)
{
    struct fixture *f = *state;
    struct body body;

    fixture_start(f, &body, "while true do pass(1) alarm() end", 30);
    fixture_run(f);
    assert_int_equal(body.kind, CLA_CANCEL_TIMEOUT);
    assert_true(body.own_cancel);
    assert_in_range(fixture_now_ms(f), 30, 35);
}

static void timeout_of_a_scope_ends_what_computes_in_it_only(void **state)
{
    struct fixture *f = *state;
    struct body body;

    fixture_start(f, &body,
                  "if not timeout(30, function() while true do pass(1) alarm() end end) then "
                  "return 'went on' end",
                  0);
    fixture_run(f);
    assert_in_range(fixture_now_ms(f), 30, 35);
    assert_string_equal(body.text, "went on");
    assert_int_equal(f->sched->counters.cuts, 1);
}

/* It may have been the collector of garbage, or the kernel, that took the time. */
static void short_code_that_takes_long_gets_to_its_end_though_it_is_cancelled(void **state)
{
    struct fixture *f = *state;
    struct body body;

    fixture_start(f, &body,
                  "if timeout(30, function() pass(40) alarm() alarm() alarm() note('short') end) "
                  "then return 'went on' end",
                  0);
    fixture_run(f);
    fixture_require_notes(f, "short@40");
    assert_int_equal(f->sched->counters.cuts, 0);
}

static void await_that_raises_ends_what_was_seen_to_compute(void **state)
{
    struct fixture *f = *state;
    struct body body;

    fixture_start(f, &body,
                  "pcall(timeout, 30, function() pass(40) alarm() alarm() alarm() sleep(1) end) "
                  "timeout(30, function() "
                  "  for _ = 1, 3 do pass(40) alarm() alarm() alarm() pcall(sleep, 1) end "
                  "end)",
                  0);
    fixture_run(f);
    assert_int_equal(f->sched->counters.cuts, 0);
}

/* Below table.sort nothing can yield. */
static void comparator_never_yields_but_its_deadline_raises(void **state)
{
    struct fixture *f = *state;
    struct body body;

    fixture_start(f, &body,
                  "table.sort({1, 2, 3}, function() while true do pass(1) alarm() end end)", 30);
    fixture_run(f);
    assert_int_equal(body.kind, CLA_CANCEL_TIMEOUT);
    assert_true(body.own_cancel);
    assert_int_equal(f->sched->counters.slices, 0);
}

static struct body *to_kill;

static void kill_it(struct cla_sched *sched)
{
    (void)sched;
    if (to_kill != NULL)
        (void)fixture_cancel(to_kill, CLA_CANCEL_KILLED);
}

static void comparator_sees_what_other_threads_ask_for(void **state)
{
    struct cla_sched_ops ops = fixture_sched_ops;
    struct fixture *f = *state;
    struct body body;

    ops.look_outside = kill_it;
    f->sched->ops = &ops;
    fixture_start(f, &body, "table.sort({1, 2, 3}, function() while true do alarm() end end)", 0);
    to_kill = &body;
    fixture_run(f);
    to_kill = NULL;
    assert_int_equal(body.kind, CLA_CANCEL_KILLED);
    assert_true(body.own_cancel);
}

static void nested_coroutines_pass_the_slice_through(void **state)
{
    struct fixture *f = *state;
    struct body body;

    fixture_start(f, &body,
                  "local outer = wrap(function()\n"
                  "  local inner = wrap(function() alarm() yield(1) alarm() "
                  "return 2 end)\n"
                  "  alarm() yield(inner()) yield(inner())\n"
                  "end)\n"
                  "return outer() .. outer()",
                  0);
    fixture_run(f);
    assert_string_equal(body.text, "12");
}

/* --- Clean-up that computes. --- */

static void cleanup_that_computes_for_ever_is_raised_into_when_grace_is_over(void **state)
{
    struct fixture *f = *state;
    struct body body;

    fixture_start(f, &body,
                  "local _ <close> = closing(function() note('outer') end)\n"
                  "local _ <close> = closing(function() while true do end end)\n"
                  "local _ <close> = closing(function()\n"
                  "  for _ = 1, 11 do pass(50) alarm() end\n"
                  "  while true do end\n"
                  "end)\n"
                  "sleep(1000)",
                  0);
    fixture_step(f);
    assert_true(fixture_cancel(&body, CLA_CANCEL_RESET));
    fixture_run(f);
    assert_int_equal(body.end, CLA_TASK_RAN);
    assert_in_range(fixture_now_ms(f), FIXTURE_GRACE_MS, FIXTURE_GRACE_MS + 50);
    assert_true(body.own_cancel);
}

/* It may have been the collector of garbage, or the kernel, that took the time. */
static void short_cleanup_that_takes_long_gets_to_its_end_though_grace_is_over(void **state)
{
    struct fixture *f = *state;
    struct body body;

    fixture_start(
        f, &body,
        "local _ <close> = closing(function() alarm() alarm() alarm() note('short') end)\n"
        "local _ <close> = closing(function() pass(600) end)\n"
        "sleep(1000)",
        0);
    fixture_step(f);
    assert_true(fixture_cancel(&body, CLA_CANCEL_RESET));
    fixture_run(f);
    assert_int_equal(body.end, CLA_TASK_RAN);
    fixture_require_notes(f, "short@600");
}

static void given_up_while_it_computes_it_closes_what_it_has_in_a_few_instructions(void **state)
{
    struct fixture *f = *state;
    struct body body;

    fixture_start(f, &body,
                  "local _ <close> = closing(function() note('short') end)\n"
                  "local _ <close> = closing(function() while true do end end)\n"
                  "wrap(function()\n"
                  "  local _ <close> = closing(function() note('inner') while true do end end)\n"
                  "  while true do alarm() end\n"
                  "end)()",
                  0);
    fixture_step(f);
    assert_int_equal(body.task->state, CLA_TASK_SLICED);
    assert_true(cla_task_abandon(body.task));
    assert_int_equal(body.end, CLA_TASK_ABANDONED);
    assert_int_equal(body.releases, 1);
    assert_null(f->sched->held);
    fixture_require_notes(f, "inner@0 short@0");
}

static void what_others_keep_from_running_until_grace_is_over_is_not_given_up(void **state)
{
    struct fixture *f = *state;
    struct body waiting, busy;

    fixture_start(f, &waiting,
                  "local _ <close> = closing(function() note('closed') end) sleep(9999)", 0);
    fixture_step(f);
    fixture_start(f, &busy, "for i = 1, 20 do pass(50) alarm() end", 0);
    fixture_cancel(&waiting, CLA_CANCEL_RESET);
    fixture_run(f);
    assert_int_equal(waiting.end, CLA_TASK_RAN);
    fixture_require_notes(f, "closed@1000");
}

static void given_up_with_all_that_is_inside(void **state)
{
    struct fixture *f = *state;
    struct body parent, child;
    struct cla_task *task;

    fixture_start(f, &parent, "sleep(1000)", 0);
    fixture_step(f);
    child = (struct body){.fixture = f, .source = "sleep(1000)", .status = -1};
    child.task = task = cla_task_get(f->sched);
    cla_task_start(task, &fixture_ops, &child, &parent.task->root, parent.task, CLA_NEVER);
    fixture_step(f);
    cla_task_abandon_all(parent.task);
    assert_int_equal(child.end, CLA_TASK_ABANDONED);
    assert_int_equal(parent.end, CLA_TASK_ABANDONED);
    assert_int_equal(f->sched->live, 0);
}

/* What closes the coroutines that a call has abandoned is given up; a subtask of the call, which
 * goes on, has one of them in use. */
static void coroutine_in_use_elsewhere_outlives_those_that_are_given_up(void **state)
{
    struct fixture *f = *state;
    struct body parent, child;

    fixture_start(
        f, &parent,
        "local abandoned = wrap(function()\n"
        "  local _ <close> = closing(function() while true do pass(300) signal() end end)\n"
        "  yield()\n"
        "end)\n"
        "abandoned() sleep(1)",
        0);
    fixture_step(f);
    child = (struct body){.fixture = f, .status = -1};
    child.source = "wrap(function() sleep(5000) note('slept') end)()";
    child.task = cla_task_get(f->sched);
    cla_task_start(child.task, &fixture_ops, &child, &parent.task->root, parent.task, CLA_NEVER);
    fixture_run(f);
    assert_int_equal(f->sched->counters.given_up, 1);
    assert_int_equal(child.status, LUA_OK);
}

/* --- Signals. --- */

static pthread_t stormed;
static atomic_bool storming;

static void *storm(void *arg)
{
    const struct timespec pause = {.tv_nsec = 100000};

    (void)arg;
    while (atomic_load(&storming)) {
        (void)pthread_kill(stormed, CLA_WATCHDOG_SIGNAL);
        (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
    }
    return NULL;
}

static const char work[] =
    "local function fib(n) return n < 2 and n or fib(n - 1) + fib(n - 2) end\n"
    "local t = {}\n"
    "for i = 1, 2000 do t[i] = (i * 7919) % 2003 end\n"
    "table.sort(t, function(a, b) return a < b end)\n"
    "local g = wrap(function() for i = 1, 500 do yield(i) end end)\n"
    "local sum = 0\n"
    "for i = 1, 500 do sum = sum + g() * t[i] end\n"
    "local text = ('abc'):rep(100):gsub('b', function(c) return c:upper() end)\n"
    "local ok, e = pcall(error, 'x', 0)\n"
    "return fib(20) .. ' ' .. sum .. ' ' .. #text .. text:sub(1, 3) .. ' ' .. tostring(ok) .. e";

static void signals_for_nothing_change_nothing(void **state)
{
    struct fixture *f = *state;
    char want[256];
    struct body body;
    pthread_t thread;

    fixture_start(f, &body, work, 0);
    fixture_run(f);
    memcpy(want, body.text, sizeof want);
    assert_string_equal(want, "6765 42020952 300aBc falsex");
    stormed = pthread_self();
    atomic_store(&storming, true);
    assert_int_equal(pthread_create(&thread, NULL, storm, NULL), 0);
    for (int i = 0; i < 50; i++) {
        fixture_start(f, &body, work, 0);
        fixture_run(f);
        assert_string_equal(body.text, want);
    }
    atomic_store(&storming, false);
    pthread_join(thread, NULL);
}

static void signal_where_no_task_runs_is_nothing(void **state)
{
    struct fixture *f = *state;
    struct body body;

    (void)raise(CLA_WATCHDOG_SIGNAL);
    fixture_start(f, &body, "return 'done'", 0);
    (void)raise(CLA_WATCHDOG_SIGNAL);
    fixture_run(f);
    assert_string_equal(body.text, "done");
    assert_int_equal(f->sched->counters.slices, 0);
}

static void watchdog_ends_slices_by_itself(void **state)
{
    struct fixture *f = *state;
    struct cla_watchdog *watchdog;
    struct body body;

    assert_int_equal(cla_watchdog_start(&watchdog, &f->log), 0);
    cla_watchdog_watch(watchdog, f->sched);
    for (int i = 0; i < 3; i++) { /* it goes to sleep in between, or does not */
        fixture_start(f, &body, "while true do end", 0);
        fixture_step(f);
        assert_int_equal(body.task->state, CLA_TASK_SLICED);
        assert_true(fixture_cancel(&body, CLA_CANCEL_RESET));
        fixture_run(f);
        assert_true(body.own_cancel);
    }
    cla_watchdog_forget(f->sched);
    cla_watchdog_stop(watchdog);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(code_between_two_awaits_is_atomic),
        TEST(others_run_between_the_slices_of_a_preemptible_task),
        TEST(several_that_compute_take_turns),
        TEST(one_of_many_that_compute_ends_as_soon_as_it_is_cancelled),
        TEST(cancelled_tasks_unwind_beside_one_that_computes),
        TEST(endless_loops_of_every_form_end_when_cancelled),
        TEST(deadline_that_passes_while_it_computes_ends_it),
        TEST(timeout_of_a_scope_ends_what_computes_in_it_only),
        TEST(short_code_that_takes_long_gets_to_its_end_though_it_is_cancelled),
        TEST(await_that_raises_ends_what_was_seen_to_compute),
        TEST(comparator_never_yields_but_its_deadline_raises),
        TEST(comparator_sees_what_other_threads_ask_for),
        TEST(nested_coroutines_pass_the_slice_through),
        TEST(cleanup_that_computes_for_ever_is_raised_into_when_grace_is_over),
        TEST(short_cleanup_that_takes_long_gets_to_its_end_though_grace_is_over),
        TEST(given_up_while_it_computes_it_closes_what_it_has_in_a_few_instructions),
        TEST(what_others_keep_from_running_until_grace_is_over_is_not_given_up),
        TEST(given_up_with_all_that_is_inside),
        TEST(coroutine_in_use_elsewhere_outlives_those_that_are_given_up),
        TEST(signals_for_nothing_change_nothing),
        TEST(signal_where_no_task_runs_is_nothing),
        TEST(watchdog_ends_slices_by_itself),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
