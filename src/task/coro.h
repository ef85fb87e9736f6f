/* Coroutines that scripts make, inside tasks.
 *
 * VM thread only. Depends on: task/task, lua.
 *
 *   fresh -- first resume --> active <-- yield, resume --> suspended
 *                               |
 *                               v
 *                             over: returned, raised, closed or given up
 *
 * A task's own coroutine resumes coroutines of the script, which may resume others: those are
 * active, a chain from task->running outwards. An await in the innermost yields through all of them
 * to the scheduler, and the task's resumption goes back inwards the same way: nobody in between
 * notices. The two kinds of yield differ in the task's state: it is RUNNING when the script yields.
 *
 * Each runs under a boot frame with lua_pcallk, so that an error closes its to-be-closed variables
 * at once, and these may await. A coroutine that was made in a call belongs to that call, to its
 * outermost task: it is closed when that ends. If it is collected before, it is closed then; its
 * finalizer keeps it for that, and it belongs to the task that closes it. If it had not begun by
 * then, it belongs to the call that begins it.
 * One that was made while the script loads, or by a C module, is the VM's: it belongs to
 * sched->nobody, a task that never runs, and is dropped when it is collected.
 *
 * Its struct is a userdata, an upvalue of the boot frame, so it lives as long as that. */
#ifndef CLA_TASK_CORO_H
#define CLA_TASK_CORO_H

#include "task/task.h"

struct cla_coro {
    struct cla_sched *sched;    /* first: for cla_sched_of() */
    lua_State *L;               /* it */
    struct cla_task *owner;     /* what it belongs to */
    struct cla_stack_link link; /* in owner->coros */
    struct cla_link collected;  /* in sched->collected, or in no list */
    int ref;                    /* keeps it once it was collected */
    bool closing;               /* resumed only to end */
    bool orphan;                /* it had not begun when the call ended that made it */
    /* While active: */
    struct cla_task *task;  /* that runs it; NULL: it is not active */
    struct cla_coro *outer; /* that resumed it; NULL: the task's own coroutine did */
    lua_State *from;        /* the state that resumed it, which C code may have put in between */
    struct cla_scope *base; /* the innermost scope of its resumer */
    bool unwinding;         /* it was resumed by clean-up: a Cancel passes the resumer */
    uint64_t raises;        /* sched->raises when it was resumed */
    /* While suspended: */
    bool yielded;                            /* by cla_coro_yield(), not in a C module */
    struct cla_scope *innermost, *outermost; /* its scopes; NULL: none */
};

/* Negative results of cla_coro_resume(). */
enum {
    CLA_CORO_FAILED = -1, /* the error is on top */
    CLA_CORO_PASSES = -2, /* likewise, and stands for a Cancel that must be raised on */
    CLA_CORO_AWAITS = -3, /* return lua_yieldk(L, 0, …); its continuation: cla_coro_continue() */
    CLA_CORO_CANCELLED = -4, /* the error is on top, for a Cancel: who catches it says so to
                                cla_scope_catch() */
};

/* The begun coroutine of a script that 'L' is, or NULL. */
static inline struct cla_coro *cla_coro_of(lua_State *L)
{
    uintptr_t extra = *(uintptr_t *)lua_getextraspace(L);

    return (extra & CLA_SCHED_OF_CORO) != 0 ? (struct cla_coro *)(extra & ~CLA_SCHED_BITS) : NULL;
}

/* The innermost coroutine of a script that 'task' has resumed, or NULL. */
static inline struct cla_coro *cla_coro_innermost(const struct cla_task *task)
{
    return cla_coro_of(task->running);
}

/* The state that resumed the active 'coro' as far as tasks know: of the coroutine around it, or the
 * task's own. */
static inline lua_State *cla_coro_around(const struct cla_coro *coro)
{
    return coro->outer != NULL ? coro->outer->L : coro->task->L;
}

/* Makes the VM's nobody and tables. For the VM's construction; may raise. */
void cla_coro_setup(lua_State *L);

/* Ends the scopes of the VM's coroutines. The scheduler's, at its end. */
void cla_coro_fini(struct cla_sched *sched);

/* Pushes a coroutine that will run the function on top, in its place. May raise. */
void cla_coro_create(lua_State *L);

/* Resumes 'co', which is not a task's, with the 'n' values on top of L's stack, and takes them off.
 * Returns how many results are on top then, or a negative number. May raise for want of memory. */
int cla_coro_resume(lua_State *L, lua_State *co, int n);

/* The same, in the continuation after CLA_CORO_AWAITS. */
int cla_coro_continue(lua_State *L, lua_State *co);

/* Ends a function that returns errors, as coroutine.resume does, with the one on top: returns false
 * and that, or raises it on if 'n', what cla_coro_resume() has returned, says so. */
int cla_coro_return_error(lua_State *L, int n);

/* A Lua function: yields its arguments. */
int cla_coro_yield(lua_State *L);

/* A Lua function: coroutine.close(co). To-be-closed variables of 'co' may await. */
int cla_coro_close(lua_State *L);

/* True if 'L' runs only to be closed. */
static inline bool cla_coro_closing(lua_State *L)
{
    const struct cla_coro *coro = cla_coro_of(L);

    return coro != NULL && coro->closing;
}

/* Pushes where 'co' was when an error ended it, a traceback, or nil if that is not known. */
void cla_coro_push_trace(lua_State *L, lua_State *co);

/* True if nothing but Lua and this is between the innermost active coroutine and the scheduler. */
bool cla_coro_may_await(const struct cla_task *task);

/* Pushes the coroutine 'co' onto L's stack; there is room. */
void cla_coro_push(lua_State *L, lua_State *co);

/* Resets 'co', which closes its variables without awaiting, and forgets it. What it ended in is
 * then on its stack, unless LUA_OK is returned. 'from' runs now. */
int cla_coro_reset(lua_State *co, lua_State *from);

/* Makes 'coro', which is over or is to be dropped, a thread like any other. */
void cla_coro_forget(struct cla_coro *coro);

#endif
