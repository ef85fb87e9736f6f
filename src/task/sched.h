/* The scheduler of one VM: ready tasks, the pool of coroutines, and the only resumer.
 *
 * VM thread only. Depends on: base, cancel, io/loop, lua.
 *
 * Finishing an operation makes its task ready; cla_sched_run() resumes it later, so no script ever
 * runs inside a callback of the loop. Tasks that a cancellation woke wait in a list of their own
 * and are taken a few a turn, so that the end of many calls does not hold up the others. */
#ifndef CLA_TASK_SCHED_H
#define CLA_TASK_SCHED_H

#include <lua.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

#include "base/histogram.h"
#include "base/log.h"
#include "cancel/token.h"
#include "io/loop.h"

struct cla_scope;
struct cla_task;
struct cla_sched;

/* How registrations of scripts are run: given at construction by the layer that made them. */
struct cla_sched_ops {
    /* 'scope' was cancelled: run what is registered, as a task of its own. Does not run Lua now. */
    void (*fire)(struct cla_sched *sched, struct cla_scope *scope, struct cla_registration *r);
    /* It will never run. Not called while Lua runs a script. */
    void (*drop)(struct cla_sched *sched, struct cla_registration *r);
    /* A task computes: takes up what other threads ask for, without running Lua. May be NULL. */
    void (*look_outside)(struct cla_sched *sched);
};

/* X(name, what it counts) */
#define CLA_SCHED_COUNTERS(X)                                                      \
    X(started, "tasks that entered Lua")                                           \
    X(skipped, "tasks cancelled before they entered Lua")                          \
    X(cancelled_waits, "awaits that a cancellation ended")                         \
    X(grace_exceeded, "scopes whose clean-up was still going at the end of grace") \
    X(callbacks, "on_cancel functions run")                                        \
    X(callback_errors, "of those, ended by an error")                              \
    X(cleanup_errors, "calls whose clean-up raised")                               \
    X(late_errors, "errors of subtasks whose group was ending already")            \
    X(ignored_cancels, "calls that returned a value after they were cancelled")    \
    X(slices, "slices of code that computes")                                      \
    X(cuts, "Cancels raised in code that computes")                                \
    X(holds, "calls cancelled because they computed too long without an await")    \
    X(given_up, "tasks given up because clean-up outlived its grace")

struct cla_sched_counters {
#define X(name, doc) uint64_t name;
    CLA_SCHED_COUNTERS(X)
#undef X
    uint64_t cancelled[CLA_CANCEL_KINDS];    /* scopes that were cancelled, by kind */
    uint64_t late_cancels[CLA_CANCEL_KINDS]; /* cancels that found theirs cancelled, by kind */
    struct cla_histogram cancel_latency;     /* of calls, until their work was gone */
};

/* What the watchdog finds out of a run that nothing interrupts. */
struct cla_watchdog_answer {
    uint64_t call;   /* its id; 0: no call */
    char name[64];   /* of the procedure */
    char where[128]; /* file:line */
};

/* A thread that is watched: see task/watchdog.h. */
struct cla_watched {
    struct cla_watchdog *watchdog; /* NULL: it is not */
    struct cla_link link;
    pthread_t thread;
    clockid_t clock;        /* of its processor time */
    atomic_bool busy;       /* it is about to run Lua, or does */
    unsigned pulse, checks; /* at the last look */
    unsigned stuck;         /* looks at which nothing had changed */
    uint64_t stuck_ns;      /* when the first of them was */
    unsigned report_at;     /* so many, and it is named */
    atomic_uint question;   /* what the two threads know of 'answer' */
    struct cla_watchdog_answer answer;
};

/* Of task/preempt.h. */
struct cla_preempt {
    atomic_uint pulse;       /* odd while Lua runs; another number for each run */
    atomic_uint first_pulse; /* of the run that the watchdog saw last for the first time … */
    atomic_uint_fast64_t first_used_ns; /* … and the thread's processor time then */
    atomic_uint checks;                 /* looks at what a run does, at its slices' ends */
    volatile sig_atomic_t expired;      /* the slice of what runs is over */
    volatile unsigned missed;           /* signals that found a hook set, since the last look */
    lua_State *volatile enforced;       /* the hook of this coroutine counts instructions */
    uint64_t began_ns;                  /* processor time when the slice began; 0: nobody looked */
    uint64_t hold_ns;                   /* used since the last await; 0: less than a slice */
    uint64_t hold_limit_ns, cpu_limit_ns; /* 0: none */
    char seen[128];                       /* where it was at the last end of a slice … */
    volatile uint64_t seen_serial;        /* … the task of this number */
    struct cla_watched watched;
};

/* What cla_sched_run() has left. */
enum cla_sched_left {
    CLA_SCHED_NOTHING,
    CLA_SCHED_READY,  /* tasks that are ready */
    CLA_SCHED_SLICED, /* likewise, and one has computed for a slice: look at the sockets first */
};

struct cla_sched {
    lua_State *L; /* the VM's main state */
    struct cla_loop *loop;
    struct cla_log *log;
    const struct cla_sched_ops *ops;
    void *owner;               /* the VM's owner, for bindings */
    struct cla_link ready;     /* tasks to resume, in order */
    struct cla_link unwinding; /* tasks to resume because they were cancelled */
    struct cla_link computing; /* preemptible tasks whose slice is over */
    struct cla_task *held;     /* one that is not preemptible: no other may run; NULL: none */
    bool sliced;               /* a slice ended in this turn */
    bool owes_slice;           /* to 'computing', in the next */
    struct cla_link pool;      /* idle tasks, most recently used first */
    struct cla_link tasks;     /* all that are not idle */
    unsigned pooled;           /* idle tasks */
    struct cla_stack scopes;   /* closed ones kept to be used again: see cla_scope_enter() */
    unsigned scopes_kept;
    const void *scope_type;    /* the metatable of scopes, by lua_topointer() */
    bool traced;               /* a traceback is remembered: see cla_task_traceback() */
    unsigned live;             /* tasks that are not idle */
    uint64_t serial;           /* tasks ever begun */
    uint64_t raises;           /* Cancels ever raised */
    struct cla_task *current;  /* the one running; NULL: none */
    struct cla_task *nobody;   /* has what no task has: see task/coro.h */
    struct cla_link collected; /* coroutines that were abandoned and are to be closed now */
    unsigned resets;           /* coroutines being reset, one inside the other */
    uint64_t grace_ns;         /* clean-up of a cancelled scope may await this long */
    struct cla_preempt preempt;
    const size_t *memory; /* bytes the VM has allocated, to charge tasks */
    bool loading;         /* a task runs what else runs while a script loads: it is no task then */
    lua_CFunction interrupt; /* while no task runs: raises if the code must end; may be NULL */
    struct cla_sched_counters counters;
};

/* Makes the scheduler of 'L', whose threads then find it through cla_sched_of(). */
void cla_sched_init(struct cla_sched *sched, lua_State *L, struct cla_loop *loop,
                    struct cla_log *log, const struct cla_sched_ops *ops);

/* A coroutine's extra space holds the address of its scheduler, with the first bit if it is a
 * task's; or, with the second, that of the struct cla_coro of a script's, which begins with it. */
#define CLA_SCHED_OF_TASK ((uintptr_t)1)
#define CLA_SCHED_OF_CORO ((uintptr_t)2)
#define CLA_SCHED_BITS ((uintptr_t)3)

/* The scheduler of any coroutine of the VM. */
static inline struct cla_sched *cla_sched_of(lua_State *L)
{
    uintptr_t extra = *(uintptr_t *)lua_getextraspace(L);
    void *address = (void *)(extra & ~CLA_SCHED_BITS);

    return (extra & CLA_SCHED_OF_CORO) != 0 ? *(struct cla_sched **)address : address;
}

/* Resumes ready tasks: at most those of about a millisecond, and at most to the end of the first
 * slice. */
enum cla_sched_left cla_sched_run(struct cla_sched *sched);

/* True if cla_sched_run() has a task to resume. */
static inline bool cla_sched_ready(const struct cla_sched *sched)
{
    return sched->held != NULL || !cla_list_empty(&sched->ready) ||
           !cla_list_empty(&sched->unwinding) || !cla_list_empty(&sched->computing);
}

/* Now, on the loop's clock. */
static inline uint64_t cla_sched_now_ns(const struct cla_sched *sched)
{
    return cla_loop_now_ns(sched->loop);
}

/* Gives up every live task, without letting any run. Returns how many had not ended. */
unsigned cla_sched_abandon(struct cla_sched *sched);

/* Frees the idle tasks, and the scopes, beyond 'keep'. Not while Lua runs. */
void cla_sched_trim(struct cla_sched *sched, unsigned keep);

/* Frees everything; no task may be live. The Lua state is closed by its owner, after this. */
void cla_sched_fini(struct cla_sched *sched);

#endif
