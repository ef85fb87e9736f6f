/* What tests of the gateway itself look at and do, and apps under test have no use for.
 *
 * VM thread. Depends on: bind/call, bind/token, task. */
#ifndef CLA_BIND_TESTING_PROBE_H
#define CLA_BIND_TESTING_PROBE_H

#include <lua.h>

/* Puts cancel, inside, left and quiet into the table on top of the stack. May raise. */
void cla_testing_probe_functions(lua_State *L);

#endif
