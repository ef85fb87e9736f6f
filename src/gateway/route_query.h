/* The query of a call by GET: Connect's "Query-Get" (https://connectrpc.com/docs/protocol).
 *
 * Worker thread. Depends on: base, http. Pure. Parameters may stand in any order, and others beside
 * them. */
#ifndef CLA_GATEWAY_ROUTE_QUERY_H
#define CLA_GATEWAY_ROUTE_QUERY_H

#include "base/buf.h"
#include "base/error.h"

struct cla_route_fault {
    int status;
    enum cla_code code;
    const char *why; /* one line for people */
};

/* Checks all but the message: 'encoding' (json), 'compression' (identity) and 'connect' (v1), each
 * of which may be left out; with the last '*connect' becomes true. Returns 0, or -CLA_EINVAL with
 * '*fault'. */
int cla_route_query_check(struct cla_slice query, bool *connect, struct cla_route_fault *fault);

/* Appends the params as JSON text to 'out': 'message', base64 if base64=1; nothing if there is no
 * query. Returns 0, -CLA_ENOMEM, or -CLA_EINVAL with '*why'. */
int cla_route_query_params(struct cla_slice query, struct cla_buf *out, const char **why);

#endif
