/* The watchdog: a thread that notices when a VM's thread runs Lua for longer than a slice.
 *
 * Any thread, as said. Depends on: task/preempt.
 *
 * It looks every 5 ms while any of them is busy, and sleeps while all are idle. One that stays in a
 * place where no hook can reach it (a finalizer, a C function of a module) is named in the log. */
#ifndef CLA_TASK_WATCHDOG_H
#define CLA_TASK_WATCHDOG_H

#include <signal.h>

#include "task/sched.h"

/* Ignored by processes that know nothing of it, and by everything that runs in this one. */
#define CLA_WATCHDOG_SIGNAL SIGURG
/* Between two looks: half of the longest slice. */
#define CLA_WATCHDOG_TICK_NS (5 * CLA_NS_PER_MS)

struct cla_watchdog;

/* Starts the thread, which writes to 'log', its own. The calling thread, and those that it starts
 * later, do not get the signal unless they are watched. Returns 0, -CLA_ENOMEM or -CLA_EIO. */
int cla_watchdog_start(struct cla_watchdog **out, struct cla_log *log);

/* Ends the thread. It must watch nothing any more. NULL is fine. */
void cla_watchdog_stop(struct cla_watchdog *watchdog);

/* 'sched' runs on the calling thread, and is watched from now on. */
void cla_watchdog_watch(struct cla_watchdog *watchdog, struct cla_sched *sched);

/* It no longer is. On the same thread. No-op if it was not watched. */
void cla_watchdog_forget(struct cla_sched *sched);

/* Lua is about to run: wakes the watchdog if it sleeps. VM thread. */
void cla_watchdog_wake(struct cla_sched *sched);

/* What ran has yielded or ended. VM thread. */
void cla_watchdog_rest(struct cla_sched *sched);

/* Tells what has computed on 'thread' for 'ns' without anything that could interrupt it; a call 0
 * and "?" where that is not known. Returns false if nothing has for more than a tenth of a second.
 * Any thread. */
bool cla_watchdog_stuck(struct cla_watchdog *watchdog, pthread_t thread,
                        struct cla_watchdog_answer *answer, uint64_t *ns);

/* In the handler of the signal: says what runs, if that was asked. */
void cla_watchdog_answer(struct cla_sched *sched);

#endif
