/* cancela.stats(): what the scheduler and the gateway have counted.
 *
 * VM thread. Depends on: bind/script, lua. */
#ifndef CLA_BIND_STATS_H
#define CLA_BIND_STATS_H

#include <lua.h>

#include "gateway/app.h"

/* stats() -> {name = integer or table}. A lua_CFunction. */
int cla_stats_read(lua_State *L);

/* Adds what the app's VM has counted: of struct cla_app_ops. */
void cla_stats_count(struct cla_app *app, struct cla_app_counts *sum);

#endif
