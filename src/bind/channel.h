/* cancela.channel: values from task to task, first in, first out.
 *
 * VM thread. Depends on: task/op, lua. */
#ifndef CLA_BIND_CHANNEL_H
#define CLA_BIND_CHANNEL_H

#include <lua.h>

/* Most values that a channel can be asked to hold. */
#define CLA_CHANNEL_CAPACITY_MAX 1000000

/* Adds the function to the table on top of the stack. May raise. */
void cla_channel_functions(lua_State *L);

#endif
