/* The coroutine library: Lua's own, but that an await inside a coroutine suspends the call, and
 * that a Cancel passes as it passes pcall.
 *
 * VM thread. Depends on: task/coro, lua. */
#ifndef CLA_BIND_COROUTINE_H
#define CLA_BIND_COROUTINE_H

#include <lua.h>

/* Replaces functions of the global table coroutine, and debug.traceback. May raise. */
void cla_coroutine_open(lua_State *L);

#endif
