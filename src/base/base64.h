/* Base64 (RFC 4648).
 *
 * Any thread. Depends on: base/buf. */
#ifndef CLA_BASE_BASE64_H
#define CLA_BASE_BASE64_H

#include "base/buf.h"

/* Appends 'bytes' as padded base64 (section 4). Returns 0 or -CLA_ENOMEM (nothing appended). */
int cla_base64_encode(struct cla_buf *buf, struct cla_slice bytes);

/* Decodes base64 or base64url, padded or not, in place. Returns 0, or -CLA_EINVAL: 'buf' is no
 * longer of use. */
int cla_base64_decode(struct cla_buf *buf);

#endif
