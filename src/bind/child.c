/* Happy path: the body runs in a task of its own; its results go into the handle, and who awaits it
 * is woken.
 * Failure modes: its error is kept as it was raised, with its traceback beside it; a Cancel of a
 * scope around it makes it CANCELLED, which is no error.
 * On release: the handle no longer refers to the task. */
#include "bind/child.h"

#include <lauxlib.h>

#include "bind/error.h"
#include "bind/reason.h"

#define TYPE "cancela.Task"

struct cla_child *cla_child_at(lua_State *L, int at)
{
    return luaL_testudata(L, at, TYPE);
}

/* --- The task. --- */

static void push_handle(lua_State *L, const struct cla_child *child)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, child->ref);
}

static int enter(struct cla_task *task, lua_State *L)
{
    const struct cla_child *child = task->owner;
    int count, table;

    push_handle(L, child);
    lua_getiuservalue(L, -1, CLA_CHILD_VALUE);
    lua_remove(L, -2);
    table = lua_gettop(L);
    lua_rawgeti(L, table, 0);
    count = (int)lua_tointeger(L, -1);
    lua_pop(L, 1);
    luaL_checkstack(L, count + 4, "too many arguments");
    for (int i = 1; i <= count; i++)
        lua_rawgeti(L, table, i);
    lua_remove(L, table);
    push_handle(L, child);
    lua_pushnil(L);
    lua_setiuservalue(L, -2, CLA_CHILD_VALUE);
    lua_pop(L, 1);
    return count - 1;
}

/* Packs the 'count' values on top of the stack into a table, in place 0 how many. */
static void pack(lua_State *L, int count)
{
    lua_createtable(L, count, 1);
    lua_insert(L, -count - 1);
    for (int i = count; i > 0; i--)
        lua_rawseti(L, -i - 1, i);
    lua_pushinteger(L, count);
    lua_rawseti(L, -2, 0);
}

/* True if the value on top is the Cancel of a scope that is open around the task. */
static bool is_cancelled(lua_State *L, const struct cla_task *task)
{
    const struct cla_scope *scope = cla_scope_at(L, -1);

    if (scope == NULL || !scope->open)
        return false;
    for (const struct cla_scope *s = &task->root; s != NULL; s = cla_scope_outer(s)) {
        if (s == scope)
            return true;
    }
    return false;
}

static void set_cancelled(struct cla_child *child)
{
    child->state = CLA_CHILD_CANCELLED;
    child->reason = cla_reason_share(&child->task->root.token.reason);
    child->by_itself = child->task->root.due;
}

/* The value on top becomes the handle's. */
static void keep(lua_State *L, const struct cla_child *child, int place)
{
    push_handle(L, child);
    lua_insert(L, -2);
    lua_setiuservalue(L, -2, place);
    lua_pop(L, 1);
}

static void end(struct cla_child *child)
{
    struct cla_op *op;

    while ((op = cla_op_first(&child->waiting)) != NULL)
        cla_op_complete(op);
    if (child->events->on_end != NULL)
        child->events->on_end(child);
}

static void leave(struct cla_task *task, lua_State *L, int status, int first)
{
    struct cla_child *child = task->owner;
    int results = lua_gettop(L) - first + 1;

    luaL_checkstack(L, 4, NULL);
    if (status == LUA_OK) {
        pack(L, results);
        keep(L, child, CLA_CHILD_VALUE);
        child->results = results;
        child->state = CLA_CHILD_DONE;
    } else if (is_cancelled(L, task)) {
        set_cancelled(child);
    } else {
        cla_task_push_traceback(L, lua_gettop(L));
        keep(L, child, CLA_CHILD_TRACE);
        keep(L, child, CLA_CHILD_VALUE);
        child->state = CLA_CHILD_FAILED;
    }
    end(child);
}

/* It raised outside of its body: its error, if it has one, is on top of its stack. */
static void set_broken(struct cla_task *task, struct cla_child *child)
{
    child->state = CLA_CHILD_FAILED;
    if (lua_gettop(task->L) == 0)
        return;
    lua_pushvalue(task->L, -1);
    keep(task->L, child, CLA_CHILD_VALUE);
}

static void on_end(struct cla_task *task, enum cla_task_end how)
{
    struct cla_child *child = task->owner;

    if (child->state != CLA_CHILD_RUNNING || !lua_checkstack(task->L, 8))
        return;
    if (how == CLA_TASK_BROKE)
        set_broken(task, child);
    else
        set_cancelled(child);
    end(child);
}

static void on_release(struct cla_task *task)
{
    struct cla_child *child = task->owner;
    int ref = child->ref;

    child->task = NULL;
    child->ref = LUA_NOREF;
    child->events->on_release(child);
    luaL_unref(task->sched->L, LUA_REGISTRYINDEX, ref);
}

static const struct cla_task_ops task_ops = {
    .enter = enter,
    .leave = leave,
    .on_end = on_end,
    .on_release = on_release,
    .passes_errors = true,
};

bool cla_child_is(const struct cla_task *task, const struct cla_child_events *events)
{
    return task->ops == &task_ops && ((const struct cla_child *)task->owner)->events == events;
}

struct cla_child *cla_child_start(lua_State *L, int arguments, struct cla_scope *outer,
                                  struct cla_task *parent, uint64_t deadline_ns, int owner_at,
                                  const struct cla_child_events *events)
{
    struct cla_child *child;

    pack(L, arguments + 1);
    child = lua_newuserdatauv(L, sizeof *child, 3);
    *child = (struct cla_child){.events = events, .ref = LUA_NOREF};
    cla_list_init(&child->waiting);
    luaL_setmetatable(L, TYPE);
    lua_insert(L, -2);
    lua_setiuservalue(L, -2, CLA_CHILD_VALUE);
    if (owner_at != 0) {
        child->owner = lua_touserdata(L, owner_at);
        lua_pushvalue(L, owner_at);
        lua_setiuservalue(L, -2, CLA_CHILD_OWNER);
    }
    lua_pushvalue(L, -1);
    child->ref = luaL_ref(L, LUA_REGISTRYINDEX);
    child->task = cla_task_get(cla_sched_of(L));
    if (child->task == NULL) {
        luaL_unref(L, LUA_REGISTRYINDEX, child->ref);
        luaL_error(L, "not enough memory for a task (vm_memory sets the limit)");
    }
    cla_task_start(child->task, &task_ops, child, outer, parent, deadline_ns);
    return child;
}

/* --- Its results. --- */

static _Noreturn void raise_cancelled(lua_State *L, const struct cla_child *child)
{
    cla_error_push(L, CLA_CODE_CANCELED, "the task was cancelled");
    lua_pushliteral(L, "cancelled");
    lua_setfield(L, -2, "kind");
    cla_reason_push(L, &child->reason);
    lua_setfield(L, -2, "reason");
    lua_error(L);
    __builtin_unreachable();
}

int cla_child_push_results(lua_State *L, int at)
{
    const struct cla_child *child = cla_child_at(L, at);

    if (child->state == CLA_CHILD_CANCELLED)
        raise_cancelled(L, child);
    luaL_checkstack(L, child->results + 4, "too many results");
    if (child->state == CLA_CHILD_FAILED) {
        lua_getiuservalue(L, at, CLA_CHILD_TRACE);
        cla_task_set_traceback(L);
        lua_getiuservalue(L, at, CLA_CHILD_VALUE);
        return lua_error(L);
    }
    lua_getiuservalue(L, at, CLA_CHILD_VALUE);
    for (int i = 1; i <= child->results; i++)
        lua_rawgeti(L, -i, i);
    lua_remove(L, -child->results - 1);
    return child->results;
}

void cla_child_log(lua_State *L, const char *what)
{
    if (lua_getiuservalue(L, -1, CLA_CHILD_TRACE) == LUA_TNIL) {
        lua_pop(L, 1);
        lua_getiuservalue(L, -1, CLA_CHILD_VALUE);
    }
    cla_log_line(cla_sched_of(L)->log, CLA_LOG_ERROR, "%s: %s", what, cla_error_push_text(L, -1));
    lua_pop(L, 2);
}

/* --- await --- */

static bool await_begin(lua_State *L, struct cla_op *op, int at)
{
    const struct cla_child *child = op->object;

    (void)at;
    if (child->task != NULL && child->task == cla_sched_of(L)->current)
        luaL_error(L, "a task cannot await itself");
    return child->state != CLA_CHILD_RUNNING;
}

static void await_enqueue(struct cla_op *op)
{
    cla_list_push(&((struct cla_child *)op->object)->waiting, &op->link);
}

static int await_push(lua_State *L, struct cla_op *op, int at)
{
    int results;

    (void)op;
    lua_getiuservalue(L, at, CLA_OP_OBJECT);
    results = cla_child_push_results(L, lua_gettop(L));
    lua_remove(L, -results - 1);
    return results;
}

static const struct cla_op_ops await_ops = {
    .begin = await_begin,
    .enqueue = await_enqueue,
    .push = await_push,
};

static int l_await_op(lua_State *L)
{
    (void)cla_op_push_new(L, &await_ops, sizeof(struct cla_op), 1, luaL_checkudata(L, 1, TYPE));
    return 1;
}

/* await() -> what the function returns. Awaits. */
static int l_await(lua_State *L)
{
    (void)l_await_op(L);
    return cla_op_await(L);
}

/* cancel(reason) -> whether this did it. */
static int l_cancel(lua_State *L)
{
    struct cla_child *child = luaL_checkudata(L, 1, TYPE);
    struct cla_slice message = cla_reason_arg(L, 2);

    lua_pushboolean(L, child->state == CLA_CHILD_RUNNING &&
                           cla_scope_cancel(&child->task->root, CLA_CANCEL_USER, message));
    return 1;
}

static int l_gc(lua_State *L)
{
    struct cla_child *child = luaL_checkudata(L, 1, TYPE);

    cla_reason_fini(&child->reason);
    return 0;
}

static const luaL_Reg methods[] = {
    {"await", l_await},
    {"await_op", l_await_op},
    {"cancel", l_cancel},
    {NULL, NULL},
};

void cla_child_setup(lua_State *L)
{
    luaL_newmetatable(L, TYPE);
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, l_gc);
    lua_setfield(L, -2, "__gc");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
}
