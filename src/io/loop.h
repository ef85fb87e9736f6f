/* One thread's event loop: libuv, the timer heap, and the end-of-turn step.
 *
 * One thread. Depends on: base, io/timer, libuv.
 *
 * A turn is: wait for and handle I/O, fire due timers, then call 'turn' until it has nothing more
 * to do at once. Callbacks of I/O and timers only record and make things ready; the work itself
 * happens in 'turn'. Under the virtual clock, time stands still while anything can happen without
 * it, and otherwise jumps to the next timer. */
#ifndef CLA_IO_LOOP_H
#define CLA_IO_LOOP_H

#include <stdatomic.h>
#include <uv.h>

#include "base/buf.h"
#include "io/timer.h"

/* Size of the receive buffer that all streams of a loop share. */
#define CLA_LOOP_READ_BYTES 65536

/* Does the work that is ready. Returns true if there is more to do without waiting. */
typedef bool cla_loop_turn_cb(void *arg);

struct cla_loop {
    uv_loop_t uv;
    uv_timer_t alarm;  /* wakes libuv when the earliest timer is due */
    uint64_t alarm_ns; /* what the alarm is set to; CLA_NEVER: stopped */
    struct cla_timers timers;
    cla_loop_turn_cb *turn;
    void *turn_arg;
    char *read_buf;  /* CLA_LOOP_READ_BYTES; filled and consumed within one callback */
    char *plain_buf; /* as large: what TLS streams decrypt into; NULL: there was none yet */
    struct cla_buf cipher_buf; /* what they encrypt into; empty between calls */
    uint64_t virtual_ns;       /* the virtual time */
    /* The time, while it is held; 0: it is not. Threads that load a script for this loop's read it,
     * too. */
    atomic_uint_fast64_t held_ns;
    unsigned pending; /* outside events awaited: virtual time waits for them */
    unsigned lookups; /* of names, under way: they cannot be broken off, and fini waits for them */
    bool is_virtual;
    bool stopped;
};

/* Returns 0, -CLA_ENOMEM or -CLA_EIO. */
int cla_loop_init(struct cla_loop *loop);

/* Sets the end-of-turn step. */
void cla_loop_on_turn(struct cla_loop *loop, cla_loop_turn_cb *turn, void *arg);

/* Now, on this loop's clock: real and fresh, or virtual. */
static inline uint64_t cla_loop_now_ns(const struct cla_loop *loop)
{
    uint64_t held_ns = atomic_load_explicit(&loop->held_ns, memory_order_relaxed);

    if (held_ns != 0)
        return held_ns;
    return loop->is_virtual ? loop->virtual_ns : cla_clock_monotonic_ns();
}

/* Lets it be now until cla_loop_release_now(), for what is done to many things at once, when a look
 * at the clock for each would take a good part of the time. No script runs meanwhile. Returns false
 * if it is held already; then somebody else releases it. */
static inline bool cla_loop_hold_now(struct cla_loop *loop)
{
    if (atomic_load_explicit(&loop->held_ns, memory_order_relaxed) != 0)
        return false;
    atomic_store_explicit(&loop->held_ns, cla_loop_now_ns(loop), memory_order_relaxed);
    return true;
}

/* Lets time pass again. */
static inline void cla_loop_release_now(struct cla_loop *loop)
{
    atomic_store_explicit(&loop->held_ns, 0, memory_order_relaxed);
}

/* Switches to virtual time, which begins at the present real time. */
void cla_loop_use_virtual_time(struct cla_loop *loop);

/* Runs turns until cla_loop_stop(). */
void cla_loop_run(struct cla_loop *loop);

/* Runs one turn; waits for something to happen only if 'may_wait'. Returns true if 'turn' asked to
 * be called again at once. */
bool cla_loop_step(struct cla_loop *loop, bool may_wait);

/* Makes cla_loop_run() return after this turn. */
void cla_loop_stop(struct cla_loop *loop);

/* Frees what the loop holds. Every handle must have been closed; runs their last callbacks. */
void cla_loop_fini(struct cla_loop *loop);

#endif
