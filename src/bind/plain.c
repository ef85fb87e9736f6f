#include "bind/plain.h"

#include <lauxlib.h>
#include <string.h>

#include "base/error.h"
#include "bind/json_meta.h"

enum tag { NIL, FALSE, TRUE, INTEGER, FLOAT, STRING, NULL_, TABLE, ARRAY, OBJECT, END };

/* --- Writing. --- */

static int add(struct cla_buf *buf, enum tag tag, const void *bytes, size_t n)
{
    return cla_buf_push(buf, (char)tag) == 0 && cla_buf_append(buf, bytes, n) == 0 ? 0
                                                                                   : -CLA_ENOMEM;
}

static int write_number(lua_State *L, int index, struct cla_buf *buf)
{
    lua_Integer integer = lua_tointeger(L, index);
    lua_Number number = lua_tonumber(L, index);

    return lua_isinteger(L, index) ? add(buf, INTEGER, &integer, sizeof integer)
                                   : add(buf, FLOAT, &number, sizeof number);
}

static int write_string(lua_State *L, int index, struct cla_buf *buf)
{
    size_t n;
    const char *p = lua_tolstring(L, index, &n);

    return add(buf, STRING, &n, sizeof n) == 0 && cla_buf_append(buf, p, n) == 0 ? 0 : -CLA_ENOMEM;
}

static bool marked(lua_State *L, int index, const void *key)
{
    bool same;

    if (!lua_getmetatable(L, index))
        return false;
    lua_rawgeti(L, -1, CLA_JSON_META_SELF);
    same = lua_touserdata(L, -1) == key;
    lua_pop(L, 2);
    return same;
}

static int write_value(lua_State *L, int index, struct cla_buf *buf, unsigned depth,
                       const char **why);

static int write_table(lua_State *L, int index, struct cla_buf *buf, unsigned depth,
                       const char **why)
{
    enum tag tag = TABLE;
    int rc;

    *why = "it is nested too deeply, or contains itself";
    if (depth == CLA_PLAIN_DEPTH_MAX)
        return -CLA_EINVAL;
    if (!lua_checkstack(L, 4))
        return -CLA_ENOMEM;
    if (marked(L, index, &cla_json_meta_array))
        tag = ARRAY;
    else if (marked(L, index, &cla_json_meta_object))
        tag = OBJECT;
    rc = add(buf, tag, "", 0);
    for (lua_pushnil(L); rc == 0 && lua_next(L, index) != 0; lua_pop(L, rc == 0)) {
        int top = lua_gettop(L);

        rc = write_value(L, top - 1, buf, depth + 1, why);
        if (rc == 0)
            rc = write_value(L, top, buf, depth + 1, why);
    }
    return rc == 0 ? add(buf, END, "", 0) : rc;
}

static int write_value(lua_State *L, int index, struct cla_buf *buf, unsigned depth,
                       const char **why)
{
    switch (lua_type(L, index)) {
    case LUA_TNIL:
        return add(buf, NIL, "", 0);
    case LUA_TBOOLEAN:
        return add(buf, lua_toboolean(L, index) ? TRUE : FALSE, "", 0);
    case LUA_TNUMBER:
        return write_number(L, index, buf);
    case LUA_TSTRING:
        return write_string(L, index, buf);
    case LUA_TTABLE:
        return write_table(L, index, buf, depth, why);
    case LUA_TLIGHTUSERDATA:
        if (lua_touserdata(L, index) == NULL)
            return add(buf, NULL_, "", 0);
        break;
    default:
        break;
    }
    *why = lua_typename(L, lua_type(L, index));
    return -CLA_EINVAL;
}

int cla_plain_write(lua_State *L, int index, struct cla_buf *buf, const char **why)
{
    size_t mark = buf->n;
    int top = lua_gettop(L), rc;

    *why = "out of memory";
    rc = lua_checkstack(L, 4) ? write_value(L, lua_absindex(L, index), buf, 0, why) : -CLA_ENOMEM;
    lua_settop(L, top);
    if (rc != 0)
        buf->n = mark;
    return rc;
}

/* --- Reading. --- */

static const char *take(struct cla_slice *in, size_t n)
{
    const char *p = in->p;

    CLA_PRE(in->n >= n);
    in->p += n;
    in->n -= n;
    return p;
}

static void push_string(lua_State *L, struct cla_slice *in)
{
    size_t n;

    memcpy(&n, take(in, sizeof n), sizeof n);
    lua_pushlstring(L, take(in, n), n);
}

static bool push_value(lua_State *L, struct cla_slice *in);

static void push_table(lua_State *L, struct cla_slice *in, enum tag tag)
{
    luaL_checkstack(L, 4, NULL);
    lua_newtable(L);
    while (push_value(L, in)) {
        push_value(L, in);
        lua_rawset(L, -3);
    }
    if (tag == TABLE)
        return;
    lua_rawgetp(L, LUA_REGISTRYINDEX, tag == ARRAY ? &cla_json_meta_array : &cla_json_meta_object);
    lua_setmetatable(L, -2);
}

/* Returns false at the end of a table: nothing is pushed. */
static bool push_value(lua_State *L, struct cla_slice *in)
{
    enum tag tag = (enum tag)(unsigned char)*take(in, 1);
    lua_Integer integer;
    lua_Number number;

    switch (tag) {
    case END:
        return false;
    case NIL:
        lua_pushnil(L);
        break;
    case FALSE:
    case TRUE:
        lua_pushboolean(L, tag == TRUE);
        break;
    case INTEGER:
        memcpy(&integer, take(in, sizeof integer), sizeof integer);
        lua_pushinteger(L, integer);
        break;
    case FLOAT:
        memcpy(&number, take(in, sizeof number), sizeof number);
        lua_pushnumber(L, number);
        break;
    case STRING:
        push_string(L, in);
        break;
    case NULL_:
        lua_pushlightuserdata(L, NULL);
        break;
    case TABLE:
    case ARRAY:
    case OBJECT:
        push_table(L, in, tag);
        break;
    }
    return true;
}

void cla_plain_push(lua_State *L, struct cla_slice bytes)
{
    (void)push_value(L, &bytes);
}

/* --- Numbers. --- */

bool cla_plain_read_number(struct cla_slice bytes, struct cla_plain_number *number)
{
    if (bytes.n != CLA_PLAIN_NUMBER_BYTES || (bytes.p[0] != INTEGER && bytes.p[0] != FLOAT))
        return false;
    number->is_integer = bytes.p[0] == INTEGER;
    if (number->is_integer)
        memcpy(&number->integer, bytes.p + 1, sizeof number->integer);
    else
        memcpy(&number->number, bytes.p + 1, sizeof number->number);
    return true;
}

void cla_plain_write_number(const struct cla_plain_number *number, char *bytes)
{
    bytes[0] = number->is_integer ? INTEGER : FLOAT;
    if (number->is_integer)
        memcpy(bytes + 1, &number->integer, sizeof number->integer);
    else
        memcpy(bytes + 1, &number->number, sizeof number->number);
}
