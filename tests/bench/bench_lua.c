/* Runs a Lua workload in a plain state or in the runtime, to compare what they cost (costs.py).
 *
 *     bench_lua plain|cancela FILE N
 *
 * FILE returns a function, which is called with N: in the runtime as the body of a task. */
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bind/script.h"
#include "task/task.h"

struct run {
    const char *file;
    lua_Integer n;
    bool ended;
    int code;
};

static int push_workload(lua_State *L, const struct run *run)
{
    if (luaL_loadfile(L, run->file) != LUA_OK)
        return lua_error(L);
    lua_call(L, 0, 1);
    lua_pushinteger(L, run->n);
    return 1;
}

static void report(struct run *run, lua_State *L, int status)
{
    if (status != LUA_OK)
        fprintf(stderr, "bench_lua: %s\n", luaL_tolstring(L, -1, NULL));
    run->code = status == LUA_OK ? 0 : 1;
}

/* --- A plain state. --- */

static int l_plain(lua_State *L)
{
    const struct run *run = lua_touserdata(L, 1);

    luaL_openlibs(L);
    lua_call(L, push_workload(L, run), 0);
    return 0;
}

static void run_plain(struct run *run)
{
    lua_State *L = luaL_newstate();

    lua_pushcfunction(L, l_plain);
    lua_pushlightuserdata(L, run);
    report(run, L, lua_pcall(L, 1, 0, 0));
    lua_close(L);
}

/* --- The runtime. --- */

static int enter(struct cla_task *task, lua_State *L)
{
    return push_workload(L, task->owner);
}

static void leave(struct cla_task *task, lua_State *L, int status, int first)
{
    (void)first;
    report(task->owner, L, status);
}

static void on_end(struct cla_task *task, enum cla_task_end end)
{
    struct run *run = task->owner;

    run->ended = true;
    if (end != CLA_TASK_RAN)
        report(run, task->L, LUA_ERRRUN);
}

static const struct cla_task_ops ops = {.enter = enter, .leave = leave, .on_end = on_end};

static bool turn(void *arg)
{
    struct cla_script *script = arg;

    return cla_sched_run(&script->vm->sched);
}

static void run_in_runtime(struct run *run)
{
    struct cla_log log = {.fd = STDERR_FILENO, .level = CLA_LOG_WARN};
    struct cla_loop loop;
    const struct cla_script_options options = {
        .loop = &loop,
        .log = &log,
        .vm_memory = (size_t)1 << 30,
        .grace_ns = CLA_NS_PER_S,
        .load_timeout_ns = CLA_NS_PER_S,
        .json_depth = 128,
        .version = "0",
    };
    struct cla_script *script;
    struct cla_task *task;

    if (cla_loop_init(&loop) != 0 || cla_script_new(&script, &options) != 0 ||
        (task = cla_task_get(&script->vm->sched)) == NULL)
        abort();
    cla_loop_on_turn(&loop, turn, script);
    cla_task_start(task, &ops, run, NULL, NULL, CLA_NEVER);
    while (!run->ended)
        cla_loop_step(&loop, false);
    cla_script_free(script);
    cla_loop_fini(&loop);
}

int main(int argc, char **argv)
{
    struct run run = {.code = 2};

    if (argc != 4) {
        fprintf(stderr, "usage: bench_lua plain|cancela FILE N\n");
        return 2;
    }
    run.file = argv[2];
    run.n = atoll(argv[3]);
    if (strcmp(argv[1], "plain") == 0)
        run_plain(&run);
    else
        run_in_runtime(&run);
    return run.code;
}
