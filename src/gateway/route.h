/* Which HTTP request means what.
 *
 * Worker thread. Depends on: base, http, rpc/timeout. Pure: a head in, a decision out. */
#ifndef CLA_GATEWAY_ROUTE_H
#define CLA_GATEWAY_ROUTE_H

#include "base/buf.h"
#include "base/error.h"
#include "gateway/app.h"
#include "gateway/origin.h"
#include "gateway/pattern.h"
#include "http/parser.h"

enum cla_route_kind {
    CLA_ROUTE_REFUSE,    /* answer with 'status' and 'why' */
    CLA_ROUTE_OPTIONS,   /* answer 204 with Allow */
    CLA_ROUTE_JSONRPC,   /* POST /rpc: the body is a JSON-RPC text */
    CLA_ROUTE_UNARY,     /* POST /rpc/NAME: the body is the params */
    CLA_ROUTE_GET,       /* GET /rpc/NAME: the query holds the params */
    CLA_ROUTE_HANDLER,   /* a route of the script */
    CLA_ROUTE_FILE,      /* of the app's folder, if there is one */
    CLA_ROUTE_WEBSOCKET, /* GET with an upgrade, of /rpc, /socket or a handler's path */
};

/* How a procedure at /rpc/NAME answers. */
enum cla_route_format {
    CLA_ROUTE_PLAIN,          /* the bare result */
    CLA_ROUTE_CONNECT_STREAM, /* Connect's server streaming; the params are one message of that */
    CLA_ROUTE_SSE,            /* server-sent events */
};

struct cla_route {
    enum cla_route_kind kind;
    enum cla_route_format format;
    int status;         /* REFUSE */
    const char *why;    /* REFUSE: one line for people */
    bool closes;        /* REFUSE: nothing more is read after that */
    bool unary_error;   /* REFUSE: answer with an error object of 'code' */
    enum cla_code code; /* REFUSE with unary_error */
    const char *allow;  /* the methods there are; NULL: nothing is there */
    bool handlers_only; /* FILE: if there is none, other methods are: 405 */
    char allow_text[CLA_PATTERN_ALLOW_MAX];
    const struct cla_procedure *procedure; /* UNARY, GET, HANDLER */
    const struct cla_socket_route *socket; /* WEBSOCKET: of a handler; NULL: for calls */
    bool connect;                          /* UNARY, GET: the client says that it is Connect's */
    bool framed;                           /* WEBSOCKET: for calls in binary frames only */
    struct cla_cors cors;                  /* its slices point into the head */
    struct cla_slice method;               /* HANDLER; points into the head, as do these: */
    struct cla_slice path;                 /* WEBSOCKET, HANDLER */
    struct cla_slice query;                /* GET, WEBSOCKET, HANDLER */
    bool has_timeout;                      /* a timeout header was sent */
    uint64_t timeout_ms;                   /* its value */
};

struct cla_route_rules {
    struct cla_app *app;
    const struct cla_slice *hosts;   /* allowed besides loopback names, on a loopback bind */
    size_t host_count;               /* one of them may be "*" */
    const struct cla_slice *origins; /* of pages allowed besides our own; one may be "*" */
    size_t origin_count;
};

/* Decides. 'loopback': it came by a listener on a loopback address. 'name' is scratch, in which the
 * procedure's dotted name is built. */
void cla_route_find(struct cla_route *route, const struct cla_http_head *head,
                    const struct cla_route_rules *rules, bool loopback, struct cla_buf *name);

/* True if 'host' is a loopback name, or listed in the rules: for requests to a loopback address.
 * Else a web page could have its own name point here. */
bool cla_route_host_allowed(struct cla_slice host, const struct cla_route_rules *rules);

#endif
