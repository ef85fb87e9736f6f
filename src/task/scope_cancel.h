/* What task/scope.c and task/scope_cancel.c know of each other; for nobody else.
 *
 * VM thread only. Depends on: task/task. */
#ifndef CLA_TASK_SCOPE_CANCEL_H
#define CLA_TASK_SCOPE_CANCEL_H

#include "task/task.h"

/* The timers of the loop that the scope lives on. */
static inline struct cla_timers *cla_scope_timers(struct cla_scope *scope)
{
    return &scope->task->sched->loop->timers;
}

/* The second phase of a cancel: 'scope', and what is inside it, was marked, and so were the
 * 'followers' of its token, which it takes off the list. */
void cla_scope_deliver(struct cla_scope *scope, struct cla_link *followers, uint64_t grace_end_ns);

/* A shield that was up when the cancel came lasts no longer than the grace of that cancel. */
void cla_scope_cap_shield(struct cla_scope *scope, uint64_t end_ns);

/* Ends the dependents that wait for its cancellation, or end, in the order in which they came. */
void cla_scope_end_waiters(struct cla_scope *scope);

#endif
