/* A VM under virtual time, and tasks whose bodies are Lua text. Scripts have these functions, made
 * of task/await.h and task/scope.h alone:
 *
 *     sleep(ms)  hold()  note(text)  timeout(ms, fn)  shield(ms, fn)  closing(fn) -> to be closed
 *
 * hold() waits until the test wakes it. What scripts note is compared as one text of words, in
 * which "@7" is the virtual time in milliseconds since the start. */
#ifndef CLA_TEST_TASK_FIXTURE_H
#define CLA_TEST_TASK_FIXTURE_H

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/mem.h"
#include "task/await.h"
#include "task/vm.h"

#define FIXTURE_MS CLA_NS_PER_MS
#define FIXTURE_GRACE_MS 500

struct fixture {
    struct cla_loop loop;
    struct cla_log log;
    struct cla_vm *vm;
    struct cla_sched *sched;
    uint64_t start_ns;
    struct cla_buf notes;
    struct cla_task *held;            /* in hold() */
    enum cla_wait_cancel hold_answer; /* to being cancelled */
    unsigned turns;
    unsigned fired, dropped; /* registrations */
};

struct body {
    struct fixture *fixture;
    struct cla_task *task;
    const char *source;
    bool refuses_to_enter;
    int status;       /* leave: how it ended; -1: it was not called */
    char text[256];   /* leave: the result or error */
    bool own_cancel;  /* leave: the error was its root's Cancel */
    unsigned cancels; /* calls of on_cancel, … */
    enum cla_cancel_kind kind;
    unsigned ends, releases;
    enum cla_task_end end;
};

static inline struct fixture *fixture_on(lua_State *L)
{
    return cla_sched_of(L)->owner;
}

static inline uint64_t fixture_now_ms(const struct fixture *f)
{
    return (cla_loop_now_ns(&f->loop) - f->start_ns) / FIXTURE_MS;
}

/* --- Functions for scripts. --- */

static inline int fixture_note(lua_State *L)
{
    struct fixture *f = fixture_on(L);

    if (cla_buf_printf(&f->notes, "%s%s@%u", f->notes.n > 0 ? " " : "", luaL_tolstring(L, 1, NULL),
                       (unsigned)fixture_now_ms(f)) != 0)
        return luaL_error(L, "no memory");
    return 0;
}

static inline int fixture_sleep_k(lua_State *L, int status, lua_KContext context)
{
    cla_await_end(L);
    return 0;
}

static inline int fixture_sleep(lua_State *L)
{
    struct cla_task *task = cla_await_check(L);

    return cla_await_sleep(L, task, (uint64_t)luaL_checkinteger(L, 1) * FIXTURE_MS,
                           fixture_sleep_k);
}

static inline enum cla_wait_cancel fixture_cancel_hold(struct cla_task *task)
{
    struct fixture *f = task->wait;

    if (f->hold_answer == CLA_WAIT_CANCELLED)
        f->held = NULL;
    return f->hold_answer;
}

static inline int fixture_hold_k(lua_State *L, int status, lua_KContext context)
{
    cla_await_end(L);
    lua_pushliteral(L, "held");
    return 1;
}

static inline int fixture_hold(lua_State *L)
{
    struct cla_task *task = cla_await_check(L);
    struct fixture *f = fixture_on(L);

    f->held = task;
    return cla_await(L, task, fixture_cancel_hold, f, fixture_hold_k);
}

static inline int fixture_timeout_k(lua_State *L, int status, lua_KContext context)
{
    struct cla_scope *scope = (struct cla_scope *)context;
    bool failed = status != LUA_OK && status != LUA_YIELD;
    bool own = failed && cla_scope_at(L, -1) == scope;

    cla_scope_close(scope);
    if (failed && !own)
        return lua_error(L);
    lua_pushboolean(L, !own);
    return 1;
}

/* timeout(ms, fn) -> true, or false if it was what ended fn */
static inline int fixture_timeout(lua_State *L)
{
    struct cla_task *task = cla_await_task(L, "time");
    struct cla_scope *scope = cla_scope_enter(L, task,
                                              cla_loop_now_ns(task->sched->loop) +
                                                  (uint64_t)luaL_checkinteger(L, 1) * FIXTURE_MS);
    int status;

    lua_settop(L, 2);
    status = lua_pcallk(L, 0, 0, 0, (lua_KContext)scope, fixture_timeout_k);
    return fixture_timeout_k(L, status, (lua_KContext)scope);
}

static inline int fixture_shield_k(lua_State *L, int status, lua_KContext context)
{
    cla_scope_close((struct cla_scope *)context);
    return status == LUA_OK || status == LUA_YIELD ? 0 : lua_error(L);
}

static inline int fixture_shield(lua_State *L)
{
    struct cla_task *task = cla_await_task(L, "shield");
    struct cla_scope *scope = cla_scope_enter(L, task, CLA_NEVER);
    int status;

    cla_scope_shield(scope, cla_loop_now_ns(task->sched->loop) +
                                (uint64_t)luaL_checkinteger(L, 1) * FIXTURE_MS);
    lua_settop(L, 2);
    status = lua_pcallk(L, 0, 0, 0, (lua_KContext)scope, fixture_shield_k);
    return fixture_shield_k(L, status, (lua_KContext)scope);
}

static const char fixture_prelude[] =
    "function closing(fn) return setmetatable({}, {__close = function(_, e) fn(e) end}) end";

static inline void fixture_functions(lua_State *L)
{
    lua_register(L, "note", fixture_note);
    lua_register(L, "sleep", fixture_sleep);
    lua_register(L, "hold", fixture_hold);
    lua_register(L, "timeout", fixture_timeout);
    lua_register(L, "shield", fixture_shield);
}

/* --- The VM. --- */

static inline bool fixture_turn(void *arg)
{
    struct fixture *f = arg;

    f->turns++;
    return cla_sched_run(f->sched);
}

static inline void fixture_fire(struct cla_sched *sched, struct cla_scope *scope,
                                struct cla_registration *r)
{
    ((struct fixture *)sched->owner)->fired++;
}

static inline void fixture_drop(struct cla_sched *sched, struct cla_registration *r)
{
    ((struct fixture *)sched->owner)->dropped++;
}

static const struct cla_sched_ops fixture_sched_ops = {.fire = fixture_fire, .drop = fixture_drop};

static inline void fixture_open(struct fixture *f, size_t cap)
{
    *f = (struct fixture){.log = {.fd = 2, .level = CLA_LOG_OFF}};
    assert_int_equal(cla_loop_init(&f->loop), 0);
    cla_loop_use_virtual_time(&f->loop);
    assert_int_equal(cla_vm_new(&f->vm, &f->loop, &f->log, cap, FIXTURE_GRACE_MS * FIXTURE_MS,
                                &fixture_sched_ops),
                     0);
    f->sched = &f->vm->sched;
    f->sched->owner = f;
    f->start_ns = cla_loop_now_ns(&f->loop);
    fixture_functions(f->vm->L);
    assert_int_equal(luaL_dostring(f->vm->L, fixture_prelude), LUA_OK);
    cla_loop_on_turn(&f->loop, fixture_turn, f);
}

/* Requires that nothing is left: no task, no timer. */
static inline void fixture_close(struct fixture *f)
{
    assert_int_equal(f->sched->live, 0);
    assert_int_equal(f->loop.timers.active, 0);
    assert_int_equal(lua_gettop(f->vm->L), 0);
    cla_vm_free(f->vm);
    cla_loop_fini(&f->loop);
    cla_buf_fini(&f->notes);
}

static inline void fixture_require_notes(struct fixture *f, const char *want)
{
    assert_int_equal(cla_buf_push(&f->notes, '\0'), 0);
    assert_string_equal(f->notes.p, want);
    f->notes.n = 0;
}

/* --- Tasks. --- */

static inline int fixture_enter(struct cla_task *task, lua_State *L)
{
    struct body *body = task->owner;

    if (body->refuses_to_enter)
        return luaL_error(L, "cannot enter");
    if (luaL_loadbuffer(L, body->source, strlen(body->source), "=body") != LUA_OK)
        return lua_error(L);
    return 0;
}

static inline void fixture_leave(struct cla_task *task, lua_State *L, int status, int first)
{
    struct body *body = task->owner;

    body->status = status;
    body->own_cancel = status != LUA_OK && cla_scope_at(L, -1) == &task->root;
    lua_settop(L, status == LUA_OK ? first : lua_gettop(L));
    snprintf(body->text, sizeof body->text, "%s", luaL_tolstring(L, -1, NULL));
}

static inline void fixture_on_cancel(struct cla_task *task, const struct cla_reason *reason)
{
    struct body *body = task->owner;

    body->cancels++;
    body->kind = reason->kind;
}

static inline void fixture_on_end(struct cla_task *task, enum cla_task_end end)
{
    struct body *body = task->owner;

    body->ends++;
    body->end = end;
}

static inline void fixture_on_release(struct cla_task *task)
{
    struct body *body = task->owner;

    body->releases++;
    body->task = NULL;
}

static const struct cla_task_ops fixture_ops = {
    .enter = fixture_enter,
    .leave = fixture_leave,
    .on_cancel = fixture_on_cancel,
    .on_end = fixture_on_end,
    .on_release = fixture_on_release,
};

/* Starts 'source' as a task with a deadline in 'ms' (0: none). */
static inline void fixture_start(struct fixture *f, struct body *body, const char *source,
                                 uint64_t ms)
{
    *body = (struct body){.fixture = f, .source = source, .status = -1};
    body->task = cla_task_get(f->sched);
    assert_non_null(body->task);
    cla_task_start(body->task, &fixture_ops, body, NULL, NULL,
                   ms > 0 ? cla_loop_now_ns(&f->loop) + ms * FIXTURE_MS : CLA_NEVER);
}

static inline bool fixture_cancel(struct body *body, enum cla_cancel_kind kind)
{
    return cla_scope_cancel(&body->task->root, kind, cla_slice(NULL, 0));
}

/* One turn, without the time moving. */
static inline void fixture_step(struct fixture *f)
{
    cla_loop_step(&f->loop, false);
}

/* Runs until virtual time is 'ms' after the start. */
static inline void fixture_run_until(struct fixture *f, uint64_t ms)
{
    bool more = true;

    while (more || cla_timers_next_ns(&f->loop.timers) <= f->start_ns + ms * FIXTURE_MS)
        more = cla_loop_step(&f->loop, !more);
    f->loop.virtual_ns = f->start_ns + ms * FIXTURE_MS;
}

/* Runs until no task is live, at most 'turns' turns; the rest is found by fixture_close(). */
static inline void fixture_run(struct fixture *f)
{
    bool more = true;

    for (unsigned n = 0; f->sched->live > 0 && n < 100000; n++)
        more = cla_loop_step(&f->loop, !more);
}

#endif
