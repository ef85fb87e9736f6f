#include "bind/script_sockets.h"

#include <lauxlib.h>

#include "base/mem.h"

const struct cla_script_socket *cla_script_find_socket(const struct cla_script *script,
                                                       struct cla_slice path)
{
    for (size_t i = 0; i < script->socket_count; i++) {
        if (cla_slice_eq(script->sockets[i].base.path, path))
            return &script->sockets[i];
    }
    return NULL;
}

static void forget_protocols(struct cla_socket_route *route)
{
    for (size_t i = 0; i < route->protocol_count; i++)
        cla_mem_free((char *)route->protocols[i].p);
    cla_mem_free((void *)route->protocols);
}

void cla_script_forget_sockets(struct cla_script *script)
{
    lua_State *L = script->vm->L;

    for (size_t i = 0; i < script->socket_count; i++) {
        struct cla_script_socket *s = &script->sockets[i];

        cla_mem_free((char *)s->base.path.p);
        forget_protocols(&s->base);
        luaL_unref(L, LUA_REGISTRYINDEX, s->run);
        luaL_unref(L, LUA_REGISTRYINDEX, s->on_open);
        luaL_unref(L, LUA_REGISTRYINDEX, s->on_message);
        luaL_unref(L, LUA_REGISTRYINDEX, s->on_close);
    }
    cla_mem_free(script->sockets);
    script->sockets = NULL;
    script->socket_count = 0;
}

/* A copy of the string on top, which is popped. */
static struct cla_slice take_string(lua_State *L)
{
    struct cla_slice text;
    char *copy;

    text.p = lua_tolstring(L, -1, &text.n);
    copy = cla_mem_strndup(text.p, text.n);
    if (copy == NULL)
        luaL_error(L, "out of memory");
    lua_pop(L, 1);
    return cla_slice(copy, text.n);
}

static int take_function(lua_State *L, const char *name)
{
    if (lua_getfield(L, -1, name) == LUA_TFUNCTION)
        return luaL_ref(L, LUA_REGISTRYINDEX);
    lua_pop(L, 1);
    return LUA_NOREF;
}

static lua_Integer take_integer(lua_State *L, const char *name)
{
    lua_Integer value;

    lua_getfield(L, -1, name);
    value = lua_tointeger(L, -1);
    lua_pop(L, 1);
    return value;
}

static void take_protocols(struct cla_socket_route *route, lua_State *L)
{
    struct cla_slice *names;
    size_t count;

    lua_getfield(L, -1, "protocols");
    count = (size_t)lua_rawlen(L, -1);
    names = cla_mem_zalloc((count > 0 ? count : 1) * sizeof *names);
    if (names == NULL) {
        luaL_error(L, "out of memory");
        return;
    }
    route->protocols = names;
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, -1, (lua_Integer)i + 1);
        names[i] = take_string(L);
        route->protocol_count++;
    }
    lua_pop(L, 1);
}

/* Takes the handler on top of the stack: {path, run or on_…, …}, checked by Lua. */
static void take_one(struct cla_script *script, lua_State *L)
{
    struct cla_script_socket *s = &script->sockets[script->socket_count];

    s->run = s->on_open = s->on_message = s->on_close = LUA_NOREF;
    script->socket_count++;
    lua_getfield(L, -1, "path");
    s->base.path = take_string(L);
    s->base.message_bytes = (size_t)take_integer(L, "message_bytes");
    s->base.fragments = (unsigned)take_integer(L, "message_fragments");
    take_protocols(&s->base, L);
    s->run = take_function(L, "run");
    s->on_open = take_function(L, "on_open");
    s->on_message = take_function(L, "on_message");
    s->on_close = take_function(L, "on_close");
    s->base.streams = s->run != LUA_NOREF;
}

void cla_script_take_sockets(struct cla_script *script, lua_State *L)
{
    size_t count;

    cla_script_forget_sockets(script);
    lua_getfield(L, -1, "sockets");
    count = (size_t)lua_rawlen(L, -1);
    script->sockets = cla_mem_zalloc((count > 0 ? count : 1) * sizeof *script->sockets);
    if (script->sockets == NULL) {
        luaL_error(L, "out of memory for %d sockets", (int)count);
        return;
    }
    cla_script_take_each(script, L, take_one);
}
