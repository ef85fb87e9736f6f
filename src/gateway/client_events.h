/* The answer to a stream that was asked for as server-sent events. Private to gateway/client.
 *
 * Loop thread only. Depends on: rpc/events, rpc/connect, gateway/client. */
#ifndef CLA_GATEWAY_CLIENT_EVENTS_H
#define CLA_GATEWAY_CLIENT_EVENTS_H

#include "gateway/client.h"
#include "rpc/events.h"

struct cla_client_events {
    struct cla_events events;
    cla_client_part_cb *on_part;
    void *arg;
    struct cla_buf end;               /* the data of the last event */
    struct cla_rpc_response response; /* what it says; borrows 'end' */
    bool ended;                       /* it has come */
    const char *why; /* what came made no sense, or was too much; NULL: it is well */
};

/* Begins. */
void cla_client_events_init(struct cla_client_events *events, cla_client_part_cb *on_part,
                            void *arg);

/* Takes bytes of the body. Nothing is reported behind the end, or once 'why' is set. */
void cla_client_events_feed(struct cla_client_events *events, struct cla_slice bytes);

/* Frees. */
void cla_client_events_fini(struct cla_client_events *events);

#endif
