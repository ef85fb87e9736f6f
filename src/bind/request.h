/* What the call object of a route has more than others: the request. Private to bind/call.
 *
 * VM thread. Depends on: bind/script_routes, gateway/call, lua. Of a call that is none of a route
 * the properties are nil. */
#ifndef CLA_BIND_REQUEST_H
#define CLA_BIND_REQUEST_H

#include <lauxlib.h>

#include "gateway/call.h"

/* Each pushes one property; may raise. */
void cla_request_push_method(lua_State *L, struct cla_call *call);
void cla_request_push_path(lua_State *L, struct cla_call *call);
void cla_request_push_params(lua_State *L, struct cla_call *call);
void cla_request_push_query(lua_State *L, struct cla_call *call);
void cla_request_push_body(lua_State *L, struct cla_call *call);

/* json() and values(). */
extern const luaL_Reg cla_request_methods[];

#endif
