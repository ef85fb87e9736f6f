/* Happy path: the body runs in the task that opened the group, its subtasks beside it; when it has
 * returned the task waits for the last of them.
 * Failure modes: the first error, of the body or a subtask, cancels the group's scope, and is
 * raised when all have ended; later ones are logged. A cancel from outside reaches body and
 * subtasks alike, and the group still waits for them: their grace limits that. On close: the scope
 * is closed only when no subtask is left.
 *
 * all and race are groups whose body starts the functions and returns their handles. */
#include "bind/group.h"

#include <lauxlib.h>

#include "bind/args.h"
#include "bind/child.h"
#include "bind/error.h"

#define TYPE "cancela.Group"

enum { SCOPE = 1, FIRST = 2, GROUP_VALUES = 2 }; /* user values: the scope; who failed first */

/* The stack of the task that opened it, while the group is open. */
enum { AT_HANDLER = 1, AT_GROUP = 2, AT_RESULTS = 3 };

struct group {
    struct cla_scope *scope; /* NULL once over; its task is the one that runs the body */
    int (*finish)(lua_State *L, struct group *group);
    unsigned live;    /* subtasks that are not released */
    bool is_race;     /* the first to end decides */
    bool waiting;     /* the task waits for subtasks */
    bool failed;      /* a subtask failed first: its handle is in FIRST */
    bool body_failed; /* the body did, and its error is on top of the task's stack */
    bool interrupted; /* a cancel from outside ended a subtask */
    bool decided;     /* of a race: errors no longer matter */
};

static struct cla_sched *sched_of(const struct group *group)
{
    return group->scope->task->sched;
}

static void wake(struct group *group)
{
    if (group->waiting)
        cla_task_wake(group->scope->task);
}

static void cancel(struct group *group, enum cla_cancel_kind kind)
{
    if (group->scope != NULL)
        cla_scope_cancel(group->scope, kind, cla_slice(NULL, 0));
}

/* --- Subtasks. --- */

static void log_late(lua_State *L, struct group *group)
{
    sched_of(group)->counters.late_errors++;
    cla_child_log(L, "error in a subtask whose group had ended already");
}

static void push_child(lua_State *L, const struct cla_child *child)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, child->ref);
}

/* The first to fail; the Lua calls here allocate nothing. */
static void fail(struct group *group, const struct cla_child *child)
{
    lua_State *L = child->task->L;

    group->failed = true;
    push_child(L, child);
    lua_getiuservalue(L, -1, CLA_CHILD_OWNER);
    lua_insert(L, -2);
    lua_setiuservalue(L, -2, FIRST);
    lua_pop(L, 1);
    cancel(group, CLA_CANCEL_PARENT_FAILED);
}

static void child_end(struct cla_child *child)
{
    struct group *group = child->owner;
    bool late = group->failed || group->body_failed || group->decided;

    if (group->is_race)
        wake(group);
    if (child->state == CLA_CHILD_CANCELLED)
        group->interrupted |= !child->by_itself;
    if (child->state != CLA_CHILD_FAILED || (group->is_race && !late))
        return;
    if (!late) {
        fail(group, child);
    } else if (sched_of(group)->current == child->task) {
        push_child(child->task->L, child);
        log_late(child->task->L, group);
    }
}

static void child_release(struct cla_child *child)
{
    struct group *group = child->owner;

    group->live--;
    if (group->live == 0)
        wake(group);
}

static const struct cla_child_events child_events = {
    .on_end = child_end,
    .on_release = child_release,
};

/* g:spawn(f, …) -> handle */
static int l_spawn(lua_State *L)
{
    struct group *group = luaL_checkudata(L, 1, TYPE);
    struct cla_scope *scope;

    cla_args_function(L, 2);
    if (group->scope == NULL || !group->scope->open)
        return luaL_error(L, "cannot spawn: the group is over");
    scope = cla_scope_refuses(group->scope);
    if (scope != NULL)
        cla_scope_raise(L, scope);
    (void)cla_child_start(L, lua_gettop(L) - 2, group->scope, group->scope->task, CLA_NEVER, 1,
                          &child_events);
    group->live++;
    return 1;
}

/* The body of all and race: (g, f1, …) -> handle 1, … */
static int l_spawn_all(lua_State *L)
{
    int count = lua_gettop(L) - 1;

    for (int at = 2; at <= count + 1; at++) {
        lua_pushcfunction(L, l_spawn);
        lua_pushvalue(L, 1);
        lua_pushvalue(L, at);
        lua_call(L, 2, 1);
        lua_replace(L, at);
    }
    return count;
}

/* --- The end. --- */

static void close_group(struct group *group)
{
    cla_scope_close(group->scope);
    group->scope = NULL;
}

static int raise_first(lua_State *L)
{
    lua_getiuservalue(L, AT_GROUP, FIRST);
    return cla_child_push_results(L, lua_gettop(L));
}

/* The error on top is the same as that of the subtask that failed first: the body awaited it. */
static bool is_first(lua_State *L)
{
    bool same;

    lua_getiuservalue(L, AT_GROUP, FIRST);
    lua_getiuservalue(L, -1, CLA_CHILD_VALUE);
    same = lua_rawequal(L, -1, -3);
    lua_pop(L, 2);
    return same;
}

/* The group's own Cancel in the body is not an error of the body. */
static void body_raised(lua_State *L, struct group *group)
{
    const struct cla_scope *cancelled = cla_scope_at(L, -1);

    if (cancelled == group->scope && group->failed)
        return;
    if (!group->failed || (cancelled != NULL && cancelled->open)) {
        group->body_failed = true;
        cancel(group, CLA_CANCEL_PARENT_FAILED);
    } else if (!is_first(L)) {
        sched_of(group)->counters.late_errors++;
        cla_log_line(sched_of(group)->log, CLA_LOG_ERROR,
                     "error in a group after a subtask had failed: %s", cla_error_push_text(L, -1));
        lua_pop(L, 1);
    }
}

static int finish(lua_State *L, struct group *group)
{
    const struct cla_task *task = group->scope->task;
    struct cla_scope *scope;

    close_group(group);
    if (group->body_failed)
        return lua_error(L);
    if (group->failed)
        return raise_first(L);
    scope = group->interrupted ? cla_scope_to_raise(task) : NULL;
    if (scope != NULL)
        cla_scope_raise(L, scope);
    return group->finish(L, group);
}

/* Subtasks are waited for whatever happens; the cancel reaches them too. */
static enum cla_wait_cancel cancel_join(struct cla_task *task)
{
    (void)task;
    return CLA_WAIT_PENDING;
}

static int join_k(lua_State *L, int status, lua_KContext context);

static int join(lua_State *L, struct group *group)
{
    if (group->live == 0)
        return finish(L, group);
    group->waiting = true;
    return cla_await_with(L, group->scope->task, cancel_join, group, join_k, (lua_KContext)group);
}

/* --- group --- */

static int finish_group(lua_State *L, struct group *group)
{
    (void)group;
    return lua_gettop(L) - AT_RESULTS + 1;
}

/* --- all --- */

static int finish_all(lua_State *L, struct group *group)
{
    int last = lua_gettop(L);

    (void)group;
    for (int at = AT_RESULTS; at <= last; at++) {
        (void)cla_child_push_results(L, at);
        lua_settop(L, last + 1);
        lua_replace(L, at);
        lua_settop(L, last);
    }
    return last - AT_RESULTS + 1;
}

/* --- race --- */

/* The first of the arguments that has ended; 0: none has. */
static int winner(lua_State *L)
{
    for (int at = AT_RESULTS; at <= lua_gettop(L); at++) {
        if (cla_child_at(L, at)->state != CLA_CHILD_RUNNING)
            return at;
    }
    return 0;
}

/* Errors of losers that ended in the same turn as the winner. */
static void log_losers(lua_State *L, struct group *group, int won)
{
    for (int at = AT_RESULTS; at <= lua_gettop(L); at++) {
        if (at == won || cla_child_at(L, at)->state != CLA_CHILD_FAILED)
            continue;
        lua_pushvalue(L, at);
        log_late(L, group);
        lua_pop(L, 1);
    }
}

/* The stack becomes: handler, group, place of the winner, its handle. */
static void decide(lua_State *L, struct group *group)
{
    int won = group->decided ? 0 : winner(L);

    if (won == 0)
        return;
    group->decided = true;
    log_losers(L, group, won);
    lua_pushinteger(L, won - AT_RESULTS + 1);
    lua_insert(L, AT_RESULTS);
    lua_pushvalue(L, won + 1);
    lua_insert(L, AT_RESULTS + 1);
    lua_settop(L, AT_RESULTS + 1);
    cancel(group, CLA_CANCEL_LOST_RACE);
}

static int finish_race(lua_State *L, struct group *group)
{
    int results = cla_child_push_results(L, AT_RESULTS + 1);

    (void)group;
    lua_pushvalue(L, AT_RESULTS);
    lua_insert(L, -results - 1);
    return results + 1;
}

static int join_k(lua_State *L, int status, lua_KContext context)
{
    struct group *group = (struct group *)context;

    (void)status;
    group->waiting = false;
    (void)cla_await_end(L);
    if (group->is_race && !group->body_failed)
        decide(L, group);
    return join(L, group);
}

/* --- Opening. --- */

static int body_k(lua_State *L, int status, lua_KContext context)
{
    struct group *group = (struct group *)context;

    if (status != LUA_OK && status != LUA_YIELD)
        body_raised(L, group);
    return join(L, group);
}

static struct group *push_group(lua_State *L, struct cla_task *task)
{
    struct group *group = lua_newuserdatauv(L, sizeof *group, GROUP_VALUES);

    *group = (struct group){.scope = NULL};
    luaL_setmetatable(L, TYPE);
    group->scope = cla_scope_enter(L, task, CLA_NEVER);
    group->scope->is_group = true;
    cla_scope_push(L, group->scope);
    lua_setiuservalue(L, -2, SCOPE);
    return group;
}

/* Runs the function at 1 as the body of a group, with the group and what is above as arguments. */
static int run(lua_State *L, int (*finish_x)(lua_State *L, struct group *group), bool is_race)
{
    struct cla_task *task = cla_await_check(L);
    struct group *group;
    int arguments = lua_gettop(L);

    luaL_checkstack(L, 8, NULL);
    group = push_group(L, task);
    group->finish = finish_x;
    group->is_race = is_race;
    lua_insert(L, 1);
    lua_pushvalue(L, 1);
    lua_insert(L, 3);
    lua_pushcfunction(L, cla_task_traceback);
    lua_insert(L, AT_HANDLER); /* handler, group, body, group, arguments */
    return body_k(L, lua_pcallk(L, arguments, LUA_MULTRET, AT_HANDLER, (lua_KContext)group, body_k),
                  (lua_KContext)group);
}

/* group(function(g) … end) -> what the function returns. Awaits. */
static int l_group(lua_State *L)
{
    cla_args_function(L, 1);
    lua_settop(L, 1);
    return run(L, finish_group, false);
}

static void check_functions(lua_State *L)
{
    for (int at = 1; at <= lua_gettop(L); at++)
        cla_args_function(L, at);
    lua_pushcfunction(L, l_spawn_all);
    lua_insert(L, 1);
}

/* all(f1, …) -> the first result of each. Awaits. */
static int l_all(lua_State *L)
{
    check_functions(L);
    return run(L, finish_all, false);
}

/* race(f1, …) -> index, results of the first to end. Awaits. */
static int l_race(lua_State *L)
{
    luaL_argcheck(L, lua_gettop(L) > 0, 1, "a race of nobody would never end");
    check_functions(L);
    return run(L, finish_race, true);
}

static const luaL_Reg functions[] = {
    {"group", l_group},
    {"all", l_all},
    {"race", l_race},
    {NULL, NULL},
};

void cla_group_functions(lua_State *L)
{
    luaL_setfuncs(L, functions, 0);
    cla_child_setup(L);
    luaL_newmetatable(L, TYPE);
    lua_newtable(L);
    lua_pushcfunction(L, l_spawn);
    lua_setfield(L, -2, "spawn");
    lua_setfield(L, -2, "__index");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
}
