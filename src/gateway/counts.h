/* What calls have come to, by procedure: the counts of one worker, for /metrics.
 *
 * Worker thread, but for struct cla_counts_names, which all workers share. Depends on:
 * gateway/call.
 *
 * Answers are written at the end of a turn, so that is when the calls of a turn have taken their
 * time, and the clock is looked at once for all of them.
 *
 * Procedures are known by their names, so counts outlive the generation of the script that declared
 * them. Each name has a place, the same with every worker, and keeps it; there are only so many, so
 * that no client and no script makes more of them. */
#ifndef CLA_GATEWAY_COUNTS_H
#define CLA_GATEWAY_COUNTS_H

#include <uv.h>

#include "base/clock.h"
#include "gateway/call.h"

/* Procedures that are counted one by one, from the start of the server on. */
#define CLA_COUNTS_PROCEDURES 500

enum {
    CLA_COUNTS_UNKNOWN, /* names that no procedure has */
    CLA_COUNTS_OTHER,   /* procedures beyond CLA_COUNTS_PROCEDURES, or for which memory was short */
    CLA_COUNTS_FIRST,
    CLA_COUNTS_PLACES = CLA_COUNTS_FIRST + CLA_COUNTS_PROCEDURES,
};

/* Calls that may end before the clock is looked at. */
#define CLA_COUNTS_PENDING 64

/* Buckets that have a bound; there is one more, without. */
#define CLA_COUNTS_BOUNDS 14

/* Of one procedure. */
struct cla_counts_entry {
    uint64_t ended[CLA_RPC_FAMILY_COUNT][CLA_CODE_COUNT];
    uint64_t took[CLA_COUNTS_BOUNDS + 1]; /* by duration; not cumulative */
    uint64_t took_ns;                     /* all of them together */
};

/* Which procedure has which place. Any thread. */
struct cla_counts_names {
    uv_mutex_t mutex;                          /* guards the adding of names */
    struct cla_slice names[CLA_COUNTS_PLACES]; /* owned, but for those of UNKNOWN and OTHER */
    unsigned count;
};

/* A call that has ended in this turn. */
struct cla_counts_pending {
    struct cla_counts_entry *entry;
    uint64_t received_ns;
};

struct cla_counts {
    struct cla_counts_names *names;
    struct cla_loop *loop;
    struct cla_counts_entry *entries[CLA_COUNTS_PLACES]; /* by place; owned; NULL: none counted */
    struct cla_counts_pending pending[CLA_COUNTS_PENDING];
    unsigned pending_count;
    uint64_t cancelled[CLA_CANCEL_KINDS]; /* calls that were, by reason */
};

/* Sets up the two names that always have a place. Returns 0 or -CLA_ENOMEM. */
int cla_counts_names_init(struct cla_counts_names *names);

/* Frees the names. No worker may count any more. */
void cla_counts_names_fini(struct cla_counts_names *names);

/* The place of 'name', which gets one if there are any left: else CLA_COUNTS_OTHER. 0: out of
 * memory. */
unsigned cla_counts_names_place(struct cla_counts_names *names, struct cla_slice name);

/* Sets up counts of zero. 'names' and 'loop' must outlive them. Returns 0 or -CLA_ENOMEM. */
int cla_counts_init(struct cla_counts *counts, struct cla_counts_names *names,
                    struct cla_loop *loop);

/* Frees what they hold. Fine if they are zeroed. */
void cla_counts_fini(struct cla_counts *counts);

/* Counts a call that has just ended with 'code', cancelled for 'kind' (NONE: it was not). */
void cla_counts_call(struct cla_counts *counts, const struct cla_call *call, enum cla_code code,
                     enum cla_cancel_kind kind);

/* What has ended is answered: the calls of this turn have taken until now. */
void cla_counts_settle(struct cla_counts *counts);

/* The longest duration that bucket 'at' (below CLA_COUNTS_BOUNDS) counts. */
uint64_t cla_counts_bound_ns(int at);

/* The bucket that a duration is counted in. */
int cla_counts_bucket(uint64_t ns);

#endif
