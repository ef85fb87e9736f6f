/* One client connection speaking HTTP/1.x, until it becomes a WebSocket.
 *
 * Worker thread. Depends on: io/stream, http/parser, gateway/exchange.
 *
 * At an https:// address the TLS handshake comes first, within handshake_timeout: conn_tls.
 *
 *   OPEN -- last answer, refusal --> FLUSHING -- written, FIN sent --> LINGERING --+
 *     |                                                                            v
 *     +-- the peer ended or failed ---------------------------------------------> CLOSED
 *
 * Requests run in order, one at a time; what arrives behind the one under way waits in 'pending'.
 * Beyond pipeline_bytes the stream is only watched for its end. */
#ifndef CLA_GATEWAY_CONN_H
#define CLA_GATEWAY_CONN_H

#include "gateway/arrival.h"
#include "gateway/exchange.h"
#include "http/parser.h"
#include "io/stream.h"

enum cla_conn_state {
    CLA_CONN_OPEN,
    CLA_CONN_FLUSHING,
    CLA_CONN_LINGERING,
    CLA_CONN_CLOSED,
};

struct cla_conn {
    struct cla_stream stream;
    struct cla_worker *worker;
    struct cla_link link;           /* in worker->conns */
    struct cla_link advance;        /* in worker->advance or worker->lost, or in none */
    struct cla_link dirty;          /* in worker->dirty, or in none */
    struct cla_http_parser *parser; /* NULL between requests: it is lent to other connections */
    struct cla_socket *socket;      /* the WebSocket it has become; NULL: none */
    struct cla_exchange *exchange;  /* being read or answered; NULL: none */
    struct cla_buf pending;         /* bytes behind the request under way … */
    size_t pending_at;              /* … from here on */
    struct cla_buf out;             /* responses of this turn */
    struct cla_timer timer;         /* set no later than due_ns */
    uint64_t due_ns;                /* when the present wait is over; CLA_NEVER: no limit */
    uint64_t read_ns;               /* when bytes last arrived */
    uint64_t received_ns;           /* first byte of the request under way */
    uint64_t head_ns;               /* end of its head */
    uint64_t requests;              /* answered */
    size_t unwritten;               /* bytes queued when the wait for the peer to take some began */
    enum cla_conn_state state;
    bool peer_ended;                     /* FIN seen, and an answer is still wanted */
    struct cla_certificate *certificate; /* the peer's, verified; NULL: none */
    struct cla_arrival arrival;          /* who it is from, and by which listener */
};

/* What a connection's parser calls it by. For the worker, which makes the parsers. */
extern const struct cla_http_events cla_conn_http_events;

/* Takes over the socket of 'arrival', and gives back what is counted when it is gone. On failure
 * too: the socket is then closed. Returns 0, -CLA_ENOMEM or -CLA_EIO. */
int cla_conn_open(struct cla_worker *worker, const struct cla_arrival *arrival);

/* The peer may begin: the handshake of TLS is over. For conn_tls. */
void cla_conn_begin(struct cla_conn *conn);

/* Writes the response of an exchange, which has let go of the connection; 'content_type' NULL:
 * none, and no body. For the exchange. */
void cla_conn_answer(struct cla_conn *conn, const struct cla_exchange *exchange,
                     const char *content_type);

/* True if the connection is to end with the answer to 'exchange'. */
bool cla_conn_last_request(const struct cla_conn *conn, const struct cla_exchange *exchange);

/* Appends the lines that pages of other sites need, in any response. */
void cla_conn_add_fields(struct cla_buf *fields, const struct cla_exchange *exchange);

/* An answer that went out in pieces has ended: goes on with the next request, or, with 'close', has
 * the connection end. For conn_stream. */
void cla_conn_answered(struct cla_conn *conn, bool close);

/* Begins to make a WebSocket of the connection, as 'exchange' asks: refuses, or asks the script.
 * For the exchange, which may be over with this. */
void cla_conn_upgrade(struct cla_conn *conn, struct cla_exchange *exchange);

/* Answers 101 with 'fields': from here on the connection is that of 'socket', whose reference it
 * takes. */
void cla_conn_switch(struct cla_conn *conn, struct cla_socket *socket, struct cla_slice fields);

/* Refuses the upgrade: the body is 'why', and 'fields' what else the client must know. */
void cla_conn_refuse_upgrade(struct cla_conn *conn, int status, const char *why,
                             struct cla_slice fields);

/* Writes what there is to write, then closes; nothing more is read. */
void cla_conn_finish(struct cla_conn *conn);

/* Answers with 'status' and the line 'why', then closes. */
void cla_conn_refuse(struct cla_conn *conn, int status, const char *why);

/* Goes on with pending bytes. For the worker's turn. */
void cla_conn_advance(struct cla_conn *conn);

/* Writes what the turn has produced. For the worker's turn. */
void cla_conn_flush(struct cla_conn *conn);

/* Closes the connection if it is idle; else it closes after the answer under way. */
void cla_conn_drain(struct cla_conn *conn);

/* Closes now; calls under way are cancelled with 'kind'. Idempotent. */
void cla_conn_close(struct cla_conn *conn, enum cla_cancel_kind kind);

#endif
