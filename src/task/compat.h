/* What differs between Lua 5.4.4 and later, and between libuv 1.44 and later.
 *
 * Depends on: lua, uv. Nothing else in the tree tests a version. */
#ifndef CLA_TASK_COMPAT_H
#define CLA_TASK_COMPAT_H

#include <lua.h>
#include <uv.h>

#if LUA_VERSION_NUM != 504
#error "Cancela needs Lua 5.4"
#endif
#if !defined(LUA_VERSION_RELEASE_NUM) || LUA_VERSION_RELEASE_NUM < 50404
#error "Cancela needs Lua 5.4.4 or later: earlier ones cannot await inside a __close handler"
#endif
#if UV_VERSION_HEX < 0x012c00
#error "Cancela needs libuv 1.44 or later"
#endif

/* Resets a coroutine to be started anew, closing what it left open, and leaves an error on its
 * stack if there was one. Returns a Lua status. */
static inline int cla_compat_close_thread(lua_State *L, lua_State *from)
{
#if LUA_VERSION_RELEASE_NUM >= 50406
    return lua_closethread(L, from);
#else
    (void)from;
    return lua_resetthread(L);
#endif
}

/* Lua 5.4.4 does not close the fourth value of a generic 'for' on 'break' when the body made a
 * closure; nothing can be done about it from outside, so the tests know. */
#define CLA_COMPAT_FOR_CLOSES_ON_BREAK (LUA_VERSION_RELEASE_NUM >= 50405)

#endif
