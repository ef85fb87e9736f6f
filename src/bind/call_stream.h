/* What a call sends before its result: call:send and call:progress.
 *
 * VM thread. Depends on: bind/call, bind/run, task/op, lua. */
#ifndef CLA_BIND_CALL_STREAM_H
#define CLA_BIND_CALL_STREAM_H

#include <lauxlib.h>

/* The methods, for the metatable of calls. */
extern const luaL_Reg cla_call_stream_methods[];

#endif
