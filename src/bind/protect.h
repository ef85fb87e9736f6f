/* pcall, xpcall, error and assert that let a cancellation through, and a standard library without
 * what would break the host.
 *
 * VM thread. Depends on: task/coro, lua. */
#ifndef CLA_BIND_PROTECT_H
#define CLA_BIND_PROTECT_H

#include <lua.h>

/* Replaces the globals pcall, xpcall, error, assert, load, loadfile and dofile;
 * removes debug.sethook, os.exit and os.setlocale. May raise. */
void cla_protect_open(lua_State *L);

#endif
