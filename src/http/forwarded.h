/* Who a request is from, when proxies handed it on: Forwarded (RFC 7239) and X-Forwarded-For.
 *
 * Any thread. Depends on: base/ip, http/parser. Pure.
 *
 * Each proxy adds the address that it took the request from at the right. So what a client wrote
 * itself stands left of what the first proxy to be trusted added, and is never reached: elements
 * are read from the right, and the first that is no trusted proxy is the client. */
#ifndef CLA_HTTP_FORWARDED_H
#define CLA_HTTP_FORWARDED_H

#include "base/ip.h"
#include "http/parser.h"

struct cla_http_trusted {
    const struct cla_ip_net *nets; /* the proxies */
    size_t count;
};

struct cla_http_client {
    struct cla_ip ip;
    int port; /* -1: not told */
};

/* True if 'ip' is one of the proxies. */
bool cla_http_is_trusted(const struct cla_http_trusted *trusted, const struct cla_ip *ip);

/* Finds the client of a request that a trusted proxy sent. Forwarded counts, if it is there; else
 * X-Forwarded-For. An element that names no address ("unknown", "_hidden", nonsense) ends the way:
 * the proxy that added it is then the client, as far as can be known. A Forwarded with a broken
 * syntax counts for nothing. Returns false if neither names an address: the client is whoever
 * sent the request. */
bool cla_http_forwarded(const struct cla_http_head *head, const struct cla_http_trusted *trusted,
                        struct cla_http_client *client);

#endif
