/* The time limits of a connection, and what its files ask of it. Private to gateway/conn*.c.
 *
 * Worker thread. Depends on: gateway/conn. */
#ifndef CLA_GATEWAY_CONN_TIME_H
#define CLA_GATEWAY_CONN_TIME_H

#include "gateway/conn.h"
#include "gateway/worker.h"

/* Sets when the present wait is over. The timer is only moved when it would fire too late. */
void cla_conn_set_due(struct cla_conn *conn, uint64_t due_ns);

/* Something has happened: sets the limit of what is now waited for. */
void cla_conn_update_due(struct cla_conn *conn, uint64_t now);

/* Begins the wait for the peer to take what is queued. */
void cla_conn_await_writing(struct cla_conn *conn);

/* The callback of the connection's timer. */
void cla_conn_on_timer(struct cla_timer *timer);

/* Who the request under way is from; between requests, who has connected. */
static inline struct cla_slice cla_conn_peer(const struct cla_conn *conn)
{
    if (conn->exchange != NULL)
        return cla_exchange_http(conn->exchange)->request.peer;
    return cla_slice(conn->arrival.peer, conn->arrival.peer_n);
}

/* Now, on the loop's clock. */
static inline uint64_t cla_conn_now(const struct cla_conn *conn)
{
    return cla_loop_now_ns(conn->worker->loop);
}

/* Bytes that wait behind the request under way. */
static inline size_t cla_conn_pending(const struct cla_conn *conn)
{
    return conn->pending.n - conn->pending_at;
}

/* True while a request is complete and not yet answered. */
static inline bool cla_conn_busy(const struct cla_conn *conn)
{
    return conn->exchange != NULL && cla_exchange_http(conn->exchange)->busy;
}

/* True between the first byte and the end of a request. */
static inline bool cla_conn_in_message(const struct cla_conn *conn)
{
    return conn->parser != NULL && cla_http_parser_in_message(conn->parser);
}

#endif
