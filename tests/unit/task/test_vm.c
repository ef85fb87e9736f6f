/* The memory cap of a VM. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "task_fixture.h"

#define CAP ((size_t)8 << 20)

static struct fixture fixture;

static bool turn(void *arg)
{
    bool more = fixture_turn(arg);

    cla_vm_relieve(fixture.vm);
    return more;
}

static int open_fixture(void **state)
{
    fixture_open(&fixture, CAP);
    cla_loop_on_turn(&fixture.loop, turn, &fixture);
    *state = &fixture;
    return 0;
}

static int close_fixture(void **state)
{
    fixture_close(*state);
    return 0;
}

static void vm_counts_what_it_allocates(void **state)
{
    struct fixture *f = *state;
    size_t before = f->vm->used;

    assert_in_range(before, 1, CAP);
    assert_int_equal(luaL_dostring(f->vm->L, "big = ('x'):rep(1000000)"), LUA_OK);
    assert_in_range(f->vm->used, before + 1000000, before + 1100000);
    assert_int_equal(luaL_dostring(f->vm->L, "big = nil collectgarbage()"), LUA_OK);
    assert_in_range(f->vm->used, 1, before + 100000);
}

static void task_that_allocates_without_end_is_ended_by_the_cap(void **state)
{
    struct fixture *f = *state;
    struct body greedy, other;

    fixture_start(f, &other, "sleep(10) note('other') return 'fine'", 0);
    fixture_start(f, &greedy, "local t = {} for i = 1, math.huge do t[i] = {i} end", 0);
    fixture_run(f);
    assert_int_equal(greedy.status, LUA_ERRMEM);
    assert_string_equal(other.text, "fine");
    assert_in_range(f->vm->used, 1, CAP);
}

/* Holds ten megabytes of a cap of eight, if it can. */
static const char hoarder[] = "local t = {} for i = 1, 200 do t[i] = ('x'):rep(50000) .. i "
                              "sleep(1) end";

static void waiting_task_that_allocated_most_is_cancelled_before_the_cap(void **state)
{
    struct fixture *f = *state;
    struct body modest, hoarding;

    fixture_start(f, &modest, "local t = ('x'):rep(100000) sleep(1000) return 'kept'", 0);
    fixture_start(f, &hoarding, hoarder, 0);
    fixture_run(f);
    assert_int_equal(hoarding.cancels, 1);
    assert_int_equal(hoarding.kind, CLA_CANCEL_LIMIT);
    assert_int_equal(modest.cancels, 0);
    assert_string_equal(modest.text, "kept");
}

static void vm_is_tight_until_memory_is_back(void **state)
{
    struct fixture *f = *state;
    struct body hoarding;

    fixture_start(f, &hoarding, hoarder, 0);
    while (hoarding.cancels == 0)
        cla_loop_step(&f->loop, true);
    assert_true(f->vm->tight);
    fixture_run(f);
    for (int i = 0; i < 10 && f->vm->tight; i++) { /* calls that are refused */
        f->loop.virtual_ns += FIXTURE_GRACE_MS * FIXTURE_MS;
        fixture_step(f);
    }
    assert_false(f->vm->tight);
}

static void call_that_gives_memory_back_slowly_costs_no_other_its_life(void **state)
{
    struct fixture *f = *state;
    struct body idle, hoarding;

    fixture_start(f, &idle,
                  "local t = {} for i = 1, 40 do t[i] = ('x'):rep(50000) .. i end sleep(900)", 0);
    fixture_step(f);
    fixture_start(f, &hoarding,
                  "local t = {} local _ <close> = closing(function() sleep(400) t = nil end) "
                  "for i = 1, 200 do t[i] = ('x'):rep(50000) .. i sleep(1) end",
                  0);
    while (hoarding.cancels == 0)
        cla_loop_step(&f->loop, true);
    fixture_run(f);
    assert_int_equal(idle.cancels, 0);
}

static lua_Alloc allocate;

/* Refuses whatever is more than there was. */
static void *refuse(void *arg, void *block, size_t old, size_t bytes)
{
    return block != NULL && bytes <= old ? allocate(arg, block, old, bytes) : NULL;
}

static void case_88_a_cancel_is_raised_though_no_memory_is_left(void **state)
{
    struct fixture *f = *state;
    struct body body;
    void *arg;

    fixture_start(f, &body,
                  "local first local _ <close> = closing(function(e) assert(e == first) end) "
                  "local _ <close> = closing(function(e) first = e end) sleep(1000)",
                  0);
    fixture_step(f);
    allocate = lua_getallocf(f->vm->L, &arg);
    lua_setallocf(f->vm->L, refuse, arg);
    assert_int_equal(luaL_loadstring(f->vm->L, "return {}"), LUA_ERRMEM);
    lua_settop(f->vm->L, 0);
    fixture_cancel(&body, CLA_CANCEL_RESET);
    fixture_step(f);
    lua_setallocf(f->vm->L, allocate, arg);
    assert_true(body.own_cancel);
    assert_int_equal(body.kind, CLA_CANCEL_RESET);
}

static void task_that_cannot_be_made_leaks_nothing(void **state)
{
    struct fixture *f = *state;
    size_t cap = f->vm->cap, before;
    unsigned refused = 0;
    struct cla_task *task;

    cla_sched_trim(f->sched, 0);
    lua_gc(f->vm->L, LUA_GCCOLLECT);
    before = f->vm->used;
    for (size_t room = 0; room < 16384; room += 16) {
        f->vm->cap = before + room;
        task = cla_task_get(f->sched);
        f->vm->cap = cap;
        refused += task == NULL;
        if (task != NULL)
            cla_task_put(task);
        cla_sched_trim(f->sched, 0);
        lua_gc(f->vm->L, LUA_GCCOLLECT);
    }
    assert_in_range(refused, 20, 1000);
    assert_in_range(f->vm->used, 1, before + 1024);
}

static void trimming_leaves_no_idle_tasks_and_no_garbage(void **state)
{
    struct fixture *f = *state;
    static struct body bodies[300];
    size_t before;

    cla_sched_trim(f->sched, 0);
    lua_gc(f->vm->L, LUA_GCCOLLECT);
    before = f->vm->used;
    for (int i = 0; i < 300; i++)
        fixture_start(f, &bodies[i], "local t = ('x'):rep(9000) sleep(1) return #t", 0);
    fixture_run(f);
    assert_int_equal(f->sched->pooled, 300);
    while (cla_vm_trim(f->vm))
        continue;
    assert_int_equal(f->sched->pooled, 0);
    assert_in_range(f->vm->used, 1, before + 16384);
}

static void vm_too_small_for_its_library_is_refused(void **state)
{
    struct fixture *f = *state;
    struct cla_vm *vm = NULL;

    for (size_t cap = 0; cap < 12000; cap += 500)
        assert_int_equal(cla_vm_new(&vm, &f->loop, &f->log, cap, 1, &fixture_sched_ops),
                         -CLA_ENOMEM);
    assert_null(vm);
    cla_vm_free(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_fixture, close_fixture)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(vm_counts_what_it_allocates),
        TEST(task_that_allocates_without_end_is_ended_by_the_cap),
        TEST(waiting_task_that_allocated_most_is_cancelled_before_the_cap),
        TEST(vm_is_tight_until_memory_is_back),
        TEST(call_that_gives_memory_back_slowly_costs_no_other_its_life),
        TEST(case_88_a_cancel_is_raised_though_no_memory_is_left),
        TEST(task_that_cannot_be_made_leaks_nothing),
        TEST(trimming_leaves_no_idle_tasks_and_no_garbage),
        TEST(vm_too_small_for_its_library_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
