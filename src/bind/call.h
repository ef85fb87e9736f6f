/* The call object of scripts.
 *
 * VM thread. Depends on: gateway/call, bind/token, lua. */
#ifndef CLA_BIND_CALL_H
#define CLA_BIND_CALL_H

#include <lua.h>

#include "gateway/call.h"

/* Creates the metatable. May raise. */
void cla_call_setup(lua_State *L);

/* Pushes the object of a started call, always the same. May raise. */
void cla_call_push(lua_State *L, struct cla_call *call);

/* The call whose object is at 'index', or NULL if it is over. Raises if there is none. */
struct cla_call *cla_call_at(lua_State *L, int index);

/* What stands for that object outside of Lua, as long as it is kept. Raises if there is none. */
void *cla_call_object_at(lua_State *L, int index);

/* The call of what cla_call_object_at() returned, or NULL if it is over. */
struct cla_call *cla_call_of(const void *object);

/* Pops a value and makes it call.identity. May raise. */
void cla_call_set_identity(lua_State *L, struct cla_call *call);

/* The call is over: the object, if scripts still hold it, refers to nothing. Never raises. */
void cla_call_detach(lua_State *L, struct cla_call *call);

#endif
