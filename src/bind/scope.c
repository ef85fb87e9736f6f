#include "bind/scope.h"

#include <lauxlib.h>

#include "bind/args.h"
#include "bind/error.h"
#include "bind/reason.h"
#include "task/await.h"
#include "task/coro.h"

#define DEFER "cancela.Defer"

/* The body of a scope runs with this at stack index 1, so that the traceback of an error that goes
 * on outwards still shows where it was raised. */
static void put_handler(lua_State *L)
{
    lua_pushcfunction(L, cla_task_traceback);
    lua_replace(L, 1);
}

/* Calls the function at 2 in a scope with the time limit at 1; 'k' ends it. */
static int call_in_time(lua_State *L, const char *what, lua_KFunction k)
{
    struct cla_task *task = cla_await_task(L, what);
    uint64_t limit = cla_args_duration_ns(L, 1);
    struct cla_scope *scope;
    lua_KContext context;

    cla_args_function(L, 2);
    scope = cla_scope_enter(L, task, cla_clock_add(cla_sched_now_ns(task->sched), limit));
    context = (lua_KContext)scope;
    put_handler(L);
    return k(L, lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 1, context, k), context);
}

/* --- timeout(s, fn, …) -> true, … | false, reason --- */

static int timeout_k(lua_State *L, int status, lua_KContext context)
{
    struct cla_scope *scope = (struct cla_scope *)context;
    bool failed = status != LUA_OK && status != LUA_YIELD;
    bool own = failed && cla_scope_at(L, -1) == scope;

    cla_scope_close(scope);
    if (own) {
        lua_pushboolean(L, 0);
        cla_reason_push(L, &scope->reason); /* the scope is still on the stack: the error itself */
        return 2;
    }
    if (failed)
        return lua_error(L);
    lua_pushboolean(L, 1);
    lua_replace(L, 1);
    return lua_gettop(L);
}

static int l_timeout(lua_State *L)
{
    return call_in_time(L, "use cancela.timeout", timeout_k);
}

/* --- fail_after(s, fn, …) -> … --- */

static int fail_after_k(lua_State *L, int status, lua_KContext context)
{
    struct cla_scope *scope = (struct cla_scope *)context;
    bool failed = status != LUA_OK && status != LUA_YIELD;
    bool own = failed && cla_scope_at(L, -1) == scope;

    cla_scope_close(scope);
    if (own)
        return cla_error_raise(L, CLA_CODE_DEADLINE_EXCEEDED, NULL);
    if (failed)
        return lua_error(L);
    return lua_gettop(L) - 1; /* all but the handler */
}

static int l_fail_after(lua_State *L)
{
    return call_in_time(L, "use cancela.fail_after", fail_after_k);
}

/* --- shield(s, fn, …) -> … --- */

static int shield_k(lua_State *L, int status, lua_KContext context)
{
    cla_scope_close((struct cla_scope *)context);
    if (status != LUA_OK && status != LUA_YIELD)
        return lua_error(L);
    return lua_gettop(L) - 1; /* all but the handler */
}

/* Calls the function at index 2 with what is above it, shielded until until_ns. */
static int call_shielded(lua_State *L, struct cla_task *task, uint64_t until_ns)
{
    struct cla_scope *scope = cla_scope_enter(L, task, CLA_NEVER);

    cla_scope_shield(scope, until_ns);
    put_handler(L);
    return shield_k(L,
                    lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 1, (lua_KContext)scope, shield_k),
                    (lua_KContext)scope);
}

static int l_shield(lua_State *L)
{
    struct cla_task *task = cla_await_task(L, "use cancela.shield");
    uint64_t limit = cla_args_duration_ns(L, 1);

    cla_args_function(L, 2);
    return call_shielded(L, task, cla_clock_add(cla_sched_now_ns(task->sched), limit));
}

/* --- local _ <close> = defer(fn) --- */

/* User values: what runs, nil once it was closed; and, if that is a coroutine of the script's,
 * where it was made. There is nothing else in it. */
enum { DEFER_FN = 1, DEFER_COROUTINE = 2 };

static int l_defer(lua_State *L)
{
    bool in_coroutine = cla_coro_of(L) != NULL;

    cla_args_function(L, 1);
    lua_newuserdatauv(L, 0, in_coroutine ? DEFER_COROUTINE : DEFER_FN);
    luaL_setmetatable(L, DEFER);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, DEFER_FN);
    if (in_coroutine) {
        lua_pushthread(L);
        lua_setiuservalue(L, -2, DEFER_COROUTINE);
    }
    return 1;
}

static int plain_k(lua_State *L, int status, lua_KContext context)
{
    (void)L, (void)status, (void)context;
    return 0;
}

/* Checks the defer at index 1. Its type is the upvalue: to look it up by name would be a quarter of
 * the cost of the whole. */
static void check_defer(lua_State *L)
{
    if (lua_touserdata(L, 1) == NULL || lua_getmetatable(L, 1) == 0 ||
        !lua_rawequal(L, -1, lua_upvalueindex(1)))
        luaL_checkudata(L, 1, DEFER); /* raises */
}

/* __close(defer, err): runs fn(err). */
static int l_defer_close(lua_State *L)
{
    struct cla_task *task = cla_task_on(L);

    check_defer(L);
    lua_settop(L, 2);
    if (lua_getiuservalue(L, 1, DEFER_FN) == LUA_TNIL)
        return 0;
    lua_pushnil(L);
    lua_setiuservalue(L, 1, DEFER_FN);
    lua_insert(L, 2);
    if (task != NULL)
        return call_shielded(L, task, CLA_NEVER);
    lua_callk(L, 1, 0, 0, plain_k); /* in a coroutine of a C module: there is nothing to await */
    return 0;
}

/* Collected without having been closed: it was not a to-be-closed variable. Or its coroutine was
 * abandoned, which is closed after this: then it is looked at again. */
static int l_defer_gc(lua_State *L)
{
    lua_Debug ar;

    luaL_checkudata(L, 1, DEFER);
    if (lua_getiuservalue(L, 1, DEFER_FN) != LUA_TFUNCTION)
        return 0;
    if (lua_getiuservalue(L, 1, DEFER_COROUTINE) == LUA_TTHREAD &&
        cla_coro_of(lua_tothread(L, -1)) != NULL) {
        lua_settop(L, 1);
        luaL_setmetatable(L, DEFER);
        return 0;
    }
    lua_getiuservalue(L, 1, DEFER_FN);
    lua_getinfo(L, ">S", &ar);
    cla_log_line(cla_sched_of(L)->log, CLA_LOG_ERROR,
                 "%s:%d: cancela.defer(fn) was never closed, so its clean-up did not run: write "
                 "'local _ <close> = cancela.defer(fn)'",
                 ar.short_src, ar.linedefined);
    return 0;
}

static const luaL_Reg functions[] = {
    {"timeout", l_timeout}, {"fail_after", l_fail_after}, {"shield", l_shield}, {"defer", l_defer},
    {NULL, NULL},
};

void cla_scope_functions(lua_State *L)
{
    luaL_setfuncs(L, functions, 0);
    luaL_newmetatable(L, DEFER);
    lua_pushvalue(L, -1);
    lua_pushcclosure(L, l_defer_close, 1);
    lua_setfield(L, -2, "__close");
    lua_pushcfunction(L, l_defer_gc);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
}
