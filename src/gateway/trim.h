/* Gives memory back after a burst.
 *
 * Worker thread. Depends on: gateway/app, io/loop.
 *
 *   QUIET -- a turn ends with a quarter of the load there was --> WATCHING
 *   WATCHING -- no more than that for a while --> TRIMMING, else QUIET
 *   TRIMMING -- slices, in turns with nothing else to do --> QUIET
 *
 * What bursts of calls leave in pools, in Lua and in the allocator would otherwise stay for ever. A
 * server whose load is steady, idle or not, does none of this. */
#ifndef CLA_GATEWAY_TRIM_H
#define CLA_GATEWAY_TRIM_H

#include "io/loop.h"

struct cla_trim;

/* Does about half a millisecond of it; the first call after it returned false begins anew. Returns
 * true while there is more. */
typedef bool cla_trim_fn(struct cla_trim *trim);

struct cla_trim {
    struct cla_loop *loop;
    cla_trim_fn *slice;
    unsigned least;         /* below this load nothing is worth it */
    uint64_t watch_ns;      /* how long it must have been low */
    struct cla_timer timer; /* of WATCHING */
    unsigned high;          /* most load since the last trimming */
    unsigned recent;        /* most load since WATCHING began */
    bool trimming;
    uint64_t spent_ns;      /* in slices of this trimming */
    uint64_t rest_until_ns; /* no trimming before this: the last one took its share */
};

/* The load must have been 'least' or more, and low for 'watch_ns'. What counts as load is the
 * owner's: a number of things that take memory. */
void cla_trim_init(struct cla_trim *trim, struct cla_loop *loop, cla_trim_fn *slice, unsigned least,
                   uint64_t watch_ns);

/* A turn begins, with so much load. */
static inline void cla_trim_turn_begins(struct cla_trim *trim, unsigned load)
{
    if (load > trim->recent)
        trim->recent = load;
}

/* A turn has ended, with so much load; 'idle': it has nothing more to do. Returns true if the next
 * turn should not wait, for there is more to trim. */
bool cla_trim_turn_ends(struct cla_trim *trim, unsigned load, bool idle);

/* Stops. */
void cla_trim_fini(struct cla_trim *trim);

#endif
