/* What an exchange sends before its calls have ended: items and progress. Private to
 * gateway/exchange.
 *
 * Worker thread. Depends on: gateway/exchange, gateway/conn_stream.
 *
 * On a WebSocket a part is a message of its own. Over HTTP the response goes out in pieces, if its
 * protocol has such. */
#ifndef CLA_GATEWAY_EXCHANGE_STREAM_H
#define CLA_GATEWAY_EXCHANGE_STREAM_H

#include "gateway/exchange.h"

/* Begins to answer over HTTP in pieces. False: there was no memory, and the exchange is over. */
bool cla_exchange_stream_begin(struct cla_exchange *x);

/* Answers over HTTP in one piece: 'error', before there was a call. */
void cla_exchange_stream_refuse(struct cla_exchange *x, const struct cla_rpc_error *error);

/* Nothing more goes out: the answer in pieces is 'whole', or is cut off. */
void cla_exchange_stream_close(struct cla_exchange *x, bool whole);

/* Answers with the last: the call has ended, and its result or error is in the reply. */
void cla_exchange_stream_end(struct cla_exchange *x);

/* The sink's part_refused: see struct cla_call_sink. */
const char *cla_exchange_part_refused(const struct cla_call *call, enum cla_call_part kind);

/* The sink's part_writers. */
struct cla_writers *cla_exchange_part_writers(const struct cla_call *call);

/* The sink's part. */
int cla_exchange_part(struct cla_call *call, enum cla_call_part kind, struct cla_slice value);

#endif
