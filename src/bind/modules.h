/* The modules that scripts can require: those of the Lua half, and the C parts they stand on.
 *
 * VM thread. Depends on: bind/embed and all of bind, lua. */
#ifndef CLA_BIND_MODULES_H
#define CLA_BIND_MODULES_H

#include <lua.h>

/* Makes every module of the Lua half requirable, and "cancela.core", what C gives them: the
 * functions, and json, error, VERSION. May raise. */
void cla_modules_open(lua_State *L, const char *version);

#endif
