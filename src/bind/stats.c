#include "bind/stats.h"

#include <lauxlib.h>

#include "bind/script.h"
#include "gateway/topics.h"

static void set(lua_State *L, const char *name, uint64_t value)
{
    lua_pushinteger(L, (lua_Integer)value);
    lua_setfield(L, -2, name);
}

static void set_by_kind(lua_State *L, const char *name, const uint64_t *counts)
{
    lua_createtable(L, 0, CLA_CANCEL_KINDS);
    for (int kind = CLA_CANCEL_NONE + 1; kind < CLA_CANCEL_KINDS; kind++)
        set(L, cla_cancel_kind_name((enum cla_cancel_kind)kind), counts[kind]);
    lua_setfield(L, -2, name);
}

/* Buckets are cumulative, as monitoring systems want them. The one without a bound is the count:
 * JSON has no infinity, and stats() is to be a result. */
static void set_histogram(lua_State *L, const char *name, const struct cla_histogram *histogram)
{
    uint64_t count = 0;

    lua_createtable(L, 0, 3);
    lua_createtable(L, CLA_HISTOGRAM_BOUNDS, 0);
    for (int at = 0; at < CLA_HISTOGRAM_BOUNDS; at++) {
        count += histogram->counts[at];
        lua_createtable(L, 0, 2);
        lua_pushnumber(L, (double)cla_histogram_bound_ns(at) / CLA_NS_PER_S);
        lua_setfield(L, -2, "le");
        set(L, "count", count);
        lua_rawseti(L, -2, at + 1);
    }
    lua_setfield(L, -2, "buckets");
    set(L, "count", count + histogram->counts[CLA_HISTOGRAM_BOUNDS]);
    lua_pushnumber(L, (double)histogram->sum_ns / CLA_NS_PER_S);
    lua_setfield(L, -2, "sum");
    lua_setfield(L, -2, name);
}

/* Where there are no clients nothing is counted. */
static void set_topics(lua_State *L, const struct cla_topics *topics)
{
    static const struct cla_topics_counters none;
    const struct cla_topics_counters *counters = topics != NULL ? &topics->counters : &none;

#define X(name, doc) set(L, #name, counters->name);
    CLA_TOPICS_COUNTERS(X)
#undef X
}

int cla_stats_read(lua_State *L)
{
    const struct cla_sched *sched = cla_sched_of(L);

    lua_createtable(L, 0, 16);
    set(L, "tasks", sched->live);
    set(L, "memory_bytes", sched->memory != NULL ? *sched->memory : 0);
    set(L, "late_resets", cla_script_of(L)->app.late_resets);
#define X(name, doc) set(L, #name, sched->counters.name);
    CLA_SCHED_COUNTERS(X)
#undef X
    set_topics(L, cla_script_of(L)->app.topics);
    set_by_kind(L, "cancelled", sched->counters.cancelled);
    set_by_kind(L, "late_cancels", sched->counters.late_cancels);
    set_histogram(L, "cancel_latency", &sched->counters.cancel_latency);
    return 1;
}

void cla_stats_count(struct cla_app *app, struct cla_app_counts *sum)
{
    const struct cla_script *script = CLA_CONTAINER(app, struct cla_script, app);
    const struct cla_sched_counters *own = &script->vm->sched.counters;

    sum->preemptions += own->slices;
    sum->cuts += own->cuts;
    sum->holds += own->holds;
    sum->grace_exceeded += own->grace_exceeded;
    sum->given_up += own->given_up;
    sum->cleanup_errors += own->cleanup_errors;
    sum->ignored_cancels += own->ignored_cancels;
    sum->late_resets += app->late_resets;
    cla_histogram_merge(&sum->cancel_latency, &own->cancel_latency);
}
