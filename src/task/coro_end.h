/* The end of coroutines that scripts have abandoned: with the call, or when they are collected.
 *
 * VM thread only, not while Lua runs. Depends on: task/coro. */
#ifndef CLA_TASK_CORO_END_H
#define CLA_TASK_CORO_END_H

#include "task/coro.h"

/* Sees to it that what belongs to 'task', which has ended, is closed: by a child task, which may
 * await as clean-up may. */
void cla_coro_end_all(struct cla_task *task);

/* The same for what was collected, of all tasks. */
void cla_coro_end_collected(struct cla_sched *sched);

/* Closes what 'task', which is given up, runs or owns, without awaiting. */
void cla_coro_end_now(struct cla_task *task);

#endif
