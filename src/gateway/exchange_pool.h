/* Idle exchanges of HTTP of a worker, with the memory of their buffers, and memory for those of
 * texts.
 *
 * Worker thread. Depends on: gateway/exchange, gateway/worker. */
#ifndef CLA_GATEWAY_EXCHANGE_POOL_H
#define CLA_GATEWAY_EXCHANGE_POOL_H

#include "gateway/exchange.h"

/* Sets up an empty pool. */
void cla_exchange_pool_init(struct cla_exchange_pool *pool);

/* An exchange for HTTP, whose buffers are empty; the rest is as its last use left it. NULL: out of
 * memory. */
struct cla_exchange *cla_exchange_pool_take_http(struct cla_worker *worker);

/* An exchange for a text: no batch yet, and its other fields are not set. NULL: out of memory. */
struct cla_exchange *cla_exchange_pool_take_text(struct cla_worker *worker);

/* The text of an exchange is of no more use. No-op if it has none. */
void cla_exchange_drop_text(struct cla_exchange *exchange);

/* Takes back an exchange that nobody refers to; lets go of its socket and app. */
void cla_exchange_pool_put(struct cla_exchange *exchange);

/* Frees idle exchanges beyond 'keep', at most 'most'. Returns true if there are more. */
bool cla_exchange_pool_trim(struct cla_exchange_pool *pool, unsigned keep, unsigned most);

#endif
