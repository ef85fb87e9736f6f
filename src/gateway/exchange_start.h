/* How an exchange begins. Private to gateway/exchange.
 *
 * Worker thread. Depends on: gateway/exchange, rpc/jsonrpc. */
#ifndef CLA_GATEWAY_EXCHANGE_START_H
#define CLA_GATEWAY_EXCHANGE_START_H

#include "gateway/exchange.h"
#include "rpc/jsonrpc.h"

/* Begins to use an exchange from the pool: what both kinds have. */
void cla_exchange_begin(struct cla_exchange *x, const struct cla_request *request,
                        uint64_t received_ns);

/* Reads a text of JSON-RPC and starts its calls. It may be answered inside. Returns 0, or
 * -CLA_ENOMEM: a socket's text that will not be answered. */
int cla_exchange_start_text(struct cla_exchange *x, struct cla_slice text);

/* Adds a call of 'id' to those of the exchange. The first never fails. NULL: out of memory. */
struct cla_call *cla_exchange_new_call(struct cla_exchange *x, struct cla_slice id);

/* Takes an exchange for a message that has arrived on 'socket'. '*text', what it consists of,
 * becomes the exchange's own copy. NULL: out of memory. */
struct cla_exchange *cla_exchange_of_message(struct cla_socket *socket, struct cla_slice *text,
                                             uint64_t received_ns);

/* Starts a call or notification, whose slices lie in the body or text, but for the method and a
 * short id, or answers that it cannot be started. */
void cla_exchange_start_request(struct cla_exchange *x, const struct cla_rpc_request *request);

#endif
