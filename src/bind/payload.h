/* What a procedure with payload = "text" or "bytes" takes and returns: one string, as it stands
 * where the protocol carries bytes (binary frames), else in JSON: ["text"], bytes in base64.
 *
 * VM thread. Depends on: gateway/call, bind/json_codec, lua. */
#ifndef CLA_BIND_PAYLOAD_H
#define CLA_BIND_PAYLOAD_H

#include <lua.h>

#include "bind/json_codec.h"
#include "gateway/call.h"

/* Pushes the one parameter of such a call. Raises invalid_argument if its params are something
 * else. */
void cla_payload_push(lua_State *L, const struct cla_call *call);

/* Appends the result, or another value that it sends, at 'index' of such a call; 'root' names it in
 * errors. Never raises. Returns 0; or -CLA_EINVAL or
 * -CLA_ENOMEM with 'fault' set (what was appended is to be rolled back). */
int cla_payload_write(lua_State *L, int index, const struct cla_call *call, const char *root,
                      struct cla_buf *buf, struct cla_json_encode_fault *fault);

#endif
