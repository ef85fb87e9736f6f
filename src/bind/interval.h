/* cancela.interval and cancela.sleep_op: operations of time.
 *
 * VM thread. Depends on: task/op, lua. */
#ifndef CLA_BIND_INTERVAL_H
#define CLA_BIND_INTERVAL_H

#include <lua.h>

/* Adds the functions to the table on top of the stack. May raise. */
void cla_interval_functions(lua_State *L);

#endif
