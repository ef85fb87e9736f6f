/* The run of specs, as seen from inside of it. Private to bind/testing.
 *
 * VM thread. Depends on: task/await, lua. */
#ifndef CLA_BIND_TESTING_RUN_H
#define CLA_BIND_TESTING_RUN_H

#include <lua.h>

/* exit(code): ends the run, not the process. Does not return. A lua_CFunction. */
int cla_testing_exit(lua_State *L);

#endif
