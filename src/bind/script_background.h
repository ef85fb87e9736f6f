/* The background tasks and the on_unload that a script declares. Private to bind/script.
 *
 * VM thread. Depends on: bind/script. */
#ifndef CLA_BIND_SCRIPT_BACKGROUND_H
#define CLA_BIND_SCRIPT_BACKGROUND_H

#include "bind/script.h"

/* Takes those of the normalised app on top of the stack, in the place of those it has, none of
 * which may run. May raise; then it has some of them. */
void cla_script_take_background(struct cla_script *script, lua_State *L);

/* Frees them. None may run. */
void cla_script_forget_background(struct cla_script *script);

#endif
