/* Happy path: begin says no, enqueue, the task waits; another task or a timer completes one, the
 * task runs and pushes what that one gives. Or it is nudged, runs, polls, and perhaps waits on.
 * Failure modes: the wait is cancelled: all are withdrawn. One was done already when the cancel
 * came: it is delivered, or given back, as its kind says.
 * On close: a task that is abandoned withdraws as a cancelled one does. */
#include "task/op.h"

#include <lauxlib.h>

#define TYPE "cancela.Operation"

void cla_op_setup(lua_State *L)
{
    luaL_newmetatable(L, TYPE);
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
}

struct cla_op *cla_op_push_new(lua_State *L, const struct cla_op_ops *ops, size_t bytes,
                               int object_at, void *object)
{
    struct cla_op *op = lua_newuserdatauv(L, bytes, CLA_OP_VALUES);

    memset(op, 0, bytes);
    op->ops = ops;
    op->object = object;
    op->ref = LUA_NOREF;
    cla_list_init(&op->link);
    cla_list_init(&op->in_wait);
    cla_list_init(&op->own.ops);
    luaL_setmetatable(L, TYPE);
    if (object_at != 0) {
        lua_pushvalue(L, object_at);
        lua_setiuservalue(L, -2, CLA_OP_OBJECT);
    }
    return op;
}

void cla_op_push(lua_State *L, const struct cla_op *op)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, op->ref);
}

static struct cla_op *in_wait(struct cla_link *link)
{
    return CLA_CONTAINER(link, struct cla_op, in_wait);
}

static void withdraw_all(struct cla_op_wait *wait)
{
    struct cla_link *link;

    while ((link = cla_list_pop(&wait->ops)) != NULL) {
        struct cla_op *op = in_wait(link);

        if (op->ops->withdraw != NULL)
            op->ops->withdraw(op);
        cla_list_remove(&op->link);
        luaL_unref(wait->task->sched->L, LUA_REGISTRYINDEX, op->ref);
        op->ref = LUA_NOREF;
        op->wait = NULL;
    }
}

static enum cla_wait_cancel cancel_wait(struct cla_task *task)
{
    withdraw_all(task->wait);
    return CLA_WAIT_CANCELLED;
}

void cla_op_complete(struct cla_op *op)
{
    struct cla_op_wait *wait = op->wait;

    wait->done = op;
    withdraw_all(wait);
    cla_task_wake(wait->task);
}

void cla_op_nudge(struct cla_op *op)
{
    struct cla_op_wait *wait = op->wait;

    if (wait == NULL)
        return;
    wait->nudged = true;
    if (wait->task->state != CLA_TASK_WAITING)
        return;
    wait->task->nudged = true;
    cla_task_wake(wait->task);
}

void cla_op_expire(struct cla_op *op)
{
    struct cla_op_wait *wait = op->wait;
    uint64_t now = cla_sched_now_ns(wait->task->sched);

    CLA_LIST_EACH (link, &wait->ops) {
        struct cla_op *other = in_wait(link);

        if (other->ops->expire != NULL && other->ops->expire(other, now)) {
            cla_op_complete(other);
            return;
        }
    }
}

/* --- Awaiting. --- */

static struct cla_op *op_at(lua_State *L, int at)
{
    struct cla_op *op = lua_touserdata(L, at);

    CLA_PRE(op != NULL);
    return op;
}

static int push_results(lua_State *L, struct cla_op_wait *wait)
{
    struct cla_op *op = wait->done;
    int at = op->at;

    luaL_checkstack(L, 4, NULL);
    if (!wait->select)
        return op->ops->push(L, op, at);
    lua_pushinteger(L, at - wait->first + 1);
    return 1 + op->ops->push(L, op, at);
}

/* Polling one may complete another, as the end of a socket cancels its handler's token: then all
 * are withdrawn. */
static struct cla_op *poll_once(const struct cla_op_wait *wait)
{
    CLA_LIST_EACH (link, &wait->ops) {
        struct cla_op *op = in_wait(link);

        if (op->ops->poll != NULL && op->ops->poll(op))
            return op;
        if (wait->done != NULL)
            break;
    }
    return wait->done;
}

/* Looks for an operation that can be done now, if one was nudged. */
static bool poll_all(struct cla_op_wait *wait)
{
    while (wait->nudged && wait->done == NULL) {
        wait->nudged = false; /* until the end of one makes another possible */
        wait->done = poll_once(wait);
    }
    if (wait->done == NULL)
        return false;
    withdraw_all(wait);
    return true;
}

static int await_k(lua_State *L, int status, lua_KContext context);

static int wait_on(lua_State *L, struct cla_op_wait *wait)
{
    return cla_await_with(L, wait->task, cancel_wait, wait, await_k, (lua_KContext)wait);
}

/* A cancel that came since the nudge did not find the task waiting. */
static void check_cancelled(lua_State *L, struct cla_op_wait *wait)
{
    struct cla_scope *scope = cla_scope_to_raise(wait->task);

    if (scope == NULL)
        return;
    withdraw_all(wait);
    wait->task->sched->counters.cancelled_waits++;
    cla_scope_raise(L, scope);
}

static int await_k(lua_State *L, int status, lua_KContext context)
{
    struct cla_op_wait *wait = (struct cla_op_wait *)context;
    struct cla_task *task = cla_await_end(L);
    struct cla_scope *scope;

    (void)status;
    task->nudged = false;
    if (wait->done == NULL && !poll_all(wait)) {
        check_cancelled(L, wait);
        return wait_on(L, wait);
    }
    if (wait->done->ops->give_back != NULL && (scope = cla_scope_to_raise(task)) != NULL) {
        wait->done->ops->give_back(wait->done);
        cla_scope_raise(L, scope);
    }
    return push_results(L, wait);
}

/* Takes the references first: only that may raise. */
static void enqueue_all(lua_State *L, struct cla_op_wait *wait, int count)
{
    for (int at = wait->first; at < wait->first + count; at++) {
        lua_pushvalue(L, at);
        op_at(L, at)->ref = luaL_ref(L, LUA_REGISTRYINDEX);
    }
    for (int at = wait->first; at < wait->first + count; at++) {
        struct cla_op *op = op_at(L, at);

        op->wait = wait;
        cla_list_push(&wait->ops, &op->in_wait);
        op->ops->enqueue(op);
    }
}

/* Awaits 'count' operations from stack index 'first' on. */
static int await(lua_State *L, int first, int count, bool select)
{
    struct cla_task *task = cla_await_check(L);
    struct cla_op_wait *wait = &op_at(L, first)->own;

    wait->task = task;
    wait->done = NULL;
    wait->first = first;
    wait->nudged = false;
    wait->select = select;
    for (int at = first; at < first + count; at++) {
        struct cla_op *op = op_at(L, at);

        op->at = at;
        op->result = 0;
        if (op->ops->begin(L, op, at)) {
            wait->done = op;
            return push_results(L, wait);
        }
    }
    enqueue_all(L, wait, count);
    return poll_all(wait) ? push_results(L, wait) : wait_on(L, wait);
}

int cla_op_await(lua_State *L)
{
    return await(L, lua_gettop(L), 1, false);
}

static void check_free(lua_State *L, int count)
{
    for (int i = 1; i <= count; i++) {
        const struct cla_op *op = luaL_testudata(L, i + 1, TYPE);

        if (op == NULL) {
            luaL_error(L, "bad argument #1 to 'select' (element %d is no operation but a %s)", i,
                       luaL_typename(L, i + 1));
            return;
        }
        if (op->wait != NULL)
            luaL_error(
                L, "bad argument #1 to 'select' (element %d is being awaited by another task)", i);
        for (int other = 1; other < i; other++) {
            if (lua_rawequal(L, i + 1, other + 1))
                luaL_error(L, "bad argument #1 to 'select' (elements %d and %d are the same)",
                           other, i);
        }
    }
}

int cla_op_select(lua_State *L)
{
    lua_Integer count;

    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    count = luaL_len(L, 1);
    if (count < 1 || count > CLA_OP_SELECT_MAX)
        return luaL_error(L, "bad argument #1 to 'select' (1 to %d operations expected, got %I)",
                          CLA_OP_SELECT_MAX, count);
    luaL_checkstack(L, (int)count + 8, NULL);
    for (int i = 1; i <= (int)count; i++)
        lua_geti(L, 1, i);
    check_free(L, (int)count);
    return await(L, 2, (int)count, true);
}
