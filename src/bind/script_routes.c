#include "bind/script_routes.h"

#include <lauxlib.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/mem.h"
#include "bind/script_sockets.h"

void cla_script_forget_routes(struct cla_script *script)
{
    for (size_t i = 0; i < script->route_count; i++) {
        cla_script_drop_procedure(&script->routes[i].procedure, script->vm->L);
        cla_pattern_fini(&script->routes[i].pattern);
    }
    cla_mem_free(script->routes);
    cla_mem_free(script->patterns);
    script->routes = NULL;
    script->patterns = NULL;
    script->route_count = 0;
}

const struct cla_procedure *cla_script_find_route(const struct cla_script *script,
                                                  enum cla_http_method method,
                                                  struct cla_slice path, unsigned *methods)
{
    const struct cla_pattern *pattern =
        cla_pattern_find(script->patterns, script->route_count, method, path, methods);

    if (pattern == NULL)
        return NULL;
    return &CLA_CONTAINER(pattern, const struct cla_script_route, pattern)->procedure.base;
}

static int refuse(lua_State *L, const struct cla_script_route *route, const char *why)
{
    return luaL_error(L, "routes['%s']: %s", route->procedure.base.name.p, why);
}

/* Paths that never come here. */
static void check_free(const struct cla_script *script, lua_State *L,
                       const struct cla_script_route *route)
{
    const struct cla_pattern *pattern = &route->pattern;
    const struct cla_pattern_segment *first = &pattern->segments[0];
    bool literal = first->kind == CLA_PATTERN_LITERAL;

    if (literal && cla_slice_eq(first->text, CLA_LIT("rpc")))
        refuse(L, route, "/rpc is the path of procedures: choose another");
    if (literal && pattern->count == 1 && cla_slice_eq(first->text, CLA_LIT("socket")))
        refuse(L, route, "/socket is the path of binary frames: choose another");
    for (size_t i = 0; i < script->socket_count; i++) {
        struct cla_slice path = script->sockets[i].base.path;

        for (size_t k = 0; k < pattern->count; k++)
            literal &= pattern->segments[k].kind == CLA_PATTERN_LITERAL;
        if (literal && cla_pattern_matches(pattern, path))
            refuse(L, route,
                   "a handler of 'sockets' has this path: choose another for one of them");
    }
}

/* Takes the route on top of the stack, checked by Lua. */
static void take_one(struct cla_script *script, lua_State *L)
{
    struct cla_script_route *route = &script->routes[script->route_count];
    const char *why;
    int rc;

    route->procedure.fn = LUA_NOREF;
    script->route_count++;
    cla_script_take_procedure(&route->procedure, L);
    route->procedure.is_route = true;
    rc = cla_pattern_read(&route->pattern, route->procedure.base.name, &why);
    if (rc != 0)
        refuse(L, route, rc == -CLA_EINVAL ? why : "out of memory");
    check_free(script, L, route);
}

static int compare(const void *a, const void *b)
{
    const struct cla_script_route *left = a, *right = b;

    return cla_pattern_compare(&left->pattern, &right->pattern);
}

static void sort(struct cla_script *script, lua_State *L)
{
    struct cla_script_route *routes = script->routes;

    qsort(routes, script->route_count, sizeof *routes, compare);
    for (size_t i = 0; i < script->route_count; i++) {
        script->patterns[i] = &routes[i].pattern;
        if (i > 0 && compare(&routes[i - 1], &routes[i]) == 0)
            luaL_error(L, "routes['%s'] and routes['%s'] take the same requests: remove one",
                       routes[i - 1].procedure.base.name.p, routes[i].procedure.base.name.p);
    }
}

void cla_script_take_routes(struct cla_script *script, lua_State *L)
{
    size_t count, room;

    cla_script_forget_routes(script);
    lua_getfield(L, -1, "routes");
    count = (size_t)lua_rawlen(L, -1);
    room = count > 0 ? count : 1;
    script->routes = cla_mem_zalloc(room * sizeof *script->routes);
    script->patterns = cla_mem_zalloc(room * sizeof(void *));
    if (script->routes == NULL || script->patterns == NULL) {
        luaL_error(L, "out of memory for %d routes", (int)count);
        return;
    }
    cla_script_take_each(script, L, take_one);
    sort(script, L);
}
