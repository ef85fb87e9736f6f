/* The module cancela.json, and the codec's metatables. */
#include "bind/json_codec.h"

#include <lauxlib.h>

#include "base/error.h"
#include "bind/json_meta.h"

const char cla_json_meta_array, cla_json_meta_object;

/* encode() keeps its buffer between calls up to this size. */
#define KEPT_BYTES 65536

static void make_metatable(lua_State *L, const char *key, const char *name)
{
    lua_createtable(L, 1, 1);
    lua_pushlightuserdata(L, (void *)key);
    lua_rawseti(L, -2, CLA_JSON_META_SELF);
    lua_pushstring(L, name);
    lua_setfield(L, -2, "__name");
    lua_rawsetp(L, LUA_REGISTRYINDEX, key);
}

void cla_json_codec_open(lua_State *L)
{
    make_metatable(L, &cla_json_meta_array, "json.array");
    make_metatable(L, &cla_json_meta_object, "json.object");
}

static bool wants_nulls(lua_State *L, int index)
{
    const char *text;
    bool keep;

    if (lua_isnoneornil(L, index))
        return false;
    luaL_checktype(L, index, LUA_TTABLE);
    if (lua_getfield(L, index, "nulls") == LUA_TNIL) {
        lua_pop(L, 1);
        return false;
    }
    text = lua_tostring(L, -1);
    keep = text != NULL && strcmp(text, "keep") == 0;
    luaL_argcheck(L, keep, index, "'nulls' can only be \"keep\"");
    lua_pop(L, 1);
    return keep;
}

/* decode(text [, {nulls = "keep"}]): the value, or nil and a message; its bytes count from 1. */
static int l_decode(lua_State *L)
{
    struct cla_json_decode_opts opts = {.max_depth = CLA_JSON_DEPTH_MAX};
    struct cla_json_decode_fault fault;
    struct cla_slice text;

    luaL_checktype(L, 1, LUA_TSTRING);
    opts.keep_nulls = wants_nulls(L, 2);
    text.p = lua_tolstring(L, 1, &text.n);
    if (cla_json_codec_push(L, text, &opts, &fault) == 0)
        return 1;
    lua_pushnil(L);
    lua_pushfstring(L, "%s at byte %I", fault.message, (lua_Integer)fault.at + 1);
    return 2;
}

static void trim(struct cla_buf *buf)
{
    if (buf->cap > KEPT_BYTES)
        cla_buf_fini(buf);
}

/* encode(value): its text; raises an error that names the path of what cannot be encoded. The
 * buffer is a userdata (upvalue 1), so that it outlives an error of lua_pushlstring(). */
static int l_encode(lua_State *L)
{
    struct cla_json_encode_opts opts = {.max_depth = CLA_JSON_DEPTH_MAX, .root = "value"};
    struct cla_json_encode_fault fault;
    struct cla_buf *buf = lua_touserdata(L, lua_upvalueindex(1));

    luaL_checkany(L, 1);
    buf->n = 0;
    if (cla_json_codec_write(L, 1, buf, &opts, &fault) != 0) {
        trim(buf);
        return luaL_error(L, "%s", fault.message);
    }
    lua_pushlstring(L, buf->p, buf->n);
    trim(buf);
    return 1;
}

/* Marks the table given (a new one if none is) with the metatable at 'key'; returns it. */
static int mark(lua_State *L, const char *key)
{
    lua_settop(L, 1);
    if (lua_isnil(L, 1)) {
        lua_createtable(L, 0, 0);
        lua_replace(L, 1);
    }
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_rawgetp(L, LUA_REGISTRYINDEX, key);
    lua_setmetatable(L, 1);
    return 1;
}

static int l_array(lua_State *L)
{
    return mark(L, &cla_json_meta_array);
}

static int l_object(lua_State *L)
{
    return mark(L, &cla_json_meta_object);
}

static int buffer_gc(lua_State *L)
{
    cla_buf_fini(lua_touserdata(L, 1));
    return 0;
}

static void push_buffer(lua_State *L)
{
    struct cla_buf *buf = lua_newuserdatauv(L, sizeof *buf, 0);

    *buf = (struct cla_buf){0};
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, buffer_gc);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
}

static const luaL_Reg functions[] = {
    {"decode", l_decode}, {"array", l_array}, {"object", l_object}, {NULL, NULL}};

int cla_json_codec_luaopen(lua_State *L)
{
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &cla_json_meta_array) == LUA_TNIL)
        cla_json_codec_open(L);
    lua_pop(L, 1);
    luaL_newlib(L, functions);
    push_buffer(L);
    lua_pushcclosure(L, l_encode, 1);
    lua_setfield(L, -2, "encode");
    lua_pushlightuserdata(L, NULL);
    lua_setfield(L, -2, "null");
    return 1;
}
