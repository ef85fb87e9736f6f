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
/* Processor time after which code is taken to compute. */
#define COMPUTES_NS (4 * CLA_NS_PER_MS)
/* Signals that find a hook set before one sets it again. */
#define SET_AGAIN 8

static _Thread_local struct cla_sched *mine; /* what the thread runs, for the handler */

/* --- The signal. --- */

static void on_hook(lua_State *L, lua_Debug *ar);

/* Setting a hook walks all calls on the stack. Where recursion is deep that takes longer than a
 * tick, and nothing but this would run, so one that is set is mostly left alone. Not always: a
 * signal may come just when Lua has found no hook, and is about to note that for the function it
 * runs. */
static void set_hook(struct cla_preempt *p, lua_State *L)
{
    if (p->enforced == L && lua_gethookmask(L) != 0)
        return; /* it will come by itself */
    if (lua_gethookmask(L) == 0 || ++p->missed % SET_AGAIN == 0)
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
        set_hook(&sched->preempt, sched->current->running);
    cla_watchdog_answer(sched);
}

void cla_preempt_attach(struct cla_sched *sched)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

    sigset_t signals;

    mine = sched;
    sigemptyset(&action.sa_mask);
    sigaction(CLA_WATCHDOG_SIGNAL, &action, NULL);
    sigemptyset(&signals);
    sigaddset(&signals, CLA_WATCHDOG_SIGNAL);
    pthread_sigmask(SIG_UNBLOCK, &signals, NULL);
}

void cla_preempt_detach(void)
{
    mine = NULL;
}

/* For a signal that comes before it has computed for long, the next one sees to that: with a hook
 * at each resume it would run an instruction a slice. */
void cla_preempt_arm(struct cla_task *task)
{
    if (task->computed_ns >= COMPUTES_NS && cla_scope_to_raise(task) != NULL)
        lua_sethook(task->running, on_hook, LUA_MASKCOUNT, 1);
}

/* --- Processor time. --- */

/* What the calling thread has used. */
static uint64_t used_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * CLA_NS_PER_S + (uint64_t)t.tv_nsec;
}

/* What had been used when somebody first looked at this run: itself, or the watchdog; else 'now'.
 */
static uint64_t first_look_ns(const struct cla_preempt *p, uint64_t now)
{
    uint64_t first;

    if (p->began_ns != 0)
        return p->began_ns;
    if (atomic_load_explicit(&p->first_pulse, memory_order_acquire) !=
        atomic_load_explicit(&p->pulse, memory_order_relaxed))
        return now;
    first = atomic_load_explicit(&p->first_used_ns, memory_order_relaxed);
    return first < now ? first : now;
}

static void charge(struct cla_task *task)
{
    struct cla_preempt *p = &task->sched->preempt;
    uint64_t now = used_ns(), ns = now - first_look_ns(p, now);

    p->began_ns = now;
    p->hold_ns += ns;
    task->computed_ns += ns;
    cla_task_top(task)->cpu_ns += ns;
}

void cla_preempt_pretend(struct cla_task *task, uint64_t ns)
{
    struct cla_preempt *p = &task->sched->preempt;

    if (p->began_ns == 0)
        p->began_ns = used_ns();
    p->began_ns -= ns;
    lua_sethook(task->running, on_hook, LUA_MASKCOUNT, 1);
}

static void check_cpu(struct cla_task *top)
{
    uint64_t limit = top->sched->preempt.cpu_limit_ns;
    char text[128];

    if (limit == 0 || top->cpu_ns < limit || top->ops->unlimited)
        return;
    snprintf(text, sizeof text, "used more than %.3f s of processor time (cpu_limit)",
             (double)limit / 1e9);
    (void)cla_scope_cancel(&top->root, CLA_CANCEL_LIMIT, cla_slice_str(text));
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
    if (cla_scope_cancel(&top->root, CLA_CANCEL_LIMIT, cla_slice_str(text)))
        task->sched->counters.holds++;
}

void cla_preempt_check(struct cla_task *task)
{
    struct cla_sched *sched = task->sched;

    sched->preempt.expired = 0;
    sched->preempt.missed = 0;
    (void)atomic_fetch_add_explicit(&sched->preempt.checks, 1, memory_order_relaxed);
    charge(task);
    if (sched->ops->look_outside != NULL)
        sched->ops->look_outside(sched);
    cla_interrupt_expire(task);
    check_cpu(cla_task_top(task));
    check_hold(task, cla_task_top(task));
}

void cla_preempt_begin(struct cla_task *task)
{
    struct cla_preempt *p = &task->sched->preempt;

    /* Looking at the clock of processor time takes as long as a short call. */
    p->began_ns = p->cpu_limit_ns != 0 || task->state == CLA_TASK_SLICED ? used_ns() : 0;
    cla_preempt_beat(task->sched);
}

/* What runs in the coroutine next is another task's, or has awaited. */
static void stop_enforcing(struct cla_task *task)
{
    struct cla_preempt *p = &task->sched->preempt;

    if (p->enforced == task->L)
        lua_sethook(task->L, NULL, 0, 0);
    p->enforced = NULL;
}

void cla_preempt_end(struct cla_task *task)
{
    struct cla_preempt *p = &task->sched->preempt;

    cla_preempt_beat(task->sched);
    if (p->enforced != NULL && task->state != CLA_TASK_SLICED)
        stop_enforcing(task);
    if (p->began_ns == 0)
        return;
    charge(task);
    if (task->state != CLA_TASK_RUNNING) /* else its body has ended, and what came of it counts */
        check_cpu(cla_task_top(task));
    if (task->state != CLA_TASK_SLICED)
        task->computed_ns = 0;
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

/* A Cancel is raised only into what has computed for a while: what just runs when the signal comes,
 * on its way to an await, or after a pcall that has caught the Cancel, is left alone. So a signal
 * changes nothing but the time, however many come, and however long others have the processor. */
static struct cla_scope *scope_to_raise(const struct cla_task *task, bool enforced)
{
    return enforced || task->computed_ns >= COMPUTES_NS ? cla_scope_to_raise(task) : NULL;
}

/* The next instructions of 'L' are its last, unless it ends or awaits with those. */
static void enforce(struct cla_preempt *p, lua_State *L)
{
    p->enforced = L;
    lua_sethook(L, on_hook, LUA_MASKCOUNT, ENFORCED_INSTRUCTIONS);
}

static void on_hook(lua_State *L, lua_Debug *ar)
{
    struct cla_sched *sched = cla_sched_of(L);
    struct cla_task *task = sched->current;
    bool enforced = sched->preempt.enforced == L;
    struct cla_scope *scope;

    (void)ar;
    lua_sethook(L, NULL, 0, 0);
    sched->preempt.enforced = NULL;
    if (task == NULL || task->running != L)
        return; /* it was set for a run that is over */
    note_where(task);
    cla_preempt_check(task);
    scope = scope_to_raise(task, enforced);
    if (scope != NULL) {
        task->computed_ns = 0;
        if (cla_scope_grace_over(task))
            enforce(&sched->preempt, L);
        if (sched->preempt.enforced == L && !enforced)
            return; /* it may be the collector of garbage, or the kernel, that took the time */
        sched->counters.cuts++;
        cla_scope_raise(L, scope);
    }
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
