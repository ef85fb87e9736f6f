/* cancela.detach: work that outlives the call that began it.
 *
 * VM thread. Depends on: bind/child, bind/script, lua. */
#ifndef CLA_BIND_DETACH_H
#define CLA_BIND_DETACH_H

#include "bind/script.h"

/* detach(fn, {timeout =}) -> handle. A lua_CFunction. */
int cla_detach_start(lua_State *L);

/* Cancels all detached tasks: the server is shutting down, or newer code has long taken over. None
 * begins after this. */
void cla_detach_stop_all(struct cla_script *script, enum cla_cancel_kind kind);

#endif
