/* Checks of script arguments that several modules share.
 *
 * VM thread. Depends on: lua. */
#ifndef CLA_BIND_ARGS_H
#define CLA_BIND_ARGS_H

#include <lua.h>
#include <stdint.h>

/* Argument 'index' as a duration: seconds, at least 0 (math.huge: CLA_NEVER). Raises otherwise. */
uint64_t cla_args_duration_ns(lua_State *L, int index);

/* Raises unless argument 'index' is a function. */
void cla_args_function(lua_State *L, int index);

#endif
