/* Happy path: get, start, resume until the body returns, leave, on_end, release.
 * Failure modes: cancelled before it entered Lua: skipped; an error outside the body's protected
 * call (no memory for its arguments, a result that cannot be taken): broke. Neither reaches the
 * scheduler.
 * On release: the root scope closes when the body and every child are over; a coroutine that ended
 * in an error is reset; it gets another task if scripts may still hold this one, as a Cancel. */
#include "task/task.h"

#include <lauxlib.h>
#include <stdio.h>

#include "task/compat.h"
#include "task/coro_end.h"
#include "task/preempt.h"

/* Idle tasks kept; what is above is freed on release. */
#define POOL_MAX 1024
#define HANDLER 1 /* stack index of the message handler in the boot frame */

static char trace_key; /* registry key: {message -> traceback} of the error under way */

int cla_task_traceback(lua_State *L)
{
    if (lua_type(L, 1) != LUA_TSTRING)
        return 1; /* a Cancel, or a typed error: the object itself says it all */
    luaL_traceback(L, L, lua_tostring(L, 1), 1);
    cla_task_set_traceback(L);
    return 1;
}

/* True if the traceback that was remembered last is of the error at 'index', a string. */
static bool remembered(lua_State *L, int index)
{
    size_t n;
    const char *message = lua_tolstring(L, index, &n), *trace;
    bool found;

    found = lua_rawgetp(L, LUA_REGISTRYINDEX, &trace_key) == LUA_TSTRING;
    trace = lua_tostring(L, -1);
    found = found && strncmp(trace, message, n) == 0;
    lua_pop(L, 1);
    return found;
}

/* The boot frame's handler. Leaves the error as it is: to-be-closed variables are to see it so. */
static int handle_error(lua_State *L)
{
    if (lua_type(L, 1) == LUA_TSTRING && remembered(L, 1))
        return 1;
    return cla_task_traceback(L);
}

void cla_task_push_traceback(lua_State *L, int index)
{
    if (lua_type(L, index) == LUA_TSTRING && remembered(L, index))
        lua_rawgetp(L, LUA_REGISTRYINDEX, &trace_key);
    else
        lua_pushnil(L);
}

void cla_task_set_traceback(lua_State *L)
{
    cla_sched_of(L)->traced = true;
    lua_rawsetp(L, LUA_REGISTRYINDEX, &trace_key);
}

/* Puts the traceback of the error on top, if it is a string, in its place. */
static void append_traceback(lua_State *L)
{
    if (!cla_sched_of(L)->traced)
        return;
    if (lua_type(L, -1) == LUA_TSTRING && remembered(L, -1)) {
        lua_rawgetp(L, LUA_REGISTRYINDEX, &trace_key);
        lua_replace(L, -2);
    }
    lua_pushnil(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &trace_key);
    cla_sched_of(L)->traced = false;
}

static int boot_k(lua_State *L, int status, lua_KContext context);
static int begin_k(lua_State *L, int status, lua_KContext context);

/* Whatever ended the wait, 'hold' looks at it again. */
static int held_k(lua_State *L, int status, lua_KContext context)
{
    struct cla_task *task = (struct cla_task *)context;

    (void)status;
    task->wait_cancel = NULL;
    task->withdrawn = false;
    return boot_k(L, LUA_OK, context);
}

static int hold(lua_State *L, struct cla_task *task, cla_wait_cancel_fn *cancel, lua_KFunction k)
{
    task->wait_cancel = cancel;
    task->state = CLA_TASK_WAITING;
    return lua_yieldk(L, 0, (lua_KContext)task, k);
}

static int boot_k(lua_State *L, int status, lua_KContext context)
{
    struct cla_task *task = (struct cla_task *)context;
    cla_wait_cancel_fn *cancel;

    if (status == LUA_YIELD)
        status = LUA_OK;
    if (status == LUA_OK && task->ops->hold != NULL && (cancel = task->ops->hold(task)) != NULL)
        return hold(L, task, cancel, held_k);
    if (status != LUA_OK && !task->ops->passes_errors)
        append_traceback(L);
    task->ops->leave(task, L, status, HANDLER + 1);
    lua_settop(L, 0);
    return 0;
}

/* What was cancelled before it began is over. */
static bool must_not_begin(const struct cla_task *task)
{
    return !task->ops->is_cleanup && cla_scope_to_raise(task) != NULL;
}

/* A task that was cancelled while it was held does not enter the script. */
static int begin(lua_State *L, struct cla_task *task)
{
    cla_wait_cancel_fn *cancel;
    int arguments;

    if (must_not_begin(task)) {
        task->sched->counters.skipped++;
        return 0;
    }
    if (task->ops->hold != NULL && (cancel = task->ops->hold(task)) != NULL)
        return hold(L, task, cancel, begin_k);
    task->begun = true;
    lua_pushcfunction(L, handle_error);
    arguments = task->ops->enter(task, L);
    return boot_k(L, lua_pcallk(L, arguments, LUA_MULTRET, HANDLER, (lua_KContext)task, boot_k),
                  (lua_KContext)task);
}

static int begin_k(lua_State *L, int status, lua_KContext context)
{
    struct cla_task *task = (struct cla_task *)context;

    (void)status;
    task->wait_cancel = NULL;
    task->withdrawn = false;
    return begin(L, task);
}

static int boot(lua_State *L)
{
    struct cla_task *task = lua_touserdata(L, 1);

    lua_settop(L, 0);
    return begin(L, task);
}

/* The timer of the root is for whichever comes first. It is started again when the task awaits. */
static void on_timer(struct cla_timer *timer)
{
    struct cla_task *task = CLA_CONTAINER(timer, struct cla_task, root.timer);
    uint64_t now = cla_sched_now_ns(task->sched), acts_ns = cla_scope_acts_ns(&task->root);
    uint64_t wakes_ns = cla_task_wakes_ns(task);

    if (task->root.grace_over || (acts_ns <= now && acts_ns <= wakes_ns)) {
        cla_scope_expire(&task->root);
    } else if (wakes_ns <= now) {
        task->sleeps = false;
        cla_task_wake(task);
    }
}

void cla_task_init(struct cla_task *task, struct cla_sched *sched)
{
    *task = (struct cla_task){.sched = sched};
    cla_list_init(&task->link);
    cla_list_init(&task->all);
}

/* Takes off a coroutine that does nothing, and makes a task of it. May raise. */
static struct cla_task *make(lua_State *L)
{
    struct cla_task *task = lua_newuserdatauv(L, sizeof *task, CLA_TASK_VALUES);

    cla_task_init(task, cla_sched_of(L));
    cla_scope_make(L);
    cla_timer_init(&task->root.timer, on_timer);
    lua_insert(L, -2);
    task->running = task->L = lua_tothread(L, -1);
    lua_setiuservalue(L, -2, CLA_TASK_THREAD);
    task->root.ref = luaL_ref(L, LUA_REGISTRYINDEX);
    return task;
}

struct cla_task *cla_task_new(lua_State *L)
{
    lua_State *co = lua_newthread(L);

    *(uintptr_t *)lua_getextraspace(co) |= CLA_SCHED_OF_TASK;
    return make(L);
}

/* The userdata may be held by scripts, as a Cancel, and has a finalizer: neither is to keep the
 * coroutine. */
static void let_thread_go(struct cla_task *task)
{
    lua_State *L = task->sched->L;

    if (!lua_checkstack(L, 3))
        return;
    cla_scope_push(L, &task->root);
    if (lua_getiuservalue(L, -1, CLA_SCOPE_TOKEN) == LUA_TUSERDATA) {
        lua_pushnil(L);
        lua_setiuservalue(L, -2, CLA_TOKEN_KEEPS);
    } else {
        lua_pushnil(L);
        lua_setiuservalue(L, -3, CLA_TASK_THREAD);
    }
    lua_pop(L, 2);
}

void cla_task_free(struct cla_task *task)
{
    let_thread_go(task);
    luaL_unref(task->sched->L, LUA_REGISTRYINDEX, task->root.ref); /* and with it the task itself */
}

static int l_new_task(lua_State *L)
{
    lua_pushlightuserdata(L, cla_task_new(L));
    return 1;
}

/* Calls 'function' with the task in protected mode; false: it raised, for want of memory. */
static bool protected(lua_State *L, lua_CFunction function, void *argument, int results)
{
    lua_pushcfunction(L, function);
    lua_pushlightuserdata(L, argument);
    if (lua_pcall(L, 1, results, 0) == LUA_OK)
        return true;
    lua_pop(L, 1);
    return false;
}

static struct cla_task *pooled(struct cla_sched *sched)
{
    struct cla_link *link = cla_list_pop(&sched->pool);

    if (link == NULL)
        return NULL;
    sched->pooled--;
    return CLA_CONTAINER(link, struct cla_task, link);
}

struct cla_task *cla_task_get(struct cla_sched *sched)
{
    struct cla_task *task = pooled(sched);

    if (task == NULL) {
        if (!lua_checkstack(sched->L, 4) || !protected(sched->L, l_new_task, NULL, 1))
            return NULL;
        task = lua_touserdata(sched->L, -1);
        lua_pop(sched->L, 1);
    }
    cla_list_push(&sched->tasks, &task->all);
    sched->live++;
    return task;
}

void cla_task_start(struct cla_task *task, const struct cla_task_ops *ops, void *owner,
                    struct cla_scope *outer, struct cla_task *parent, uint64_t deadline_ns)
{
    CLA_PRE(task->state == CLA_TASK_IDLE);
    task->ops = ops;
    task->owner = owner;
    task->serial = ++task->sched->serial;
    task->parent = parent;
    task->children = 0;
    task->charged = 0;
    task->cpu_ns = task->computed_ns = 0;
    task->manual = false;
    task->preemptible = parent != NULL && parent->preemptible;
    task->entered = task->begun = false;
    task->withdrawn = false;
    if (parent != NULL)
        parent->children++;
    cla_scope_open(&task->root, task, outer, deadline_ns);
    task->state = CLA_TASK_READY;
    cla_list_push(&task->sched->ready, &task->link);
}

static int l_renew(lua_State *L)
{
    struct cla_task *task = lua_touserdata(L, 1);

    cla_coro_push(L, task->L);
    lua_pushlightuserdata(L, make(L));
    return 1;
}

/* A task with the coroutine of one that scripts may still hold as a Cancel. NULL: out of memory. */
static struct cla_task *renew(struct cla_task *task)
{
    lua_State *L = task->sched->L;
    struct cla_task *other;

    if (!lua_checkstack(L, 4) || !protected(L, l_renew, task, 1))
        return NULL;
    other = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return other;
}

void cla_task_put(struct cla_task *task)
{
    struct cla_sched *sched = task->sched;
    struct cla_task *idle = task;

    task->state = CLA_TASK_IDLE;
    cla_list_remove(&task->all);
    sched->live--;
    if (sched->pooled >= POOL_MAX)
        idle = NULL;
    else if (task->root.exposed) /* while many end, that is not to take the time of the others */
        idle = cla_list_empty(&sched->unwinding) ? renew(task) : NULL;
    if (idle != task)
        cla_task_free(task);
    if (idle == NULL)
        return;
    cla_list_push_front(&sched->pool, &idle->link);
    sched->pooled++;
}

static void release(struct cla_task *task)
{
    while (task != NULL && task->state == CLA_TASK_ENDED && task->children == 0) {
        struct cla_task *parent = task->parent;

        cla_coro_end_all(task);
        if (task->children > 0)
            return; /* the one that closes what it has abandoned */
        cla_scope_close_root(&task->root);
        if (task->ops->on_release != NULL)
            task->ops->on_release(task);
        cla_task_put(task);
        if (parent != NULL)
            parent->children--;
        task = parent;
    }
}

/* Registrations of a body that is over never run. */
static void drop_registrations(struct cla_task *task)
{
    struct cla_registration *r;

    while ((r = cla_token_take(&task->root.token)) != NULL)
        task->sched->ops->drop(task->sched, r);
    while (!cla_stack_empty(&task->made)) {
        r = CLA_CONTAINER(task->made.first, struct cla_registration, made);
        cla_registration_remove(r);
        task->sched->ops->drop(task->sched, r);
    }
}

/* What goes on after the body has an end of its own: the deadline was the body's. */
static void drop_deadline(struct cla_task *task)
{
    if (!task->root.due)
        cla_timer_stop(&task->sched->loop->timers, &task->root.timer);
    else if (!task->root.grace_over)
        cla_scope_arm(&task->root);
}

void cla_task_adopt(struct cla_task *task, struct cla_registration *registration)
{
    CLA_PRE(registration->token != NULL);
    cla_stack_push(&task->made, &registration->made);
}

static void finish(struct cla_task *task, enum cla_task_end end)
{
    task->state = CLA_TASK_ENDED;
    if (task->children > 0 || !cla_stack_empty(&task->coros))
        cla_scope_leave(&task->root);
    if (task->scope != &task->root) {
        struct cla_scope *outermost = task->scope;

        while (cla_scope_outer(outermost) != &task->root)
            outermost = cla_scope_outer(outermost);
        if (task->children > 0)
            cla_scope_cancel(outermost, CLA_CANCEL_PARENT_FAILED, cla_slice(NULL, 0));
        cla_scope_close(outermost);
    }
    drop_registrations(task);
    drop_deadline(task);
    task->ops->on_end(task, end);
    if (end == CLA_TASK_ABANDONED)
        cla_coro_end_now(task);
    if (end == CLA_TASK_BROKE || end == CLA_TASK_ABANDONED) {
        cla_preempt_confine(task->L);
        cla_compat_close_thread(task->L, task->sched->L);
        cla_preempt_set_free(task->L);
    }
    lua_settop(task->L, 0);
    cla_coro_end_all(task);
    release(task);
}

/* The first resume passes the boot frame its task; later ones pass nothing. */
static int enter(struct cla_task *task)
{
    if (task->entered)
        return 0;
    task->entered = true;
    task->sched->counters.started++;
    lua_pushcfunction(task->L, boot);
    lua_pushlightuserdata(task->L, task);
    return 1;
}

/* Time in the queue counts: the timer of the root is started only by awaits. */
static void expire(struct cla_task *task)
{
    if (!cla_timer_active(&task->root.timer) && !task->root.grace_over &&
        cla_scope_acts_ns(&task->root) <= cla_sched_now_ns(task->sched))
        cla_scope_expire(&task->root);
}

/* Where a task goes whose slice is over. */
static void put_aside(struct cla_task *task)
{
    struct cla_sched *sched = task->sched;

    sched->sliced = true;
    if (task->preemptible)
        cla_list_push(&sched->computing, &task->link);
    else
        sched->held = task;
}

/* Runs the task's coroutine until it yields or ends; returns as lua_resume() does. */
static int run(struct cla_task *task)
{
    struct cla_sched *sched = task->sched;
    size_t before = sched->memory != NULL ? *sched->memory : 0;
    int results = 0, rc;

    sched->held = NULL;
    cla_preempt_begin(task);
    task->state = CLA_TASK_RUNNING;
    sched->current = task;
    rc = lua_resume(task->L, sched->L, enter(task), &results);
    sched->current = NULL;
    cla_preempt_end(task);
    if (sched->memory != NULL && *sched->memory > before)
        task->charged += *sched->memory - before;
    return rc;
}

void cla_task_resume(struct cla_task *task)
{
    struct cla_sched *sched = task->sched;
    int rc;

    CLA_PRE(task->state == CLA_TASK_READY || task->state == CLA_TASK_SLICED);
    CLA_PRE(sched->current == NULL);
    expire(task);
    if (!task->entered && must_not_begin(task)) {
        sched->counters.skipped++;
        finish(task, CLA_TASK_SKIPPED);
        return;
    }
    if (task->state == CLA_TASK_SLICED)
        cla_preempt_arm(task);
    rc = run(task);
    if (task->state != CLA_TASK_SLICED && !cla_list_empty(&sched->collected))
        cla_coro_end_collected(sched);
    if (rc != LUA_YIELD) {
        finish(task, rc == LUA_OK ? CLA_TASK_RAN : CLA_TASK_BROKE);
        return;
    }
    CLA_PRE(task->state != CLA_TASK_RUNNING); /* only awaits and slices yield to here */
    if (task->state == CLA_TASK_SLICED)
        put_aside(task);
    if (!task->root.grace_over)
        cla_scope_arm(&task->root);
}

bool cla_task_abandon(struct cla_task *task)
{
    if (task->state == CLA_TASK_ENDED)
        return false; /* its children go on */
    if ((task->state == CLA_TASK_WAITING || task->nudged) &&
        task->wait_cancel(task) == CLA_WAIT_PENDING)
        return false; /* its operation will come back to it */
    task->nudged = false;
    if (task->sched->held == task)
        task->sched->held = NULL;
    cla_list_remove(&task->link);
    task->sched->counters.given_up++;
    finish(task, CLA_TASK_ABANDONED);
    return true;
}

static bool is_inside(const struct cla_task *task, const struct cla_task *outer)
{
    while (task != NULL && task != outer)
        task = task->parent;
    return task != NULL;
}

/* Gives up the youngest task inside 'task' that can be; false: there is none. */
static bool abandon_inside(struct cla_task *task)
{
    struct cla_sched *sched = task->sched;

    for (struct cla_link *link = sched->tasks.prev; link != &sched->tasks; link = link->prev) {
        struct cla_task *inside = CLA_CONTAINER(link, struct cla_task, all);

        if (inside != task && is_inside(inside, task) && cla_task_abandon(inside))
            return true;
    }
    return false;
}

void cla_task_abandon_all(struct cla_task *task)
{
    task->children++; /* keeps it until this is done */
    while (task->children > 1 && abandon_inside(task)) {
    }
    task->children--;
    if (!cla_task_abandon(task))
        release(task);
}

void cla_task_wake(struct cla_task *task)
{
    if (task->state != CLA_TASK_WAITING)
        return;
    task->state = CLA_TASK_READY;
    cla_list_push(&task->sched->ready, &task->link);
}

void cla_task_interrupt(struct cla_task *task)
{
    struct cla_scope *scope = cla_scope_to_raise(task);

    if (scope == NULL)
        return;
    if (task->state == CLA_TASK_SLICED && task->preemptible) { /* it need not wait for its turn */
        cla_list_remove(&task->link);
        cla_list_push(&task->sched->unwinding, &task->link);
    }
    if (task->state != CLA_TASK_WAITING)
        return;
    if (task->wait_cancel(task) == CLA_WAIT_PENDING)
        return;
    task->withdrawn = true;
    task->cancelled_by = scope;
    task->sched->counters.cancelled_waits++;
    task->state = CLA_TASK_READY;
    cla_list_push(&task->sched->unwinding, &task->link);
}

void cla_task_where(const struct cla_task *task, char *text, size_t bytes)
{
    lua_Debug ar;

    snprintf(text, bytes, "?");
    for (int level = 0; lua_getstack(task->running, level, &ar); level++) {
        lua_getinfo(task->running, "Sl", &ar);
        if (ar.currentline > 0) {
            snprintf(text, bytes, "%s:%d", ar.short_src, ar.currentline);
            return;
        }
    }
}

static int l_push_stack(lua_State *L)
{
    const struct cla_task *task = lua_touserdata(L, 1);

    luaL_traceback(L, task->running, NULL, 0);
    return 1;
}

const char *cla_task_push_stack(const struct cla_task *task)
{
    lua_State *L = task->sched->L;

    if (!lua_checkstack(L, 4) || !protected(L, l_push_stack, (void *)task, 1))
        lua_pushliteral(L, "?"); /* Lua keeps a few slots free */
    return lua_tostring(L, -1);
}
