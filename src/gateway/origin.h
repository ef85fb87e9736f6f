/* Which web pages may call: Origin (RFC 6454) and the CORS protocol (Fetch standard, section 3.2).
 *
 * Any thread. Depends on: base, http/token. Pure. Credentials are never allowed: a page of another
 * site that knows a secret sends it itself, and a browser's cookies are not lent to it. */
#ifndef CLA_GATEWAY_ORIGIN_H
#define CLA_GATEWAY_ORIGIN_H

#include "base/buf.h"

enum cla_origin {
    CLA_ORIGIN_OWN,     /* no page, or one that the gateway's own host served */
    CLA_ORIGIN_ALLOWED, /* another site's, and listed: it is told so */
    CLA_ORIGIN_ANY,     /* another site's, and "*" is listed: likewise */
    CLA_ORIGIN_REFUSED, /* another site's, and not listed */
};

/* What a request says of the page that it comes from; slices of its head. */
struct cla_cors {
    struct cla_slice origin;  /* of a page of another site that may call; else empty */
    struct cla_slice headers; /* Access-Control-Request-Headers */
    bool preflight;           /* Access-Control-Request-Method was sent */
    bool private_network;     /* Access-Control-Request-Private-Network was, and is granted */
};

/* Judges the field Origin (empty: absent) of a request to 'host'. 'list': origins, one may be "*".
 */
enum cla_origin cla_origin_check(struct cla_slice origin, struct cla_slice host,
                                 const struct cla_slice *list, size_t count);

/* Appends the header lines of a response where origins are listed; with 'methods' (those of Allow)
 * what a preflight asks for. Returns 0 or -CLA_ENOMEM. */
int cla_origin_fields(struct cla_buf *to, const struct cla_cors *cors, const char *methods);

#endif
