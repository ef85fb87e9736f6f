/* What a call sends before its result: call:send and call:progress.
 *
 * VM thread. Depends on: bind/call, bind/run, task/op, lua. */
#ifndef CLA_BIND_CALL_STREAM_H
#define CLA_BIND_CALL_STREAM_H

#include <lauxlib.h>

/* send(call, piece) -> true, or nil and "closed": sends the string as it is. Awaits room. A
 * lua_CFunction. */
int cla_call_stream_piece(lua_State *L);

/* The methods, for the metatable of calls. */
extern const luaL_Reg cla_call_stream_methods[];

#endif
