#include "bind/call.h"

#include <lauxlib.h>

#include "bind/call_stream.h"
#include "bind/client.h"
#include "bind/headers.h"
#include "bind/json_codec.h"
#include "bind/reason.h"
#include "bind/request.h"
#include "bind/script.h"
#include "bind/token.h"
#include "task/task.h"

#define TYPE "cancela.Call"

enum { IDENTITY = 1, TOKEN = 2, CALL_VALUES = 2 }; /* user values */

struct object {
    struct cla_call *call; /* NULL once it is over */
    uint64_t id;
    int ref; /* keeps the object while the call lives */
};

void cla_call_push(lua_State *L, struct cla_call *call)
{
    struct object *object = call->object;

    if (object != NULL) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, object->ref);
        return;
    }
    object = lua_newuserdatauv(L, sizeof *object, CALL_VALUES);
    *object = (struct object){.call = call, .id = call->id, .ref = LUA_NOREF};
    luaL_setmetatable(L, TYPE);
    lua_pushvalue(L, -1);
    object->ref = luaL_ref(L, LUA_REGISTRYINDEX);
    call->object = object;
}

struct cla_call *cla_call_at(lua_State *L, int index)
{
    return ((struct object *)luaL_checkudata(L, index, TYPE))->call;
}

void *cla_call_object_at(lua_State *L, int index)
{
    return luaL_checkudata(L, index, TYPE);
}

struct cla_call *cla_call_of(const void *object)
{
    return ((const struct object *)object)->call;
}

void cla_call_set_identity(lua_State *L, struct cla_call *call)
{
    cla_call_push(L, call);
    lua_insert(L, -2);
    lua_setiuservalue(L, -2, IDENTITY);
    lua_pop(L, 1);
}

void cla_call_detach(lua_State *L, struct cla_call *call)
{
    struct object *object = call->object;

    if (object == NULL)
        return;
    call->object = NULL;
    object->call = NULL;
    luaL_unref(L, LUA_REGISTRYINDEX, object->ref);
}

static void push_slice(lua_State *L, struct cla_slice s)
{
    lua_pushlstring(L, s.p, s.n);
}

static void push_request_id(lua_State *L, const struct cla_call *call)
{
    struct cla_json_decode_fault fault;
    const struct cla_json_decode_opts opts = {.max_depth = 1};
    struct cla_slice id = cla_call_client_id(call);

    if (id.n == 0 || cla_slice_eq(id, CLA_LIT("null")) ||
        cla_json_codec_push(L, id, &opts, &fault) != 0)
        lua_pushnil(L);
}

static void push_token(lua_State *L, struct cla_call *call)
{
    struct cla_task *task = call->task;

    if (lua_getiuservalue(L, 1, TOKEN) == LUA_TUSERDATA)
        return;
    lua_pop(L, 1);
    cla_token_push(L, &task->root);
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, 1, TOKEN);
}

static void p_procedure(lua_State *L, struct cla_call *call)
{
    push_slice(L, call->procedure->name);
}

static void p_client(lua_State *L, struct cla_call *call)
{
    if (call->request->socket != NULL)
        cla_client_push(L, call->request->socket);
    else
        lua_pushnil(L);
}

static void p_peer(lua_State *L, struct cla_call *call)
{
    push_slice(L, call->request->peer);
}

static void p_certificate(lua_State *L, struct cla_call *call)
{
    cla_headers_push_certificate(L, call->request->certificate);
}

static void p_headers(lua_State *L, struct cla_call *call)
{
    cla_headers_push(L, call->request->head);
}

static void p_protocol(lua_State *L, struct cla_call *call)
{
    lua_pushstring(L, call->request->protocol->name);
}

static void p_generation(lua_State *L, struct cla_call *call)
{
    (void)call;
    lua_pushinteger(L, (lua_Integer)cla_script_of(L)->app.generation);
}

static void p_identity(lua_State *L, struct cla_call *call)
{
    (void)call;
    lua_getiuservalue(L, 1, IDENTITY);
}

static void p_is_notification(lua_State *L, struct cla_call *call)
{
    lua_pushboolean(L, cla_call_is_notification(call));
}

static void p_request_id(lua_State *L, struct cla_call *call)
{
    push_request_id(L, call);
}

/* call:abort(reason): the next await raises; the client is told 'aborted'. */
static int l_abort(lua_State *L)
{
    struct object *object = luaL_checkudata(L, 1, TYPE);
    struct cla_slice message = cla_reason_arg(L, 2);
    const struct cla_call *call = object->call;
    bool open = call != NULL && call->state == CLA_CALL_OPEN;
    struct cla_task *task = open ? call->task : NULL;

    lua_pushboolean(L, task != NULL && cla_scope_cancel(&task->root, CLA_CANCEL_USER, message));
    return 1;
}

static const struct property {
    const char *name;
    void (*push)(lua_State *L, struct cla_call *call);
} properties[] = {
    {"procedure", p_procedure},
    {"request_id", p_request_id},
    {"peer", p_peer},
    {"headers", p_headers},
    {"protocol", p_protocol},
    {"generation", p_generation},
    {"identity", p_identity},
    {"is_notification", p_is_notification},
    {"token", push_token},
    {"client", p_client},
    {"certificate", p_certificate},
    {"method", cla_request_push_method},
    {"path", cla_request_push_path},
    {"params", cla_request_push_params},
    {"query", cla_request_push_query},
    {"body", cla_request_push_body},
};

/* Upvalues: table of properties (light userdata), table of methods. */
static int l_index(lua_State *L)
{
    struct object *object = luaL_checkudata(L, 1, TYPE);
    const struct property *property;
    const char *key = luaL_checkstring(L, 2);

    if (strcmp(key, "id") == 0) {
        lua_pushinteger(L, (lua_Integer)object->id);
        return 1;
    }
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TLIGHTUSERDATA)
        return 1; /* a method, or nil */
    property = lua_touserdata(L, -1);
    if (object->call != NULL)
        property->push(L, object->call);
    else if (property->push == push_token)
        lua_getiuservalue(L, 1, TOKEN);
    else
        return luaL_error(L, "call.%s: the call is over; read it while the call runs", key);
    return 1;
}

static int l_newindex(lua_State *L)
{
    return luaL_error(L, "a call is read-only: cannot set %s", luaL_tolstring(L, 2, NULL));
}

void cla_call_setup(lua_State *L)
{
    luaL_newmetatable(L, TYPE);
    lua_newtable(L);
    for (size_t i = 0; i < CLA_ARRAY_LEN(properties); i++) {
        lua_pushlightuserdata(L, (void *)&properties[i]);
        lua_setfield(L, -2, properties[i].name);
    }
    lua_pushcfunction(L, l_abort);
    lua_setfield(L, -2, "abort");
    luaL_setfuncs(L, cla_request_methods, 0);
    luaL_setfuncs(L, cla_call_stream_methods, 0);
    lua_pushcclosure(L, l_index, 1);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, l_newindex);
    lua_setfield(L, -2, "__newindex");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
}
