/* The client object of scripts: a WebSocket connection, as call.client and as what its handler,
 * on_connect and on_disconnect get.
 *
 * VM thread. Depends on: gateway/socket, bind/plain, task/await, lua. */
#ifndef CLA_BIND_CLIENT_H
#define CLA_BIND_CLIENT_H

#include <lua.h>

#include "gateway/socket.h"

/* Creates the metatable and the table of objects. May raise. */
void cla_client_setup(lua_State *L);

/* Pushes the object of a socket, the same for as long as a script holds it. May raise. */
void cla_client_push(lua_State *L, struct cla_socket *socket);

/* Takes the next message of the socket, which must have one, and pushes it and its kind. Returns 2.
 * May raise; then it is still there. */
int cla_client_push_message(lua_State *L, struct cla_socket *socket);

/* True if a task waits in socket:receive(). */
bool cla_client_reading(const struct cla_socket *socket);

/* Wakes who waits in socket:receive(), if anybody does: look again. */
void cla_client_wake_reader(struct cla_socket *socket);

#endif
