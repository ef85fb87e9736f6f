#include "bind/response_fields.h"

#include <lauxlib.h>

#include "base/error.h"
#include "http/token.h"

/* What the gateway writes itself. */
static const struct {
    struct cla_slice name;
    const char *remedy;
} own[] = {
    {{"content-length", 14}, "it follows from the body"},
    {{"transfer-encoding", 17}, "give a function as the body to send it in pieces"},
    {{"connection", 10}, "the gateway decides about the connection"},
    {{"keep-alive", 10}, "the gateway decides about the connection"},
    {{"proxy-connection", 16}, "the gateway decides about the connection"},
    {{"upgrade", 7}, "WebSocket handlers stand in 'sockets'"},
    {{"trailer", 7}, "there are no trailers"},
    {{"te", 2}, "it is a header of requests"},
    {{"date", 4}, "the gateway writes it"},
    {{"access-control-allow-origin", 27}, "list the pages in the setting 'origins'"},
};

static int refuse(lua_State *L, struct cla_slice name, const char *why)
{
    lua_pushlstring(L, name.p, name.n);
    return luaL_error(L, "response.headers['%s']: %s", lua_tostring(L, -1), why);
}

static bool is_token(struct cla_slice name)
{
    for (size_t i = 0; i < name.n; i++) {
        if (!cla_http_is_token_char(name.p[i]))
            return false;
    }
    return name.n > 0;
}

static void check_name(lua_State *L, struct cla_slice name)
{
    if (!is_token(name))
        refuse(L, name, "a name holds letters, digits and -._~!#$%&'*+^`| only");
    for (size_t i = 0; i < CLA_ARRAY_LEN(own); i++) {
        if (cla_slice_eq_nocase(own[i].name, name)) {
            lua_pushfstring(L, "is the gateway's own: %s", own[i].remedy);
            refuse(L, name, lua_tostring(L, -1));
        }
    }
}

/* RFC 9110 section 5.5: anything else could end the field, and begin another. */
static void check_value(lua_State *L, struct cla_slice name, struct cla_slice value)
{
    for (size_t i = 0; i < value.n; i++) {
        unsigned char c = (unsigned char)value.p[i];

        if ((c < ' ' && c != '\t') || c == 0x7f)
            refuse(L, name, "the value holds a line break or another control character");
    }
}

/* The value on top of the stack. */
static void add_value(lua_State *L, struct cla_plain *plain, struct cla_slice name)
{
    struct cla_slice value;
    int rc;

    if (lua_type(L, -1) != LUA_TSTRING && !lua_isinteger(L, -1)) {
        lua_pushfstring(L, "must be a string, an integer, or a list of these, not a %s",
                        luaL_typename(L, -1));
        refuse(L, name, lua_tostring(L, -1));
    }
    lua_pushvalue(L, -1); /* lua_tolstring changes numbers in place */
    value.p = lua_tolstring(L, -1, &value.n);
    check_value(L, name, value);
    if (!cla_slice_eq_nocase(name, CLA_LIT("content-type")))
        rc = cla_buf_printf(&plain->fields, "%.*s: %.*s\r\n", (int)name.n, name.p, (int)value.n,
                            value.p);
    else if (plain->type.n > 0)
        rc = refuse(L, name, "there is one Content-Type only");
    else
        rc = cla_plain_set_type(plain, value);
    if (rc != 0)
        luaL_error(L, "out of memory");
    lua_pop(L, 1);
}

static void add_list(lua_State *L, struct cla_plain *plain, struct cla_slice name)
{
    lua_Integer count = (lua_Integer)lua_rawlen(L, -1);

    for (lua_Integer i = 1; i <= count; i++) {
        lua_rawgeti(L, -1, i);
        add_value(L, plain, name);
        lua_pop(L, 1);
    }
}

void cla_response_fields_read(lua_State *L, struct cla_plain *plain)
{
    struct cla_slice name;

    if (!lua_istable(L, -1))
        luaL_error(L, "response.headers must be a table, not a %s", luaL_typename(L, -1));
    luaL_checkstack(L, 8, NULL);
    for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING)
            luaL_error(L,
                       "response.headers: the names are strings: ['Location'] = '/', not a list");
        name.p = lua_tolstring(L, -2, &name.n);
        check_name(L, name);
        if (lua_istable(L, -1))
            add_list(L, plain, name);
        else
            add_value(L, plain, name);
    }
}
