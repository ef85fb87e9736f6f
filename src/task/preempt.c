#include "task/preempt.h"

#include <lauxlib.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "task/coro.h"
#include "task/interrupt.h"
#include "task/watchdog.h"

/* After the grace, and in a coroutine that is given up, so many at a time. */
#define ENFORCED_INSTRUCTIONS 1000

static _Thread_local struct cla_sched *mine; /* what the thread runs, for the handler */

/* --- The signal. --- */

static void on_hook(lua_State *L, lua_Debug *ar);

/* Setting a hook walks all calls on the stack: where recursion is deep that takes longer than a
 * tick, so one that is set is left alone, or nothing but this would run. */
static void set_hook(lua_State *L)
{
    if (lua_gethook(L) == NULL)
        lua_sethook(L, on_hook, LUA_MASKCOUNT, 1);
}

/* Runs between two instructions of the thread, wherever it is: it may only set things. Setting a
 * hook is safe there, as Lua's own interpreter does it. */
static void on_signal(int signal)
{
    struct cla_sched *sched = mine;

    (void)signal;
    if (sched == NULL)
        return;
    sched->preempt.expired = 1;
    if (sched->current != NULL)
        set_hook(sched->current->running);
    cla_watchdog_answer(sched);
}

void cla_preempt_attach(struct cla_sched *sched)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

    mine = sched;
    sigemptyset(&action.sa_mask);
    sigaction(CLA_WATCHDOG_SIGNAL, &action, NULL);
}

void cla_preempt_detach(void)
{
    mine = NULL;
}

void cla_preempt_arm(struct cla_task *task)
{
    set_hook(task->running);
}

/* --- Processor time. --- */

/* What the calling thread has used. */
static uint64_t used_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * CLA_NS_PER_S + (uint64_t)t.tv_nsec;
}

static struct cla_task *top_of(struct cla_task *task)
{
    while (task->parent != NULL)
        task = task->parent;
    return task;
}

/* A run whose beginning nobody looked at has lasted for a tick. */
static void charge(struct cla_task *task)
{
    struct cla_preempt *p = &task->sched->preempt;
    uint64_t now = used_ns(), ns = p->began_ns != 0 ? now - p->began_ns : CLA_WATCHDOG_TICK_NS;

    p->began_ns = now;
    p->hold_ns += ns;
    top_of(task)->cpu_ns += ns;
}

static void check_cpu(struct cla_task *top)
{
    uint64_t limit = top->sched->preempt.cpu_limit_ns;
    char text[128];

    if (limit == 0 || top->cpu_ns < limit || top->ops->unlimited)
        return;
    snprintf(text, sizeof text, "used more than %.3f s of processor time (cpu_limit)",
             (double)limit / 1e9);
    (void)cla_scope_cancel(top->root, CLA_CANCEL_LIMIT, cla_slice_str(text));
}

static void check_hold(struct cla_task *task, struct cla_task *top)
{
    const struct cla_preempt *p = &task->sched->preempt;
    char text[256], where[128];

    if (p->hold_limit_ns == 0 || p->hold_ns < p->hold_limit_ns || top->ops->unlimited)
        return;
    cla_task_where(task, where, sizeof where);
    snprintf(text, sizeof text,
             "%s: computed for more than %.3f s without an await (hold_limit): await now and then, "
             "or declare the procedure preemptible = true",
             where, (double)p->hold_limit_ns / 1e9);
    if (cla_scope_cancel(top->root, CLA_CANCEL_LIMIT, cla_slice_str(text)))
        task->sched->counters.holds++;
}

void cla_preempt_check(struct cla_task *task)
{
    struct cla_sched *sched = task->sched;

    sched->preempt.expired = 0;
    (void)atomic_fetch_add_explicit(&sched->preempt.checks, 1, memory_order_relaxed);
    charge(task);
    if (sched->ops->look_outside != NULL)
        sched->ops->look_outside(sched);
    cla_interrupt_expire(task);
    check_cpu(top_of(task));
    check_hold(task, top_of(task));
}

void cla_preempt_begin(struct cla_task *task)
{
    struct cla_preempt *p = &task->sched->preempt;

    /* Looking at the clock of processor time takes as long as a short call. */
    p->began_ns = p->cpu_limit_ns != 0 || p->hold_ns != 0 ? used_ns() : 0;
    cla_preempt_beat(task->sched);
}

void cla_preempt_end(struct cla_task *task)
{
    struct cla_preempt *p = &task->sched->preempt;

    cla_preempt_beat(task->sched);
    if (p->began_ns == 0)
        return;
    charge(task);
    check_cpu(top_of(task));
    if (task->state != CLA_TASK_SLICED || task->preemptible)
        p->hold_ns = 0;
}

/* --- The hook. --- */

/* The line for the watchdog, should the task get stuck. */
static void note_where(const struct cla_task *task)
{
    struct cla_preempt *p = &task->sched->preempt;

    p->seen_serial = 0; /* the handler may look just now */
    atomic_signal_fence(memory_order_seq_cst);
    cla_task_where(task, p->seen, sizeof p->seen);
    atomic_signal_fence(memory_order_seq_cst);
    p->seen_serial = task->serial;
}

static void raise_if_due(lua_State *L, struct cla_task *task)
{
    struct cla_scope *scope = cla_scope_to_raise(task);

    if (scope == NULL)
        return;
    if (cla_scope_grace_over(task))
        lua_sethook(L, on_hook, LUA_MASKCOUNT, ENFORCED_INSTRUCTIONS);
    cla_scope_raise(L, scope);
}

static void on_hook(lua_State *L, lua_Debug *ar)
{
    struct cla_sched *sched = cla_sched_of(L);
    struct cla_task *task = sched->current;

    (void)ar;
    lua_sethook(L, NULL, 0, 0);
    if (task == NULL || task->running != L)
        return; /* it was set for a run that is over */
    note_where(task);
    cla_preempt_check(task);
    raise_if_due(L, task);
    if (!lua_isyieldable(L) || !cla_coro_may_await(task))
        return;
    sched->counters.slices++;
    task->state = CLA_TASK_SLICED;
    lua_yield(L, 0);
}

static int l_given_up(lua_State *L)
{
    return luaL_error(L, "given up: this clean-up has outlived its grace");
}

static void on_confined(lua_State *L, lua_Debug *ar)
{
    (void)ar;
    (void)l_given_up(L);
}

void cla_preempt_confine(lua_State *L)
{
    lua_sethook(L, on_confined, LUA_MASKCOUNT, ENFORCED_INSTRUCTIONS);
    cla_sched_of(L)->interrupt = l_given_up; /* for functions written in C */
}

void cla_preempt_set_free(lua_State *L)
{
    lua_sethook(L, NULL, 0, 0);
    cla_sched_of(L)->interrupt = NULL;
}
