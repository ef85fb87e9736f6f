/* Declared parameters: schemas of scripts, and the check before a procedure runs.
 *
 * VM thread. Depends on: json/schema, bind/script, lua. */
#ifndef CLA_BIND_PARAMS_H
#define CLA_BIND_PARAMS_H

#include "bind/script.h"

/* schema(table, root) -> its JSON text, members sorted; or nil and what is wrong with it. A
 * lua_CFunction of the module cancela.core. */
int cla_params_schema(lua_State *L);

/* The schema in the text member 'name' of the table on top, or NULL if it has none. May raise. */
struct cla_json_schema *cla_params_take(lua_State *L, const char *name);

/* Checks the params of a call against what its procedure declares. True: '*text' is the params to
 * decode, borrowed from the call or from script->scratch. False: pushed a typed error. May raise
 * (memory). */
bool cla_params_check(lua_State *L, struct cla_script *script, const struct cla_call *call,
                      struct cla_slice *text);

#endif
