#include "bind/headers.h"

#include <lauxlib.h>
#include <string.h>

#include "base/buf.h"
#include "http/url.h"

static void push_slice(lua_State *L, struct cla_slice s)
{
    lua_pushlstring(L, s.p, s.n);
}

static void push_lower(lua_State *L, struct cla_slice s)
{
    luaL_Buffer buffer;
    char *to = luaL_buffinitsize(L, &buffer, s.n);

    for (size_t i = 0; i < s.n; i++)
        to[i] = s.p[i] >= 'A' && s.p[i] <= 'Z' ? (char)(s.p[i] + 'a' - 'A') : s.p[i];
    luaL_pushresultsize(&buffer, s.n);
}

void cla_headers_push(lua_State *L, struct cla_slice head)
{
    struct cla_slice line, name;

    lua_newtable(L);
    (void)cla_slice_next(&head, '\n', &line); /* the request line */
    while (cla_slice_next(&head, '\n', &line)) {
        if (line.n > 0 && line.p[line.n - 1] == '\r')
            line.n--;
        if (!cla_slice_next(&line, ':', &name) || name.n == 0)
            continue;
        push_lower(L, name);
        lua_pushvalue(L, -1);
        if (lua_rawget(L, -3) == LUA_TSTRING) {
            lua_pushliteral(L, ", ");
            push_slice(L, cla_slice_trim(line));
            lua_concat(L, 3);
        } else {
            lua_pop(L, 1);
            push_slice(L, cla_slice_trim(line));
        }
        lua_rawset(L, -3);
    }
}

/* Decoding makes no text longer: Lua's own buffer holds it. */
void cla_headers_push_decoded(lua_State *L, struct cla_slice text)
{
    luaL_Buffer buffer;
    char *room = luaL_buffinitsize(L, &buffer, text.n);
    struct cla_buf out = {.p = room, .cap = text.n};

    if (cla_http_percent_decode(&out, text) != 0) {
        memcpy(room, text.p, text.n);
        out.n = text.n;
    }
    luaL_pushresultsize(&buffer, out.n);
}

/* A plus is a space: forms and URLSearchParams write it so. */
void cla_headers_push_form(lua_State *L, struct cla_slice text)
{
    luaL_Buffer buffer;
    char *to;

    if (text.n == 0 || memchr(text.p, '+', text.n) == NULL) {
        cla_headers_push_decoded(L, text);
        return;
    }
    to = luaL_buffinitsize(L, &buffer, text.n);
    for (size_t i = 0; i < text.n; i++)
        to[i] = text.p[i] == '+' ? ' ' : text.p[i];
    luaL_pushresultsize(&buffer, text.n);
    cla_headers_push_decoded(L, cla_slice(lua_tostring(L, -1), text.n));
    lua_remove(L, -2);
}

void cla_headers_push_query(lua_State *L, struct cla_slice query)
{
    struct cla_slice name, value;

    lua_newtable(L);
    while (cla_http_query_next(&query, &name, &value)) {
        cla_headers_push_form(L, name);
        cla_headers_push_form(L, value);
        lua_rawset(L, -3);
    }
}

void cla_headers_push_certificate(lua_State *L, const struct cla_certificate *certificate)
{
    if (certificate == NULL) {
        lua_pushnil(L);
        return;
    }
    lua_createtable(L, 0, 4);
    lua_pushstring(L, certificate->subject);
    lua_setfield(L, -2, "subject");
    lua_pushstring(L, certificate->issuer);
    lua_setfield(L, -2, "issuer");
    lua_pushstring(L, certificate->serial);
    lua_setfield(L, -2, "serial");
    lua_pushstring(L, certificate->fingerprint);
    lua_setfield(L, -2, "fingerprint");
}
