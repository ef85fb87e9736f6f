/* cancela.publish and cancela.broadcast, and what clients are subscribed to.
 *
 * VM thread. Depends on: bind/notification, bind/client, gateway/publisher, task/op, lua. */
#ifndef CLA_BIND_PUBLISH_H
#define CLA_BIND_PUBLISH_H

#include <lauxlib.h>

/* Adds publish, broadcast, and their operations to the table on top of the stack. May raise. */
void cla_publish_functions(lua_State *L);

/* Methods of the client object: subscribe, unsubscribe. */
extern const luaL_Reg cla_publish_client_methods[];

#endif
