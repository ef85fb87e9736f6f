/* One request and its answer: an HTTP request, or a message of a WebSocket, whose messages (called
 * texts here: most are) run beside each other and are answered as they end.
 *
 * Worker thread. Depends on: gateway/call, gateway/route, http, rpc.
 *
 *   head -> READING -- end of body --> BUSY -- every call ended --> ANSWERED -- every call
 *             (refused: the body is                                   released --> back to the pool
 *              thrown away as it comes)
 *
 * The connection refers to it until it is answered; its calls until they are released, which may be
 * later (clean-up) or, if the client left, without an answer. */
#ifndef CLA_GATEWAY_EXCHANGE_H
#define CLA_GATEWAY_EXCHANGE_H

#include "gateway/arrival.h"
#include "gateway/call.h"
#include "gateway/conn_stream.h"
#include "gateway/route.h"

struct cla_conn;
struct cla_socket;
struct cla_worker;

/* What an HTTP request has besides. Apart, for a WebSocket may have thousands of texts waiting. */
struct cla_exchange_http {
    struct cla_route route;
    struct cla_buf head; /* the raw head, copied */
    bool keep_alive;
    bool version_1_0;
    bool head_only; /* HEAD: no body in the response */
    struct cla_request request;
    char peer[CLA_PEER_MAX];
    struct cla_plain plain;        /* of a route of the script */
    struct cla_file_send *file;    /* that it answers with; NULL: none */
    struct cla_conn_stream stream; /* of a response that goes out in pieces */
};

struct cla_exchange {
    struct cla_link link; /* in worker->exchanges, or its pool */
    struct cla_worker *worker;
    struct cla_conn *conn;      /* of HTTP; NULL once answered or the client is gone */
    struct cla_socket *socket;  /* of a text; NULL likewise */
    struct cla_socket *upgrade; /* the socket that is asked for, until the script has decided */
    struct cla_socket *origin; /* the socket that a text came by, held: its request is this one's */
    struct cla_link of_socket; /* in socket->texts, while 'socket' is set */
    struct cla_exchange_http *http; /* never NULL in one of HTTP; of no meaning in a text */
    struct cla_link calls;          /* not released */
    struct cla_buf body;            /* of HTTP: the body, or the params of a GET */
    char *text;                     /* of a WebSocket, until no call needs it */
    struct cla_buf reply;           /* the response body under way */
    struct cla_call first; /* most exchanges have one call; its request, app and received_ns
                              are there from the beginning, for they are the exchange's */
    size_t unanswered;     /* calls that have not ended, and elements not yet read */
    unsigned replies;      /* in 'reply' */
    int status;            /* of the response */
    bool busy;             /* the request is complete and not yet answered */
    bool batch;
    bool lost;       /* a reply had no memory: none is sent, rather than some */
    bool postponed;  /* its call has the id of another that has not begun */
    bool reading;    /* its text is being read: it is not put back */
    bool first_used; /* 'first' is a live call */
};

/* A call of a batch that is not its first. */
struct cla_exchange_further {
    struct cla_call call;
    struct cla_exchange *exchange;
};

/* What its calls have in common. */
static inline const struct cla_request *cla_exchange_request(const struct cla_exchange *exchange)
{
    return exchange->first.request;
}

/* Whose calls these are: what was current when it began. */
static inline struct cla_app *cla_exchange_app(const struct cla_exchange *exchange)
{
    return exchange->first.app;
}

/* Takes an exchange from the pool for a head that has arrived on 'conn'. NULL: out of memory. */
struct cla_exchange *cla_exchange_get(struct cla_conn *conn, const struct cla_http_head *head,
                                      uint64_t received_ns);

/* Takes an exchange for a text that has arrived on 'socket', and starts its calls. Returns 0 or
 * -CLA_ENOMEM. */
int cla_exchange_run_text(struct cla_socket *socket, struct cla_slice text, uint64_t received_ns);

/* Looks again at an exchange that is postponed: false if it still is. If the other call has begun,
 * and not ended, its id is taken; if it is over, or gone, this one starts. */
bool cla_exchange_judge(struct cla_exchange *exchange);

/* True if the body is wanted: a client that waits for 100 Continue may send it. */
bool cla_exchange_wants_body(const struct cla_exchange *exchange);

/* Some of the body. Returns 0 or -CLA_ENOMEM. */
int cla_exchange_body(struct cla_exchange *exchange, struct cla_slice bytes);

/* The request is complete: starts its calls, or answers. The answer may be given inside. */
void cla_exchange_run(struct cla_exchange *exchange);

/* The exchange will be abandoned, after some others: asks for its memory. */
void cla_exchange_expect(const struct cla_exchange *exchange);

/* It will be after fewer others, and was expected: asks for that of its call. */
void cla_exchange_expect_call(const struct cla_exchange *exchange);

/* The client is gone: cancels what is running. The exchange lets go of its connection and may go
 * back to the pool inside. */
void cla_exchange_abandon(struct cla_exchange *exchange, enum cla_cancel_kind kind);

#endif
