/* Typed errors of scripts: cancela.error{code =, message =, data =}.
 *
 * VM thread. Depends on: base/error, rpc/protocol, bind/json_codec, lua. */
#ifndef CLA_BIND_ERROR_H
#define CLA_BIND_ERROR_H

#include <lua.h>

#include "bind/json_codec.h"
#include "rpc/protocol.h"

/* Creates the metatable. May raise. */
void cla_error_setup(lua_State *L);

/* cancela.error: raises. A lua_CFunction. */
int cla_error_luaopen_raise(lua_State *L);

/* Pushes a typed error; 'message' NULL: the code's own text. May raise, for want of memory. */
void cla_error_push(lua_State *L, enum cla_code code, const char *message);

/* Pushes what people may read of the error at 'index', and returns it. Raises only for want of
 * memory. */
const char *cla_error_push_text(lua_State *L, int index);

/* Raises a typed error; 'message' NULL: the code's own text. */
int cla_error_raise(lua_State *L, enum cla_code code, const char *message);

/* True if the value at 'index' is a typed error. Never raises. */
bool cla_error_is(lua_State *L, int index);

/* Reads the typed error at 'index'; slices borrow from it and, for the data, from 'data'. Returns
 * 0, or a failure to encode the data, which is then left out. Never raises. */
int cla_error_read(lua_State *L, int index, struct cla_rpc_error *error, struct cla_buf *data,
                   unsigned json_depth, struct cla_json_encode_fault *fault);

#endif
