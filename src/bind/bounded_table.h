/* table.insert, remove, move, concat, unpack and sort that can be interrupted.
 *
 * VM thread. Depends on: task/interrupt, lua. */
#ifndef CLA_BIND_BOUNDED_TABLE_H
#define CLA_BIND_BOUNDED_TABLE_H

#include <lua.h>

/* Puts them in the place of Lua's own in the global table 'table'. May raise. */
void cla_bounded_table_open(lua_State *L);

#endif
