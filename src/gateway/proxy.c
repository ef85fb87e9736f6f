#include "gateway/proxy.h"

#include "base/error.h"
#include "base/mem.h"

static bool is_unix(struct cla_slice item)
{
    return cla_slice_eq(item, CLA_LIT("unix"));
}

bool cla_proxy_is_item(struct cla_slice item)
{
    struct cla_ip_net net;

    return is_unix(item) || cla_ip_net_read(item, &net) == 0;
}

int cla_proxies_init(struct cla_proxies *proxies, const struct cla_config_list *items)
{
    *proxies = (struct cla_proxies){.local = false};
    if (items->count == 0)
        return 0;
    proxies->nets = cla_mem_alloc(items->count * sizeof *proxies->nets);
    if (proxies->nets == NULL)
        return -CLA_ENOMEM;
    proxies->trusted.nets = proxies->nets;
    for (size_t i = 0; i < items->count; i++) {
        if (is_unix(items->items[i]))
            proxies->local = true;
        else if (cla_ip_net_read(items->items[i], &proxies->nets[proxies->trusted.count]) == 0)
            proxies->trusted.count++;
    }
    return 0;
}

bool cla_proxies_trust(const struct cla_proxies *proxies, const struct cla_ip *ip)
{
    if (ip == NULL)
        return proxies->local;
    return cla_http_is_trusted(&proxies->trusted, ip);
}

size_t cla_proxy_peer(const struct cla_arrival *arrival, const struct cla_http_head *head,
                      char peer[CLA_PEER_MAX])
{
    struct cla_http_client client;

    if (arrival->proxies != NULL && cla_http_forwarded(head, arrival->proxies, &client))
        return cla_ip_print(&client.ip, client.port, peer);
    memcpy(peer, arrival->peer, arrival->peer_n);
    return arrival->peer_n;
}

void cla_proxies_fini(struct cla_proxies *proxies)
{
    cla_mem_free(proxies->nets);
    *proxies = (struct cla_proxies){.local = false};
}
