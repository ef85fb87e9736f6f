/* What awaits raise, and what that makes of the scopes around. */
#include <lauxlib.h>

#include "task/preempt.h"
#include "task/scope.h"
#include "task/task.h"

bool cla_scope_is_unwinding(const struct cla_scope *scope)
{
    for (const struct cla_scope *s = scope; s != NULL && s->task == scope->task;
         s = cla_scope_outer(s)) {
        if (s->shield)
            return false;
        if (s->unwinding)
            return true;
    }
    return false;
}

/* Where 'task' keeps what it has done about the Cancel of 'scope', which is around it: other tasks
 * may be inside of the scope, too. */
static struct cla_scope *own(const struct cla_task *task, struct cla_scope *scope)
{
    return scope->task == task ? scope : cla_task_root(task);
}

/* What pcalls have caught is raised again with 'scope', as far as awaits see that from there. */
static void forget_caught(struct cla_task *task, const struct cla_scope *scope)
{
    bool reached = false;

    for (struct cla_scope *s = task->scope; s != NULL && s->task == task; s = cla_scope_outer(s)) {
        s->caught = false;
        reached |= s == scope;
        if (s->shield && reached)
            break;
    }
}

/* 'task' is about to raise 'scope': what is open from there inwards unwinds with it, and what it
 * opens from here on is its clean-up's. */
static void begin_unwinding(struct cla_task *task, struct cla_scope *scope)
{
    struct cla_scope *s = task->scope;

    while (s != NULL && s != scope)
        s = cla_scope_outer(s);
    if (s == NULL)
        return; /* another task's: to this one it is an ordinary error */
    forget_caught(task, scope);
    own(task, scope)->raised = ++task->sched->raises;
    for (s = task->scope; s != scope && s != &task->root; s = cla_scope_outer(s))
        s->unwinding = true;
    s->unwinding = true;
}

void cla_scope_raise(lua_State *L, struct cla_scope *scope)
{
    struct cla_task *task = cla_sched_of(L)->current;

    if (task != NULL) {
        begin_unwinding(task, scope);
        cla_preempt_raised(task);
    }
    if (scope->reason.kind == CLA_CANCEL_NONE) /* marked by one that is no longer around it */
        scope->reason = cla_reason_share(&scope->token.reason);
    scope->exposed = true;
    cla_scope_push(L, scope);
    lua_error(L);
    __builtin_unreachable();
}

/* The scope whose Cancel an await of 'task' in 'scope' must raise now, or NULL. */
static struct cla_scope *to_raise_in(struct cla_scope *scope, const struct cla_task *task)
{
    struct cla_scope *target = NULL, *of_cleanup = NULL;
    bool unwinding = false, over = false, caught = false;

    for (struct cla_scope *s = scope; s != NULL; s = cla_scope_outer(s)) {
        unwinding |= s->unwinding && s->task == task;
        caught |= s->caught && s->task == task;
        if (s->due && !s->lenient) {
            target = s;
            over |= s->grace_over;
            if (!unwinding)
                of_cleanup = s;
        }
        if (s->shield)
            break;
    }
    return unwinding && !over && !caught ? of_cleanup : target;
}

struct cla_scope *cla_scope_live(const struct cla_task *task, lua_State *L, int index)
{
    struct cla_scope *scope;

    if (task == NULL || lua_type(L, index) != LUA_TUSERDATA)
        return NULL;
    scope = cla_scope_at(L, index);
    if (scope == NULL || !scope->open)
        return NULL;
    for (const struct cla_scope *s = task->scope; s != NULL; s = cla_scope_outer(s)) {
        if (s == scope)
            return scope;
    }
    return NULL;
}

/* The innermost scope of 'task' that was raised since, and is open; NULL: none was. */
static struct cla_scope *raised_since(const struct cla_task *task, uint64_t raises)
{
    for (struct cla_scope *s = task->scope; s != NULL && s->task == task; s = cla_scope_outer(s)) {
        if (s->raised > raises)
            return s;
    }
    return NULL;
}

static struct cla_scope *stands_for(const struct cla_task *task, lua_State *L, uint64_t raises)
{
    struct cla_scope *live = cla_scope_live(task, L, -1);

    if (live != NULL)
        return own(task, live);
    return task != NULL ? raised_since(task, raises) : NULL;
}

enum cla_scope_fault cla_scope_fault(const struct cla_task *task, lua_State *L, uint64_t raises)
{
    return stands_for(task, L, raises) != NULL ? CLA_SCOPE_CANCEL : CLA_SCOPE_ERROR;
}

void cla_scope_catch(const struct cla_task *task, lua_State *L, uint64_t raises)
{
    struct cla_scope *scope = stands_for(task, L, raises);

    if (scope == NULL)
        return;
    scope->caught = true;
    scope->caught_as = lua_topointer(L, -1);
}

void cla_scope_let_go(const struct cla_task *task, lua_State *L, int index)
{
    const void *error = lua_topointer(L, index);
    struct cla_scope *live = cla_scope_live(task, L, index);

    if (live != NULL)
        own(task, live)->caught = false;
    if (task == NULL || error == NULL)
        return;
    for (struct cla_scope *s = task->scope; s != NULL && s->task == task; s = cla_scope_outer(s)) {
        if (!s->caught || s->caught_as != error)
            continue;
        s->caught = false;
        s->raised = ++task->sched->raises;
    }
}

struct cla_scope *cla_scope_to_raise(const struct cla_task *task)
{
    return to_raise_in(task->scope, task);
}

struct cla_scope *cla_scope_refuses(struct cla_scope *scope)
{
    struct cla_scope *target = NULL;

    if ((!scope->due || scope->lenient) && !scope->unwinding)
        return to_raise_in(scope, scope->task);
    for (struct cla_scope *s = scope; s != NULL; s = cla_scope_outer(s)) {
        target = s->due && !s->lenient ? s : target;
        if (s->shield)
            break;
    }
    return target;
}

bool cla_scope_grace_over(const struct cla_task *task)
{
    for (const struct cla_scope *s = task->scope; s != NULL; s = cla_scope_outer(s)) {
        if (s->grace_over)
            return true;
        if (s->shield)
            break;
    }
    return false;
}

bool cla_scope_unwinding(const struct cla_task *task)
{
    return cla_scope_is_unwinding(task->scope);
}
