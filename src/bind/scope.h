/* cancela.timeout, shield, defer: scopes for scripts.
 *
 * VM thread. Depends on: task/await, lua. */
#ifndef CLA_BIND_SCOPE_H
#define CLA_BIND_SCOPE_H

#include <lua.h>

/* Adds the functions to the table on top of the stack. May raise. */
void cla_scope_functions(lua_State *L);

#endif
