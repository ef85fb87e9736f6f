/* The header fields of a response, as a handler returns them. Private to bind/response.
 *
 * VM thread. Depends on: gateway/plain, lua. */
#ifndef CLA_BIND_RESPONSE_FIELDS_H
#define CLA_BIND_RESPONSE_FIELDS_H

#include <lua.h>

#include "gateway/plain.h"

/* Reads the table on top of the stack, {["Name"] = value or list of values}. Raises what cannot be
 * sent: it names the field and the remedy. */
void cla_response_fields_read(lua_State *L, struct cla_plain *plain);

#endif
