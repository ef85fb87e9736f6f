#include "task/interrupt.h"

#include "task/preempt.h"

/* When the scope acts. The timer of a root is started by awaits, and is theirs too. */
static uint64_t due_ns(const struct cla_scope *scope)
{
    if (scope->grace_over)
        return CLA_NEVER; /* its timer has a running task given up: that is not for the task to do
                           */
    if (scope == &scope->task->root && scope->task->state != CLA_TASK_ENDED)
        return cla_scope_acts_ns(scope);
    return cla_timer_active(&scope->timer) ? scope->timer.due_ns : CLA_NEVER;
}

/* Of the scopes in sight that are late the earliest, the outermost of several; NULL: none is. */
static struct cla_scope *earliest_late(const struct cla_task *task, uint64_t now_ns)
{
    struct cla_scope *earliest = NULL;

    for (struct cla_scope *s = task->scope; s != NULL; s = cla_scope_outer(s)) {
        if (due_ns(s) <= now_ns && (earliest == NULL || due_ns(s) <= due_ns(earliest)))
            earliest = s;
        if (s->shield)
            break;
    }
    return earliest;
}

void cla_interrupt_expire(struct cla_task *task)
{
    uint64_t now_ns = cla_sched_now_ns(task->sched);
    struct cla_scope *scope;

    while ((scope = earliest_late(task, now_ns)) != NULL)
        cla_scope_expire(scope);
}

void cla_interrupt_poll(lua_State *L)
{
    struct cla_sched *sched = cla_sched_of(L);
    struct cla_task *task = sched->current;
    struct cla_scope *scope;

    if (task == NULL) {
        if (sched->interrupt != NULL)
            sched->interrupt(L);
        return;
    }
    if (sched->preempt.expired)
        cla_preempt_check(task);
    else
        cla_interrupt_expire(task);
    scope = cla_scope_to_raise(task);
    if (scope == NULL)
        return;
    sched->counters.cuts++;
    cla_scope_raise(L, scope);
}
