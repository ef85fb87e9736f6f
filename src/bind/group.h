/* cancela.group, all and race: subtasks that end before the function that began them returns.
 *
 * VM thread. Depends on: bind/child, lua. */
#ifndef CLA_BIND_GROUP_H
#define CLA_BIND_GROUP_H

#include <lua.h>

/* Adds the functions to the table on top of the stack. May raise. */
void cla_group_functions(lua_State *L);

#endif
