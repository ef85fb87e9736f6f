/* A small HTTP/1.1 server on the control thread, for who looks after the gateway rather than calls
 * it: requests without bodies, one after the other, and answers that lie ready or take a moment.
 *
 * Control thread. Depends on: io/listener, io/stream, http/parser.
 *
 *   READING -- a request --> ASKED -- cla_ops_http_answer() --> READING, or OVER after the last
 *      OVER -- the peer's end, or LINGER_NS --> closed */
#ifndef CLA_GATEWAY_OPS_HTTP_H
#define CLA_GATEWAY_OPS_HTTP_H

#include "base/list.h"
#include "gateway/config.h"
#include "http/head.h"
#include "http/parser.h"
#include "io/listener.h"

/* The most connections at a time. One more takes the place of that which has waited longest for a
 * request; if none does it is closed. */
#define CLA_OPS_CONNECTIONS_MAX 32
/* The largest head of a request. */
#define CLA_OPS_HEAD_MAX 8192
/* How long a connection may take for a request, and to read an answer. */
#define CLA_OPS_IDLE_NS (60 * CLA_NS_PER_S)
/* How long a connection that had its last answer may go on sending. */
#define CLA_OPS_LINGER_NS (2 * CLA_NS_PER_S)

struct cla_ops_conn;

/* Borrowed for the call. */
struct cla_ops_request {
    enum cla_http_method method;
    struct cla_slice path; /* empty: the target has none */
    struct cla_slice host;
    bool has_body; /* which is not read: the answer is the connection's last */
};

struct cla_ops_answer {
    int status;
    const char *type;        /* of the body */
    struct cla_slice fields; /* more header lines */
    struct cla_slice body;
};

/* A request is there. It is to be answered, inside or later. */
typedef void cla_ops_http_cb(void *arg, struct cla_ops_conn *conn,
                             const struct cla_ops_request *request);

struct cla_ops_http {
    struct cla_listener listener;
    struct cla_loop *loop;
    cla_ops_http_cb *on_request;
    void *arg;
    struct cla_link conns; /* the one that was answered last at the end */
    unsigned conn_count;
    struct cla_http_date date;
    bool open;
};

/* Listens at an item as of gateway/listen.h, without TLS. Returns 0, or -CLA_E* with 'error', which
 * names the setting 'name'. */
int cla_ops_http_open(struct cla_ops_http *http, struct cla_loop *loop, const char *name,
                      const char *where, cla_ops_http_cb *on_request, void *arg,
                      struct cla_config_error *error);

/* Answers the request of a connection. */
void cla_ops_http_answer(struct cla_ops_conn *conn, const struct cla_ops_answer *answer);

/* Answers all requests that are not answered yet. */
void cla_ops_http_answer_all(struct cla_ops_http *http, const struct cla_ops_answer *answer);

/* Stops listening and closes all connections. Idempotent, and fine if it is zeroed. The struct may
 * be freed once the loop has run. */
void cla_ops_http_close(struct cla_ops_http *http);

#endif
