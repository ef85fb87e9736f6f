/* The routes of a script. Private to bind/script.
 *
 * VM thread. Depends on: bind/script. */
#ifndef CLA_BIND_SCRIPT_ROUTES_H
#define CLA_BIND_SCRIPT_ROUTES_H

#include "bind/script.h"

/* Takes the routes of the normalised app on top of the stack, in the place of those it has: after
 * its sockets. Raises if a key is none, or two cannot be told apart; then it has some of them. */
void cla_script_take_routes(struct cla_script *script, lua_State *L);

/* Frees the routes. */
void cla_script_forget_routes(struct cla_script *script);

/* The route for that method at 'path', or NULL; then '*methods' are those that there are. */
const struct cla_procedure *cla_script_find_route(const struct cla_script *script,
                                                  enum cla_http_method method,
                                                  struct cla_slice path, unsigned *methods);

/* The route of a call for one. */
static inline const struct cla_script_route *cla_script_route_of(const struct cla_call *call)
{
    return CLA_CONTAINER(call->procedure, const struct cla_script_route, procedure.base);
}

#endif
