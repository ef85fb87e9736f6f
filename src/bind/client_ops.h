/* What scripts await of a WebSocket: sending, notifying, receiving; each also as an operation.
 *
 * VM thread. Depends on: bind/client, task/op, gateway/socket_in, gateway/socket_out. */
#ifndef CLA_BIND_CLIENT_OPS_H
#define CLA_BIND_CLIENT_OPS_H

#include <lauxlib.h>

#include "gateway/socket.h"

/* Methods of the client object. */
extern const luaL_Reg cla_client_ops_methods[];

/* Takes the next message of the socket, which must have one, and pushes it and its kind. Returns 2.
 * May raise; then it is still there. */
int cla_client_ops_push_message(lua_State *L, struct cla_socket *socket);

/* Pushes what became of sending: true, or nil and "closed" (-CLA_ECLOSED). Returns how many. Raises
 * for -CLA_ENOMEM. */
int cla_client_ops_push_sent(lua_State *L, int rc);

/* True if a task waits for a message of the socket. */
bool cla_client_ops_reading(const struct cla_socket *socket);

/* Who waits for a message of the socket, if anybody does, is to look again. */
void cla_client_ops_wake_reader(struct cla_socket *socket);

#endif
