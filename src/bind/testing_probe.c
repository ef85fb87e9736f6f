#include "bind/testing_probe.h"

#include <lauxlib.h>

#include "bind/call.h"
#include "bind/token.h"
#include "task/task.h"

static enum cla_cancel_kind check_kind(lua_State *L, int index)
{
    const char *name = luaL_checkstring(L, index);

    for (int kind = CLA_CANCEL_NONE + 1; kind < CLA_CANCEL_KINDS; kind++) {
        if (strcmp(name, cla_cancel_kind_name((enum cla_cancel_kind)kind)) == 0)
            return (enum cla_cancel_kind)kind;
    }
    luaL_argerror(L, index, "there is no such kind of cancel");
    __builtin_unreachable();
}

/* cancel(call, kind, message): as the gateway cancels a call from outside. */
static int l_cancel(lua_State *L)
{
    struct cla_call *call = cla_call_at(L, 1);
    enum cla_cancel_kind kind = check_kind(L, 2);
    struct cla_slice message = {0};

    message.p = luaL_optlstring(L, 3, "", &message.n);
    if (call != NULL)
        cla_call_cancel(call, kind, message);
    return 0;
}

static lua_Integer length(const struct cla_link *list)
{
    lua_Integer n = 0;

    CLA_LIST_EACH (link, list) {
        n++;
    }
    return n;
}

/* inside(token) -> how many nodes of others are in its lists. */
static int l_inside(lua_State *L)
{
    const struct cla_scope *scope = cla_token_check(L, 1);
    const struct cla_token *token = &scope->token;

    lua_pushinteger(L, length(&token->children) + length(&token->registrations) +
                           length(&token->links) + length(&token->followers) +
                           length(&scope->waiters));
    return 1;
}

static lua_Integer count_timers(const struct cla_timer *timer)
{
    lua_Integer n = 0;

    for (; timer != NULL; timer = timer->next)
        n += 1 + count_timers(timer->child);
    return n;
}

/* References in the registry, but for those of idle tasks: each has one, and one of its root. What
 * is free there is a number. */
static lua_Integer count_refs(lua_State *L)
{
    lua_Integer n = 0;

    for (lua_Integer i = 1; i <= (lua_Integer)lua_rawlen(L, LUA_REGISTRYINDEX); i++) {
        n += lua_rawgeti(L, LUA_REGISTRYINDEX, i) != LUA_TNUMBER;
        lua_pop(L, 1);
    }
    return n - 2 * (lua_Integer)cla_sched_of(L)->pooled;
}

static void set(lua_State *L, const char *name, lua_Integer value)
{
    lua_pushinteger(L, value);
    lua_setfield(L, -2, name);
}

/* left() -> { tasks, timers, refs } that there are, of whoever. */
static int l_left(lua_State *L)
{
    const struct cla_sched *sched = cla_sched_of(L);

    lua_createtable(L, 0, 3);
    set(L, "tasks", sched->live);
    set(L, "timers", count_timers(sched->loop->timers.root));
    set(L, "refs", count_refs(L));
    return 1;
}

/* quiet(): nothing is logged any more, for tests that fail on purpose thousands of times. */
static int l_quiet(lua_State *L)
{
    cla_sched_of(L)->log->level = CLA_LOG_OFF;
    return 0;
}

static const luaL_Reg functions[] = {
    {"cancel", l_cancel}, {"inside", l_inside}, {"left", l_left}, {"quiet", l_quiet}, {NULL, NULL},
};

void cla_testing_probe_functions(lua_State *L)
{
    luaL_setfuncs(L, functions, 0);
}
