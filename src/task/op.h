/* Operations: what a task can wait for, alone or as one of several.
 *
 * VM thread only. Depends on: task/await, lua.
 *
 *   IDLE -- begin: done at once -----------------------> results
 *     ^        |
 *     |     enqueue                       one completes, the others of its wait are withdrawn
 *     |        v                             ^
 *     |      QUEUED -- cla_op_complete() ----+ ------> DONE -- the task runs --> results
 *     +-- withdrawn ---+                                |
 *     +------------------------ give_back, if cancelled +
 *
 * An operation is a Lua userdata that begins with struct cla_op. Awaiting asks each in turn to
 * begin; if none is done at once all are queued with what they wait for, and the first that
 * somebody completes withdraws the others then and there. So exactly one happens, and nothing is
 * taken by the others. An operation may be awaited again afterwards.
 *
 * Where whoever is waited for cannot do it himself, or might have nothing left by then, he nudges:
 * the task runs, and looks through its operations in order for one that can be done now. If there
 * is none it waits on; none has lost its place. */
#ifndef CLA_TASK_OP_H
#define CLA_TASK_OP_H

#include "task/await.h"

/* Most operations of one cla_op_select(). */
#define CLA_OP_SELECT_MAX 100

enum { CLA_OP_OBJECT = 1, CLA_OP_VALUE = 2, CLA_OP_VALUES = 2 }; /* user values */

struct cla_op;

/* 'at' is the operation's place on the stack of L. */
struct cla_op_ops {
    /* Does it now if that can be: true. May raise, having changed nothing. */
    bool (*begin)(lua_State *L, struct cla_op *op, int at);
    /* Puts it where cla_op_complete() will find it: op->link in the object's queue, or a timer. */
    void (*enqueue)(struct cla_op *op);
    /* Undoes enqueue(), but for op->link. May be NULL. */
    void (*withdraw)(struct cla_op *op);
    /* The task was nudged: does it now if that can be: true. Runs no Lua. NULL: it is never nudged.
     */
    bool (*poll)(struct cla_op *op);
    /* Does it now if its time has come: true. NULL: not an operation of time. */
    bool (*expire)(struct cla_op *op, uint64_t now_ns);
    /* It is done, but its task was cancelled before it ran: undoes it, and the task raises. NULL:
     * what was done is delivered, and the next await raises. */
    void (*give_back)(struct cla_op *op);
    /* Pushes the results; returns how many. */
    int (*push)(lua_State *L, struct cla_op *op, int at);
};

/* One await of one or several operations; lives in the first of them. */
struct cla_op_wait {
    struct cla_task *task;
    struct cla_link ops; /* queued, in the order of the arguments */
    struct cla_op *done; /* NULL: none yet */
    int first;           /* stack index of the first */
    bool select;         /* the results begin with the place of the one that is done */
    bool nudged;         /* one should be polled */
};

struct cla_op {
    const struct cla_op_ops *ops;
    void *object;             /* kept by the user value CLA_OP_OBJECT */
    struct cla_op_wait *wait; /* NULL: not queued */
    struct cla_link in_wait;  /* in wait->ops */
    struct cla_link link;     /* for the object's queue */
    int ref;                  /* keeps the userdata while it is queued */
    int at;                   /* stack index, while it is awaited */
    lua_Integer result;       /* for its kind */
    struct cla_op_wait own;   /* the wait of which it is the first */
};

/* Creates the metatable. For the VM's construction; may raise. */
void cla_op_setup(lua_State *L);

/* Pushes a new operation of 'bytes' bytes on the object at stack index 'object_at' (0: none). */
struct cla_op *cla_op_push_new(lua_State *L, const struct cla_op_ops *ops, size_t bytes,
                               int object_at, void *object);

/* Pushes an operation that is queued. */
void cla_op_push(lua_State *L, const struct cla_op *op);

/* Awaits the operation on top of the stack. To be returned by a lua_CFunction. */
int cla_op_await(lua_State *L);

/* Awaits those of the list at index 1, the only argument: results are the place of the one that was
 * done, then its own. A lua_CFunction. */
int cla_op_select(lua_State *L);

/* The queued 'op' was done: withdraws the others of its wait and wakes its task. */
void cla_op_complete(struct cla_op *op);

/* The queued 'op' may be possible now, or be over: its task is to poll. No-op if it is not queued.
 */
void cla_op_nudge(struct cla_op *op);

/* The time of the queued 'op' has come: completes it, or one that stands before it in its wait
 * whose time has come too. */
void cla_op_expire(struct cla_op *op);

/* The first operation of an object's queue, or NULL. */
static inline struct cla_op *cla_op_first(const struct cla_link *queue)
{
    return cla_list_empty(queue) ? NULL : CLA_CONTAINER(queue->next, struct cla_op, link);
}

#endif
