/* Scopes: what a task's awaits are cancelled by.
 *
 * VM thread only. Depends on: cancel/token, task/sched, lua.
 *
 * Each task has a root scope; timeouts and shields open further ones inside it. A scope is a Lua
 * userdata, and it is also the Cancel object that is raised for it, so raising allocates nothing.
 * It has a token, which scripts read: the token is marked when the scope or any scope around it is
 * cancelled, shields or not. Delivery, the raising in awaits, is separate:
 *
 *   open -- cla_scope_cancel() --> due -- an await raises --> unwinding
 *                                   due -- grace ends --> grace_over -- 100 ms --> given up
 *
 * An await looks outwards from the innermost scope to the first shield or the root. The outermost
 * scope that is due is raised. Once the task has raised one that is in sight its clean-up may
 * await, until grace ends: then every await raises again. A scope that clean-up opens is looked at
 * as if nothing were around it until then, so that a timeout works there too.
 *
 * A scope belongs to the coroutine of the script that opened it. The chain of innermost scopes is
 * that of the running coroutine, then its resumer's, and so on out to the task's own:
 *
 *   resume: the outermost of the coroutine's scopes comes inside the resumer's innermost (joined).
 *           A cancel there reaches it now: its token is marked, registrations fire.
 *   yield:  it comes inside the root of the task that began the coroutine, or has nothing around it
 *           if the script made that while it loaded (split). So neither the deadline of a suspended
 *           generator nor its Cancel is its consumer's, and the call's own cancel still marks it.
 *
 * The timers of scopes that are split off go on. A deadline that fires makes the scope due; the
 * next await of its coroutine raises it, and its grace counts from the resume before that. A shield
 * that ends has ended. A token once marked stays marked. Where a coroutine ends, by return, error
 * or close, its scopes have ended before, for its boot frame unwinds it; what is left by a
 * coroutine that is given up is closed with it. What else ends with a scope, loose ones included,
 * moves with it; what a coroutine makes that has no scope ends with the call that it belongs to. A
 * group's scope is not split off: its coroutine may not yield. A Cancel passes from one coroutine
 * to its resumer as an error does, and a Cancel whose scope was the coroutine's own is an ordinary
 * error there. */
#ifndef CLA_TASK_SCOPE_H
#define CLA_TASK_SCOPE_H

#include "task/sched.h"

/* User values of a scope: its token object, once there is one; of a loose one also the links, if it
 * is linked. */
enum { CLA_SCOPE_TOKEN = 1, CLA_SCOPE_LINKS = 2, CLA_SCOPE_VALUES = 2 };

/* User values of a token object: its scope, and what it keeps besides, such as what was in its
 * place there. */
enum { CLA_TOKEN_SCOPE = 1, CLA_TOKEN_KEEPS = 2, CLA_TOKEN_VALUES = CLA_TOKEN_KEEPS };

/* What ends with a scope; embedded in its owner's struct. */
struct cla_dependent {
    struct cla_stack_link link; /* in scope->dependents, or in none */
    void (*end)(struct cla_dependent *dependent);
    bool waits; /* for the scope's cancellation, which ends it too */
};

struct cla_scope {
    struct cla_token token;   /* first: what scripts see */
    struct cla_task *task;    /* whose awaits it cancels */
    struct cla_timer timer;   /* of the deadline, then of the end of grace; or of a shield's end.
                                 Of a root also that of a sleep of its task */
    struct cla_reason reason; /* of being due; its token's may differ, if that was marked before */
    uint64_t grace_end_ns;    /* when due, or left: see cla_scope_leave(); else CLA_NEVER */
    uint64_t raised;          /* sched->raises when its task raised it last; as 'caught' */
    const void *caught_as;    /* the error that is to be raised again; compared only */
    struct cla_stack dependents; /* end with it */
    int ref;                     /* keeps the userdata while open */
    bool open : 1;
    bool due : 1;        /* cancelled itself, not by a scope around it */
    bool unwinding : 1;  /* its task raised it, or one around it, since it was opened */
    bool lenient : 1;    /* due, but it is left to the script, until grace ends: see
                            cla_scope_cancel */
    bool grace_over : 1; /* clean-up may no longer await */
    bool is_shield : 1;  /* made to hide what is around it */
    bool shield : 1;     /* and still does */
    bool caught : 1;     /* a pcall returned its Cancel, or the error that took its place: awaits
                            raise until that is raised again. Of a root also that of a scope around
                            it, which other tasks are inside of, too */
    bool exposed : 1;    /* scripts may hold it, or have: not to be used again */
    bool apart : 1;      /* its coroutine is suspended: see above */
    bool is_group : 1;   /* subtasks are inside: its coroutine must not be suspended */
    bool loose : 1;      /* a token that the task made: cancels no awaits, and is in no chain */
    bool alone : 1;      /* no scope is around it, though its token is inside another */
};

/* The scope that a token belongs to: every one in the tree does. */
static inline struct cla_scope *cla_scope_of(struct cla_token *token)
{
    return CLA_CONTAINER(token, struct cla_scope, token);
}

/* The scope around, of the parent task for the root of a child task; NULL: none. */
static inline struct cla_scope *cla_scope_outer(const struct cla_scope *scope)
{
    return scope->alone || scope->token.parent == NULL ? NULL : cla_scope_of(scope->token.parent);
}

/* Creates the metatable. For the VM's construction; may raise. */
void cla_scope_setup(lua_State *L);

/* Makes a closed scope of the userdata on top, which begins with one that is all zeros and has a
 * user value for its token. May raise. */
void cla_scope_make(lua_State *L);

/* The scope at 'index', or NULL if it is none. Never raises. */
struct cla_scope *cla_scope_at(lua_State *L, int index);

/* Pushes an open scope's userdata, the Cancel object of it. Allocates nothing. */
void cla_scope_push(lua_State *L, struct cla_scope *scope);

/* Opens a new scope inside the innermost of the running 'task', with its timer armed. deadline_ns
 * may be CLA_NEVER. May raise; leaves nothing on the stack. */
struct cla_scope *cla_scope_enter(lua_State *L, struct cla_task *task, uint64_t deadline_ns);

/* Opens a scope inside 'outer' for 'task' and makes it the task's innermost. It must be in the
 * registry under scope->ref. deadline_ns may be CLA_NEVER. Does not start the timer. */
void cla_scope_open(struct cla_scope *scope, struct cla_task *task, struct cla_scope *outer,
                    uint64_t deadline_ns);

/* Lets go of the closed scopes that are kept to be entered again, beyond 'keep'. */
void cla_scope_trim(struct cla_sched *sched, unsigned keep);

/* When an open scope that is no shield acts by itself: its deadline, then the end of its grace. */
static inline uint64_t cla_scope_acts_ns(const struct cla_scope *scope)
{
    return scope->due ? scope->grace_end_ns : scope->token.own_ns;
}

/* Sets the timer for when the scope acts, and for when the wait of its task is over if it is a root
 * and that comes first. Not once the grace is over. */
void cla_scope_arm(struct cla_scope *scope);

/* Gives an open scope another deadline, earlier or later. No-op if it was cancelled. */
void cla_scope_set_deadline(struct cla_scope *scope, uint64_t deadline_ns);

/* Makes an open scope a shield until until_ns (CLA_NEVER: for ever); once a scope around it is
 * cancelled, at most until that one's grace ends. */
void cla_scope_shield(struct cla_scope *scope, uint64_t until_ns);

/* Makes the root of a task that cleans up after the cancelled scope around it a cancelled scope of
 * its own, unwinding for what is left of the grace; so it may outlive the one around it. */
void cla_scope_inherit(struct cla_scope *root);

/* Makes the root of a task that cleans up after a call that is over, cancelled or not, a cancelled
 * scope of its own, unwinding for as long as a grace, or what is left of that around it. */
void cla_scope_clean_up(struct cla_scope *root);

/* The body of the root's task is over: unless a cancel has begun a grace, one begins that ends all
 * clean-up the body has left, and what that begins. A cancel that comes later does not move it. */
void cla_scope_leave(struct cla_scope *root);

/* The open scope that what 'task' makes now ends with: the innermost of the coroutine that it runs,
 * or, if that is a script's and has none, the root of the call that the coroutine belongs to. */
struct cla_scope *cla_scope_home(const struct cla_task *task);

/* Pushes a new loose scope that ends with the scope 'home', if not before, when it is collected.
 * Its token is under that of 'parent' (NULL: a root). deadline_ns may be CLA_NEVER. */
struct cla_scope *cla_scope_push_loose(lua_State *L, struct cla_scope *home,
                                       struct cla_scope *parent, uint64_t deadline_ns);

/* The scope around, also of a loose one, which is in no chain; NULL: none. */
static inline struct cla_scope *cla_scope_around(const struct cla_scope *scope)
{
    return scope->loose && scope->token.parent != NULL ? cla_scope_of(scope->token.parent)
                                                       : cla_scope_outer(scope);
}

/* 'dependent' ends with the scope, unless it is taken out of the list before. */
void cla_scope_depend(struct cla_scope *scope, struct cla_dependent *dependent);

/* Cancels: marks the subtree, then fires registrations, then wakes tasks. 'message' may be empty.
 * Runs no Lua. Returns false if it was due already, or is loose and was marked.
 *
 * The root of a task that is 'manual' is cancelled leniently by its client or its deadline, by
 * shutdown and reload: nothing is raised until grace ends, or until another cancel aborts it. What
 * of that settles a call its ops->on_cancel() is told: a client that has gone at once, else that
 * which ends the lenience. */
bool cla_scope_cancel(struct cla_scope *scope, enum cla_cancel_kind kind, struct cla_slice message);

/* Does now what the scope's timer is there for: cancels it with a timeout, or ends its grace, or
 * its being a shield. Runs no Lua. */
void cla_scope_expire(struct cla_scope *scope);

/* Closes the scope, and those inside it, and drops registrations; its task's innermost is then the
 * scope around it. Not a root. The userdata lives on while scripts hold it. */
void cla_scope_close(struct cla_scope *scope);

/* Closes a task's root scope; its ref stays. For the task, when it is released. */
void cla_scope_close_root(struct cla_scope *scope);

/* Raises the open scope's Cancel. If it is around the running task, that unwinds from here on. */
_Noreturn void cla_scope_raise(lua_State *L, struct cla_scope *scope);

/* The scope whose Cancel an await of 'task' must raise now, or NULL. */
struct cla_scope *cla_scope_to_raise(const struct cla_task *task);

/* True if clean-up of 'task' may no longer await. */
bool cla_scope_grace_over(const struct cla_task *task);

/* The open scope whose Cancel is at 'index', if it is around what 'task' (NULL: none) runs now;
 * else NULL: to it, this is an ordinary error. Never raises. */
struct cla_scope *cla_scope_live(const struct cla_task *task, lua_State *L, int index);

/* What the error that a protected call of 'task' has caught stands for. */
enum cla_scope_fault {
    CLA_SCOPE_ERROR,  /* an error like any other */
    CLA_SCOPE_CANCEL, /* a Cancel of what is around, or the error of clean-up in its place */
};

/* Tells what the error on top of the stack stands for, to a protected call of 'task' (NULL: none)
 * that began when sched->raises was 'raises'. */
enum cla_scope_fault cla_scope_fault(const struct cla_task *task, lua_State *L, uint64_t raises);

/* A protected call of 'task' returns the error on top of the stack, which stands for a Cancel:
 * until it is raised again, awaits raise. */
void cla_scope_catch(const struct cla_task *task, lua_State *L, uint64_t raises);

/* The error at 'index' is raised by 'task' (NULL: none). */
void cla_scope_let_go(const struct cla_task *task, lua_State *L, int index);

/* Joins the scopes of a coroutine to those of 'task', which resumes it. */
void cla_scope_join(struct cla_scope *innermost, struct cla_scope *outermost,
                    struct cla_task *task);

/* Splits off the scopes inside 'base' of a coroutine that 'task' has run and that is suspended.
 * They are kept for 'owner'. Returns the outermost of them; the innermost was the task's. */
struct cla_scope *cla_scope_split(struct cla_task *task, struct cla_scope *base,
                                  struct cla_task *owner);

/* Closes scopes that are split off. */
void cla_scope_close_split(struct cla_scope *innermost, const struct cla_scope *outermost);
/* The scope whose Cancel whatever is to begin inside the open 'scope' must raise instead, or NULL:
 * it or one around it was cancelled, and it was not opened to clean up after that. */
struct cla_scope *cla_scope_refuses(struct cla_scope *scope);

/* Whether the task of 'scope' unwinds, as seen from there. */
bool cla_scope_is_unwinding(const struct cla_scope *scope);

/* True if the task has raised a scope in sight: it is cleaning up. */
bool cla_scope_unwinding(const struct cla_task *task);

#endif
