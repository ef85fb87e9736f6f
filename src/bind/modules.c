#include "bind/modules.h"

#include <lauxlib.h>

#include "bind/bounded_string.h"
#include "bind/bounded_table.h"
#include "bind/call.h"
#include "bind/channel.h"
#include "bind/client.h"
#include "bind/core.h"
#include "bind/coroutine.h"
#include "bind/detach.h"
#include "bind/embed.h"
#include "bind/error.h"
#include "bind/files.h"
#include "bind/group.h"
#include "bind/interval.h"
#include "bind/json_codec.h"
#include "bind/protect.h"
#include "bind/publish.h"
#include "bind/scope.h"
#include "bind/semaphore.h"
#include "bind/shared.h"
#include "bind/source.h"
#include "bind/stats.h"
#include "bind/testing.h"
#include "bind/token.h"

/* Loads an embedded module. Upvalue: its place in the table of them. */
static int l_load_embedded(lua_State *L)
{
    const struct cla_embed *module = lua_touserdata(L, lua_upvalueindex(1));
    const char *chunk = lua_pushfstring(L, "=[%s]", module->name);

    if (luaL_loadbufferx(L, module->text, module->bytes, chunk, "t") != LUA_OK)
        return lua_error(L);
    lua_pushstring(L, module->name);
    lua_call(L, 1, 1);
    return 1;
}

static int l_open_core(lua_State *L)
{
    lua_newtable(L);
    cla_core_functions(L);
    cla_scope_functions(L);
    cla_group_functions(L);
    cla_channel_functions(L);
    cla_semaphore_functions(L);
    cla_interval_functions(L);
    cla_shared_functions(L);
    cla_publish_functions(L);
    lua_pushcfunction(L, cla_source_linked);
    lua_setfield(L, -2, "linked_token");
    lua_pushcfunction(L, cla_detach_start);
    lua_setfield(L, -2, "detach");
    lua_pushcfunction(L, cla_stats_read);
    lua_setfield(L, -2, "stats");
    lua_pushcfunction(L, cla_error_luaopen_raise);
    lua_setfield(L, -2, "error");
    luaL_requiref(L, "cancela.json", cla_json_codec_luaopen, 0);
    lua_setfield(L, -2, "json");
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_setfield(L, -2, "VERSION");
    return 1;
}

void cla_modules_open(lua_State *L, const char *version)
{
    cla_protect_open(L);
    cla_files_open(L);
    cla_coroutine_open(L);
    cla_bounded_string_open(L);
    cla_bounded_table_open(L);
    cla_token_setup(L);
    cla_error_setup(L);
    cla_call_setup(L);
    cla_client_setup(L);
    cla_json_codec_open(L);
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    for (size_t i = 0; i < cla_embedded_count; i++) {
        lua_pushlightuserdata(L, (void *)&cla_embedded[i]);
        lua_pushcclosure(L, l_load_embedded, 1);
        lua_setfield(L, -2, cla_embedded[i].name);
    }
    lua_pushstring(L, version);
    lua_pushcclosure(L, l_open_core, 1);
    lua_setfield(L, -2, "cancela.core");
    lua_pushcfunction(L, cla_testing_luaopen);
    lua_setfield(L, -2, "cancela.testing.core");
    lua_pop(L, 1);
}
