/* Happy path: the thread ticks while a VM is busy; a run that is there at two ticks gets a signal
 * at each tick from then on.
 * Failure modes: a run that no signal brings to an end is asked, by the same signal, what it is:
 * whoever wants to know is told, and the log is after a second, then after 2, 4, 8 …
 * On close: stop() wakes and joins the thread. */
#include "task/watchdog.h"

#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <time.h>

#include "base/error.h"
#include "base/mem.h"
#include "task/preempt.h"

/* Ticks without work before it sleeps. */
#define IDLE_TICKS 20
/* Ticks before a run that nothing interrupts is asked what it is … */
#define ASK_TICKS 20
/* … and before it is named in the log. */
#define STUCK_TICKS ((unsigned)(CLA_NS_PER_S / CLA_WATCHDOG_TICK_NS))

enum { NOT_ASKED, ASKED, ANSWERED };

struct cla_watchdog {
    pthread_t thread;
    pthread_mutex_t lock; /* guards 'watched' */
    struct cla_link watched;
    sem_t wake;
    atomic_bool asleep, stopping;
    struct cla_log *log;
};

static struct cla_watched *watched_at(struct cla_link *link)
{
    return CLA_CONTAINER(link, struct cla_watched, link);
}

/* --- Naming what is stuck. --- */

static void say(struct cla_watchdog *watchdog, const struct cla_watched *w)
{
    cla_log_line(watchdog->log, CLA_LOG_WARN,
                 "nothing can interrupt what a worker has computed for %.0f s (a finalizer, or a C "
                 "function): call=%llu procedure=%s last seen at %s",
                 (double)w->stuck * (double)CLA_WATCHDOG_TICK_NS / 1e9,
                 (unsigned long long)w->answer.call, w->answer.name, w->answer.where);
}

/* What is in 'answer' is about this run, and nobody writes to it. */
static bool is_known(const struct cla_watched *w)
{
    return w->stuck > ASK_TICKS &&
           atomic_load_explicit(&w->question, memory_order_acquire) == ANSWERED;
}

static void watch_stuck(struct cla_watchdog *watchdog, struct cla_watched *w)
{
    if (++w->stuck == 1)
        w->stuck_ns = cla_clock_monotonic_ns();
    if (w->stuck == ASK_TICKS)
        atomic_store_explicit(&w->question, ASKED, memory_order_release);
    if (w->stuck < w->report_at || !is_known(w))
        return;
    say(watchdog, w);
    w->report_at *= 2;
}

bool cla_watchdog_stuck(struct cla_watchdog *watchdog, pthread_t thread,
                        struct cla_watchdog_answer *answer, uint64_t *ns)
{
    bool found = false;

    *answer = (struct cla_watchdog_answer){.where = "?"};
    pthread_mutex_lock(&watchdog->lock);
    CLA_LIST_EACH (link, &watchdog->watched) {
        const struct cla_watched *w = watched_at(link);

        if (!pthread_equal(w->thread, thread) || w->stuck <= ASK_TICKS)
            continue;
        found = true;
        *ns = cla_clock_monotonic_ns() - w->stuck_ns;
        if (is_known(w))
            *answer = w->answer;
        break;
    }
    pthread_mutex_unlock(&watchdog->lock);
    return found;
}

static void copy(char *to, size_t size, const char *from, size_t n)
{
    if (n >= size)
        n = size - 1;
    memcpy(to, from, n);
    to[n] = '\0';
}

void cla_watchdog_answer(struct cla_sched *sched)
{
    struct cla_watched *w = &sched->preempt.watched;
    struct cla_task *task = sched->current, *top = task != NULL ? cla_task_top(task) : NULL;

    if (atomic_load_explicit(&w->question, memory_order_acquire) != ASKED)
        return;
    w->answer = (struct cla_watchdog_answer){.name = "none", .where = "?"};
    if (task != NULL && sched->preempt.seen_serial == task->serial)
        copy(w->answer.where, sizeof w->answer.where, sched->preempt.seen,
             strlen(sched->preempt.seen));
    if (top != NULL && top->ops->identify != NULL) {
        struct cla_slice name = top->ops->identify(top, &w->answer.call);

        copy(w->answer.name, sizeof w->answer.name, name.p, name.n);
    }
    atomic_store_explicit(&w->question, ANSWERED, memory_order_release);
}

/* --- The thread. --- */

/* A run is seen for the first time: what its thread has used by now is what it is charged from. */
static void note_begin(struct cla_preempt *p, const struct cla_watched *w, unsigned pulse)
{
    struct timespec t;

    if (clock_gettime(w->clock, &t) != 0)
        return;
    atomic_store_explicit(&p->first_used_ns,
                          (uint64_t)t.tv_sec * CLA_NS_PER_S + (uint64_t)t.tv_nsec,
                          memory_order_relaxed);
    atomic_store_explicit(&p->first_pulse, pulse, memory_order_release);
}

/* True if it is at work. */
static bool look_at(struct cla_watchdog *watchdog, struct cla_watched *w)
{
    struct cla_preempt *p = CLA_CONTAINER(w, struct cla_preempt, watched);
    unsigned pulse = atomic_load_explicit(&p->pulse, memory_order_relaxed);
    unsigned checks = atomic_load_explicit(&p->checks, memory_order_relaxed);
    bool same = pulse == w->pulse && pulse % 2 == 1;

    if (!same || checks != w->checks) {
        w->stuck = 0;
        w->report_at = STUCK_TICKS;
    }
    if (same) {
        watch_stuck(watchdog, w);
        (void)pthread_kill(w->thread, CLA_WATCHDOG_SIGNAL);
    }
    w->checks = checks;
    if (pulse != w->pulse && pulse % 2 == 1)
        note_begin(p, w, pulse);
    if (pulse == w->pulse && !same)
        return atomic_load_explicit(&w->busy, memory_order_seq_cst);
    w->pulse = pulse;
    return true;
}

static bool look_at_all(struct cla_watchdog *watchdog)
{
    bool busy = false;

    pthread_mutex_lock(&watchdog->lock);
    CLA_LIST_EACH (link, &watchdog->watched) {
        busy |= look_at(watchdog, watched_at(link));
    }
    pthread_mutex_unlock(&watchdog->lock);
    return busy;
}

/* Sleeps until a VM is about to run. Each says so before it looks whether this sleeps, and this
 * looks whether one has said so after it fell asleep: one of the two notices. */
static void sleep_long(struct cla_watchdog *watchdog)
{
    atomic_store(&watchdog->asleep, true);
    if (look_at_all(watchdog) || atomic_load(&watchdog->stopping)) {
        if (atomic_exchange(&watchdog->asleep, false))
            return;
    }
    while (sem_wait(&watchdog->wake) != 0 && errno == EINTR) {
    }
}

static void *run(void *arg)
{
    struct cla_watchdog *watchdog = arg;
    const struct timespec tick = {.tv_nsec = CLA_WATCHDOG_TICK_NS};
    unsigned idle = 0;

    while (!atomic_load(&watchdog->stopping)) {
        idle = look_at_all(watchdog) ? 0 : idle + 1;
        if (idle < IDLE_TICKS) {
            (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &tick, NULL);
        } else {
            sleep_long(watchdog);
            idle = 0;
        }
    }
    return NULL;
}

static void wake(struct cla_watchdog *watchdog)
{
    if (atomic_exchange(&watchdog->asleep, false))
        (void)sem_post(&watchdog->wake);
}

/* Threads that are not watched, which those begun from here on are, do not want it: one that is
 * sent to the process goes to a thread that takes it. */
static void block_signal(void)
{
    sigset_t signals;

    sigemptyset(&signals);
    sigaddset(&signals, CLA_WATCHDOG_SIGNAL);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
}

/* Without any signal: one for the process would find no handler here once it is about to end. */
static int start_thread(struct cla_watchdog *watchdog)
{
    sigset_t all, before;
    int rc;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&watchdog->thread, NULL, run, watchdog);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

int cla_watchdog_start(struct cla_watchdog **out, struct cla_log *log)
{
    struct cla_watchdog *watchdog = cla_mem_zalloc(sizeof *watchdog);

    if (watchdog == NULL)
        return -CLA_ENOMEM;
    block_signal();
    watchdog->log = log;
    cla_list_init(&watchdog->watched);
    pthread_mutex_init(&watchdog->lock, NULL);
    (void)sem_init(&watchdog->wake, 0, 0);
    if (start_thread(watchdog) != 0) {
        cla_mem_free(watchdog);
        return -CLA_EIO;
    }
    *out = watchdog;
    return 0;
}

void cla_watchdog_stop(struct cla_watchdog *watchdog)
{
    if (watchdog == NULL)
        return;
    CLA_PRE(cla_list_empty(&watchdog->watched));
    atomic_store(&watchdog->stopping, true);
    wake(watchdog);
    pthread_join(watchdog->thread, NULL);
    (void)sem_destroy(&watchdog->wake);
    pthread_mutex_destroy(&watchdog->lock);
    cla_mem_free(watchdog);
}

/* --- The threads that are watched. --- */

void cla_watchdog_watch(struct cla_watchdog *watchdog, struct cla_sched *sched)
{
    struct cla_watched *w = &sched->preempt.watched;

    cla_preempt_attach(sched);
    w->watchdog = watchdog;
    w->thread = pthread_self();
    (void)pthread_getcpuclockid(w->thread, &w->clock);
    w->report_at = STUCK_TICKS;
    pthread_mutex_lock(&watchdog->lock);
    cla_list_push(&watchdog->watched, &w->link);
    pthread_mutex_unlock(&watchdog->lock);
}

void cla_watchdog_forget(struct cla_sched *sched)
{
    struct cla_watched *w = &sched->preempt.watched;
    struct cla_watchdog *watchdog = w->watchdog;

    if (watchdog == NULL)
        return;
    pthread_mutex_lock(&watchdog->lock);
    cla_list_remove(&w->link);
    pthread_mutex_unlock(&watchdog->lock);
    w->watchdog = NULL;
    cla_preempt_detach(sched);
}

void cla_watchdog_wake(struct cla_sched *sched)
{
    struct cla_watched *w = &sched->preempt.watched;

    if (w->watchdog == NULL)
        return;
    atomic_store(&w->busy, true);
    if (atomic_load(&w->watchdog->asleep))
        wake(w->watchdog);
}

void cla_watchdog_rest(struct cla_sched *sched)
{
    atomic_store_explicit(&sched->preempt.watched.busy, false, memory_order_release);
}
