#include <arpa/inet.h>

#include "base/error.h"
#include "gateway/config_value.h"

static bool is_letter_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* A name that may be looked up. What consists of digits and dots is an address or a mistake. */
static bool is_name(const char *host)
{
    bool numeric = true;

    for (const char *p = host; *p != '\0'; p++) {
        if (!is_letter_or_digit(*p) && *p != '.' && *p != '-' && *p != '_')
            return false;
        numeric = numeric && (*p == '.' || (*p >= '0' && *p <= '9'));
    }
    return !numeric;
}

static int read_port(struct cla_slice text, uint16_t *port)
{
    unsigned value = 0;

    if (text.n < 1 || text.n > 5)
        return -CLA_EINVAL;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return -CLA_EINVAL;
        value = value * 10 + (unsigned)(text.p[i] - '0');
    }
    *port = (uint16_t)value;
    return value <= UINT16_MAX ? 0 : -CLA_EINVAL;
}

static int check_host(const char *host, bool bracketed)
{
    struct in6_addr binary;

    if (bracketed)
        return inet_pton(AF_INET6, host, &binary) == 1 ? 0 : -CLA_EINVAL;
    if (*host == '\0' || inet_pton(AF_INET, host, &binary) == 1 || is_name(host))
        return 0;
    return -CLA_EINVAL;
}

int cla_config_address_read(struct cla_slice text, struct cla_config_address *address)
{
    const char *colon = memrchr(text.p, ':', text.n);
    struct cla_slice host, port;
    bool bracketed;

    if (colon == NULL)
        return -CLA_EINVAL;
    host = cla_slice(text.p, (size_t)(colon - text.p));
    port = cla_slice(colon + 1, text.n - host.n - 1);
    bracketed = host.n >= 2 && host.p[0] == '[' && host.p[host.n - 1] == ']';
    if (bracketed)
        host = cla_slice(host.p + 1, host.n - 2);
    if (host.n >= sizeof address->host || memchr(host.p, '\0', host.n) != NULL)
        return -CLA_EINVAL;
    memcpy(address->host, host.p, host.n);
    address->host[host.n] = '\0';
    if (check_host(address->host, bracketed) != 0)
        return -CLA_EINVAL;
    return read_port(port, &address->port);
}

int cla_config_address_print(const struct cla_config_address *address, struct cla_buf *to)
{
    bool v6 = strchr(address->host, ':') != NULL;

    return cla_buf_printf(to, v6 ? "[%s]:%u" : "%s:%u", address->host, address->port);
}
