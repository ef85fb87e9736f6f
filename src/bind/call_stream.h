/* What a call sends before its result: call:send and call:progress.
 *
 * VM thread. Depends on: bind/call, bind/run, task/op, lua. */
#ifndef CLA_BIND_CALL_STREAM_H
#define CLA_BIND_CALL_STREAM_H

#include <lauxlib.h>
#include <stdbool.h>

struct cla_call;

/* send(call, piece) -> true, or nil and "closed": sends the string as it is. Awaits room. A
 * lua_CFunction. */
int cla_call_stream_piece(lua_State *L);

/* The methods, for the metatable of calls. */
extern const luaL_Reg cla_call_stream_methods[];

/* The call waits for room to begin, or for its result: meanwhile a stream is not idle. Or it does
 * so no more. */
void cla_call_stream_waits(const struct cla_call *call, bool waits);

#endif
