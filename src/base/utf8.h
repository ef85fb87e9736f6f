/* UTF-8 (RFC 3629).
 *
 * Any thread. Depends on: base/slice. */
#ifndef CLA_BASE_UTF8_H
#define CLA_BASE_UTF8_H

#include <stdint.h>

#include "base/slice.h"

/* The bytes of the well-formed sequence at p[0..n), n > 0: 1 to 4, or 0 if it is none. */
unsigned cla_utf8_sequence(const char *p, size_t n);

/* How many bytes from the start of 's' are well-formed UTF-8 (s.n: all). */
size_t cla_utf8_valid_prefix(struct cla_slice s);

/* True if all of 's' is well-formed: no overlong forms, surrogates, or code points above 10FFFF. */
static inline bool cla_utf8_valid(struct cla_slice s)
{
    return cla_utf8_valid_prefix(s) == s.n;
}

/* Writes 'code_point' (at most 10FFFF, no surrogate) to 'to', which has room for 4 bytes.
 * Returns the bytes written. */
unsigned cla_utf8_encode(uint32_t code_point, char *to);

#endif
