#include "base/ip.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "base/error.h"

static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};

struct cla_ip cla_ip_v4(const unsigned char bytes[4])
{
    struct cla_ip ip;

    memcpy(ip.bytes, mapped, sizeof mapped);
    memcpy(ip.bytes + sizeof mapped, bytes, 4);
    return ip;
}

int cla_ip_read(struct cla_slice text, struct cla_ip *ip)
{
    char copy[INET6_ADDRSTRLEN];
    unsigned char v4[4];

    if (text.n == 0 || text.n >= sizeof copy || memchr(text.p, '\0', text.n) != NULL)
        return -CLA_EINVAL;
    memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';
    if (inet_pton(AF_INET6, copy, ip->bytes) == 1)
        return 0;
    if (inet_pton(AF_INET, copy, v4) != 1)
        return -CLA_EINVAL;
    *ip = cla_ip_v4(v4);
    return 0;
}

static int read_bits(struct cla_slice text, unsigned most, unsigned *bits)
{
    *bits = 0;
    if (text.n < 1 || text.n > 3)
        return -CLA_EINVAL;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return -CLA_EINVAL;
        *bits = *bits * 10 + (unsigned)(text.p[i] - '0');
    }
    return *bits <= most ? 0 : -CLA_EINVAL;
}

/* 'ip' with all but its first 'bits' bits cleared. */
static struct cla_ip masked(const struct cla_ip *ip, unsigned bits)
{
    struct cla_ip net = *ip;

    for (unsigned i = 0; i < sizeof net.bytes; i++) {
        unsigned kept = bits < 8 * i ? 0 : bits - 8 * i;

        if (kept < 8)
            net.bytes[i] &= (unsigned char)(0xff00 >> kept);
    }
    return net;
}

int cla_ip_net_read(struct cla_slice text, struct cla_ip_net *net)
{
    const char *slash = text.n > 0 ? memchr(text.p, '/', text.n) : NULL;
    size_t n = slash != NULL ? (size_t)(slash - text.p) : text.n;
    bool v4 = n > 0 && memchr(text.p, ':', n) == NULL;
    struct cla_ip first;

    if (n == 0 || cla_ip_read(cla_slice(text.p, n), &net->ip) != 0)
        return -CLA_EINVAL;
    net->bits = 128;
    if (slash == NULL)
        return 0;
    if (read_bits(cla_slice(slash + 1, text.n - n - 1), v4 ? 32 : 128, &net->bits) != 0)
        return -CLA_EINVAL;
    if (v4)
        net->bits += 96;
    first = masked(&net->ip, net->bits);
    return memcmp(&first, &net->ip, sizeof first) == 0 ? 0 : -CLA_EINVAL;
}

bool cla_ip_is_v4(const struct cla_ip *ip)
{
    return memcmp(ip->bytes, mapped, sizeof mapped) == 0;
}

bool cla_ip_is_loopback(const struct cla_ip *ip)
{
    static const struct cla_ip one = {{[15] = 1}};

    if (cla_ip_is_v4(ip))
        return ip->bytes[12] == 127;
    return memcmp(ip, &one, sizeof one) == 0;
}

bool cla_ip_in(const struct cla_ip *ip, const struct cla_ip_net *net)
{
    struct cla_ip first = masked(ip, net->bits);

    return memcmp(&first, &net->ip, sizeof first) == 0;
}

size_t cla_ip_print(const struct cla_ip *ip, int port, char text[CLA_IP_TEXT])
{
    bool v4 = cla_ip_is_v4(ip);
    char plain[INET6_ADDRSTRLEN] = "?";
    int n;

    inet_ntop(v4 ? AF_INET : AF_INET6, ip->bytes + (v4 ? sizeof mapped : 0), plain, sizeof plain);
    n = snprintf(text, CLA_IP_TEXT, v4 ? "%s" : "[%s]", plain);
    if (port >= 0)
        n += snprintf(text + n, CLA_IP_TEXT - (size_t)n, ":%d", port);
    return (size_t)n;
}
