#include "bind/testing_run.h"

#include <lauxlib.h>
#include <stdio.h>

#include "bind/testing.h"
#include "task/await.h"
#include "task/watchdog.h"

#define DAY_NS (24 * 3600 * CLA_NS_PER_S)

struct run {
    int argc;
    char **argv;
    int code;
    bool ended;
};

static char run_key; /* registry key of the run of specs */

static int exit_k(lua_State *L, int status, lua_KContext context)
{
    (void)status, (void)context;
    cla_await_end(L);
    return 0;
}

int cla_testing_exit(lua_State *L)
{
    int code = (int)luaL_checkinteger(L, 1);
    struct run *run;

    lua_rawgetp(L, LUA_REGISTRYINDEX, &run_key);
    run = lua_touserdata(L, -1);
    if (!run->ended)
        run->code = code;
    run->ended = true;
    return cla_await_sleep(L, cla_await_check(L), CLA_NEVER, exit_k);
}

static int run_enter(struct cla_task *task, lua_State *L)
{
    struct run *run = task->owner;

    lua_pushlightuserdata(L, run);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &run_key);
    lua_getglobal(L, "require");
    lua_pushliteral(L, "cancela.testing.runner");
    lua_call(L, 1, 1);
    lua_createtable(L, run->argc, 0);
    for (int i = 0; i < run->argc; i++) {
        lua_pushstring(L, run->argv[i]);
        lua_rawseti(L, -2, i);
    }
    return 1;
}

static void run_leave(struct cla_task *task, lua_State *L, int status, int first)
{
    struct run *run = task->owner;

    if (status == LUA_OK)
        run->code = (int)lua_tointeger(L, first);
    else
        fprintf(stderr, "cancela test: %s\n", luaL_tolstring(L, -1, NULL));
}

static void run_end(struct cla_task *task, enum cla_task_end end)
{
    struct run *run = task->owner;

    run->ended = true;
    if (end == CLA_TASK_BROKE)
        fprintf(stderr, "cancela test: %s\n", lua_tostring(task->L, -1));
}

static const struct cla_task_ops run_ops = {
    .enter = run_enter,
    .leave = run_leave,
    .unlimited = true, /* specs may compute as they like */
    .on_end = run_end,
};

/* Prints where every task waits: what a person needs to find out why nothing goes on. */
static void print_tasks(struct cla_sched *sched)
{
    char where[128];

    CLA_LIST_EACH (link, &sched->tasks) {
        cla_task_where(CLA_CONTAINER(link, struct cla_task, all), where, sizeof where);
        fprintf(stderr, "  a task waits at %s\n", where);
    }
}

static const char *overran(const struct cla_loop *loop, uint64_t began_ns)
{
    return loop->is_virtual && loop->virtual_ns - began_ns > DAY_NS
               ? "the specs ran past 24 hours of virtual time"
               : NULL;
}

static const char *stuck(const struct cla_loop *loop, bool busy)
{
    if (!busy && loop->timers.active == 0 && loop->pending == 0 && !uv_loop_alive(&loop->uv))
        return "every task waits for something that will never happen";
    return NULL;
}

static bool turn(void *arg)
{
    struct cla_script *script = arg;
    bool more = cla_sched_run(&script->vm->sched) != CLA_SCHED_NOTHING;

    cla_vm_relieve(script->vm);
    return more;
}

int cla_testing_run(struct cla_script *script, int argc, char **argv)
{
    struct cla_sched *sched = &script->vm->sched;
    struct cla_loop *loop = sched->loop;
    struct run run = {.argc = argc, .argv = argv, .code = 1};
    struct cla_task *task = cla_task_get(sched);
    uint64_t began_ns = cla_loop_now_ns(loop);
    const char *why = NULL;
    bool busy = true;

    if (task == NULL)
        return 1;
    cla_loop_on_turn(loop, turn, script);
    if (script->watchdog != NULL)
        cla_watchdog_watch(script->watchdog, sched);
    cla_task_start(task, &run_ops, &run, NULL, NULL, CLA_NEVER);
    while (!run.ended && why == NULL) {
        busy = cla_loop_step(loop, !busy);
        why = overran(loop, began_ns);
        if (why == NULL && !run.ended)
            why = stuck(loop, busy);
    }
    if (why != NULL) {
        fprintf(stderr, "cancela test: %s\n", why);
        print_tasks(sched);
        run.code = 1;
    }
    cla_sched_abandon(sched);
    cla_watchdog_forget(sched);
    return run.code;
}
