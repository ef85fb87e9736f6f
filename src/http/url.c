#include "http/url.h"

#include "base/error.h"

/* Letters, digits and "-._~" (RFC 3986 section 2.3). */
static bool is_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte of the escape at p[0..n), or -1. */
static int escape(const char *p, size_t n)
{
    if (n < 3 || p[0] != '%' || hex(p[1]) < 0 || hex(p[2]) < 0)
        return -1;
    return hex(p[1]) << 4 | hex(p[2]);
}

/* Cuts the port off "host:port". False if it is malformed; '*port' is -1 if there is none. */
static bool cut_port(struct cla_slice *text, int *port)
{
    const char *colon = text->n > 0 ? memrchr(text->p, ':', text->n) : NULL;
    const char *end = text->p + text->n;

    *port = -1;
    if (colon == NULL || memchr(colon, ']', (size_t)(end - colon)) != NULL)
        return true;
    text->n = (size_t)(colon - text->p);
    if (end - colon < 2 || end - colon > 6)
        return false;
    *port = 0;
    for (const char *p = colon + 1; p < end; p++) {
        if (*p < '0' || *p > '9')
            return false;
        *port = *port * 10 + (*p - '0');
    }
    return *port <= UINT16_MAX;
}

static bool is_ip_literal(struct cla_slice host)
{
    if (host.n < 4 || host.p[0] != '[' || host.p[host.n - 1] != ']')
        return false;
    for (size_t i = 1; i < host.n - 1; i++) {
        if (hex(host.p[i]) < 0 && host.p[i] != ':' && host.p[i] != '.')
            return false;
    }
    return true;
}

/* A reg-name or IPv4 address, or an IPv6 address in brackets. The comma of RFC 3986 is left out:
 * in a field it would be a list of hosts. */
static bool is_host(struct cla_slice host)
{
    if (host.n > 0 && host.p[0] == '[')
        return is_ip_literal(host);
    for (size_t i = 0; i < host.n; i++) {
        char c = host.p[i];

        if (is_unreserved(c) || (c != '\0' && strchr("!$&'()*+;=", c) != NULL))
            continue;
        if (escape(host.p + i, host.n - i) < 0)
            return false;
        i += 2;
    }
    return host.n > 0;
}

bool cla_http_host_valid(struct cla_slice host)
{
    int port;

    return cut_port(&host, &port) && is_host(host);
}

static bool is_target_text(struct cla_slice text)
{
    for (size_t i = 0; i < text.n; i++) {
        unsigned char byte = (unsigned char)text.p[i];

        if (byte <= ' ' || byte >= 0x7f || byte == '#')
            return false;
    }
    return true;
}

static void split_query(struct cla_slice text, struct cla_slice *path, struct cla_slice *query)
{
    const char *mark = text.n > 0 ? memchr(text.p, '?', text.n) : NULL;
    size_t path_n = mark != NULL ? (size_t)(mark - text.p) : text.n;

    *path = cla_slice(text.p, path_n);
    *query = mark != NULL ? cla_slice(mark + 1, text.n - path_n - 1) : cla_slice(NULL, 0);
}

/* Cuts 'text' where its authority ends: at the first of "/?". */
static struct cla_slice cut_authority(struct cla_slice *text)
{
    size_t n = 0;
    struct cla_slice authority;

    while (n < text->n && text->p[n] != '/' && text->p[n] != '?')
        n++;
    authority = cla_slice(text->p, n);
    text->p += n;
    text->n -= n;
    return authority;
}

/* Cuts the scheme and "://" off '*text'; false if it does not begin with 'scheme'. */
static bool cut_scheme(struct cla_slice *text, struct cla_slice scheme)
{
    if (text->n < scheme.n + 3 || memcmp(text->p + scheme.n, "://", 3) != 0 ||
        !cla_slice_eq_nocase(cla_slice(text->p, scheme.n), scheme))
        return false;
    text->p += scheme.n + 3;
    text->n -= scheme.n + 3;
    return true;
}

int cla_http_target_split(struct cla_slice target, struct cla_http_target *out)
{
    *out = (struct cla_http_target){0};
    if (!is_target_text(target))
        return -CLA_EINVAL;
    if (cla_slice_eq(target, CLA_LIT("*"))) {
        out->path = target;
        return 0;
    }
    if (cut_scheme(&target, CLA_LIT("http")) || cut_scheme(&target, CLA_LIT("https"))) {
        out->host = cut_authority(&target);
        if (!cla_http_host_valid(out->host))
            return -CLA_EINVAL;
        split_query(target, &out->path, &out->query);
        if (out->path.n == 0)
            out->path = CLA_LIT("/");
        return 0;
    }
    if (target.n == 0 || target.p[0] != '/')
        return -CLA_EINVAL;
    split_query(target, &out->path, &out->query);
    return 0;
}

int cla_http_percent_decode(struct cla_buf *buf, struct cla_slice text)
{
    size_t before = buf->n;
    int byte, rc = cla_buf_reserve(buf, text.n);

    if (rc != 0)
        return rc;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] != '%') {
            buf->p[buf->n++] = text.p[i];
            continue;
        }
        byte = escape(text.p + i, text.n - i);
        if (byte <= 0) {
            buf->n = before;
            return -CLA_EINVAL;
        }
        buf->p[buf->n++] = (char)byte;
        i += 2;
    }
    return 0;
}

int cla_http_percent_encode(struct cla_buf *buf, struct cla_slice text)
{
    static const char digits[] = "0123456789ABCDEF";
    int rc = text.n > SIZE_MAX / 3 ? -CLA_ENOMEM : cla_buf_reserve(buf, text.n * 3);

    if (rc != 0)
        return rc;
    for (size_t i = 0; i < text.n; i++) {
        unsigned char byte = (unsigned char)text.p[i];

        if (is_unreserved(text.p[i])) {
            buf->p[buf->n++] = text.p[i];
            continue;
        }
        buf->p[buf->n++] = '%';
        buf->p[buf->n++] = digits[byte >> 4];
        buf->p[buf->n++] = digits[byte & 15];
    }
    return 0;
}

/* Like cla_slice_next(), but keeps white space. */
static struct cla_slice cut(struct cla_slice *text, char separator)
{
    const char *end = text->n > 0 ? memchr(text->p, separator, text->n) : NULL;
    struct cla_slice first = *text;

    if (end == NULL) {
        *text = cla_slice(text->p != NULL ? text->p + text->n : NULL, 0);
        return first;
    }
    first.n = (size_t)(end - text->p);
    text->p = end + 1;
    text->n -= first.n + 1;
    return first;
}

bool cla_http_query_next(struct cla_slice *query, struct cla_slice *name, struct cla_slice *value)
{
    while (query->n > 0) {
        *value = cut(query, '&');
        *name = cut(value, '=');
        if (name->n > 0 || value->n > 0)
            return true;
    }
    return false;
}

struct scheme {
    struct cla_slice name;
    uint16_t port;
};

static const struct scheme schemes[] = {
    {{"http", 4}, 80},
    {{"https", 5}, 443},
    {{"ws", 2}, 80},
    {{"wss", 3}, 443},
};

/* Cuts the scheme off, if there is one; an unknown one stays and fails as a host. */
static void read_scheme(struct cla_slice *text, struct cla_http_url *out)
{
    out->port = 80;
    for (size_t i = 0; i < CLA_ARRAY_LEN(schemes); i++) {
        struct cla_slice whole = *text;

        if (cut_scheme(text, schemes[i].name)) {
            out->scheme = cla_slice(whole.p, schemes[i].name.n);
            out->port = schemes[i].port;
            return;
        }
    }
}

int cla_http_url_parse(struct cla_slice text, struct cla_http_url *out)
{
    struct cla_slice authority;
    int port;

    *out = (struct cla_http_url){0};
    read_scheme(&text, out);
    authority = cut_authority(&text);
    if (!cut_port(&authority, &port) || port == 0 || !is_host(authority) || !is_target_text(text))
        return -CLA_EINVAL;
    if (port > 0)
        out->port = (uint16_t)port;
    out->host = authority;
    out->ipv6 = authority.p[0] == '[';
    if (out->ipv6)
        out->host = cla_slice(authority.p + 1, authority.n - 2);
    out->target = text;
    return 0;
}
