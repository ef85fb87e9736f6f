/* What the fields of a head mean for the message: its framing, host and connection
 * (RFC 9112 sections 3.2, 6, 9.3; RFC 9110 sections 7.2, 8.6, 10.1.1).
 *
 * Any thread. Depends on: base, http/fault, http/url. */
#ifndef CLA_HTTP_RULES_H
#define CLA_HTTP_RULES_H

#include "http/fault.h"
#include "http/parser.h"

/* Fills the rest of a request's head from its method, target, version and fields.
 * Returns 0, or -CLA_EPROTO with 'fault' filled. */
int cla_http_rules_request(struct cla_http_head *head, const struct cla_http_limits *limits,
                           struct cla_http_fault *fault);

/* As cla_http_rules_request(), from a response's status, version and fields. 'no_body' says that
 * it answers a HEAD. A body until close is has_body with neither chunked nor content_length. */
int cla_http_rules_response(struct cla_http_head *head, const struct cla_http_limits *limits,
                            bool no_body, struct cla_http_fault *fault);

#endif
