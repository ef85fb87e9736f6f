/* Tokens that scripts make: token:child, cancela.linked_token; and token:wait.
 *
 * VM thread. Depends on: bind/token, task/op, lua. */
#ifndef CLA_BIND_SOURCE_H
#define CLA_BIND_SOURCE_H

#include <lua.h>

/* Most tokens that one can be linked to. */
#define CLA_SOURCE_LINKS_MAX 100

/* token:child{timeout =} -> child, cancel. A lua_CFunction. */
int cla_source_child(lua_State *L);

/* linked_token(t1, …) -> token. A lua_CFunction. */
int cla_source_linked(lua_State *L);

/* token:wait() -> reason. Awaits. A lua_CFunction. */
int cla_source_wait(lua_State *L);

/* token:wait_op() -> operation. A lua_CFunction. */
int cla_source_wait_op(lua_State *L);

#endif
