/* What 'cancela test' and cancela.testing stand on: calls in memory, and a run of specs.
 *
 * VM thread. Depends on: bind/script, gateway/call, lua. */
#ifndef CLA_BIND_TESTING_H
#define CLA_BIND_TESTING_H

#include "bind/script.h"

/* Pushes the module cancela.testing.core. A lua_CFunction. */
int cla_testing_luaopen(lua_State *L);

/* Runs the Lua half's runner with the arguments as a task of 'script', turn by turn, until it ends.
 * Returns the exit code it asked for, or 1 after a message if it failed, waited for ever, or ran
 * past a day of virtual time. */
int cla_testing_run(struct cla_script *script, int argc, char **argv);

#endif
