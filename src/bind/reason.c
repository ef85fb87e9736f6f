#include "bind/reason.h"

#include <lauxlib.h>

void cla_reason_push(lua_State *L, const struct cla_reason *reason)
{
    struct cla_slice message = cla_reason_message(reason);

    if (reason->kind == CLA_CANCEL_NONE) {
        lua_pushnil(L);
        return;
    }
    lua_createtable(L, 0, 3);
    lua_pushstring(L, cla_cancel_kind_name(reason->kind));
    lua_setfield(L, -2, "kind");
    lua_pushnumber(L, (lua_Number)reason->at_ns / 1e9);
    lua_setfield(L, -2, "at");
    if (message.n > 0) {
        lua_pushlstring(L, message.p, message.n);
        lua_setfield(L, -2, "message");
    }
}

struct cla_slice cla_reason_arg(lua_State *L, int index)
{
    size_t n = 0;
    const char *text = luaL_optlstring(L, index, NULL, &n);

    return cla_slice(text, n);
}
