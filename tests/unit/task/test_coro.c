#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "coro_fixture.h"
#include "task/coro.h"

static struct fixture fixture;

static int open_fixture(void **state)
{
    fixture_open(&fixture, 64 << 20);
    coro_fixture_functions(fixture.vm->L);
    *state = &fixture;
    return 0;
}

static int close_fixture(void **state)
{
    fixture_close(*state);
    return 0;
}

static void load(struct fixture *f, const char *source)
{
    assert_int_equal(luaL_dostring(f->vm->L, source), LUA_OK);
}

/* --- Tests. --- */

static void completed_await_in_a_coroutine_counts_and_the_next_one_raises(void **state)
{
    struct fixture *f = *state;
    struct body body;

    f->hold_answer = CLA_WAIT_PENDING;
    fixture_start(f, &body, "wrap(function() note(hold()) sleep(1) note('no') end)()", 0);
    fixture_step(f);
    fixture_cancel(&body, CLA_CANCEL_RESET);
    fixture_step(f);
    fixture_require_notes(f, "");
    cla_task_wake(f->held);
    fixture_run(f);
    fixture_require_notes(f, "held@0");
    assert_true(body.own_cancel);
}

static void where_names_the_line_of_the_innermost_coroutine(void **state)
{
    struct fixture *f = *state;
    struct body body;
    char text[64];

    fixture_start(f, &body, "wrap(function()\nwrap(function()\nsleep(1)\nend)()\nend)()", 0);
    fixture_step(f);
    cla_task_where(body.task, text, sizeof text);
    assert_string_equal(text, "body:3");
    fixture_run(f);
}

static void abandoned_task_closes_the_coroutines_that_it_runs_and_those_it_made(void **state)
{
    struct fixture *f = *state;
    struct body body;

    fixture_start(f, &body,
                  "local function at(text) return closing(function() note(text) end) end "
                  "local made = wrap(function() local _ <close> = at('made') yield() end) made() "
                  "wrap(function() local _ <close> = at('outer') wrap(function() "
                  "local _ <close> = at('inner') timeout(50, hold) end)() end)()",
                  0);
    fixture_step(f);
    assert_int_equal(cla_sched_abandon(f->sched), 1);
    assert_int_equal(body.end, CLA_TASK_ABANDONED);
    fixture_require_notes(f, "inner@0 outer@0 made@0");
}

static void closing_that_is_abandoned_closes_the_rest_without_awaiting(void **state)
{
    struct fixture *f = *state;
    struct body body;

    fixture_start(f, &body,
                  "for i = 1, 3 do wrap(function() local _ <close> = closing(function() "
                  "note(i) pcall(sleep, 9) note('on') end) yield() end)() end",
                  0);
    fixture_step(f);
    fixture_step(f);
    assert_int_equal(body.ends, 1);
    assert_int_equal(body.releases, 0);
    cla_sched_abandon(f->sched);
    assert_int_equal(body.releases, 1);
    fixture_require_notes(f, "3@0 2@0 on@0 1@0 on@0");
}

static void scopes_of_a_coroutine_of_the_vm_go_from_task_to_task(void **state)
{
    struct fixture *f = *state;
    struct body one, two;

    load(f, "step = wrap(function() local ok = timeout(20, function() yield() sleep(1) end) "
            "note(tostring(ok)) end)");
    fixture_start(f, &one, "step() note('one')", 0);
    fixture_run(f);
    assert_int_equal(one.releases, 1);
    fixture_run_until(f, 50);
    fixture_start(f, &two, "step() note('two')", 0);
    fixture_run(f);
    fixture_require_notes(f, "one@0 false@50 two@50");
}

static void coroutine_of_the_vm_that_is_collected_leaves_no_timer(void **state)
{
    struct fixture *f = *state;
    struct body body;

    load(f, "step = wrap(function() timeout(20, function() yield() end) end)");
    fixture_start(f, &body, "step()", 0);
    fixture_run(f);
    assert_int_not_equal(f->loop.timers.active, 0);
    load(f, "step = nil collectgarbage() collectgarbage()");
    assert_int_equal(f->loop.timers.active, 0);
}

static void vm_ends_with_a_suspended_coroutine_that_has_a_scope(void **state)
{
    struct fixture *f = *state;
    struct body body;

    load(f, "step = wrap(function() timeout(20, function() yield() end) end)");
    fixture_start(f, &body, "step()", 0);
    fixture_run(f);
    cla_sched_fini(f->sched);
    assert_int_equal(f->loop.timers.active, 0);
}

static void deadline_of_a_suspended_coroutine_wakes_nobody(void **state)
{
    struct fixture *f = *state;
    struct body body;

    fixture_start(f, &body,
                  "local step = wrap(function() timeout(20, function() yield() end) note('end') "
                  "end) step() sleep(50) note('slept') step()",
                  0);
    fixture_run(f);
    fixture_require_notes(f, "slept@50 end@50");
}

static void coroutine_that_a_c_function_resumes_cannot_await(void **state)
{
    struct fixture *f = *state;
    struct body body;

    fixture_start(f, &body,
                  "local co = coroutine.create(function() note(pcall(wrap(function() sleep(1) "
                  "end))) end) coroutine.resume(co) sleep(5) note('on')",
                  0);
    fixture_run(f);
    fixture_require_notes(f, "false@0 on@5");
}

static void coroutines_survive_the_collector_at_every_step(void **state)
{
    struct fixture *f = *state;
    struct body body;

    load(f, "collectgarbage('incremental', 1, 1, 1)");
    fixture_start(f, &body,
                  "for i = 1, 50 do local step = wrap(function() for j = 1, 3 do "
                  "local _ <close> = closing(function() local t = {{}, {}} end) "
                  "timeout(9, function() yield({}) sleep(1) end) collectgarbage('step', 1) "
                  "end end) step() collectgarbage('step', 1) if i % 3 == 0 then step() end "
                  "if i % 7 == 0 then collectgarbage() end end note('end')",
                  0);
    fixture_run(f);
    assert_int_equal(body.status, LUA_OK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_fixture, close_fixture)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(completed_await_in_a_coroutine_counts_and_the_next_one_raises),
        TEST(where_names_the_line_of_the_innermost_coroutine),
        TEST(abandoned_task_closes_the_coroutines_that_it_runs_and_those_it_made),
        TEST(closing_that_is_abandoned_closes_the_rest_without_awaiting),
        TEST(scopes_of_a_coroutine_of_the_vm_go_from_task_to_task),
        TEST(coroutine_of_the_vm_that_is_collected_leaves_no_timer),
        TEST(vm_ends_with_a_suspended_coroutine_that_has_a_scope),
        TEST(deadline_of_a_suspended_coroutine_wakes_nobody),
        TEST(coroutine_that_a_c_function_resumes_cannot_await),
        TEST(coroutines_survive_the_collector_at_every_step),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
