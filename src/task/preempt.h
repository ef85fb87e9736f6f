/* Preemption, the VM thread's half: ends code that computes, or makes it give way, and costs code
 * that does not compute for long nothing.
 *
 * VM thread, but for the pulse. Depends on: task/task. The other half is task/watchdog.
 *
 *   watchdog, every 5 ms: is this the run of the last tick? -- SIGURG --> the VM's thread
 *   its handler: puts a hook on the coroutine that runs; it fires with the next instruction
 *   the hook: takes itself off; passes deadlines, looks at limits; raises, or ends the slice
 *
 * So a slice is 5 to 10 ms. At its end the task yields to the scheduler, through all the script's
 * coroutines, as in an await; sockets are read, and then it goes on. Unless it is preemptible no
 * other task of the VM runs in between (sched->held): what stands between two awaits is atomic.
 *
 * A signal that comes late or for nothing ends some slice early, and that is all. Where the task
 * cannot yield (below a comparator of table.sort, say) the hook only raises.
 *
 * A Cancel is raised 1000 instructions, or 4 ms, after a look that finds its task computing (4 ms
 * of processor time), so that what only paused, before an await or an end near by, is left alone.
 * Once the grace of the Cancel is over, the hook stays, and raises every 1000 instructions, so that
 * each handler which is left gets somewhere, but none computes on. */
#ifndef CLA_TASK_PREEMPT_H
#define CLA_TASK_PREEMPT_H

#include "task/task.h"

/* The calling thread runs 'sched' from now on: signals it gets end slices of that, or of another
 * that it runs as well, whichever it turned to last. */
void cla_preempt_attach(struct cla_sched *sched);

/* It no longer does. */
void cla_preempt_detach(const struct cla_sched *sched);

/* The calling thread is about to run Lua in the VM of 'sched'. */
void cla_preempt_turn_to(struct cla_sched *sched);

/* 'task', whose slice is over, is about to go on: has the hook run with its next Lua instruction,
 * if a Cancel is to be raised there. */
void cla_preempt_arm(struct cla_task *task);

/* The running 'task' is taken to have computed for 'ns' more, and its slice to be over with the
 * next Lua instruction. For tests on the virtual clock. */
void cla_preempt_pretend(struct cla_task *task, uint64_t ns);

/* Sees to the end of a slice of the running task: passes deadlines, charges the processor time, and
 * cancels what is above a limit. Runs no Lua. */
void cla_preempt_check(struct cla_task *task);

/* A run of the task begins. */
void cla_preempt_begin(struct cla_task *task);

/* A Cancel is about to be raised in the running task: what comes next has computed for no time. */
void cla_preempt_raised(struct cla_task *task);

/* It has yielded or ended. */
void cla_preempt_end(struct cla_task *task);

/* 'L', a coroutine that is given up, is about to be reset: each to-be-closed variable may run 1000
 * instructions. */
void cla_preempt_confine(lua_State *L);

/* It was reset. */
void cla_preempt_set_free(lua_State *L);

/* Lua runs on this thread from here, or no longer does. For what is not a task: collecting garbage
 * runs finalizers. */
static inline void cla_preempt_beat(struct cla_sched *sched)
{
    unsigned pulse = atomic_load_explicit(&sched->preempt.pulse, memory_order_relaxed);

    atomic_store_explicit(&sched->preempt.pulse, pulse + 1, memory_order_relaxed);
}

#endif
