/* A histogram of durations in exponential buckets.
 *
 * One thread. Depends on: nothing.
 *
 * Bucket 0 counts what took at most 16 us, each further one what took at most twice as long as the
 * one before, and the last whatever took longer than about 16.8 s. Adding takes a count of leading
 * zeros: no floats, no search. */
#ifndef CLA_BASE_HISTOGRAM_H
#define CLA_BASE_HISTOGRAM_H

#include <stdint.h>

/* Least bound, as a power of two of microseconds. */
#define CLA_HISTOGRAM_FIRST 4
/* Buckets that have a bound; there is one more, without. */
#define CLA_HISTOGRAM_BOUNDS 21

struct cla_histogram {
    uint64_t counts[CLA_HISTOGRAM_BOUNDS + 1]; /* not cumulative */
    uint64_t sum_ns;
};

/* The longest duration that bucket 'at' (below CLA_HISTOGRAM_BOUNDS) counts. */
static inline uint64_t cla_histogram_bound_ns(int at)
{
    return (UINT64_C(1000) << CLA_HISTOGRAM_FIRST) << at;
}

/* Counts a duration. */
static inline void cla_histogram_add(struct cla_histogram *histogram, uint64_t ns)
{
    uint64_t steps = (ns == 0 ? 0 : ns - 1) / cla_histogram_bound_ns(0);
    int at = steps == 0 ? 0 : 64 - __builtin_clzll(steps);

    histogram->counts[at < CLA_HISTOGRAM_BOUNDS ? at : CLA_HISTOGRAM_BOUNDS]++;
    histogram->sum_ns += ns;
}

/* Adds what 'more' has counted. */
static inline void cla_histogram_merge(struct cla_histogram *histogram,
                                       const struct cla_histogram *more)
{
    for (int at = 0; at <= CLA_HISTOGRAM_BOUNDS; at++)
        histogram->counts[at] += more->counts[at];
    histogram->sum_ns += more->sum_ns;
}

#endif
