#include "bind/stats.h"

#include <lauxlib.h>

#include "task/sched.h"

static void set(lua_State *L, const char *name, uint64_t value)
{
    lua_pushinteger(L, (lua_Integer)value);
    lua_setfield(L, -2, name);
}

static void push_cancelled(lua_State *L, const struct cla_sched_counters *counters)
{
    lua_createtable(L, 0, CLA_CANCEL_KINDS);
    for (int kind = CLA_CANCEL_NONE + 1; kind < CLA_CANCEL_KINDS; kind++)
        set(L, cla_cancel_kind_name((enum cla_cancel_kind)kind), counters->cancelled[kind]);
    lua_setfield(L, -2, "cancelled");
}

int cla_stats_read(lua_State *L)
{
    const struct cla_sched *sched = cla_sched_of(L);

    lua_createtable(L, 0, 16);
    set(L, "tasks", sched->live);
    set(L, "memory_bytes", sched->memory != NULL ? *sched->memory : 0);
#define X(name, doc) set(L, #name, sched->counters.name);
    CLA_SCHED_COUNTERS(X)
#undef X
    push_cancelled(L, &sched->counters);
    return 1;
}
