#include "bind/testing_probe.h"

#include <lauxlib.h>

#include "bind/call.h"
#include "bind/token.h"
#include "task/preempt.h"
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

static lua_Integer height(const struct cla_stack *stack)
{
    lua_Integer n = 0;

    CLA_STACK_EACH (link, stack) {
        n++;
    }
    return n;
}

static lua_Integer waiters(const struct cla_scope *scope)
{
    lua_Integer n = 0;

    CLA_STACK_EACH (link, &scope->dependents) {
        n += CLA_CONTAINER(link, struct cla_dependent, link)->waits;
    }
    return n;
}

/* inside(token) -> how many nodes of others are in its lists. */
static int l_inside(lua_State *L)
{
    const struct cla_scope *scope = cla_token_check(L, 1);
    const struct cla_token *token = &scope->token;

    lua_pushinteger(L, height(&token->children) + height(&token->registrations) +
                           height(&token->links) + waiters(scope));
    return 1;
}

/* References in the registry, but for those of idle tasks and of scopes that are kept. What is free
 * there is a number. */
static lua_Integer count_refs(lua_State *L)
{
    const struct cla_sched *sched = cla_sched_of(L);
    lua_Integer n = 0;

    for (lua_Integer i = 1; i <= (lua_Integer)lua_rawlen(L, LUA_REGISTRYINDEX); i++) {
        n += lua_rawgeti(L, LUA_REGISTRYINDEX, i) != LUA_TNUMBER;
        lua_pop(L, 1);
    }
    return n - (lua_Integer)sched->pooled - (lua_Integer)sched->scopes_kept;
}

static void set(lua_State *L, const char *name, lua_Integer value)
{
    lua_pushinteger(L, value);
    lua_setfield(L, -2, name);
}

/* left() -> { tasks, timers, refs } that there are, of whoever, and how many tasks were given_up.
 */
static int l_left(lua_State *L)
{
    const struct cla_sched *sched = cla_sched_of(L);

    lua_createtable(L, 0, 4);
    set(L, "tasks", sched->live);
    set(L, "given_up", (lua_Integer)sched->counters.given_up);
    set(L, "timers", (lua_Integer)sched->loop->timers.active);
    set(L, "refs", count_refs(L));
    return 1;
}

/* quiet(): nothing is logged any more, for tests that fail on purpose thousands of times. */
static int l_quiet(lua_State *L)
{
    cla_sched_of(L)->log->level = CLA_LOG_OFF;
    return 0;
}

/* compute(seconds, preemptible): what runs has computed for so long, and its slice ends with the
 * next instruction, at which others may run if it is 'preemptible'. Time passes, as it does while
 * code computes, but none has to be waited for. */
static int l_compute(lua_State *L)
{
    struct cla_sched *sched = cla_sched_of(L);
    uint64_t ns = cla_clock_from_seconds(luaL_checknumber(L, 1));

    if (sched->current == NULL)
        return luaL_error(L, "compute: no task runs");
    sched->loop->virtual_ns += ns;
    sched->current->preemptible = lua_toboolean(L, 2);
    cla_preempt_pretend(sched->current, ns);
    return 0;
}

/* computed(): from here on it has computed for no time. */
static int l_computed(lua_State *L)
{
    struct cla_task *task = cla_sched_of(L)->current;

    if (task != NULL) { /* else it is given up just now */
        task->computed_ns = 0;
        task->preemptible = false;
    }
    return 0;
}

static int entered_k(lua_State *L, int status, lua_KContext context)
{
    (void)L, (void)status, (void)context;
    return 0;
}

/* Upvalues: a function, and a table that counts in 'entered' how often it was called. No hook can
 * come before it has counted. */
static int counted(lua_State *L)
{
    lua_getfield(L, lua_upvalueindex(2), "entered");
    lua_pushinteger(L, lua_tointeger(L, -1) + 1);
    lua_setfield(L, lua_upvalueindex(2), "entered");
    lua_pop(L, 1);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_callk(L, lua_gettop(L) - 1, 0, 0, entered_k);
    return 0;
}

/* count(fn, table) -> fn, but counted in the table. */
static int l_count(lua_State *L)
{
    lua_settop(L, 2);
    lua_pushcclosure(L, counted, 2);
    return 1;
}

static const luaL_Reg functions[] = {
    {"cancel", l_cancel},   {"inside", l_inside},     {"left", l_left},   {"quiet", l_quiet},
    {"compute", l_compute}, {"computed", l_computed}, {"count", l_count}, {NULL, NULL},
};

void cla_testing_probe_functions(lua_State *L)
{
    luaL_setfuncs(L, functions, 0);
}
