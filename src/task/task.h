/* Tasks: pooled coroutines with a boot frame.
 *
 * VM thread only. Depends on: task/scope, task/sched, lua.
 *
 *                                SLICED                   READY: will be resumed
 *                                   ^                      WAITING: in an await
 *                                   v                      SLICED: computes, but not now
 *   IDLE -- start --> READY <--> RUNNING <--> WAITING      ENDED: its children go on
 *    ^                  |            |
 *    |                  v            v
 *    +------------------ ENDED <-----+
 *
 * The body runs under lua_pcallk in the task's own coroutine, so that when an await raises, the
 * script's to-be-closed variables run, and may await while they do. */
#ifndef CLA_TASK_TASK_H
#define CLA_TASK_TASK_H

#include "task/scope.h"

enum cla_task_state {
    CLA_TASK_IDLE,
    CLA_TASK_READY,
    CLA_TASK_RUNNING,
    CLA_TASK_WAITING,
    CLA_TASK_SLICED,
    CLA_TASK_ENDED,
};

enum cla_task_end {
    CLA_TASK_RAN,       /* 'leave' saw the outcome */
    CLA_TASK_SKIPPED,   /* cancelled before it entered Lua */
    CLA_TASK_BROKE,     /* 'enter' or 'leave' raised: the error is on top of the task's stack */
    CLA_TASK_ABANDONED, /* given up while it waited or computed */
};

enum cla_wait_cancel {
    CLA_WAIT_CANCELLED, /* withdrawn: nothing will come of it */
    CLA_WAIT_PENDING,   /* committed: its result will come, and counts */
};

/* Withdraws the operation a task waits for, if it still can. */
typedef enum cla_wait_cancel cla_wait_cancel_fn(struct cla_task *task);

struct cla_task_ops {
    /* Pushes the body and its arguments; returns how many arguments. May raise. */
    int (*enter)(struct cla_task *task, lua_State *L);
    /* The body is about to begin, or has returned. Returns NULL, or, if the task must wait before
     * it goes on, how to withdraw the wait that it has begun, which cla_task_wake() ends; then it
     * is asked again, unless the task was cancelled before it began. May be NULL. */
    cla_wait_cancel_fn *(*hold)(struct cla_task *task);
    /* The body ended. LUA_OK: its results are at 'first' and up; else the error is on top, a string
     * with its traceback appended unless it is a Cancel or another object. May raise. */
    void (*leave)(struct cla_task *task, lua_State *L, int status, int first);
    /* The root scope was cancelled; runs before its registrations. Runs no Lua. May be NULL. */
    void (*on_cancel)(struct cla_task *task, const struct cla_reason *reason);
    /* The body is over. Not inside Lua; 'task' is still alive. */
    void (*on_end)(struct cla_task *task, enum cla_task_end end);
    /* The task and all its children are over; it goes back to the pool. May be NULL. */
    void (*on_release)(struct cla_task *task);
    /* What people know it by: its call's id, if it has one, and a name. In a handler of a signal:
     * only reads. May be NULL. */
    struct cla_slice (*identify)(const struct cla_task *task, uint64_t *call);
    /* No limit of processor time holds for it. */
    bool unlimited;
    /* It may go on for ever: cpu_limit does not hold for it, and memory is first taken from others.
     */
    bool endless;
    /* 'leave' gets an error as it was raised, and cla_task_push_traceback() the traceback. */
    bool passes_errors;
    bool is_cleanup; /* its body is entered even if it can no longer await */
};

/* User values of a task, which is a userdata: its coroutine, until it has a token, which then keeps
 * that. */
enum { CLA_TASK_THREAD = CLA_SCOPE_TOKEN, CLA_TASK_VALUES = CLA_TASK_THREAD };

struct cla_task {
    struct cla_scope root; /* first: to scripts the userdata is this; root.ref keeps the task */
    struct cla_sched *sched;
    lua_State *L;         /* its coroutine */
    lua_State *running;   /* that, or the innermost of the script's that it has resumed */
    struct cla_link link; /* in ready, unwinding or pool */
    struct cla_link all;  /* in sched->tasks */
    const struct cla_task_ops *ops;
    void *owner;                     /* of the ops */
    struct cla_scope *scope;         /* innermost */
    struct cla_task *parent;         /* released after this one; NULL: none */
    cla_wait_cancel_fn *wait_cancel; /* of the await under way */
    union {
        void *wait;                     /* its operation */
        uint64_t wakes_ns;              /* if it 'sleeps': when that is over */
        struct cla_scope *cancelled_by; /* if 'withdrawn': the scope whose cancellation did that */
    };
    struct cla_stack coros;  /* the script's that belong to it and are not over */
    struct cla_task *closer; /* the child that closes abandoned ones; NULL: none */
    struct cla_stack made;   /* registrations on tokens that outlive the body */
    uint64_t serial;         /* tells it from those that used the same coroutine before; never 0 */
    size_t charged;          /* bytes allocated while it ran */
    uint64_t computed_ns;    /* processor time since its last await or raise, as far as known */
    uint64_t cpu_ns;         /* processor time of it and what is inside, as far as known */
    unsigned children;       /* live child tasks */
    enum cla_task_state state : 8;
    bool sleeps : 1;      /* the await is over at a time */
    bool withdrawn : 1;   /* the await was ended by a cancellation */
    bool entered : 1;     /* has run */
    bool begun : 1;       /* and so has its body */
    bool nudged : 1;      /* READY to look if its await is over: see cla_op_nudge() */
    bool preemptible : 1; /* others may run between its slices */
    bool manual : 1;      /* see cla_scope_cancel() */
};

/* Its root scope, which others change while the task is only looked at. */
static inline struct cla_scope *cla_task_root(const struct cla_task *task)
{
    return (struct cla_scope *)&task->root;
}

/* When its await is over by itself; CLA_NEVER: by something else. */
static inline uint64_t cla_task_wakes_ns(const struct cla_task *task)
{
    return task->sleeps ? task->wakes_ns : CLA_NEVER;
}

/* Takes an idle task, or makes one. NULL: out of memory. Not while Lua runs a script, unless from
 * inside a protected call. */
struct cla_task *cla_task_get(struct cla_sched *sched);

/* Starts 'task': its root scope is inside 'outer' (NULL: none) with this deadline, and if 'parent'
 * is given that task is not released before this one. */
void cla_task_start(struct cla_task *task, const struct cla_task_ops *ops, void *owner,
                    struct cla_scope *outer, struct cla_task *parent, uint64_t deadline_ns);

/* Gives a task back that was never started. It may be gone then. */
void cla_task_put(struct cla_task *task);

/* Ends the wait: the task becomes ready. For the operation's completion. */
void cla_task_wake(struct cla_task *task);

/* Ends the wait by cancellation if an await would raise now and the operation agrees. */
void cla_task_interrupt(struct cla_task *task);

/* Resumes a ready task; the scheduler's. */
void cla_task_resume(struct cla_task *task);

/* Makes a task that has nothing yet, in the caller's storage. */
void cla_task_init(struct cla_task *task, struct cla_sched *sched);

/* Makes one task for the pool; may raise. The scheduler's. */
struct cla_task *cla_task_new(lua_State *L);

/* Gives up a task that is not running: its to-be-closed variables are closed, but cannot await or
 * compute for long. Returns false if it has ended, or if its await has a result that will come. */
bool cla_task_abandon(struct cla_task *task);

/* The same for all that is inside it too. It may have been released then. */
void cla_task_abandon_all(struct cla_task *task);

/* Frees an idle task. */
void cla_task_free(struct cla_task *task);

/* Lets 'registration' end with the body of 'task', unless it is over sooner. For one on a token
 * that neither the task nor an ancestor of it opened: nothing else ties it to who made it. */
void cla_task_adopt(struct cla_task *task, struct cla_registration *registration);

/* Remembers the traceback of the error at 'message' (a string), made where it was raised, so that
 * the task's boot frame logs it even if a frame in between raises the error again. To be used as a
 * message handler. */
int cla_task_traceback(lua_State *L);

/* Pushes the traceback of the error at 'index' if it was remembered, else nil. */
void cla_task_push_traceback(lua_State *L, int index);

/* Remembers the traceback on top of the stack (nil: none), which it takes off, for its error that
 * is about to be raised again. */
void cla_task_set_traceback(lua_State *L);

/* Where the task is now: a traceback, on top of sched->L's stack until the caller pops it. */
const char *cla_task_push_stack(const struct cla_task *task);

/* Writes where the task is now, "file:line", or "?" if it has no Lua frame. Allocates nothing. */
void cla_task_where(const struct cla_task *task, char *text, size_t bytes);

/* The task running on coroutine L, its own or one that the script made; NULL: no task, or L was
 * resumed by C code that knows of none. */
static inline struct cla_task *cla_task_on(lua_State *L)
{
    struct cla_task *task = cla_sched_of(L)->current;

    return task != NULL && task->running == L ? task : NULL;
}

/* The outermost task that 'task' is inside of: a call's, mostly. */
static inline struct cla_task *cla_task_top(struct cla_task *task)
{
    while (task->parent != NULL)
        task = task->parent;
    return task;
}

/* True if 'L' is the coroutine of a task, running or not: only the scheduler may resume it. */
static inline bool cla_task_owns(lua_State *L)
{
    return (*(uintptr_t *)lua_getextraspace(L) & CLA_SCHED_OF_TASK) != 0;
}

#endif
