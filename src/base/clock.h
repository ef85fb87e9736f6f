/* The clock seam: time is monotonic nanoseconds, handed in by whoever owns the clock.
 *
 * Any thread. Depends on: nothing. */
#ifndef CLA_BASE_CLOCK_H
#define CLA_BASE_CLOCK_H

#include <stdint.h>

#define CLA_NS_PER_MS UINT64_C(1000000)
#define CLA_NS_PER_S UINT64_C(1000000000)

/* A point in time that never comes: "no deadline". */
#define CLA_NEVER UINT64_MAX

/* Monotonic time now (CLOCK_MONOTONIC). */
uint64_t cla_clock_monotonic_ns(void);

/* Wall-clock time in nanoseconds since 1970 (CLOCK_REALTIME): for logs and Date only. */
uint64_t cla_clock_wall_ns(void);

/* a + b, held at CLA_NEVER. */
static inline uint64_t cla_clock_add(uint64_t a, uint64_t b)
{
    return b > CLA_NEVER - a ? CLA_NEVER : a + b;
}

/* 'seconds' as nanoseconds, held at CLA_NEVER; negative and NaN give 0. */
static inline uint64_t cla_clock_from_seconds(double seconds)
{
    if (!(seconds > 0))
        return 0;
    return seconds >= 1.8e10 ? CLA_NEVER : (uint64_t)(seconds * 1e9);
}

#endif
