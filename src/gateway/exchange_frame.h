/* Binary frames of a WebSocket (rpc/frame.h): each that asks for something becomes an exchange of
 * one call.
 *
 * Worker thread. Depends on: gateway/exchange, rpc/frame. */
#ifndef CLA_GATEWAY_EXCHANGE_FRAME_H
#define CLA_GATEWAY_EXCHANGE_FRAME_H

#include "gateway/exchange.h"

/* Reads a frame that has arrived on 'socket', and does what it asks for. One that is malformed, or
 * a request with the id of a live call, closes the socket with 1002. Returns 0 or -CLA_ENOMEM. */
int cla_exchange_frame_run(struct cla_socket *socket, struct cla_slice message,
                           uint64_t received_ns);

#endif
