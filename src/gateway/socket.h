/* A connection that has become a WebSocket: it makes calls, in JSON-RPC, one text a message, or in
 * binary frames (rpc/frame.h), or belongs to a handler of the script.
 *
 * Worker thread. Depends on: ws, gateway/exchange, gateway/conn.
 *
 *   ASKED -- cla_socket_admit() --> OPEN -- a close frame, either way; or lost --> OVER
 *     |                                                                             ^
 *     +-- cla_socket_refuse(), or the client has gone ------------------------------+
 *
 * Calls: messages run beside each other; each is answered, in one message, as soon as its calls
 * have ended. A handler takes its messages from a queue (gateway/socket_in.h). The connection owns
 * the socket until it closes; texts, the script's jobs and the script's objects hold it longer. */
#ifndef CLA_GATEWAY_SOCKET_H
#define CLA_GATEWAY_SOCKET_H

#include "cancel/reason.h"
#include "gateway/call_index.h"
#include "gateway/exchange.h"
#include "gateway/socket_data.h"
#include "gateway/subscriber.h"
#include "gateway/writer.h"
#include "ws/conn.h"

struct cla_socket_inbox;

enum cla_socket_state {
    CLA_SOCKET_ASKED,
    CLA_SOCKET_OPEN,
    CLA_SOCKET_OVER,
};

struct cla_socket {
    struct cla_worker *worker;
    struct cla_conn *conn;                /* NULL before the 101, and once it is gone */
    struct cla_app *app;                  /* whose handler it belongs to; NULL: of none, or OVER */
    const struct cla_socket_route *route; /* of the handler; NULL: it makes calls. Once OVER only
                                           * for the jobs that go on */
    struct cla_exchange *upgrade;         /* the request, while ASKED */
    struct cla_ws_conn ws;
    struct cla_link texts;            /* exchanges not yet answered */
    struct cla_link postponed;        /* exchanges whose call's id is that of one not begun */
    struct cla_link judge;            /* in worker->judge, or in none */
    struct cla_writers writers;       /* who waits for room */
    struct cla_subscriber subscriber; /* to topics */
    struct cla_call_index calls;      /* that have an id, not released */
    struct cla_socket_inbox *inbox;   /* messages for the handler; NULL: it makes calls */
    struct cla_socket_data data;      /* what scripts keep here */
    struct cla_buf head;              /* of the upgrade request, then path, peer and subprotocol */
    struct cla_buf fields;            /* of the answer 101, while ASKED */
    struct cla_slice path, protocol;  /* in 'head' */
    struct cla_request request;       /* of its calls: what is known of who makes them */
    void *task;                       /* the app's: on_connect, or the handler */
    void *reader;                     /* the app's: who waits for a message */
    unsigned char stage;              /* the app's: how far its handler is */
    uint64_t id;
    size_t forced_n;    /* bytes that went out though there was no room, since there was */
    uint64_t pinged_ns; /* from when on the pong is waited for */
    uint64_t resets_ns; /* when its resets, one each worker->reset_interval_ns, would be over */
    unsigned fed;       /* what the messages of this feed cost, in bytes */
    unsigned refs;      /* the connection's, the texts', the jobs', the script's */
    unsigned in_flight; /* calls not released */
    unsigned code;      /* OVER: the close code, CLA_WS_ABNORMAL if there was none … */
    struct cla_reason cause; /* … and why it ended */
    enum cla_socket_state state;
    bool streams; /* the handler takes its messages itself */
    bool ending;  /* it will be OVER when the handler has read what came before */
    bool clean;   /* OVER after what came was to be read: if some is left, it may still be */
    bool pinged;  /* a ping is out, and nothing has come since */
    bool feeding; /* inside cla_ws_conn_feed() */
};

/* Sets up the protocol with what the handshake agreed on. For cla_socket_new(). */
void cla_socket_agree(struct cla_socket *socket, const struct cla_ws_agreed *agreed);

/* True if its calls are binary frames. */
static inline bool cla_socket_framed(const struct cla_socket *socket)
{
    return socket->route == NULL && socket->request.raw;
}

/* Makes the socket that the upgrade request 'exchange' asks for, on 'route' (NULL: for calls).
 * 'fields' gets the field lines of a refusal. Returns 0 and '*out', ASKED, with one reference; else
 * the status to refuse with and one line in '*why'. */
int cla_socket_new(struct cla_socket **out, struct cla_exchange *exchange,
                   const struct cla_socket_route *route, struct cla_buf *fields, const char **why);

/* Lets the script judge an ASKED socket, and admits it at once if there is nobody to. For the
 * exchange, which then belongs to the socket's fate; takes the reference of 'new'. */
void cla_socket_ask(struct cla_socket *socket);

/* The script admits it: answers 101, and it is OPEN. No-op if it is no longer ASKED. */
void cla_socket_admit(struct cla_socket *socket);

/* The script, or a limit, refuses it with an HTTP status and 'why'. No-op if no longer ASKED. */
void cla_socket_refuse(struct cla_socket *socket, int status, const char *why);

/* The client left while it was ASKED: stops on_connect. For the exchange. */
void cla_socket_forsaken(struct cla_socket *socket, enum cla_cancel_kind kind);

/* It belongs to no handler any more: it is over. For gateway/socket. */
void cla_socket_forget_app(struct cla_socket *socket);

/* Another reference. */
struct cla_socket *cla_socket_hold(struct cla_socket *socket);

/* Drops a reference; the last one frees. Any thread, once the worker is gone. */
void cla_socket_release(struct cla_socket *socket);

/* A job of the script's (on_connect, a handler, on_disconnect) begins: the socket is held and 'app'
 * does not end before cla_socket_job_over(). For the app. */
void cla_socket_job_begins(struct cla_socket *socket, struct cla_app *app);

/* Ends cla_socket_job_begins(). */
void cla_socket_job_over(struct cla_socket *socket, struct cla_app *app);

/* Has an OPEN socket of a handler that is called for each event, and runs none just now, belong to
 * the current generation, if that has such a handler at its path. No-op for any other. */
void cla_socket_renew(struct cla_socket *socket);

/* Bytes have arrived; they are changed. Returns how many were used: once messages have had their
 * share of the turn, or the handler must take some first, the rest is to be fed later. */
size_t cla_socket_feed(struct cla_socket *socket, char *p, size_t n);

/* True if its handler must take some messages before more is read. */
bool cla_socket_full(const struct cla_socket *socket);

/* A text was answered: the first that is postponed may be able to start. For the exchange. */
void cla_socket_answered(struct cla_socket *socket);

/* Looks again at all that is postponed. Returns true if something is no longer. For the worker. */
bool cla_socket_judge(struct cla_socket *socket);

/* Cancels (reset) the call with this id that has not ended; no-op if there is none, but for
 * counters if it was there. A client that
 * does this more often than resets_per_second allows is closed. */
void cla_socket_reset(struct cla_socket *socket, struct cla_slice id);

/* Starts the closing handshake with 'code' and 'reason', cancels what runs with 'kind', and the
 * socket is OVER. No-op if it is not OPEN. */
void cla_socket_close(struct cla_socket *socket, unsigned code, struct cla_slice reason,
                      enum cla_cancel_kind kind);

/* The handler has taken all messages: if the peer has closed, or broken the protocol, after them,
 * the socket is OVER now. */
void cla_socket_all_read(struct cla_socket *socket);

/* The server is shutting down: closes the socket unless something still runs on it. */
void cla_socket_drain(struct cla_socket *socket);

/* The connection is gone: cancels what runs, and drops the connection's reference. */
void cla_socket_gone(struct cla_socket *socket, enum cla_cancel_kind kind);

/* When the silence of the peer has lasted too long: see cla_socket_still_there(). */
uint64_t cla_socket_due(const struct cla_socket *socket);

/* Nothing has come for ping_interval, or, after a ping, for pong_timeout: asks, or returns false.
 */
bool cla_socket_still_there(struct cla_socket *socket);

#endif
