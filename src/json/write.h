/* JSON text out: numbers and strings; brackets and commas are the caller's.
 *
 * Any thread, one at a time. Depends on: base. */
#ifndef CLA_JSON_WRITE_H
#define CLA_JSON_WRITE_H

#include <stdint.h>

#include "base/buf.h"

/* Appends 'text' quoted and escaped (RFC 8259 section 7: only what must be, with the short forms).
 * Returns 0, -CLA_ENOMEM, or -CLA_EUTF8 (nothing appended). */
int cla_json_write_string(struct cla_buf *buf, struct cla_slice text);

/* As cla_json_write_string(), but invalid bytes become U+FFFD: for text nobody vouches for. */
int cla_json_write_text(struct cla_buf *buf, struct cla_slice text);

/* Appends an integer. Returns 0 or -CLA_ENOMEM. */
int cla_json_write_int(struct cla_buf *buf, int64_t value);

/* Appends the shortest of %.15g, %.16g, %.17g that reads back as 'value', with ".0" where it would
 * read as an integer. The process stays in the C locale.
 * Returns 0, -CLA_ENOMEM, or -CLA_EINVAL for NaN and infinities (nothing appended). */
int cla_json_write_number(struct cla_buf *buf, double value);

#endif
