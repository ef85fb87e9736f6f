/* Which web pages may call: Origin (RFC 6454) and the CORS protocol (Fetch standard).
 *
 * Any thread. Depends on: base. Pure. */
#ifndef CLA_GATEWAY_ORIGIN_H
#define CLA_GATEWAY_ORIGIN_H

#include "base/buf.h"

enum cla_origin {
    CLA_ORIGIN_OWN,     /* no page, or one that the gateway's own host served */
    CLA_ORIGIN_ALLOWED, /* another site's, and listed: it is told so */
    CLA_ORIGIN_REFUSED, /* another site's, and not listed */
};

/* Judges the field Origin (empty: absent) of a request to 'host'. 'list': origins, one may be "*".
 */
enum cla_origin cla_origin_check(struct cla_slice origin, struct cla_slice host,
                                 const struct cla_slice *list, size_t count);

/* Appends the header lines of a response to an allowed origin; with 'methods' (those of Allow) also
 * what a preflight asks for. Returns 0 or -CLA_ENOMEM. */
int cla_origin_fields(struct cla_buf *to, struct cla_slice origin, const char *methods);

#endif
