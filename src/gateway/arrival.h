/* What the control thread hands to a worker with each connection.
 *
 * Any thread. Depends on: base, io/tls_context. */
#ifndef CLA_GATEWAY_ARRIVAL_H
#define CLA_GATEWAY_ARRIVAL_H

#include <stdatomic.h>

#include "base/ip.h"
#include "io/tls_context.h"

#define CLA_PEER_MAX CLA_IP_TEXT

struct cla_http_trusted;

/* The listener that a connection came by. Never changes, and outlives every connection. */
struct cla_via {
    bool loopback;           /* bound to a loopback address: Host is checked */
    bool local;              /* a unix socket */
    bool tls;                /* https:// */
    bool half_close_allowed; /* a client that closes its sending side still wants its answers */
};

struct cla_arrival {
    int fd; /* connected, non-blocking */
    const struct cla_via *via;
    struct cla_tls_context *tls; /* a reference; NULL: plain */
    atomic_uint *of_address;     /* open connections of its address, this one among them; NULL: not
                                    counted. Whoever counts it out has no further use of it */
    const char *refusal; /* why it is to be answered 503 and closed; then it is not counted at
                            all; NULL: it is welcome */
    const struct cla_http_trusted *proxies; /* it is from a trusted proxy: these are all of them;
                                               NULL: it is not */
    size_t peer_n;
    char peer[CLA_PEER_MAX]; /* "ip:port", or "unix:" */
};

/* Closes the socket of a connection that nobody takes on, and gives up what comes with it. Its
 * being counted is the caller's. */
void cla_arrival_drop(const struct cla_arrival *arrival);

#endif
