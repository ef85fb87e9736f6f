/* Proxies that are believed when they say who a request is from: the setting 'trusted_proxies'.
 *
 * init and fini: control thread; the rest: any. Depends on: http/forwarded, gateway/arrival. */
#ifndef CLA_GATEWAY_PROXY_H
#define CLA_GATEWAY_PROXY_H

#include "gateway/arrival.h"
#include "gateway/config.h"
#include "http/forwarded.h"

struct cla_proxies {
    struct cla_http_trusted trusted;
    struct cla_ip_net *nets; /* owned */
    bool local;              /* whoever connects to a unix socket is one */
};

/* True if 'item' may stand in the setting: an address, a network, or "unix". */
bool cla_proxy_is_item(struct cla_slice item);

/* Reads the setting. Returns 0 or -CLA_ENOMEM. */
int cla_proxies_init(struct cla_proxies *proxies, const struct cla_config_list *items);

/* True if who connects from 'ip' (NULL: to a unix socket) is a trusted proxy. */
bool cla_proxies_trust(const struct cla_proxies *proxies, const struct cla_ip *ip);

/* Writes who the request 'head' is from: who sent it or, if that is a trusted proxy, who the proxy
 * says. Returns how many bytes it wrote. */
size_t cla_proxy_peer(const struct cla_arrival *arrival, const struct cla_http_head *head,
                      char peer[CLA_PEER_MAX]);

/* Frees what cla_proxies_init() made. */
void cla_proxies_fini(struct cla_proxies *proxies);

#endif
