/* The server's admin socket, and its pages for orchestrators and Prometheus. Private to
 * gateway/server.
 *
 * Control thread. Depends on: gateway/server. */
#ifndef CLA_GATEWAY_SERVER_OPERATOR_H
#define CLA_GATEWAY_SERVER_OPERATOR_H

#include "gateway/server.h"

/* Begins a drain. Once. */
void cla_server_drain(struct cla_server *server);

/* Sends a copy of 'message' to each worker; logs if there is no memory. */
void cla_server_post_all(struct cla_server *server, const struct cla_message *message);

/* Puts the survey to all workers; 'arg' is the server. */
void cla_server_ask(void *arg, struct cla_survey *survey);

/* Opens both. Returns 0, or -CLA_E* with 'error'; then some may be open. */
int cla_server_open_operator(struct cla_server *server, const struct cla_config *config,
                             struct cla_config_error *error);

/* Closes both. Idempotent. */
void cla_server_close_operator(struct cla_server *server);

#endif
