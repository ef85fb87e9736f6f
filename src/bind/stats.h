/* cancela.stats(): what the scheduler and the gateway have counted.
 *
 * VM thread. Depends on: bind/script, lua. */
#ifndef CLA_BIND_STATS_H
#define CLA_BIND_STATS_H

#include <lua.h>

/* stats() -> {name = integer or table}. A lua_CFunction. */
int cla_stats_read(lua_State *L);

#endif
