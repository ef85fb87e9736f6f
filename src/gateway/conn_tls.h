/* The TLS of a connection: its handshake, who the peer is, and how it fails.
 *
 * Worker thread. Depends on: gateway/conn, io/stream. */
#ifndef CLA_GATEWAY_CONN_TLS_H
#define CLA_GATEWAY_CONN_TLS_H

#include "gateway/conn.h"

/* Has the connection speak TLS, as its listener does; cla_conn_begin() follows when the handshake
 * is over. Returns 0 or -CLA_ENOMEM. */
int cla_conn_tls_open(struct cla_conn *conn);

/* Logs that the handshake, or TLS, failed, and why. */
void cla_conn_tls_failed(const struct cla_conn *conn, const char *why);

#endif
