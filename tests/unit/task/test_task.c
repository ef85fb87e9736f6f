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

static void sleep_takes_virtual_time(void **state)
{
    struct fixture *f = *state;
    struct body body;

    fixture_start(f, &body, "note('a') sleep(60000) note('b') return 'done'", 0);
    fixture_run(f);
    fixture_require_notes(f, "a@0 b@60000");
    assert_int_equal(body.status, LUA_OK);
    assert_string_equal(body.text, "done");
    assert_int_equal(body.end, CLA_TASK_RAN);
    assert_int_equal(body.ends, 1);
    assert_int_equal(body.releases, 1);
    assert_int_equal(body.cancels, 0);
}

static void tasks_run_in_start_order_and_interleave_at_awaits(void **state)
{
    struct fixture *f = *state;
    struct body a, b;

    fixture_start(f, &a, "note('a1') sleep(2) note('a2')", 0);
    fixture_start(f, &b, "note('b1') sleep(1) note('b2')", 0);
    fixture_run(f);
    fixture_require_notes(f, "a1@0 b1@0 b2@1 a2@2");
}

static void start_does_not_run_lua(void **state)
{
    struct fixture *f = *state;
    struct body body;

    fixture_start(f, &body, "note('ran')", 0);
    assert_int_equal(f->notes.n, 0);
    fixture_run(f);
    fixture_require_notes(f, "ran@0");
}

static void error_has_a_traceback(void **state)
{
    struct fixture *f = *state;
    struct body body;

    fixture_start(f, &body, "local function inner() error('boom') end sleep(1) inner()", 0);
    fixture_run(f);
    assert_int_equal(body.status, LUA_ERRRUN);
    assert_non_null(strstr(body.text, "body:1: boom"));
    assert_non_null(strstr(body.text, "inner"));
    assert_int_equal(body.end, CLA_TASK_RAN);
}

static void task_that_cannot_enter_breaks_and_the_next_is_fine(void **state)
{
    struct fixture *f = *state;
    struct body broken, fine;
    struct cla_task *task;

    fixture_start(f, &broken, "", 0);
    broken.refuses_to_enter = true;
    task = broken.task;
    fixture_run(f);
    assert_int_equal(broken.end, CLA_TASK_BROKE);
    assert_int_equal(broken.status, -1);
    assert_int_equal(broken.releases, 1);
    fixture_start(f, &fine, "return 'fine'", 0);
    assert_ptr_equal(fine.task, task);
    fixture_run(f);
    assert_string_equal(fine.text, "fine");
}

static void await_outside_a_task_says_why(void **state)
{
    struct fixture *f = *state;
    lua_State *L = f->vm->L;

    assert_true(luaL_dostring(L, "sleep(1)"));
    assert_non_null(strstr(lua_tostring(L, -1), "while the script loads"));
    lua_settop(L, 0);
}

static void await_where_no_yield_is_possible_is_a_clean_error(void **state)
{
    static const struct {
        const char *source, *error;
    } cases[] = {
        {"table.sort({1, 2}, function() sleep(1) end)", "a C function"},
        {"coroutine.wrap(function() sleep(1) end)()", "resumed by a C module"},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        struct body body;

        fixture_start(f, &body, cases[i].source, 0);
        fixture_run(f);
        assert_int_equal(body.status, LUA_ERRRUN);
        assert_non_null(strstr(body.text, cases[i].error));
    }
}

static void ended_task_is_used_again(void **state)
{
    struct fixture *f = *state;
    struct body body;
    struct cla_task *first;
    struct cla_scope *root;

    fixture_start(f, &body, "sleep(1)", 0);
    first = body.task;
    root = &first->root;
    fixture_run(f);
    fixture_start(f, &body, "error('x')", 0);
    assert_ptr_equal(body.task, first);
    assert_ptr_equal(&body.task->root, root);
    fixture_run(f);
    fixture_start(f, &body, "return 'third'", 0);
    assert_ptr_equal(body.task, first);
    fixture_run(f);
    assert_string_equal(body.text, "third");
    assert_int_equal(f->sched->counters.started, 3);
}

static void root_that_a_script_may_hold_is_replaced(void **state)
{
    struct fixture *f = *state;
    struct body body;
    struct cla_scope *root;

    fixture_start(f, &body, "local ok, e = pcall(sleep, 100) saved = e error(e)", 0);
    root = &body.task->root;
    fixture_step(f);
    fixture_cancel(&body, CLA_CANCEL_RESET);
    fixture_run(f);
    assert_true(body.own_cancel);
    fixture_start(f, &body, "error(saved, 0)", 0);
    assert_ptr_not_equal(&body.task->root, root);
    fixture_run(f);
    assert_false(body.own_cancel); /* a stale Cancel is an ordinary error */
    assert_string_equal(body.text, "cancelled: reset");
}

static void task_put_back_unstarted_is_the_next_one_taken(void **state)
{
    struct fixture *f = *state;
    struct cla_task *task = cla_task_get(f->sched);

    cla_task_put(task);
    assert_int_equal(f->sched->live, 0);
    assert_ptr_equal(cla_task_get(f->sched), task);
    cla_task_put(task);
}

static void parent_is_released_after_its_children(void **state)
{
    struct fixture *f = *state;
    struct body parent, child;

    fixture_start(f, &parent, "note('parent')", 0);
    child = (struct body){.fixture = f, .source = "sleep(5) note('child')", .status = -1};
    child.task = cla_task_get(f->sched);
    cla_task_start(child.task, &fixture_ops, &child, &parent.task->root, parent.task, CLA_NEVER);
    fixture_run_until(f, 1);
    assert_int_equal(parent.ends, 1);
    assert_int_equal(parent.releases, 0);
    fixture_run(f);
    assert_int_equal(child.releases, 1);
    assert_int_equal(parent.releases, 1);
    fixture_require_notes(f, "parent@0 child@5");
}

static void where_names_the_line_that_waits(void **state)
{
    struct fixture *f = *state;
    struct body body;
    char where[64];

    fixture_start(f, &body, "\n\nsleep(1)\n", 0);
    fixture_step(f);
    cla_task_where(body.task, where, sizeof where);
    assert_string_equal(where, "body:3");
    fixture_run(f);
}

static void many_ready_tasks_take_more_than_one_turn(void **state)
{
    struct fixture *f = *state;
    enum { MANY = 2000 };
    static struct body bodies[MANY];

    for (int i = 0; i < MANY; i++)
        fixture_start(f, &bodies[i], "for i = 1, 2000 do end", 0);
    fixture_run(f);
    assert_true(f->turns > 1);
    assert_int_equal(f->sched->counters.started, MANY);
    cla_sched_trim(f->sched, 10);
    assert_int_equal(f->sched->pooled, 10);
}

static void abandoned_tasks_end_without_running(void **state)
{
    struct fixture *f = *state;
    struct body waiting, unstarted;

    fixture_start(f, &waiting,
                  "local _ <close> = closing(function() note('closed') sleep(1) note('never') end) "
                  "sleep(10) note('never')",
                  0);
    fixture_step(f);
    fixture_start(f, &unstarted, "note('never')", 0);
    assert_int_equal(cla_sched_abandon(f->sched), 2);
    assert_int_equal(waiting.end, CLA_TASK_ABANDONED);
    assert_int_equal(unstarted.end, CLA_TASK_ABANDONED);
    assert_int_equal(waiting.releases, 1);
    fixture_require_notes(f, "closed@0");
    assert_int_equal(cla_sched_abandon(f->sched), 0);
}

static void abandoned_task_is_fit_to_be_used_again(void **state)
{
    struct fixture *f = *state;
    struct body body;
    struct cla_task *task;

    fixture_start(f, &body, "timeout(100, function() sleep(10) end)", 50);
    task = body.task;
    fixture_step(f);
    cla_sched_abandon(f->sched);
    assert_int_equal(f->loop.timers.active, 0);
    fixture_start(f, &body, "sleep(1) return 'again'", 0);
    assert_ptr_equal(body.task, task);
    fixture_run(f);
    assert_string_equal(body.text, "again");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_fixture, close_fixture)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(sleep_takes_virtual_time),
        TEST(tasks_run_in_start_order_and_interleave_at_awaits),
        TEST(start_does_not_run_lua),
        TEST(error_has_a_traceback),
        TEST(task_that_cannot_enter_breaks_and_the_next_is_fine),
        TEST(await_outside_a_task_says_why),
        TEST(await_where_no_yield_is_possible_is_a_clean_error),
        TEST(ended_task_is_used_again),
        TEST(root_that_a_script_may_hold_is_replaced),
        TEST(task_put_back_unstarted_is_the_next_one_taken),
        TEST(parent_is_released_after_its_children),
        TEST(where_names_the_line_that_waits),
        TEST(many_ready_tasks_take_more_than_one_turn),
        TEST(abandoned_tasks_end_without_running),
        TEST(abandoned_task_is_fit_to_be_used_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
