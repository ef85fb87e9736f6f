/* Awaiting, for bindings.
 *
 * VM thread only. Depends on: task/task. A binding's await reads:
 *
 *     struct cla_task *task = cla_await_check(L);   raises if cancelled, or where no await can be
 *     … check arguments first, then begin the operation …
 *     return cla_await(L, task, cancel_x, operation, x_k);
 *
 *     static int x_k(lua_State *L, int status, lua_KContext ctx)
 *     {
 *         cla_await_end(L);                          raises if the wait was cancelled
 *         … push results …
 *     } */
#ifndef CLA_TASK_AWAIT_H
#define CLA_TASK_AWAIT_H

#include "task/task.h"

/* The running task. Raises its Cancel if it must not await now, or an error naming the reason if
 * there is no task here. */
struct cla_task *cla_await_check(lua_State *L);

/* The running task. Raises an error naming 'what' if there is none here. */
struct cla_task *cla_await_task(lua_State *L, const char *what);

/* Suspends the task until cla_task_wake(); then runs 'k'. 'cancel' withdraws the operation. */
int cla_await(lua_State *L, struct cla_task *task, cla_wait_cancel_fn *cancel, void *wait,
              lua_KFunction k);

/* The same; 'k' gets 'context'. */
int cla_await_with(lua_State *L, struct cla_task *task, cla_wait_cancel_fn *cancel, void *wait,
                   lua_KFunction k, lua_KContext context);

/* The first thing a continuation does. */
struct cla_task *cla_await_end(lua_State *L);

/* Suspends the task for duration_ns, then runs 'k'. */
int cla_await_sleep(lua_State *L, struct cla_task *task, uint64_t duration_ns, lua_KFunction k);

#endif
