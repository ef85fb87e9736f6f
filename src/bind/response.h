/* What a route's handler returns, as an HTTP response.
 *
 * VM thread. Depends on: gateway/plain, bind/json_codec, lua. */
#ifndef CLA_BIND_RESPONSE_H
#define CLA_BIND_RESPONSE_H

#include <lua.h>

#include "bind/json_codec.h"
#include "gateway/call.h"

/* Pushes a function and two arguments: it runs the handler 'fn' (a registry reference) for the
 * request, sets what is to be answered but for the body, and returns that; or sends the body in
 * pieces, as it is made. Of what the handler returns it raises what cannot be sent. May raise. */
void cla_response_push_body(lua_State *L, struct cla_call *call, int fn);

/* Appends the body at 'index', as the function above returned it. Returns 0, or -CLA_ENOMEM or
 * -CLA_EINVAL with 'fault' set. Never raises. */
int cla_response_write(lua_State *L, int index, const struct cla_call *call, struct cla_buf *buf,
                       struct cla_json_encode_fault *fault);

#endif
