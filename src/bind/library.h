/* Changing the functions of Lua's own library.
 *
 * VM thread, while the VM is made. Depends on: lua. */
#ifndef CLA_BIND_LIBRARY_H
#define CLA_BIND_LIBRARY_H

#include <lua.h>

/* Replaces a function of the global table 'library' by one that has it for its upvalue. */
void cla_library_wrap(lua_State *L, const char *library, const char *name, lua_CFunction function);

/* Takes a function out. */
void cla_library_remove(lua_State *L, const char *library, const char *name);

#endif
