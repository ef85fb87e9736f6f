/* The access log: one line for each call, and for each request that was refused before it was one.
 *
 * Worker thread. Depends on: base/log, gateway/call. */
#ifndef CLA_GATEWAY_ACCESS_H
#define CLA_GATEWAY_ACCESS_H

#include "gateway/call.h"

/* Logs a call that just ended with 'code'; 'reason' if it was cancelled, else NULL. */
void cla_access_call(const struct cla_call *call, enum cla_code code,
                     const struct cla_reason *reason);

/* Logs a request refused with an HTTP status before any call. 'why' is ours, not the client's. */
void cla_access_refused(const struct cla_call_env *env, struct cla_slice peer, int status,
                        const char *why);

/* Logs that TLS failed on a connection. 'why' is OpenSSL's, or ours. */
void cla_access_tls_failed(const struct cla_call_env *env, struct cla_slice peer, const char *why);

/* A file was answered with, or its absence: all that was to be sent, if nothing came in between. */
void cla_access_file(const struct cla_request *request, uint64_t received_ns, struct cla_slice path,
                     int status, uint64_t bytes);

#endif
