/* Sizes and times as people write them: "1MiB", "500ms", or plain numbers.
 *
 * Any thread. Depends on: base/slice. */
#ifndef CLA_BASE_UNITS_H
#define CLA_BASE_UNITS_H

#include <stdint.h>

#include "base/slice.h"

/* Reads a size in bytes: digits, then nothing, B, KB, MB, GB (powers of 1000) or KiB, MiB, GiB.
 * Returns 0, or -CLA_EINVAL for anything else or above 2^63 - 1. */
int cla_units_bytes(struct cla_slice text, uint64_t *bytes);

/* Reads a time: a decimal number, then nothing or s (seconds), us, ms, m, h.
 * Returns 0, or -CLA_EINVAL for anything else, negative, or above 100 years. */
int cla_units_duration_ns(struct cla_slice text, uint64_t *ns);

#endif
