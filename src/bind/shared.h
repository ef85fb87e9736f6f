/* cancela.shared: plain data that all workers share.
 *
 * VM thread. Depends on: base/store, bind/script, bind/plain, lua. */
#ifndef CLA_BIND_SHARED_H
#define CLA_BIND_SHARED_H

#include <lua.h>

/* Sets the field 'shared' of the table on top of the stack. May raise. */
void cla_shared_functions(lua_State *L);

#endif
