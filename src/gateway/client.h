/* Calls one procedure of a gateway over HTTP/1.1 or HTTPS and JSON-RPC: connect, ask, answer,
 * close. A call that may stream is a POST to TARGET/PROCEDURE, answered as server-sent events.
 *
 * Loop thread only. Depends on: base, http, rpc, io. The process must ignore SIGPIPE. */
#ifndef CLA_GATEWAY_CLIENT_H
#define CLA_GATEWAY_CLIENT_H

#include "io/loop.h"
#include "io/tls_context.h"
#include "rpc/jsonrpc.h"

/* What a server may send. */
#define CLA_CLIENT_HEAD_BYTES_MAX (64u << 10)
#define CLA_CLIENT_BODY_BYTES_MAX (64u << 20)

/* What comes before the end of a call. */
enum cla_client_part {
    CLA_CLIENT_ITEM,
    CLA_CLIENT_PROGRESS,
};

/* Tells a part, JSON text, borrowed; 'arg' is that of the other callbacks. Never called from inside
 * a function of the client's, nor behind the answer; the call may be cancelled from inside. */
typedef void cla_client_part_cb(void *arg, enum cla_client_part kind, struct cla_slice value);

/* Everything is borrowed until the callback. */
struct cla_client_call {
    struct cla_tls_context *tls; /* NULL: plain HTTP */
    const char *host;            /* a name or an address; IPv6 without brackets */
    uint16_t port;               /* of 'host' */
    struct cla_slice authority;  /* for the field Host */
    struct cla_slice target;     /* path and query */
    struct cla_slice fields;     /* more whole header lines, each with its \r\n; may be empty */
    struct cla_slice procedure;  /* its name */
    struct cla_slice params;     /* raw JSON of an object or array; empty if absent */
    uint64_t timeout_ns;         /* the server is told what is left of it; CLA_NEVER: none */
    cla_client_part_cb *on_part; /* the call may stream; NULL: it is asked for its result alone */
};

/* How a call ended. */
enum cla_client_end {
    CLA_CLIENT_RESULT,      /* response.result; it is empty after a 204, and behind events */
    CLA_CLIENT_ERROR,       /* the server answered with the error in 'response' */
    CLA_CLIENT_STATUS,      /* the server answered with another status than 200 and 'body' */
    CLA_CLIENT_UNREACHABLE, /* no connection, or no TLS on it */
    CLA_CLIENT_BROKEN,      /* the connection ended too early, or the answer made no sense */
    CLA_CLIENT_TIMEOUT,     /* no answer in time, nor a word from the server about it */
    CLA_CLIENT_CANCELLED,
};

struct cla_client_answer {
    enum cla_client_end end;
    int status;                       /* HTTP; 0: there was no head */
    struct cla_slice body;            /* as received so far */
    struct cla_rpc_response response; /* of RESULT and ERROR; borrows 'body' */
    bool refused;                     /* UNREACHABLE: a connection was refused */
    const char *detail;               /* what went wrong, for people; may be "" */
};

/* Called exactly once, never from inside cla_client_start() or cla_client_cancel(), when the
 * connection is gone. The answer is borrowed. */
typedef void cla_client_cb(void *arg, const struct cla_client_answer *answer);

struct cla_client; /* Frees itself after its callback. */

/* Starts a call. Returns 0, -CLA_ENOMEM, -CLA_EUTF8 (the procedure's name), or -CLA_EINVAL (the
 * host can be no name): then 'cb' is never called. */
int cla_client_start(struct cla_client **out, struct cla_loop *loop,
                     const struct cla_client_call *call, cla_client_cb *cb, void *arg);

/* Closes the connection, which cancels the call. The answer is CANCELLED, unless it had already
 * come. */
void cla_client_cancel(struct cla_client *client);

#endif
