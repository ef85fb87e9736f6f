#include "bind/payload.h"

#include <lauxlib.h>
#include <stdio.h>

#include "base/base64.h"
#include "base/utf8.h"
#include "bind/error.h"
#include "bind/script.h"
#include "json/write.h"

static bool is_text(const struct cla_call *call)
{
    return call->procedure->payload == CLA_PAYLOAD_TEXT;
}

/* --- Parameters. --- */

static void push_raw(lua_State *L, const struct cla_call *call)
{
    if (is_text(call) && !cla_utf8_valid(call->params))
        cla_error_raise(L, CLA_CODE_INVALID_ARGUMENT, "the payload must be UTF-8");
    lua_pushlstring(L, call->params.p, call->params.n);
}

static bool is_empty(lua_State *L, int index)
{
    lua_pushnil(L);
    if (lua_next(L, index) == 0)
        return true;
    lua_pop(L, 2);
    return false;
}

/* Replaces the table of params on top by its one string; none at all is an empty one. False: it
 * holds something else. */
static bool take_string(lua_State *L)
{
    int params = lua_gettop(L);

    if (is_empty(L, params)) {
        lua_pushliteral(L, "");
    } else {
        lua_rawgeti(L, params, 1);
        lua_pushnil(L);
        lua_rawseti(L, params, 1);
        if (lua_type(L, -1) != LUA_TSTRING || !is_empty(L, params))
            return false;
    }
    lua_replace(L, params);
    return true;
}

/* Replaces the string on top by what it says in base64. False: it is none. */
static bool decode_base64(lua_State *L)
{
    struct cla_buf *bytes = &cla_script_of(L)->scratch;
    struct cla_slice text;

    text.p = lua_tolstring(L, -1, &text.n);
    bytes->n = 0;
    if (cla_buf_add(bytes, text) != 0)
        luaL_error(L, "out of memory");
    if (cla_base64_decode(bytes) != 0)
        return false;
    lua_pop(L, 1);
    lua_pushlstring(L, bytes->p, bytes->n);
    return true;
}

static void push_of_json(lua_State *L, const struct cla_call *call)
{
    struct cla_json_decode_fault fault;
    const struct cla_json_decode_opts opts = {.max_depth = cla_script_of(L)->json_depth,
                                              .skip_meta = call->params_meta};

    if (call->params.n == 0)
        lua_pushliteral(L, "");
    else if (cla_json_codec_push(L, call->params, &opts, &fault) != 0)
        luaL_error(L, "params: %s", fault.message); /* only memory: the text was checked */
    else if (!take_string(L))
        cla_error_raise(L, CLA_CODE_INVALID_ARGUMENT,
                        is_text(call) ? "params must be one string: [\"text\"]"
                                      : "params must be one string of base64: [\"aGk=\"]");
    if (!is_text(call) && !decode_base64(L))
        cla_error_raise(L, CLA_CODE_INVALID_ARGUMENT, "params[1] must be base64");
}

void cla_payload_push(lua_State *L, const struct cla_call *call)
{
    if (call->request->raw)
        push_raw(L, call);
    else
        push_of_json(L, call);
}

/* --- Results. --- */

static int refuse(struct cla_json_encode_fault *fault, const char *root, const char *problem,
                  const char *type)
{
    snprintf(fault->message, sizeof fault->message, "%s: %s%s", root, problem, type);
    return -CLA_EINVAL;
}

static int write_json(struct cla_buf *buf, struct cla_slice result, bool text)
{
    if (text)
        return cla_json_write_string(buf, result);
    if (cla_buf_push(buf, '"') != 0 || cla_base64_encode(buf, result) != 0)
        return -CLA_ENOMEM;
    return cla_buf_push(buf, '"');
}

static int write_nothing(struct cla_buf *buf, bool raw)
{
    return raw ? 0 : cla_buf_add(buf, CLA_LIT("null"));
}

int cla_payload_write(lua_State *L, int index, const struct cla_call *call, const char *root,
                      struct cla_buf *buf, struct cla_json_encode_fault *fault)
{
    bool raw = call->request->raw;
    struct cla_slice result;

    snprintf(fault->message, sizeof fault->message, "out of memory");
    if (lua_isnil(L, index))
        return write_nothing(buf, raw);
    if (lua_type(L, index) != LUA_TSTRING)
        return refuse(fault, root, "must be a string, for payload = \"text\" or \"bytes\", not a ",
                      luaL_typename(L, index));
    result.p = lua_tolstring(L, index, &result.n);
    if (is_text(call) && !cla_utf8_valid(result))
        return refuse(fault, root, "not UTF-8: declare payload = \"bytes\" to return any bytes",
                      "");
    return raw ? cla_buf_add(buf, result) : write_json(buf, result, is_text(call));
}
