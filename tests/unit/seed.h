/* Random numbers for model-based tests: seeded from CANCELA_SEED or the clock, and printed, so that
 * a failure can be run again. */
#ifndef CLA_TEST_SEED_H
#define CLA_TEST_SEED_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"

static uint64_t seed_state;

/* Seeds, and prints the seed. */
static inline void seed_init(void)
{
    const char *given = getenv("CANCELA_SEED");

    seed_state = given != NULL ? strtoull(given, NULL, 10) : cla_clock_monotonic_ns();
    printf("CANCELA_SEED=%llu\n", (unsigned long long)seed_state);
}

/* A number below 'n' (splitmix64). */
static inline uint64_t seed_below(uint64_t n)
{
    uint64_t z = seed_state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (z ^ (z >> 31)) % n;
}

#endif
