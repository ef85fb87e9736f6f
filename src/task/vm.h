/* One Lua state with a memory cap, and its scheduler.
 *
 * VM thread only. Depends on: task/sched, lua. */
#ifndef CLA_TASK_VM_H
#define CLA_TASK_VM_H

#include "base/blocks.h"
#include "task/sched.h"

struct cla_vm {
    lua_State *L;
    struct cla_sched sched;
    struct cla_blocks blocks;
    size_t used;        /* bytes allocated */
    size_t cap;         /* most bytes; above, allocation fails */
    size_t tight_above; /* bytes at which the VM is 'tight' again; set after each relief */
    bool tight;         /* no new calls: memory is short even after a collection */
    uint64_t again_ns;  /* while tight: when to collect again, on the loop's clock */
    unsigned trimming;  /* steps that are left of a trimming; 0: none is going on */
};

/* Makes a state with Lua's standard library, capped at 'cap' bytes. The clean-up of cancelled
 * scopes may await grace_ns. Returns 0 or -CLA_ENOMEM. */
int cla_vm_new(struct cla_vm **out, struct cla_loop *loop, struct cla_log *log, size_t cap,
               uint64_t grace_ns, const struct cla_sched_ops *ops);

/* To be called between turns: above 80% of the cap collects garbage; if that does not help, cancels
 * (limit) the call that allocated most and makes the VM tight until memory is back. */
void cla_vm_relieve(struct cla_vm *vm);

/* Gives back what a burst of tasks has left: frees idle tasks, then collects garbage for about
 * half a millisecond. Returns true if there is more; the first call after it returned false begins
 * anew. Not while Lua runs. */
bool cla_vm_trim(struct cla_vm *vm);

/* Closes the state. No task may be live. NULL is fine. */
void cla_vm_free(struct cla_vm *vm);

/* Bytes that the VM has allocated. */
static inline size_t cla_vm_memory(const struct cla_vm *vm)
{
    return vm->used;
}

#endif
