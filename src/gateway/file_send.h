/* An exchange that is answered with a file of the app's folder.
 *
 * Worker thread. Depends on: gateway/exchange, gateway/conn_stream, io/folder. */
#ifndef CLA_GATEWAY_FILE_SEND_H
#define CLA_GATEWAY_FILE_SEND_H

#include "gateway/exchange.h"

struct cla_file_send; /* frees itself */

/* The request is complete: answers, now or later. */
void cla_file_send_start(struct cla_exchange *x);

/* The client has gone: nothing more is sent, and the exchange is not touched any more. */
void cla_file_send_forsake(struct cla_file_send *file);

#endif
