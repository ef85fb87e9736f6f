#include "gateway/listen.h"

#include <arpa/inet.h>

#include "base/error.h"

static const char not_an_address[] =
    "is not an address to listen on; write 127.0.0.1:3000, [::1]:3000, :3000 for every address, "
    "unix:/path, or systemd for the sockets of a socket unit";

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

static int read_tcp(struct cla_slice text, struct cla_listen *listen)
{
    const char *colon = text.n > 0 ? memrchr(text.p, ':', text.n) : NULL;
    struct cla_slice host, port;
    bool bracketed;

    if (colon == NULL)
        return -CLA_EINVAL;
    host = cla_slice(text.p, (size_t)(colon - text.p));
    port = cla_slice(colon + 1, text.n - host.n - 1);
    bracketed = host.n >= 2 && host.p[0] == '[' && host.p[host.n - 1] == ']';
    if (bracketed)
        host = cla_slice(host.p + 1, host.n - 2);
    if (host.n >= sizeof listen->host || memchr(host.p, '\0', host.n) != NULL)
        return -CLA_EINVAL;
    memcpy(listen->host, host.p, host.n);
    if (check_host(listen->host, bracketed) != 0)
        return -CLA_EINVAL;
    return read_port(port, &listen->port);
}

static const char *read_path(struct cla_slice path, struct cla_listen *listen)
{
    if (path.n == 0 || memchr(path.p, '\0', path.n) != NULL)
        return not_an_address;
    if (path.n >= CLA_LISTEN_PATH)
        return "is too long for a unix socket; write a path of at most 107 bytes";
    memcpy(listen->host, path.p, path.n);
    listen->local = true;
    return NULL;
}

/* A name as LISTEN_FDNAMES has them, which are at most 255 bytes. */
static const char *read_passed(struct cla_slice name, struct cla_listen *listen)
{
    static const char why[] = "names no socket; write systemd for all sockets of the socket unit, "
                              "or systemd:NAME for those with FileDescriptorName=NAME";

    if (name.n == 0 || name.n >= sizeof listen->host)
        return why;
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] <= ' ' || name.p[i] == ':' || name.p[i] == '\x7f')
            return why;
    }
    memcpy(listen->host, name.p, name.n);
    return NULL;
}

static bool take_prefix(struct cla_slice *text, struct cla_slice prefix)
{
    if (!cla_slice_starts(*text, prefix))
        return false;
    *text = cla_slice(text->p + prefix.n, text->n - prefix.n);
    return true;
}

static const char *read_address(struct cla_slice text, struct cla_listen *listen)
{
    bool url;

    if (take_prefix(&text, CLA_LIT("unix:")))
        return read_path(text, listen);
    listen->tls = take_prefix(&text, CLA_LIT("https://"));
    url = listen->tls || take_prefix(&text, CLA_LIT("http://"));
    if (url && text.n > 0 && text.p[text.n - 1] == '/')
        text.n--;
    listen->passed = true;
    if (cla_slice_eq(text, CLA_LIT("systemd")))
        return NULL;
    if (take_prefix(&text, CLA_LIT("systemd:")))
        return read_passed(text, listen);
    listen->passed = false;
    return read_tcp(text, listen) == 0 ? NULL : not_an_address;
}

static const char *read_mode(struct cla_slice text, struct cla_listen *listen)
{
    static const char why[] = "has a wrong mode; write mode=0660, which only unix sockets have";

    if (!listen->local || text.n < 3 || text.n > 4)
        return why;
    listen->mode = 0;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '7')
            return why;
        listen->mode = listen->mode * 8 + (unsigned)(text.p[i] - '0');
    }
    return listen->mode <= 0777 ? NULL : why;
}

static const char *read_half_close(struct cla_slice text, struct cla_listen *listen)
{
    listen->half_close_set = true;
    listen->half_close = CLA_HALF_CLOSE_ALLOW;
    if (cla_slice_eq(text, CLA_LIT("allow")))
        return NULL;
    listen->half_close = CLA_HALF_CLOSE_CANCEL;
    return cla_slice_eq(text, CLA_LIT("cancel"))
               ? NULL
               : "has a wrong half_close; write half_close=allow or half_close=cancel";
}

static const char *read_option(struct cla_slice text, struct cla_listen *listen)
{
    if (take_prefix(&text, CLA_LIT("mode=")))
        return read_mode(text, listen);
    if (take_prefix(&text, CLA_LIT("half_close=")))
        return read_half_close(text, listen);
    return "has an unknown option; behind an address there may be half_close=allow|cancel and "
           "mode=0660";
}

const char *cla_listen_read(struct cla_slice text, struct cla_listen *listen)
{
    struct cla_slice word = {NULL, 0};
    const char *why;

    *listen = (struct cla_listen){.mode = 0600};
    (void)cla_slice_next(&text, ' ', &word);
    why = read_address(word, listen);
    while (why == NULL && cla_slice_next(&text, ' ', &word)) {
        if (word.n > 0)
            why = read_option(word, listen);
    }
    return why;
}

bool cla_listen_same(const struct cla_listen *a, const struct cla_listen *b)
{
    if (a->passed && b->passed)
        return a->host[0] == '\0' || b->host[0] == '\0' || strcmp(a->host, b->host) == 0;
    return a->local == b->local && a->passed == b->passed && a->port == b->port &&
           (a->local || a->port != 0) && strcmp(a->host, b->host) == 0;
}

int cla_listen_print(const struct cla_listen *listen, struct cla_buf *to)
{
    bool v6 = strchr(listen->host, ':') != NULL;
    const char *scheme = listen->tls ? "https://" : "";

    if (listen->local)
        return cla_buf_printf(to, "unix:%s", listen->host);
    if (listen->passed)
        return cla_buf_printf(to, "%ssystemd%s%s", scheme, listen->host[0] != '\0' ? ":" : "",
                              listen->host);
    return cla_buf_printf(to, v6 ? "%s[%s]:%u" : "%s%s:%u", scheme, listen->host, listen->port);
}
