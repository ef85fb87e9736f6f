/* An exchange for a route of the script: one call, whose result is the response. Private to
 * gateway/exchange.
 *
 * Worker thread. Depends on: gateway/exchange. */
#ifndef CLA_GATEWAY_EXCHANGE_PLAIN_H
#define CLA_GATEWAY_EXCHANGE_PLAIN_H

#include "gateway/exchange.h"

/* How its call is answered: errors are those of Connect. */
extern const struct cla_rpc_protocol cla_exchange_plain_protocol;

/* Prepares the request of an exchange whose route is found. */
void cla_exchange_plain_init(struct cla_exchange *x);

/* The request is complete: starts its call. */
void cla_exchange_plain_run(struct cla_exchange *x);

#endif
