#include "bind/params.h"

#include <lauxlib.h>

#include "base/error.h"
#include "bind/error.h"
#include "bind/json_codec.h"
#include "json/scan.h"
#include "json/schema.h"
#include "json/sort.h"

/* Deeper than any schema that can be read: two levels for each, and a default. */
#define SCHEMA_TEXT_DEPTH 128

/* script->scratch keeps no more than this. */
#define KEPT_BYTES 65536

/* --- Declarations. --- */

/* Encodes the table at 1 into 'sorted', and reads it as a schema to see whether it is one. */
static int read_table(lua_State *L, const char *root, struct cla_buf *sorted,
                      struct cla_json_encode_fault *fault, struct cla_json_schema_error *error)
{
    const struct cla_json_encode_opts opts = {.max_depth = SCHEMA_TEXT_DEPTH, .root = root};
    struct cla_json_schema *schema;
    struct cla_buf text = {0};
    int rc = cla_json_codec_write(L, 1, &text, &opts, fault);

    if (rc == 0) {
        *fault = (struct cla_json_encode_fault){"out of memory"};
        rc = cla_json_sort(cla_buf_slice(&text), SCHEMA_TEXT_DEPTH, sorted);
    }
    cla_buf_fini(&text);
    if (rc != 0)
        return rc;
    fault->message[0] = '\0';
    rc = cla_json_schema_read(&schema, cla_buf_slice(sorted), root, error);
    if (rc == 0)
        cla_json_schema_free(schema);
    return rc;
}

/* Pushing may raise: what it pushes is put where the collector finds it first. */
static int free_buffer(lua_State *L)
{
    cla_buf_fini(lua_touserdata(L, 1));
    return 0;
}

static struct cla_buf *push_buffer(lua_State *L)
{
    struct cla_buf *buf = lua_newuserdatauv(L, sizeof *buf, 0);

    *buf = (struct cla_buf){0};
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, free_buffer);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    return buf;
}

int cla_params_schema(lua_State *L)
{
    const char *root = luaL_checkstring(L, 2);
    struct cla_json_encode_fault fault;
    struct cla_json_schema_error error;
    struct cla_buf *sorted;

    luaL_checktype(L, 1, LUA_TTABLE);
    sorted = push_buffer(L);
    if (read_table(L, root, sorted, &fault, &error) == 0) {
        lua_pushlstring(L, sorted->p, sorted->n);
        cla_buf_fini(sorted);
        return 1;
    }
    cla_buf_fini(sorted);
    lua_pushnil(L);
    lua_pushstring(L, fault.message[0] != '\0' ? fault.message : error.text);
    return 2;
}

struct cla_json_schema *cla_params_take(lua_State *L, const char *name)
{
    struct cla_json_schema *schema = NULL;
    struct cla_json_schema_error error;
    struct cla_slice text;

    if (lua_getfield(L, -1, name) == LUA_TSTRING) {
        text.p = lua_tolstring(L, -1, &text.n);
        if (cla_json_schema_read(&schema, text, name, &error) != 0)
            luaL_error(L, "%s", error.text);
    }
    lua_pop(L, 1);
    return schema;
}

/* --- Calls. --- */

static void push_fault(lua_State *L, const struct cla_json_schema_fault *fault)
{
    cla_error_push(L, CLA_CODE_INVALID_ARGUMENT, fault->message);
    lua_createtable(L, 0, 2);
    lua_pushstring(L, fault->path);
    lua_setfield(L, -2, "path");
    lua_pushstring(L, fault->rule);
    lua_setfield(L, -2, "rule");
    lua_setfield(L, -2, "data");
}

static void trim(struct cla_buf *buf)
{
    if (buf->cap > KEPT_BYTES)
        cla_buf_fini(buf);
}

/* Absent params are what is empty and of the type. */
static struct cla_slice params_of(const struct cla_call *call, const struct cla_json_schema *schema)
{
    if (call->params.n > 0)
        return call->params;
    return cla_json_schema_types(schema) == CLA_JSON_TYPE_ARRAY ? CLA_LIT("[]") : CLA_LIT("{}");
}

bool cla_params_check(lua_State *L, struct cla_script *script, const struct cla_call *call,
                      struct cla_slice *text)
{
    const struct cla_script_procedure *procedure =
        CLA_CONTAINER(call->procedure, const struct cla_script_procedure, base);
    const struct cla_json_schema_opts opts = {
        .max_depth = script->json_depth,
        .keep_nulls = procedure->keep_nulls,
        .skip_meta = call->params_meta,
        .root = "params",
    };
    struct cla_json_schema_fault fault;
    int rc;

    trim(&script->scratch);
    script->scratch.n = 0;
    *text = params_of(call, procedure->params);
    rc = cla_json_schema_check(procedure->params, *text, &opts, &script->scratch, &fault);
    if (rc == 0 && script->scratch.n > 0)
        *text = cla_buf_slice(&script->scratch);
    if (rc == -CLA_EINVAL)
        push_fault(L, &fault);
    else if (rc != 0)
        luaL_error(L, "params: %s", cla_error_text(rc)); /* only memory: the text was checked */
    return rc == 0;
}
