/* The smaller functions of the module cancela: sleep, now, token, checkpoint, is_cancel, log.
 *
 * VM thread. Depends on: task/await, bind/token, lua. */
#ifndef CLA_BIND_CORE_H
#define CLA_BIND_CORE_H

#include <lua.h>

/* Adds the functions to the table on top of the stack. May raise. */
void cla_core_functions(lua_State *L);

#endif
