/* cancela.stats(): the scheduler's counters.
 *
 * VM thread. Depends on: task/sched, lua. */
#ifndef CLA_BIND_STATS_H
#define CLA_BIND_STATS_H

#include <lua.h>

/* stats() -> {name = integer}. A lua_CFunction. */
int cla_stats_read(lua_State *L);

#endif
