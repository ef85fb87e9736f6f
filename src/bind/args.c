#include "bind/args.h"

#include <lauxlib.h>

#include "base/clock.h"

uint64_t cla_args_duration_ns(lua_State *L, int index)
{
    lua_Number seconds = luaL_checknumber(L, index);

    luaL_argcheck(L, seconds >= 0, index, "seconds must be a number of at least 0");
    return cla_clock_from_seconds(seconds);
}

void cla_args_function(lua_State *L, int index)
{
    luaL_checktype(L, index, LUA_TFUNCTION);
}
