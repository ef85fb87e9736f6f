/* Happy path: a task of the call that has ended closes its coroutines one by one, newest first, as
 * clean-up that may await.
 * Failure modes: an error in a to-be-closed variable is logged, and the next one is closed; no
 * memory for the task, or it is given up: they are closed without awaiting.
 * On close: the call is released after the task that closes. */
#include "task/coro_end.h"

#include <lauxlib.h>

#include "task/preempt.h"

/* Closes 'coro', which is not active, without awaiting. */
static void give_up(struct cla_coro *coro)
{
    lua_State *L = coro->sched->L, *co = coro->L;

    if (!lua_checkstack(L, 2) || !lua_checkstack(co, 1)) {
        cla_coro_forget(coro);
        return;
    }
    cla_coro_push(L, co);
    cla_preempt_confine(co);
    (void)cla_coro_reset(co, L);
    cla_preempt_set_free(co);
    lua_settop(co, 0);
    lua_pop(L, 1);
}

/* But for those in use: a subtask may run one while others of its call are given up. */
static void give_up_all(struct cla_stack *coros)
{
    struct cla_stack in_use = {NULL};
    struct cla_stack_link *link;

    while ((link = cla_stack_pop(coros)) != NULL) {
        struct cla_coro *coro = CLA_CONTAINER(link, struct cla_coro, link);

        if (coro->task != NULL)
            cla_stack_push(&in_use, link);
        else
            give_up(coro);
    }
    while ((link = cla_stack_pop(&in_use)) != NULL)
        cla_stack_push(coros, link);
}

static void give_to(struct cla_coro *coro, struct cla_task *owner)
{
    coro->owner = owner;
    cla_stack_remove(&coro->link);
    cla_stack_push(&owner->coros, &coro->link);
}

/* What has not begun belongs to the task that begins it, if any does; what is active elsewhere
 * belongs from now on to the task that runs it. */
static void hand_over(struct cla_task *task)
{
    CLA_STACK_EACH (link, &task->coros) {
        struct cla_coro *coro = CLA_CONTAINER(link, struct cla_coro, link);
        struct cla_task *runs = coro->task;

        while (runs != NULL && runs->parent != NULL)
            runs = runs->parent;
        if (runs != NULL && runs != task) {
            give_to(coro, runs);
        } else if (runs == NULL && lua_status(coro->L) == LUA_OK) {
            coro->orphan = true;
            give_to(coro, task->sched->nobody);
        }
    }
}

void cla_coro_end_now(struct cla_task *task)
{
    struct cla_coro *coro;

    while ((coro = cla_coro_innermost(task)) != NULL) {
        task->running = cla_coro_around(coro);
        coro->task = NULL;
        give_up(coro);
    }
    hand_over(task);
    give_up_all(&task->coros);
}

/* The first that is not in use, or NULL. */
static struct cla_coro *first_of(const struct cla_task *owner)
{
    CLA_STACK_EACH (link, &owner->coros) {
        struct cla_coro *coro = CLA_CONTAINER(link, struct cla_coro, link);

        if (coro->task == NULL)
            return coro;
    }
    return NULL;
}

/* The next to close: what was collected, then, if the owner has ended, all that it has left; NULL:
 * there is none. */
static struct cla_coro *next_of(const struct cla_task *closer)
{
    const struct cla_task *owner = closer->owner;
    struct cla_coro *coro = first_of(closer);

    return coro == NULL && owner->state == CLA_TASK_ENDED ? first_of(owner) : coro;
}

/* Stack of the closing task: the coroutine, then an error, or the results of close(). */
static void note_closed(lua_State *L, struct cla_task *owner, bool failed)
{
    struct cla_coro *coro = cla_coro_of(lua_tothread(L, 1));

    if ((failed || !lua_toboolean(L, 2)) && cla_scope_at(L, -1) == NULL) {
        owner->sched->counters.cleanup_errors++;
        cla_log_line(owner->sched->log, CLA_LOG_ERROR,
                     "error while closing a coroutine that a call has abandoned: %s",
                     luaL_tolstring(L, -1, NULL));
    }
    if (coro != NULL)
        give_up(coro);
}

static int close_next_k(lua_State *L, int status, lua_KContext context);

static int close_each(lua_State *L, struct cla_task *closer)
{
    struct cla_task *owner = closer->owner;
    struct cla_coro *coro;
    int status;

    while ((coro = next_of(closer)) != NULL) {
        lua_settop(L, 0);
        cla_coro_push(L, coro->L);
        lua_pushcfunction(L, cla_coro_close);
        lua_pushvalue(L, 1);
        status = lua_pcallk(L, 1, LUA_MULTRET, 0, (lua_KContext)closer, close_next_k);
        note_closed(L, owner, status != LUA_OK);
    }
    owner->closer = NULL;
    return 0;
}

static int close_next_k(lua_State *L, int status, lua_KContext context)
{
    struct cla_task *closer = (struct cla_task *)context;

    note_closed(L, closer->owner, status != LUA_YIELD);
    return close_each(L, closer);
}

static int l_close_each(lua_State *L)
{
    return close_each(L, lua_touserdata(L, 1));
}

static int close_enter(struct cla_task *task, lua_State *L)
{
    lua_pushcfunction(L, l_close_each);
    lua_pushlightuserdata(L, task);
    return 1;
}

static void close_leave(struct cla_task *task, lua_State *L, int status, int first)
{
    (void)task, (void)L, (void)status, (void)first;
}

static void close_end(struct cla_task *task, enum cla_task_end end)
{
    struct cla_task *owner = task->owner;

    (void)end;
    if (owner->closer != task)
        return; /* done */
    owner->closer = NULL;
    give_up_all(&task->coros);
    if (owner->state == CLA_TASK_ENDED) {
        hand_over(owner);
        give_up_all(&owner->coros);
    }
}

static const struct cla_task_ops close_ops = {
    .enter = close_enter,
    .leave = close_leave,
    .on_end = close_end,
    .is_cleanup = true,
};

/* The task that closes what 'owner' has abandoned; NULL: out of memory. */
static struct cla_task *closer_of(struct cla_task *owner)
{
    struct cla_task *task = owner->closer;

    if (task != NULL)
        return task;
    task = cla_task_get(owner->sched);
    if (task == NULL)
        return NULL;
    owner->closer = task;
    cla_task_start(task, &close_ops, owner, &owner->root, owner, CLA_NEVER);
    cla_scope_clean_up(&task->root);
    return task;
}

void cla_coro_end_all(struct cla_task *task)
{
    if (cla_stack_empty(&task->coros))
        return;
    hand_over(task);
    if (first_of(task) != NULL && closer_of(task) == NULL)
        give_up_all(&task->coros);
}

/* From the last on, so that the closer finds the first first. */
void cla_coro_end_collected(struct cla_sched *sched)
{
    while (!cla_list_empty(&sched->collected)) {
        struct cla_coro *coro = CLA_CONTAINER(sched->collected.prev, struct cla_coro, collected);
        struct cla_task *closer = closer_of(coro->owner);

        cla_list_remove(&coro->collected);
        if (closer != NULL)
            give_to(coro, closer);
        else
            give_up(coro);
    }
}
