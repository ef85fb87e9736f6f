/* Timeouts that clients send in headers.
 *
 * Any thread. Depends on: base. White space around a value is the header parser's to remove. */
#ifndef CLA_RPC_TIMEOUT_H
#define CLA_RPC_TIMEOUT_H

#include <stdint.h>

#include "base/slice.h"

/* Reads Connect-Timeout-Ms (Connect: an integer of 1 to 10 digits) into '*ms'; 0 has already
 * expired. Returns 0, or -CLA_EINVAL. */
int cla_rpc_timeout_connect(struct cla_slice value, uint64_t *ms);

/* Reads Grpc-Timeout (gRPC over HTTP/2: 1 to 8 digits and a unit of H M S m u n) into '*ms',
 * rounded up, so that only 0 has already expired. Returns 0, or -CLA_EINVAL. */
int cla_rpc_timeout_grpc(struct cla_slice value, uint64_t *ms);

/* Reads whichever of the two the client sent; one whose pointer is NULL is absent. Of both,
 * Connect's counts, but neither may be malformed. Returns 0, -CLA_ENOTFOUND (neither), or
 * -CLA_EINVAL. */
int cla_rpc_timeout_header(struct cla_slice connect, struct cla_slice grpc, uint64_t *ms);

#endif
