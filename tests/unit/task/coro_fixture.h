/* Coroutines for the scripts of task_fixture.h, made of task/coro.h alone; nothing else resumes
 * them:
 *
 *     wrap(fn) -> step, coroutine      yield(…)      close(coroutine) */
#ifndef CLA_TEST_CORO_FIXTURE_H
#define CLA_TEST_CORO_FIXTURE_H

#include "task/coro.h"
#include "task_fixture.h"

static inline int coro_fixture_step_k(lua_State *L, int status, lua_KContext context);

static inline int coro_fixture_stepped(lua_State *L, lua_State *co, int n)
{
    if (n == CLA_CORO_AWAITS)
        return lua_yieldk(L, 0, (lua_KContext)co, coro_fixture_step_k);
    return n >= 0 ? n : lua_error(L);
}

static inline int coro_fixture_step_k(lua_State *L, int status, lua_KContext context)
{
    lua_State *co = (lua_State *)context;

    return coro_fixture_stepped(L, co, cla_coro_continue(L, co));
}

static inline int coro_fixture_step(lua_State *L)
{
    lua_State *co = lua_tothread(L, lua_upvalueindex(1));

    return coro_fixture_stepped(L, co, cla_coro_resume(L, co, lua_gettop(L)));
}

static inline int coro_fixture_wrap(lua_State *L)
{
    lua_settop(L, 1);
    cla_coro_create(L);
    lua_pushvalue(L, 1);
    lua_pushcclosure(L, coro_fixture_step, 1);
    lua_insert(L, 1);
    return 2;
}

static inline void coro_fixture_functions(lua_State *L)
{
    lua_register(L, "wrap", coro_fixture_wrap);
    lua_register(L, "yield", cla_coro_yield);
    lua_register(L, "close", cla_coro_close);
}

#endif
