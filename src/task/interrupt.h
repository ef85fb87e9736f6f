/* Ending code that computes where no hook of Lua's can reach it: in C functions that work for long.
 *
 * VM thread only. Depends on: task/task. Such a function counts its steps:
 *
 *     struct cla_interrupt interrupt = cla_interrupt_start(L);
 *     while (…) {
 *         cla_interrupt_step(&interrupt, 1);     may raise: hold nothing that must be freed
 *
 * A step is about a nanosecond of work. A call that takes few of them never looks, so short calls
 * in clean-up always work. */
#ifndef CLA_TASK_INTERRUPT_H
#define CLA_TASK_INTERRUPT_H

#include "task/task.h"

/* Steps between two looks: about ten microseconds of work. */
#define CLA_INTERRUPT_STEPS 8192
/* Steps that a call of some other function counts for, which may itself be a C function that has
 * not quite reached its first look. */
#define CLA_INTERRUPT_CALL 32

struct cla_interrupt {
    lua_State *L;
    int64_t left; /* steps until the next look */
};

/* Raises the Cancel that the task running now, in whichever of its coroutines, must raise, its
 * deadlines looked at first. If no task runs, raises what sched->interrupt does. Needs a few free
 * slots of L's stack. */
void cla_interrupt_poll(lua_State *L);

/* Does what the timers of the scopes that the task can see are late to do, because it computes:
 * passes deadlines, ends shields and grace. Runs no Lua. */
void cla_interrupt_expire(struct cla_task *task);

/* A counter for a function that was just called. */
static inline struct cla_interrupt cla_interrupt_start(lua_State *L)
{
    return (struct cla_interrupt){.L = L, .left = CLA_INTERRUPT_STEPS};
}

/* Counts; polls when it is time to. */
static inline void cla_interrupt_step(struct cla_interrupt *interrupt, size_t steps)
{
    interrupt->left -= (int64_t)steps;
    if (interrupt->left <= 0) {
        interrupt->left = CLA_INTERRUPT_STEPS;
        cla_interrupt_poll(interrupt->L);
    }
}

#endif
