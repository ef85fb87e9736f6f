/* Cancel reasons as Lua tables: {kind =, message =, at =}.
 *
 * VM thread. Depends on: cancel/reason, lua. */
#ifndef CLA_BIND_REASON_H
#define CLA_BIND_REASON_H

#include <lua.h>

#include "cancel/reason.h"

/* Pushes the reason as a table, or nil if it is NONE. May raise. */
void cla_reason_push(lua_State *L, const struct cla_reason *reason);

/* Reads a script's argument, a reason in words (a string of any length, nil or nothing), as a
 * message. Borrowed while the argument is on the stack. Raises on other types. */
struct cla_slice cla_reason_arg(lua_State *L, int index);

#endif
