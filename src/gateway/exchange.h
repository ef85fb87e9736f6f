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

/* What is asked for by one HTTP request or text. Small, for a WebSocket may have thousands of texts
 * waiting: what only HTTP has, or a batch, is apart. */
struct cla_exchange {
    struct cla_link link;      /* in worker->exchanges, or of HTTP in the pool */
    struct cla_link of_socket; /* of a text that is wanted: in socket->texts or ->postponed */
    struct cla_socket *socket; /* that a text came by, held; NULL: it is of HTTP */
    struct cla_exchange_batch *batch; /* owned; NULL: it is none, or has needed none yet */
    char *text;                       /* of a WebSocket, owned; NULL once no call needs it */
    size_t reply_at;                  /* where what is written, or was last, begins in its buffer */
    unsigned unanswered;              /* calls that have not ended, and elements not yet read */
    bool short_text : 1;              /* its text is of CLA_TEXT_SHORT bytes at most */
    bool wanted : 1;                  /* it is a text that its socket waits for, not answered yet */
    bool batched : 1;                 /* it is a batch */
    bool replied : 1;                 /* a reply was written */
    bool lost : 1;                    /* a reply had no memory: none is sent, rather than some */
    bool postponed : 1;               /* its call has the id of another that has not begun */
    bool reading : 1;                 /* its text is being read: it is not put back */
    bool first_used : 1;              /* 'first' is a live call */
    struct cla_call first; /* most exchanges have one call; its request, app and received_ns are
                              there from the beginning, for they are the exchange's */
};

/* What an exchange of HTTP has besides. */
struct cla_exchange_http {
    struct cla_exchange exchange;
    struct cla_conn *conn;      /* NULL once answered or the client is gone */
    struct cla_socket *upgrade; /* the socket that is asked for, until the script has decided */
    struct cla_request request;
    struct cla_route route;
    struct cla_buf head;  /* the raw head, copied */
    struct cla_buf body;  /* or the params of a GET */
    struct cla_buf reply; /* the response body under way */
    int status;           /* of the response */
    bool busy;            /* the request is complete and not yet answered */
    bool keep_alive;
    bool version_1_0;
    bool head_only; /* HEAD: no body in the response */
    char peer[CLA_PEER_MAX];
    struct cla_plain plain;        /* of a route of the script */
    struct cla_file_send *file;    /* that it answers with; NULL: none */
    struct cla_conn_stream stream; /* of a response that goes out in pieces */
};

/* What a batch has besides. */
struct cla_exchange_batch {
    struct cla_link further; /* calls that are not released, but for the first */
    struct cla_buf reply;    /* of a text: the replies under way */
};

/* A call of a batch that is not its first. */
struct cla_exchange_further {
    struct cla_call call;
    struct cla_link link; /* in batch->further */
    struct cla_exchange *exchange;
};

/* Those of HTTP that are idle. */
struct cla_exchange_pool {
    struct cla_link idle;
    unsigned count;
};

/* True if it is of HTTP; else it is a text. */
static inline bool cla_exchange_is_http(const struct cla_exchange *exchange)
{
    return exchange->socket == NULL;
}

/* What an exchange of HTTP is part of. */
static inline struct cla_exchange_http *cla_exchange_http(const struct cla_exchange *exchange)
{
    return (struct cla_exchange_http *)CLA_CONTAINER(exchange, const struct cla_exchange_http,
                                                     exchange);
}

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

/* The first of its calls that are not released, or, of a call, the next; NULL: there is none. */
struct cla_call *cla_exchange_next_call(const struct cla_exchange *exchange,
                                        const struct cla_call *call);

/* Walks them; 'call' may be released in the body. */
#define CLA_EXCHANGE_EACH_CALL(call, exchange)                                         \
    for (struct cla_call *call = cla_exchange_next_call(exchange, NULL), *call##_next; \
         call != NULL && (call##_next = cla_exchange_next_call(exchange, call), true); \
         call = call##_next)

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
