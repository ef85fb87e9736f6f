/* The client object of scripts: a WebSocket connection, as call.client and as what its handler,
 * on_connect and on_disconnect get.
 *
 * VM thread. Depends on: gateway/socket, bind/plain, task/await, lua. */
#ifndef CLA_BIND_CLIENT_H
#define CLA_BIND_CLIENT_H

#include <lua.h>

#include "bind/script.h"
#include "gateway/socket.h"

/* Creates the metatable and the table of objects. May raise. */
void cla_client_setup(lua_State *L);

/* Pushes the object of a socket, the same for as long as a script holds it. May raise. */
void cla_client_push(lua_State *L, struct cla_socket *socket);

/* The VM's objects let go of their sockets: the thread runs it no more. */
void cla_client_let_go(struct cla_script *script);

/* The socket of the client object at index 1; raises if that is none, or if it was let go of. */
struct cla_socket *cla_client_check(lua_State *L);

#endif
