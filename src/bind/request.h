/* What the call object of a route has more than others: the request. Private to bind/call.
 *
 * VM thread. Depends on: bind/script_routes, gateway/call, lua. Of a call that is none of a route
 * the properties are nil. */
#ifndef CLA_BIND_REQUEST_H
#define CLA_BIND_REQUEST_H

#include <lauxlib.h>

#include "gateway/call.h"

/* Pushes the method. May raise, as all of these. */
void cla_request_push_method(lua_State *L, struct cla_call *call);
/* Pushes the path, as sent. */
void cla_request_push_path(lua_State *L, struct cla_call *call);
/* Pushes a table of what the names of the route's path stand for, decoded. */
void cla_request_push_params(lua_State *L, struct cla_call *call);
/* Pushes a table of the query; of a repeated name the last. */
void cla_request_push_query(lua_State *L, struct cla_call *call);
/* Pushes the body, as sent. */
void cla_request_push_body(lua_State *L, struct cla_call *call);

/* json() and values(). */
extern const luaL_Reg cla_request_methods[];

#endif
