/* Happy path: a task without a call around it, which the worker waits for as it does for calls.
 * Failure modes: its time is over, or its handle cancels it: it may clean up. Its error is logged,
 * for nobody may be there to see it.
 * On close: shutdown cancels it when the drain's time is over, and waits no longer than the grace.
 */
#include "bind/detach.h"

#include <lauxlib.h>

#include "bind/args.h"
#include "bind/background.h"
#include "bind/child.h"
#include "bind/error.h"

/* Longest time that detached work can be given. */
#define TIMEOUT_MAX_S 86400

static void on_end(struct cla_child *child)
{
    struct cla_task *task = child->task;

    if (child->state != CLA_CHILD_FAILED || task->sched->current != task)
        return;
    lua_rawgeti(task->L, LUA_REGISTRYINDEX, child->ref);
    cla_child_log(task->L, "error in a detached task");
    lua_pop(task->L, 1);
}

static void on_release(struct cla_child *child)
{
    struct cla_script *script = child->owner;

    script->detached--;
    cla_background_job_ends(script);
}

static const struct cla_child_events events = {.on_end = on_end, .on_release = on_release};

/* The time limit in the options at 2. */
static uint64_t timeout_ns(lua_State *L)
{
    lua_Number seconds;

    if (lua_type(L, 2) != LUA_TTABLE || lua_getfield(L, 2, "timeout") == LUA_TNIL)
        luaL_error(L, "cancela.detach needs a time limit: cancela.detach(fn, { timeout = 5 })");
    for (lua_pushnil(L); lua_next(L, 2) != 0; lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING || strcmp(lua_tostring(L, -2), "timeout") != 0)
            luaL_error(L, "bad argument #2 to 'detach' (there is no option %s, only timeout)",
                       luaL_tolstring(L, -2, NULL));
    }
    seconds = lua_tonumber(L, -1);
    if (lua_type(L, -1) != LUA_TNUMBER || !(seconds > 0 && seconds <= TIMEOUT_MAX_S))
        luaL_error(L,
                   "bad argument #2 to 'detach' (timeout must be above 0 and at most %d seconds)",
                   TIMEOUT_MAX_S);
    return cla_clock_from_seconds(seconds);
}

static int refuse(lua_State *L, const struct cla_script *script)
{
    char text[96];

    if (script->stopping)
        return cla_error_raise(L, CLA_CODE_UNAVAILABLE, "the server is shutting down");
    snprintf(text, sizeof text, "there are %u detached tasks already (max_detached)",
             script->detached);
    return cla_error_raise(L, CLA_CODE_RESOURCE_EXHAUSTED, text);
}

int cla_detach_start(lua_State *L)
{
    struct cla_script *script = cla_script_of(L);
    struct cla_child *child;
    uint64_t timeout;

    cla_args_function(L, 1);
    timeout = timeout_ns(L);
    (void)cla_await_task(L, "use cancela.detach");
    if (script->stopping || script->detached >= script->max_detached)
        return refuse(L, script);
    lua_settop(L, 1);
    child = cla_child_start(
        L, 0, NULL, NULL, cla_clock_add(cla_sched_now_ns(&script->vm->sched), timeout), 0, &events);
    child->owner = script;
    script->detached++;
    script->app.jobs++;
    return 1;
}

void cla_detach_stop_all(struct cla_script *script)
{
    script->stopping = true;
    CLA_LIST_EACH (link, &script->vm->sched.tasks) {
        struct cla_task *task = CLA_CONTAINER(link, struct cla_task, all);

        if (cla_child_is(task, &events))
            cla_scope_cancel(&task->root, CLA_CANCEL_SHUTDOWN, cla_slice(NULL, 0));
    }
}
