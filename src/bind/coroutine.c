#include "bind/coroutine.h"

#include <lauxlib.h>

#include "bind/library.h"
#include "task/compat.h"
#include "task/coro.h"

static lua_State *check_coroutine(lua_State *L)
{
    lua_State *co = lua_tothread(L, 1);

    luaL_argexpected(L, co != NULL, 1, "thread");
    return co;
}

static int l_create(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_settop(L, 1);
    cla_coro_create(L);
    return 1;
}

/* --- resume(co, …) -> true, … | false, error --- */

static int resume_k(lua_State *L, int status, lua_KContext context);

/* Ends a resume with what cla_coro_resume() has returned. */
static int resumed(lua_State *L, lua_State *co, int n)
{
    if (n >= 0) {
        lua_pushboolean(L, 1);
        lua_insert(L, -(n + 1));
        return n + 1;
    }
    if (n == CLA_CORO_AWAITS)
        return lua_yieldk(L, 0, (lua_KContext)co, resume_k);
    return cla_coro_return_error(L, n);
}

static int resume_k(lua_State *L, int status, lua_KContext context)
{
    lua_State *co = (lua_State *)context;

    (void)status;
    return resumed(L, co, cla_coro_continue(L, co));
}

static int l_resume(lua_State *L)
{
    lua_State *co = check_coroutine(L);

    if (cla_task_owns(co)) {
        lua_pushboolean(L, 0);
        lua_pushliteral(L, "cannot resume the coroutine of a call: only what it awaits does");
        return 2;
    }
    return resumed(L, co, cla_coro_resume(L, co, lua_gettop(L) - 1));
}

/* --- wrap(f) -> function(…) -> … --- */

static int wrap_k(lua_State *L, int status, lua_KContext context);

static int raise_on(lua_State *L, lua_State *co)
{
    int status = lua_status(co);

    if (status != LUA_OK && status != LUA_YIELD) {
        cla_compat_close_thread(co, L);
        lua_settop(co, 0);
    }
    if (status != LUA_ERRMEM && lua_type(L, -1) == LUA_TSTRING) {
        luaL_where(L, 1);
        lua_insert(L, -2);
        lua_concat(L, 2);
    }
    return lua_error(L);
}

static int stepped(lua_State *L, lua_State *co, int n)
{
    if (n >= 0)
        return n;
    if (n == CLA_CORO_AWAITS)
        return lua_yieldk(L, 0, (lua_KContext)co, wrap_k);
    return raise_on(L, co);
}

static int wrap_k(lua_State *L, int status, lua_KContext context)
{
    lua_State *co = (lua_State *)context;

    (void)status;
    return stepped(L, co, cla_coro_continue(L, co));
}

/* Upvalue: the coroutine. */
static int l_step(lua_State *L)
{
    lua_State *co = lua_tothread(L, lua_upvalueindex(1));

    return stepped(L, co, cla_coro_resume(L, co, lua_gettop(L)));
}

static int l_wrap(lua_State *L)
{
    l_create(L);
    lua_pushcclosure(L, l_step, 1);
    return 1;
}

/* --- status(co), debug.traceback --- */

/* Upvalue: Lua's own. While it or one that it resumed awaits, Lua would call it suspended. */
static int l_status(lua_State *L)
{
    lua_State *co = check_coroutine(L);
    const struct cla_coro *coro = cla_coro_of(co);

    if (coro == NULL || coro->task == NULL)
        return lua_tocfunction(L, lua_upvalueindex(1))(L);
    lua_pushstring(L, co == L ? "running" : "normal");
    return 1;
}

/* traceback(co, message, level) of a coroutine that an error ended: as it was then. Else Lua's own,
 * the upvalue. */
static int l_traceback(lua_State *L)
{
    lua_State *co = lua_tothread(L, 1);

    if (co == NULL || lua_status(co) <= LUA_YIELD ||
        (!lua_isnoneornil(L, 2) && !lua_isstring(L, 2)) || luaL_optinteger(L, 3, 0) != 0)
        return lua_tocfunction(L, lua_upvalueindex(1))(L);
    lua_settop(L, 2);
    cla_coro_push_trace(L, co);
    if (lua_isnil(L, -1)) {
        lua_settop(L, 2);
        return lua_tocfunction(L, lua_upvalueindex(1))(L);
    }
    if (lua_isnil(L, 2))
        return 1;
    lua_pushliteral(L, "\n");
    lua_insert(L, -2);
    lua_concat(L, 3);
    return 1;
}

static const luaL_Reg functions[] = {
    {"create", l_create},      {"resume", l_resume},      {"wrap", l_wrap},
    {"close", cla_coro_close}, {"yield", cla_coro_yield}, {NULL, NULL},
};

void cla_coroutine_open(lua_State *L)
{
    lua_getglobal(L, "coroutine");
    luaL_setfuncs(L, functions, 0);
    lua_pop(L, 1);
    cla_library_wrap(L, "coroutine", "status", l_status);
    cla_library_wrap(L, "debug", "traceback", l_traceback);
}
