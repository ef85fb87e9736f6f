#include "base/hash.h"

#include <sys/random.h>

#include "base/clock.h"

uint64_t cla_hash_seed(void)
{
    uint64_t seed;

    return getrandom(&seed, sizeof seed, 0) == sizeof seed ? seed : cla_clock_monotonic_ns();
}

static uint64_t mix(uint64_t h)
{
    h ^= h >> 32;
    h *= UINT64_C(0xd6e8feb86659fd93);
    return h ^ (h >> 32);
}

uint64_t cla_hash(uint64_t seed, struct cla_slice name)
{
    for (size_t i = 0; i < name.n; i++)
        seed = mix(seed ^ (unsigned char)name.p[i]);
    return seed;
}
