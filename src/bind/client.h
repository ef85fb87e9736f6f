/* The client object of scripts: a WebSocket connection, as call.client and as what its handler,
 * on_connect and on_disconnect get.
 *
 * VM thread. Depends on: gateway/socket, bind/plain, task/await, lua. */
#ifndef CLA_BIND_CLIENT_H
#define CLA_BIND_CLIENT_H

#include <lua.h>

#include "gateway/socket.h"

struct cla_script;

/* Creates the metatable and the table of objects. May raise. */
void cla_client_setup(lua_State *L);

/* Pushes the object of a socket, the same for as long as a script holds it. May raise. */
void cla_client_push(lua_State *L, struct cla_socket *socket);

/* The socket of the client object at index 1; raises if that is none. */
struct cla_socket *cla_client_check(lua_State *L);

/* The script is over: none of its objects holds its socket any more, so that it may be freed on
 * another thread. */
void cla_client_let_go_all(struct cla_script *script);

#endif
