/* Timers: pure, time is a parameter.
 *
 * One thread. Depends on: base. Timers of one duration are due in the order in which they are
 * started, so each goes to the end of one of a few lists that stay sorted so, or, where it fits
 * none, into a pairing heap. All through the timers themselves: starting and stopping allocate
 * nothing and cannot fail, and what is started in a row is stopped in a row without touching
 * anything else. Timers due at the same time fire in start order. */
#ifndef CLA_IO_TIMER_H
#define CLA_IO_TIMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

struct cla_timer;

/* The timer is stopped when this runs, so it may be started again or freed from inside. */
typedef void cla_timer_cb(struct cla_timer *timer);

struct cla_timer {
    uint64_t due_ns;         /* when to fire */
    uint64_t order;          /* start order, among those due together; 0: stopped */
    struct cla_timer *child; /* first of those due later; itself: it is in a list */
    struct cla_timer *next;  /* sibling */
    struct cla_timer *prev;  /* sibling before it, or parent if it is the first child */
    cla_timer_cb *fire;
};

/* Sorted lists: for as many durations as are common. */
#define CLA_TIMERS_LISTS 8

struct cla_timers {
    struct cla_timer lists[CLA_TIMERS_LISTS]; /* rings through these; 'due_ns' is the last one's */
    struct cla_timer *recent;                 /* the list that was last added to; or NULL */
    struct cla_timer *root;                   /* of the heap: its earliest; NULL: none */
    size_t active;                            /* timers */
    uint64_t started;                         /* counts starts, for 'order' */
    uint64_t firing_ns; /* of the pass under way: nothing is started as due before it; else 0 */
};

/* Makes a stopped timer that will call 'fire'. */
static inline void cla_timer_init(struct cla_timer *timer, cla_timer_cb *fire)
{
    *timer = (struct cla_timer){.fire = fire};
}

/* True from start to stop, or until it fires. */
static inline bool cla_timer_active(const struct cla_timer *timer)
{
    return timer->order != 0;
}

/* Starts, or restarts, the timer. CLA_NEVER only stops it. */
void cla_timer_start(struct cla_timers *timers, struct cla_timer *timer, uint64_t due_ns);

/* Stops the timer if it is active. */
void cla_timer_stop(struct cla_timers *timers, struct cla_timer *timer);

/* When the earliest timer is due; CLA_NEVER if there is none. */
uint64_t cla_timers_next_ns(const struct cla_timers *timers);

/* Fires what is due at now_ns, but nothing that a callback starts. */
void cla_timers_fire(struct cla_timers *timers, uint64_t now_ns);

#endif
