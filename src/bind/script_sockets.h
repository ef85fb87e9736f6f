/* The WebSocket handlers of a script. Private to bind/script.
 *
 * VM thread. Depends on: bind/script. */
#ifndef CLA_BIND_SCRIPT_SOCKETS_H
#define CLA_BIND_SCRIPT_SOCKETS_H

#include "bind/script.h"

/* Takes the handlers of the normalised app on top of the stack, in the place of those it has. May
 * raise; then it has some of them. */
void cla_script_take_sockets(struct cla_script *script, lua_State *L);

/* Frees the handlers. */
void cla_script_forget_sockets(struct cla_script *script);

/* The handler at 'path', or NULL. */
const struct cla_script_socket *cla_script_find_socket(const struct cla_script *script,
                                                       struct cla_slice path);

#endif
