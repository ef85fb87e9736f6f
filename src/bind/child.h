/* Subtasks and the handles that scripts hold of them.
 *
 * VM thread. Depends on: task/op, lua. A subtask belongs to a group (bind/group.h) or is detached
 * (bind/detach.h). */
#ifndef CLA_BIND_CHILD_H
#define CLA_BIND_CHILD_H

#include "task/op.h"

enum cla_child_state {
    CLA_CHILD_RUNNING,
    CLA_CHILD_DONE,      /* its results are in the handle */
    CLA_CHILD_FAILED,    /* its error is */
    CLA_CHILD_CANCELLED, /* ended by a Cancel, or never begun */
};

struct cla_child;

/* What a subtask's owner wants to know. */
struct cla_child_events {
    /* The body is over; runs inside the subtask, or outside of Lua. May raise inside. */
    void (*on_end)(struct cla_child *child);
    /* The subtask and all its own are over. */
    void (*on_release)(struct cla_child *child);
};

struct cla_child { /* the handle */
    const struct cla_child_events *events;
    void *owner;             /* kept by the handle's user value CLA_CHILD_OWNER */
    struct cla_task *task;   /* NULL once released */
    struct cla_link waiting; /* operations that await it */
    enum cla_child_state state;
    struct cla_reason reason; /* of CANCELLED */
    bool by_itself;           /* of CANCELLED: through its handle or its own time limit */
    int results;              /* of DONE: how many */
    int ref;                  /* keeps the handle until release */
};

enum { CLA_CHILD_OWNER = 1, CLA_CHILD_VALUE = 2, CLA_CHILD_TRACE = 3 }; /* user values */

/* Creates the metatable. May raise. */
void cla_child_setup(lua_State *L);

/* Starts the function that stands below 'arguments' arguments on top of the stack, all of which it
 * takes off, as a task inside 'outer', a child of 'parent' (both may be NULL). Pushes the handle,
 * whose 'owner' is the userdata at 'owner_at' (0: none). May raise, then nothing has begun. */
struct cla_child *cla_child_start(lua_State *L, int arguments, struct cla_scope *outer,
                                  struct cla_task *parent, uint64_t deadline_ns, int owner_at,
                                  const struct cla_child_events *events);

/* The handle at 'at', or NULL. Never raises. */
struct cla_child *cla_child_at(lua_State *L, int at);

/* Pushes the results of the handle at 'at', which is not RUNNING, and returns how many; raises the
 * error of one that failed, and an ordinary error for one that was cancelled. */
int cla_child_push_results(lua_State *L, int at);

/* Logs the error of the FAILED subtask whose handle is on top of the stack. */
void cla_child_log(lua_State *L, const char *what);

/* True if the task is a subtask with these events. */
bool cla_child_is(const struct cla_task *task, const struct cla_child_events *events);

#endif
