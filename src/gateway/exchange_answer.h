/* How an exchange is answered: the sink of its calls, and what else ends in a reply. Private to
 * gateway/exchange.
 *
 * Worker thread. Depends on: gateway/exchange. */
#ifndef CLA_GATEWAY_EXCHANGE_ANSWER_H
#define CLA_GATEWAY_EXCHANGE_ANSWER_H

#include "gateway/exchange.h"

/* Where its calls come from and their replies go to. */
extern const struct cla_call_sink cla_exchange_sink;

/* The exchange that a call is part of. */
static inline struct cla_exchange *cla_exchange_of(const struct cla_call *call)
{
    if (call->further)
        return CLA_CONTAINER(call, const struct cla_exchange_further, call)->exchange;
    return (struct cla_exchange *)CLA_CONTAINER(call, const struct cla_exchange, first);
}

/* Answers over HTTP: the response is complete in status and reply. 'content_type' NULL: no body. */
void cla_exchange_answer(struct cla_exchange *x, const char *content_type);

/* Answers over HTTP with a line of plain text. */
void cla_exchange_answer_text(struct cla_exchange *x, int status, const char *text);

/* Answers over HTTP: every element has been read and every call has ended. */
void cla_exchange_answer_calls(struct cla_exchange *x);

/* One element of the text has been dealt with; the last one answers. */
void cla_exchange_one_answered(struct cla_exchange *x);

/* Appends an error to the reply. */
void cla_exchange_write_error(struct cla_exchange *x, struct cla_slice id,
                              const struct cla_rpc_error *error);

/* A call is over, or never was: frees it. */
void cla_exchange_forget_call(struct cla_exchange *x, struct cla_call *call);

/* What it has as a batch, made if need be. NULL: out of memory. */
struct cla_exchange_batch *cla_exchange_batch_of(struct cla_exchange *x);

/* True if the client is gone, or has its answer. */
bool cla_exchange_let_go(const struct cla_exchange *x);

/* Back to the pool once neither the connection nor a call refers to it. */
void cla_exchange_maybe_put(struct cla_exchange *x);

#endif
