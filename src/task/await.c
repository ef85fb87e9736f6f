#include "task/await.h"

#include <lauxlib.h>

#include "task/coro.h"

struct cla_task *cla_await_task(lua_State *L, const char *what)
{
    struct cla_task *task = cla_task_on(L);
    const struct cla_sched *sched = cla_sched_of(L);

    if (task != NULL && !sched->loading)
        return task;
    if (sched->current != NULL && !sched->loading)
        luaL_error(L, "cannot %s here: this coroutine was resumed by a C module", what);
    luaL_error(L,
               "cannot %s while the script loads: do it in a procedure, or in a function of "
               "app.background",
               what);
    __builtin_unreachable();
}

struct cla_task *cla_await_check(lua_State *L)
{
    struct cla_task *task = cla_await_task(L, "await");
    struct cla_scope *scope;

    if (!lua_isyieldable(L) || !cla_coro_may_await(task))
        luaL_error(L, "cannot await here: a C function (such as table.sort or string.gsub) is "
                      "waiting for this code to return");
    scope = cla_scope_to_raise(task);
    if (scope != NULL)
        cla_scope_raise(L, scope);
    return task;
}

static int suspend(lua_State *L, struct cla_task *task, cla_wait_cancel_fn *cancel, lua_KFunction k,
                   lua_KContext context)
{
    task->wait_cancel = cancel;
    task->withdrawn = false;
    task->state = CLA_TASK_WAITING;
    return lua_yieldk(L, 0, context, k);
}

int cla_await_with(lua_State *L, struct cla_task *task, cla_wait_cancel_fn *cancel, void *wait,
                   lua_KFunction k, lua_KContext context)
{
    task->wait = wait;
    return suspend(L, task, cancel, k, context);
}

int cla_await(lua_State *L, struct cla_task *task, cla_wait_cancel_fn *cancel, void *wait,
              lua_KFunction k)
{
    return cla_await_with(L, task, cancel, wait, k, 0);
}

struct cla_task *cla_await_end(lua_State *L)
{
    struct cla_task *task = cla_task_on(L);

    task->wait_cancel = NULL;
    if (task->withdrawn) {
        task->withdrawn = false;
        cla_scope_raise(L, task->cancelled_by);
    }
    return task;
}

static enum cla_wait_cancel cancel_sleep(struct cla_task *task)
{
    task->sleeps = false;
    return CLA_WAIT_CANCELLED;
}

int cla_await_sleep(lua_State *L, struct cla_task *task, uint64_t duration_ns, lua_KFunction k)
{
    task->wakes_ns = cla_clock_add(cla_sched_now_ns(task->sched), duration_ns);
    task->sleeps = true;
    return suspend(L, task, cancel_sleep, k, 0);
}
