#include "bind/request.h"

#include "base/utf8.h"
#include "bind/call.h"
#include "bind/error.h"
#include "bind/headers.h"
#include "bind/json_codec.h"
#include "bind/script_routes.h"
#include "http/url.h"

static void push_slice(lua_State *L, struct cla_slice s)
{
    lua_pushlstring(L, s.p != NULL ? s.p : "", s.n);
}

static void push_of_plain(lua_State *L, const struct cla_call *call, struct cla_slice value)
{
    if (call->request->plain != NULL)
        push_slice(L, value);
    else
        lua_pushnil(L);
}

void cla_request_push_method(lua_State *L, struct cla_call *call)
{
    const struct cla_plain *plain = call->request->plain;

    push_of_plain(L, call, plain != NULL ? plain->method : cla_slice(NULL, 0));
}

void cla_request_push_path(lua_State *L, struct cla_call *call)
{
    const struct cla_plain *plain = call->request->plain;

    push_of_plain(L, call, plain != NULL ? plain->path : cla_slice(NULL, 0));
}

void cla_request_push_body(lua_State *L, struct cla_call *call)
{
    push_of_plain(L, call, call->params);
}

void cla_request_push_query(lua_State *L, struct cla_call *call)
{
    const struct cla_plain *plain = call->request->plain;

    if (plain != NULL)
        cla_headers_push_query(L, plain->query);
    else
        lua_pushnil(L);
}

void cla_request_push_params(lua_State *L, struct cla_call *call)
{
    const struct cla_plain *plain = call->request->plain;
    struct cla_slice name, value;
    size_t at = 0;

    if (plain == NULL) {
        lua_pushnil(L);
        return;
    }
    lua_newtable(L);
    while (
        cla_pattern_param(&cla_script_route_of(call)->pattern, plain->path, &at, &name, &value)) {
        push_slice(L, name);
        cla_headers_push_decoded(L, value);
        lua_rawset(L, -3);
    }
}

/* The call of the object at index 1, which is a live one of a route. */
static struct cla_call *check(lua_State *L, const char *method)
{
    struct cla_call *call = cla_call_at(L, 1);

    if (call == NULL)
        luaL_error(L, "request:%s: the call is over; read it while the call runs", method);
    else if (call->request->plain == NULL)
        luaL_error(L, "call:%s: only requests for routes have it; params are decoded", method);
    return call;
}

/* request:json(): the decoded body; raises invalid_argument if it is none. */
static int l_json(lua_State *L)
{
    const struct cla_call *call = check(L, "json");
    struct cla_json_decode_fault fault = {0};
    const struct cla_json_decode_opts opts = {.max_depth = cla_script_of(L)->json_depth};

    if (call->params.n == 0)
        return cla_error_raise(L, CLA_CODE_INVALID_ARGUMENT, "the body is empty: send JSON");
    if (cla_json_codec_push(L, call->params, &opts, &fault) == 0)
        return 1;
    lua_pushfstring(L, "the body is not JSON: %s at byte %I", fault.message,
                    (LUAI_UACINT)fault.at + 1);
    return cla_error_raise(L, CLA_CODE_INVALID_ARGUMENT, lua_tostring(L, -1));
}

/* request:values(name): all values of that name in the query, in order. */
static int l_values(lua_State *L)
{
    const struct cla_call *call = check(L, "values");
    struct cla_slice query = call->request->plain->query, name, value;
    lua_Integer count = 0;

    luaL_checkstring(L, 2);
    lua_newtable(L);
    while (cla_http_query_next(&query, &name, &value)) {
        cla_headers_push_form(L, name);
        if (lua_rawequal(L, -1, 2)) {
            cla_headers_push_form(L, value);
            lua_rawseti(L, -3, ++count);
        }
        lua_pop(L, 1);
    }
    return 1;
}

const luaL_Reg cla_request_methods[] = {
    {"json", l_json},
    {"values", l_values},
    {NULL, NULL},
};
