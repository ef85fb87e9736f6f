/* The settings file: Lua that returns a table. It runs in a state of its own, with the standard
 * library, so that it can read the environment or other files. */
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>

#include "base/error.h"
#include "cli/options.h"

struct reading {
    struct cla_config *config;
    const char *path;
    struct cla_config_error *error;
    bool failed; /* 'error' holds why */
};

/* A list becomes text with commas, as the environment would have it. */
static void push_list(lua_State *L, const char *name)
{
    luaL_Buffer text;
    lua_Integer n = luaL_len(L, -1);
    int list = lua_gettop(L);

    luaL_buffinit(L, &text);
    for (lua_Integer i = 1; i <= n; i++) {
        if (lua_geti(L, list, i) != LUA_TSTRING)
            luaL_error(L, "%s: the items of a list must be strings", name);
        luaL_addvalue(&text);
        if (i < n)
            luaL_addchar(&text, ',');
    }
    luaL_pushresult(&text);
}

/* Sets what is on top of the stack under 'name'. */
static int set_one(lua_State *L, struct reading *r, struct cla_slice name)
{
    struct cla_slice text;

    switch (lua_type(L, -1)) {
    case LUA_TNUMBER:
        return cla_config_set_number(r->config, name, lua_tonumber(L, -1), CLA_CONFIG_FILE,
                                     r->error);
    case LUA_TBOOLEAN:
        text = lua_toboolean(L, -1) ? CLA_LIT("true") : CLA_LIT("false");
        return cla_config_set(r->config, name, text, CLA_CONFIG_FILE, r->error);
    case LUA_TTABLE:
        push_list(L, name.p);
        lua_replace(L, -2);
        break;
    case LUA_TSTRING:
        break;
    default:
        return luaL_error(L, "%s: a setting cannot be a %s", name.p, luaL_typename(L, -1));
    }
    text.p = lua_tolstring(L, -1, &text.n);
    return cla_config_set(r->config, name, text, CLA_CONFIG_FILE, r->error);
}

static int l_read(lua_State *L)
{
    struct reading *r = lua_touserdata(L, 1);

    luaL_openlibs(L);
    if (luaL_loadfilex(L, r->path, "t") != LUA_OK)
        return lua_error(L);
    lua_call(L, 0, 1);
    if (!lua_istable(L, -1))
        return luaL_error(L, "%s must return a table of settings: return { listen = \":8080\" }",
                          r->path);
    for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1)) {
        struct cla_slice name;

        if (lua_type(L, -2) != LUA_TSTRING)
            return luaL_error(L, "%s: the names of settings must be strings", r->path);
        name.p = lua_tolstring(L, -2, &name.n);
        if (set_one(L, r, name) != 0) {
            r->failed = true;
            return 0;
        }
    }
    return 0;
}

int cla_options_read_file(struct cla_config *config, const char *path,
                          struct cla_config_error *error)
{
    struct reading reading = {.config = config, .path = path, .error = error};
    struct cla_config_error inner;
    lua_State *L = luaL_newstate();
    int rc = 0;

    if (L == NULL)
        return -CLA_ENOMEM;
    lua_pushcfunction(L, l_read);
    lua_pushlightuserdata(L, &reading);
    if (lua_pcall(L, 1, 0, 0) != LUA_OK) {
        snprintf(error->text, sizeof error->text, "%s", lua_tostring(L, -1));
        rc = -CLA_EINVAL;
    } else if (reading.failed) {
        inner = *error;
        snprintf(error->text, sizeof error->text, "%s: %.250s", path, inner.text);
        rc = -CLA_EINVAL;
    }
    lua_close(L);
    return rc;
}
