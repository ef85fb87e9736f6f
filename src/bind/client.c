/* An object holds its socket, whose connection may be long gone: then what it can still say it
 * says, and writing returns nil and "closed". */
#include "bind/client.h"

#include <lauxlib.h>

#include "base/error.h"
#include "base/utf8.h"
#include "bind/client_ops.h"
#include "bind/headers.h"
#include "bind/plain.h"
#include "bind/publish.h"
#include "bind/script.h"

#define TYPE "cancela.Client"

static const char objects_key; /* registry key of the weak table {socket -> object} */

struct object {
    struct cla_link link;      /* in script->clients */
    struct cla_socket *socket; /* held; NULL: let go of */
};

void cla_client_push(lua_State *L, struct cla_socket *socket)
{
    struct object *object;

    luaL_checkstack(L, 4, NULL);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &objects_key);
    if (lua_rawgetp(L, -1, socket) == LUA_TNIL) {
        lua_pop(L, 1);
        object = lua_newuserdatauv(L, sizeof *object, 0);
        object->socket = cla_socket_hold(socket);
        cla_list_init(&object->link);
        cla_list_push(&cla_script_of(L)->clients, &object->link);
        luaL_setmetatable(L, TYPE);
        lua_pushvalue(L, -1);
        lua_rawsetp(L, -3, socket);
    }
    lua_remove(L, -2);
}

struct cla_socket *cla_client_check(lua_State *L)
{
    struct object *object = luaL_checkudata(L, 1, TYPE);

    if (object->socket == NULL)
        luaL_error(L, "the client is gone: this generation of the code is over");
    return object->socket;
}

static void let_go(struct object *object)
{
    cla_list_remove(&object->link);
    if (object->socket != NULL)
        cla_socket_release(object->socket);
    object->socket = NULL;
}

static int l_gc(lua_State *L)
{
    let_go(luaL_checkudata(L, 1, TYPE));
    return 0;
}

void cla_client_let_go(struct cla_script *script)
{
    while (!cla_list_empty(&script->clients))
        let_go(CLA_CONTAINER(script->clients.next, struct object, link));
}

/* --- Data. --- */

static struct cla_slice check_string(lua_State *L, int index)
{
    struct cla_slice s;

    s.p = luaL_checklstring(L, index, &s.n);
    return s;
}

static int l_get(lua_State *L)
{
    struct cla_socket *socket = cla_client_check(L);
    struct cla_slice value;

    if (cla_socket_data_get(&socket->data, check_string(L, 2), &value))
        cla_plain_push(L, value);
    else
        lua_pushnil(L);
    return 1;
}

static int l_set(lua_State *L)
{
    struct cla_socket *socket = cla_client_check(L);
    struct cla_buf *bytes = &cla_script_of(L)->scratch;
    struct cla_slice name = check_string(L, 2);
    const char *why = NULL;
    int rc = 0;

    luaL_checkany(L, 3);
    bytes->n = 0;
    if (!lua_isnil(L, 3))
        rc = cla_plain_write(L, 3, bytes, &why);
    if (rc == -CLA_EINVAL)
        return luaL_error(L, "client:set('%s'): only plain data can be kept with a client: %s",
                          name.p, why);
    if (rc == 0)
        rc = cla_socket_data_set(&socket->data, name, cla_buf_slice(bytes));
    if (rc == -CLA_ELIMIT)
        return luaL_error(L,
                          "client:set('%s'): with these %d bytes the client would hold more than "
                          "%d: keep less with it",
                          name.p, (int)(name.n + bytes->n), CLA_SOCKET_DATA_MAX);
    return rc == 0 ? 0 : luaL_error(L, "client:set('%s'): out of memory", name.p);
}

/* --- Closing. --- */

/* close(code, reason): does not await. */
static int l_close(lua_State *L)
{
    struct cla_socket *socket = cla_client_check(L);
    lua_Integer code = luaL_optinteger(L, 2, CLA_WS_NORMAL);
    struct cla_slice reason = {.p = luaL_optlstring(L, 3, "", &reason.n)};

    luaL_argcheck(L, code >= 0 && code <= 65535 && cla_ws_close_code_valid((unsigned)code), 2,
                  "not a code that may be sent: 1000 to 1014 as registered, or 3000 to 4999");
    luaL_argcheck(L, reason.n <= CLA_WS_REASON_MAX, 3, "a reason takes at most 123 bytes");
    luaL_argcheck(L, cla_utf8_valid(reason), 3, "a reason must be UTF-8");
    lua_pushboolean(L, socket->state == CLA_SOCKET_OPEN);
    cla_socket_close(socket, (unsigned)code, reason, CLA_CANCEL_USER);
    return 1;
}

/* --- Properties. --- */

static void push_slice(lua_State *L, struct cla_slice s)
{
    lua_pushlstring(L, s.p, s.n);
}

static void p_id(lua_State *L, const struct cla_socket *socket)
{
    lua_pushinteger(L, (lua_Integer)socket->id);
}

static void p_address(lua_State *L, const struct cla_socket *socket)
{
    push_slice(L, socket->request.peer);
}

static void p_path(lua_State *L, const struct cla_socket *socket)
{
    push_slice(L, socket->path);
}

static void p_protocol(lua_State *L, const struct cla_socket *socket)
{
    if (socket->protocol.n > 0)
        push_slice(L, socket->protocol);
    else
        lua_pushnil(L);
}

static void p_headers(lua_State *L, const struct cla_socket *socket)
{
    cla_headers_push(L, socket->request.head);
}

static void p_certificate(lua_State *L, const struct cla_socket *socket)
{
    cla_headers_push_certificate(L, socket->request.certificate);
}

static void p_closed(lua_State *L, const struct cla_socket *socket)
{
    lua_pushboolean(L, socket->state == CLA_SOCKET_OVER);
}

static const struct property {
    const char *name;
    void (*push)(lua_State *L, const struct cla_socket *socket);
} properties[] = {
    {"id", p_id},
    {"address", p_address},
    {"path", p_path},
    {"protocol", p_protocol},
    {"headers", p_headers},
    {"closed", p_closed},
    {"certificate", p_certificate},
};

/* Upvalue: table of properties (light userdata) and methods. */
static int l_index(lua_State *L)
{
    struct cla_socket *socket = cla_client_check(L);
    const struct property *property;

    luaL_checkstring(L, 2);
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TLIGHTUSERDATA)
        return 1; /* a method, or nil */
    property = lua_touserdata(L, -1);
    property->push(L, socket);
    return 1;
}

static int l_newindex(lua_State *L)
{
    return luaL_error(L, "a client is read-only: keep your own with client:set('%s', value)",
                      luaL_tolstring(L, 2, NULL));
}

static int l_tostring(lua_State *L)
{
    const struct cla_socket *socket = cla_client_check(L);

    lua_pushfstring(L, "client: %I", (LUAI_UACINT)socket->id);
    return 1;
}

static const luaL_Reg methods[] = {
    {"get", l_get},
    {"set", l_set},
    {"close", l_close},
    {NULL, NULL},
};

static void push_weak_table(lua_State *L)
{
    lua_newtable(L);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "v");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
}

void cla_client_setup(lua_State *L)
{
    push_weak_table(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &objects_key);
    luaL_newmetatable(L, TYPE);
    luaL_newlib(L, methods);
    luaL_setfuncs(L, cla_client_ops_methods, 0);
    luaL_setfuncs(L, cla_publish_client_methods, 0);
    for (size_t i = 0; i < CLA_ARRAY_LEN(properties); i++) {
        lua_pushlightuserdata(L, (void *)&properties[i]);
        lua_setfield(L, -2, properties[i].name);
    }
    lua_pushcclosure(L, l_index, 1);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, l_newindex);
    lua_setfield(L, -2, "__newindex");
    lua_pushcfunction(L, l_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pushcfunction(L, l_gc);
    lua_setfield(L, -2, "__gc");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
}
