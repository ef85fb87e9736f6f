/* A connection that has become a WebSocket and speaks JSON-RPC: one text a message.
 *
 * Worker thread. Depends on: ws, gateway/exchange, gateway/conn.
 *
 * Texts run beside each other; each is answered, in one frame, as soon as its calls have ended. The
 * connection owns the socket until it closes; texts hold it a little longer, for its head is that
 * of their calls. */
#ifndef CLA_GATEWAY_SOCKET_H
#define CLA_GATEWAY_SOCKET_H

#include "gateway/call_index.h"
#include "gateway/exchange.h"
#include "ws/conn.h"
#include "ws/handshake.h"

struct cla_socket {
    struct cla_conn *conn; /* NULL once it is gone */
    struct cla_ws_conn ws;
    struct cla_link texts;       /* exchanges not yet answered */
    struct cla_buf head;         /* of the upgrade request */
    struct cla_call_index calls; /* that have an id, not released */
    unsigned refs;               /* the connection's and the texts' */
    unsigned in_flight;          /* calls not released */
    uint64_t resets_ns; /* when its resets, one each worker->reset_interval_ns, would be over */
    unsigned fed;       /* what the messages of this feed cost, in bytes */
    bool pinged;        /* a ping is out, and nothing has come since … */
    uint64_t pinged_ns; /* … from when on its pong is waited for */
};

/* Judges the upgrade request whose raw head is 'head' and makes a socket of 'conn', with the field
 * lines of the answer 101 appended to 'fields'. Returns 0; else the status to refuse with, with
 * '*why', and field lines to go with it (426) in 'fields'. */
int cla_socket_open(struct cla_conn *conn, struct cla_slice head, struct cla_buf *fields,
                    const char **why);

/* Another reference. */
struct cla_socket *cla_socket_hold(struct cla_socket *socket);

/* Drops a reference; the last one frees. */
void cla_socket_release(struct cla_socket *socket);

/* Bytes have arrived; they are changed. Returns how many were used: once messages have had their
 * share of the turn the rest is to be fed in a later one. */
size_t cla_socket_feed(struct cla_socket *socket, char *p, size_t n);

/* Sends what a text is answered with (empty: nothing). 'lost': it could not be built for want of
 * memory, so the connection must end. */
void cla_socket_answer(struct cla_socket *socket, struct cla_slice reply, bool lost);

/* Cancels (reset) the call with this id that has not ended; no-op if there is none. A client that
 * does this more often than resets_per_second allows is closed. */
void cla_socket_reset(struct cla_socket *socket, struct cla_slice id);

/* Starts the closing handshake with 'code' and 'reason', and cancels what runs with 'kind'. */
void cla_socket_close(struct cla_socket *socket, unsigned code, const char *reason,
                      enum cla_cancel_kind kind);

/* The connection is gone: cancels what runs, and drops the connection's reference. */
void cla_socket_gone(struct cla_socket *socket, enum cla_cancel_kind kind);

/* When the silence of the peer has lasted too long: see cla_socket_still_there(). */
uint64_t cla_socket_due(const struct cla_socket *socket);

/* What was queued has been taken: only now can the peer have seen a ping behind it. */
void cla_socket_taken(struct cla_socket *socket);

/* Nothing has come for ping_interval, or, after a ping, for pong_timeout: asks, or returns false.
 */
bool cla_socket_still_there(struct cla_socket *socket);

#endif
