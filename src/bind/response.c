#include "bind/response.h"

#include <lauxlib.h>
#include <stdio.h>

#include "base/error.h"
#include "bind/call.h"
#include "bind/call_stream.h"
#include "bind/response_fields.h"
#include "bind/script.h"

#define FORM "a handler returns a string, nil, or {status =, headers =, body =}"

static struct cla_plain *plain_of(const struct cla_call *call)
{
    return call->request->plain;
}

static void add_type(lua_State *L, struct cla_plain *plain, struct cla_slice type)
{
    if (plain->type.n == 0 && cla_plain_set_type(plain, type) != 0)
        luaL_error(L, "out of memory");
}

/* --- Reading {status =, headers =, body =}. --- */

/* Pushes a member, raw: metamethods could await. */
static int get(lua_State *L, int index, const char *name)
{
    lua_pushstring(L, name);
    return lua_rawget(L, index);
}

static void check_members(lua_State *L, int index)
{
    const char *name;

    for (lua_pushnil(L); lua_next(L, index) != 0; lua_pop(L, 1)) {
        name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
        if (strcmp(name, "status") == 0 || strcmp(name, "headers") == 0 ||
            strcmp(name, "body") == 0)
            continue;
        luaL_error(
            L, "response: unknown member '%s': to send a table as JSON, write {body = …}; " FORM,
            luaL_tolstring(L, -2, NULL));
    }
}

static void read_status(lua_State *L, int index, struct cla_plain *plain)
{
    int is_integer;
    lua_Integer status;

    plain->status = 200;
    if (get(L, index, "status") != LUA_TNIL) {
        status = lua_tointegerx(L, -1, &is_integer);
        if (!is_integer || lua_type(L, -1) != LUA_TNUMBER || status < 200 || status > 599)
            luaL_error(L, "response.status must be an integer from 200 to 599, not %s",
                       luaL_tolstring(L, -1, NULL));
        plain->status = (int)status;
    }
    lua_pop(L, 1);
}

/* Of these there is none, whatever the handler says (RFC 9110 sections 15.3.5 and 15.4.5). */
static bool has_none(int status)
{
    return status == 204 || status == 304;
}

/* Leaves the body on top of the stack. */
static void read_body(lua_State *L, int index, struct cla_plain *plain)
{
    int type = get(L, index, "body");

    plain->has_body = type != LUA_TNIL && !has_none(plain->status);
    if (!plain->has_body)
        plain->type.n = 0;
    else if (type == LUA_TSTRING)
        add_type(L, plain, CLA_LIT("text/plain; charset=utf-8"));
    else if (type == LUA_TTABLE)
        add_type(L, plain, CLA_LIT("application/json"));
    else if (type == LUA_TFUNCTION)
        add_type(L, plain, CLA_LIT("application/octet-stream"));
    else
        luaL_error(L,
                   "response.body must be a string, a table (sent as JSON), a function that "
                   "returns the next piece, or nil, not a %s",
                   luaL_typename(L, -1));
}

/* The result is at 'index'. Pushes the body. */
static void read_result(lua_State *L, int index, struct cla_plain *plain)
{
    int type = lua_type(L, index);

    if (type == LUA_TTABLE) {
        check_members(L, index);
        read_status(L, index, plain);
        if (get(L, index, "headers") != LUA_TNIL)
            cla_response_fields_read(L, plain);
        lua_pop(L, 1);
        read_body(L, index, plain);
    } else if (type == LUA_TSTRING) {
        plain->has_body = true;
        add_type(L, plain, CLA_LIT("text/plain; charset=utf-8"));
        lua_pushvalue(L, index);
    } else if (type == LUA_TNIL) {
        plain->status = 204;
        lua_pushnil(L);
    } else {
        luaL_error(L, "response: " FORM ", not a %s", lua_typename(L, type));
    }
}

/* --- Sending in pieces. --- */

enum { CALL = 1, BODY = 2 }; /* on the stack */
enum { MADE, SENT };         /* what has just returned, with its result on top */

static void check_piece(lua_State *L)
{
    if (lua_type(L, -1) != LUA_TSTRING)
        luaL_error(L, "response.body must return a string, or nil at the end, not a %s",
                   luaL_typename(L, -1));
}

/* Calls the body for one piece after the other, and sends them. A continuation of itself. */
static int pump(lua_State *L, int status, lua_KContext stage)
{
    (void)status;
    for (;;) {
        if (stage == MADE) {
            if (lua_isnil(L, -1))
                return 1;
            check_piece(L);
            lua_pushcfunction(L, cla_call_stream_piece);
            lua_pushvalue(L, CALL);
            lua_pushvalue(L, -3);
            lua_callk(L, 2, 1, SENT, pump);
        }
        if (!lua_toboolean(L, -1))
            return 1; /* the client has gone */
        lua_settop(L, BODY);
        lua_pushvalue(L, BODY);
        lua_callk(L, 0, 1, MADE, pump);
        stage = MADE;
    }
}

/* Stack: call, body. */
static int stream(lua_State *L, struct cla_call *call)
{
    struct cla_plain *plain = plain_of(call);

    if (cla_slice_eq(plain->method, CLA_LIT("HEAD"))) {
        plain->unsized = true;
        lua_pushnil(L);
        return 1;
    }
    plain->begin(call);
    lua_pushboolean(L, 1);
    return pump(L, LUA_OK, SENT);
}

/* --- Running. --- */

/* The handler returned: its result is on top, behind the call. */
static int after_handler(lua_State *L, int status, lua_KContext context)
{
    struct cla_call *call = (struct cla_call *)context;

    (void)status;
    if (call->state != CLA_CALL_OPEN)
        return 1; /* cancelled and answered: nobody looks at it */
    read_result(L, BODY, plain_of(call));
    lua_replace(L, BODY);
    if (plain_of(call)->has_body && lua_isfunction(L, BODY))
        return stream(L, call);
    return 1;
}

/* Arguments: the call, the handler. */
static int l_run(lua_State *L)
{
    struct cla_call *call = lua_touserdata(L, 1);

    cla_call_push(L, call);
    lua_replace(L, CALL);
    lua_pushvalue(L, CALL);
    lua_callk(L, 1, 1, (lua_KContext)call, after_handler);
    return after_handler(L, LUA_OK, (lua_KContext)call);
}

void cla_response_push_body(lua_State *L, struct cla_call *call, int fn)
{
    lua_pushcfunction(L, l_run);
    lua_pushlightuserdata(L, call);
    lua_rawgeti(L, LUA_REGISTRYINDEX, fn);
}

int cla_response_write(lua_State *L, int index, const struct cla_call *call, struct cla_buf *buf,
                       struct cla_json_encode_fault *fault)
{
    const struct cla_json_encode_opts opts = {.max_depth = cla_script_of(L)->json_depth,
                                              .root = "body"};
    struct cla_slice text;

    snprintf(fault->message, sizeof fault->message, "out of memory");
    if (!plain_of(call)->has_body || plain_of(call)->begun || plain_of(call)->unsized)
        return 0;
    if (lua_type(L, index) != LUA_TSTRING)
        return cla_json_codec_write(L, index, buf, &opts, fault);
    text.p = lua_tolstring(L, index, &text.n);
    return cla_buf_add(buf, text);
}
