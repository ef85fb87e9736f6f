#include "bind/error.h"

#include <lauxlib.h>

#define TYPE "cancela.Error"

/* Integer codes of JSON-RPC that are not for scripts (its specification, section 5.1). */
#define RESERVED_FIRST (-32768)
#define RESERVED_LAST (-32000)

static int l_tostring(lua_State *L)
{
    lua_settop(L, 1);
    lua_getfield(L, 1, "code");
    luaL_tolstring(L, 2, NULL);
    if (lua_getfield(L, 1, "message") == LUA_TNIL)
        lua_pop(L, 1);
    else
        lua_pushfstring(L, "%s: %s", lua_tostring(L, 3), luaL_tolstring(L, 4, NULL));
    return 1;
}

void cla_error_setup(lua_State *L)
{
    luaL_newmetatable(L, TYPE);
    lua_pushcfunction(L, l_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pop(L, 1);
}

static void check_code(lua_State *L)
{
    enum cla_code code;
    lua_Integer number;
    size_t n;
    const char *name;

    if (lua_isinteger(L, -1)) {
        number = lua_tointeger(L, -1);
        if (number == 0)
            luaL_error(L, "cancela.error: the code 0 stands for success");
        if (number < INT32_MIN || number > INT32_MAX)
            luaL_error(L, "cancela.error: the code %I does not fit in 32 bits", number);
        if (number >= RESERVED_FIRST && number <= RESERVED_LAST)
            luaL_error(L,
                       "cancela.error: the code %I is reserved by JSON-RPC: take a name, or a "
                       "number outside %d to %d",
                       number, RESERVED_FIRST, RESERVED_LAST);
        return;
    }
    if (lua_type(L, -1) != LUA_TSTRING)
        luaL_error(L, "cancela.error: code must be a name such as 'not_found' or an integer");
    name = lua_tolstring(L, -1, &n);
    if (!cla_code_by_name(cla_slice(name, n), &code) || code == CLA_CODE_OK)
        luaL_error(L, "cancela.error: there is no code '%s'; see the script guide for the names",
                   name);
}

/* A misspelt 'message' would be noticed by the client only. */
static void check_members(lua_State *L)
{
    for (lua_pushnil(L); lua_next(L, 1) != 0; lua_pop(L, 1)) {
        const char *name = luaL_tolstring(L, -2, NULL);

        if (strcmp(name, "code") != 0 && strcmp(name, "message") != 0 && strcmp(name, "data") != 0)
            luaL_error(L, "cancela.error: unknown member '%s'; there are code, message and data",
                       name);
        lua_pop(L, 1);
    }
}

int cla_error_luaopen_raise(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    check_members(L);
    lua_createtable(L, 0, 3);
    lua_getfield(L, 1, "code");
    check_code(L);
    lua_setfield(L, -2, "code");
    if (lua_getfield(L, 1, "message") != LUA_TNIL && lua_type(L, -1) != LUA_TSTRING)
        luaL_error(L, "cancela.error: message must be a string");
    lua_setfield(L, -2, "message");
    lua_getfield(L, 1, "data");
    lua_setfield(L, -2, "data");
    luaL_setmetatable(L, TYPE);
    return lua_error(L);
}

void cla_error_push(lua_State *L, enum cla_code code, const char *message)
{
    const struct cla_code_info *info = cla_code_info(code);

    lua_createtable(L, 0, 2);
    lua_pushstring(L, info->name);
    lua_setfield(L, -2, "code");
    lua_pushstring(L, message != NULL ? message : info->text);
    lua_setfield(L, -2, "message");
    luaL_setmetatable(L, TYPE);
}

int cla_error_raise(lua_State *L, enum cla_code code, const char *message)
{
    cla_error_push(L, code, message);
    return lua_error(L);
}

static int l_text(lua_State *L)
{
    luaL_tolstring(L, 1, NULL);
    return 1;
}

const char *cla_error_push_text(lua_State *L, int index)
{
    lua_pushvalue(L, index);
    lua_pushcfunction(L, l_text);
    lua_insert(L, -2);
    if (lua_pcall(L, 1, 1, 0) == LUA_OK)
        return lua_tostring(L, -1);
    lua_pop(L, 1);
    return lua_pushliteral(L, "an error object whose __tostring raises");
}

bool cla_error_is(lua_State *L, int index)
{
    bool same;

    if (lua_type(L, index) != LUA_TTABLE || !lua_getmetatable(L, index))
        return false;
    lua_getfield(L, LUA_REGISTRYINDEX, TYPE);
    same = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return same;
}

/* A string member of the table at 'index', borrowed from it. */
static struct cla_slice string_member(lua_State *L, int index, const char *name)
{
    struct cla_slice s = {"", 0};

    lua_pushstring(L, name);
    if (lua_rawget(L, index) == LUA_TSTRING)
        s.p = lua_tolstring(L, -1, &s.n);
    lua_pop(L, 1);
    return s;
}

static void read_code(lua_State *L, int index, struct cla_rpc_error *error)
{
    error->code = CLA_CODE_UNKNOWN;
    lua_pushliteral(L, "code");
    if (lua_rawget(L, index) == LUA_TNUMBER) {
        error->number = (int)lua_tointeger(L, -1);
    } else {
        enum cla_code code;

        if (cla_code_by_name(string_member(L, index, "code"), &code))
            error->code = code;
    }
    lua_pop(L, 1);
}

int cla_error_read(lua_State *L, int index, struct cla_rpc_error *error, struct cla_buf *data,
                   unsigned json_depth, struct cla_json_encode_fault *fault)
{
    const struct cla_json_encode_opts opts = {.max_depth = json_depth, .root = "data"};
    int rc = 0;

    index = lua_absindex(L, index);
    *error = (struct cla_rpc_error){.message = string_member(L, index, "message")};
    read_code(L, index, error);
    lua_pushliteral(L, "data");
    if (lua_rawget(L, index) != LUA_TNIL) {
        rc = cla_json_codec_write(L, -1, data, &opts, fault);
        if (rc == 0)
            error->data = cla_buf_slice(data);
    }
    lua_pop(L, 1);
    return rc;
}
