/* string.rep, find, match, gmatch and gsub that can be interrupted.
 *
 * VM thread. Depends on: bind/bounded_match, lua. */
#ifndef CLA_BIND_BOUNDED_STRING_H
#define CLA_BIND_BOUNDED_STRING_H

#include <lua.h>

/* Puts them in the place of Lua's own in the global table 'string', which is also where methods of
 * strings are looked up. May raise. */
void cla_bounded_string_open(lua_State *L);

#endif
