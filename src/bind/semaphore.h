/* cancela.semaphore, and cancela.mutex, which is one of a single permit that knows who holds it.
 *
 * VM thread. Depends on: task/op, lua. */
#ifndef CLA_BIND_SEMAPHORE_H
#define CLA_BIND_SEMAPHORE_H

#include <lua.h>

/* Most permits of a semaphore. */
#define CLA_SEMAPHORE_PERMITS_MAX 1000000

/* Adds the functions to the table on top of the stack. May raise. */
void cla_semaphore_functions(lua_State *L);

#endif
