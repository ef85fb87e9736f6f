#include "http/forwarded.h"

#include "base/error.h"
#include "http/token.h"

/* Longer values name no address. */
#define NODE_MAX 64

struct way {
    const struct cla_http_trusted *trusted;
    struct cla_http_client client;
    bool found; /* 'client' holds what would be the answer if nothing came behind */
};

bool cla_http_is_trusted(const struct cla_http_trusted *trusted, const struct cla_ip *ip)
{
    for (size_t i = 0; i < trusted->count; i++) {
        if (cla_ip_in(ip, &trusted->nets[i]))
            return true;
    }
    return false;
}

/* A port that is none, such as "_hidden", is not told. */
static int read_port(struct cla_slice text)
{
    int port = 0;

    if (text.n < 1 || text.n > 5)
        return -1;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return -1;
        port = port * 10 + (text.p[i] - '0');
    }
    return port <= UINT16_MAX ? port : -1;
}

/* Reads ADDRESS, ADDRESS:PORT, [IPv6] or [IPv6]:PORT. */
static int read_node(struct cla_slice node, struct cla_http_client *client)
{
    const char *end;
    struct cla_slice rest;

    client->port = -1;
    if (cla_ip_read(node, &client->ip) == 0)
        return 0;
    if (node.n > 1 && node.p[0] == '[') {
        end = memchr(node.p, ']', node.n);
        if (end == NULL ||
            cla_ip_read(cla_slice(node.p + 1, (size_t)(end - node.p) - 1), &client->ip) != 0)
            return -CLA_EINVAL;
        end++;
    } else {
        end = node.n > 0 ? memchr(node.p, ':', node.n) : NULL;
        if (end == NULL || cla_ip_read(cla_slice(node.p, (size_t)(end - node.p)), &client->ip) != 0)
            return -CLA_EINVAL;
    }
    rest = cla_slice(end, (size_t)(node.p + node.n - end));
    if (rest.n == 0)
        return 0;
    client->port = read_port(cla_slice(rest.p + 1, rest.n - 1));
    return rest.p[0] == ':' ? 0 : -CLA_EINVAL;
}

/* The next element, from left to right. Seen from the right: the way goes on as long as there are
 * proxies, so whoever is none, or whoever is behind what names nobody, is where it ends. */
static void step(struct way *way, struct cla_slice node)
{
    struct cla_http_client next;

    if (read_node(node, &next) != 0) {
        way->found = false;
    } else if (!way->found || !cla_http_is_trusted(way->trusted, &next.ip)) {
        way->client = next;
        way->found = true;
    }
}

static void read_x_forwarded_for(struct way *way, struct cla_slice value)
{
    struct cla_slice node;

    while (cla_slice_next(&value, ',', &node)) {
        if (node.n > 0)
            step(way, node);
    }
}

/* --- Forwarded. --- */

static void skip_blanks(struct cla_slice *s)
{
    while (s->n > 0 && (*s->p == ' ' || *s->p == '\t')) {
        s->p++;
        s->n--;
    }
}

static bool take_char(struct cla_slice *s, char c)
{
    if (s->n == 0 || *s->p != c)
        return false;
    s->p++;
    s->n--;
    return true;
}

static struct cla_slice take_token(struct cla_slice *s)
{
    struct cla_slice token = {s->p, 0};

    while (token.n < s->n && cla_http_is_token_char(s->p[token.n]))
        token.n++;
    *s = cla_slice(s->p + token.n, s->n - token.n);
    return token;
}

/* Takes a quoted string behind its first quote. Of one that does not fit only the length is right.
 * Returns false if it does not end. */
static bool take_quoted(struct cla_slice *s, char text[NODE_MAX], struct cla_slice *value)
{
    size_t n = 0;

    while (s->n > 0 && *s->p != '"') {
        size_t escape = *s->p == '\\' && s->n > 1;

        if (n < NODE_MAX)
            text[n] = s->p[escape];
        n++;
        *s = cla_slice(s->p + escape + 1, s->n - escape - 1);
    }
    *value = cla_slice(text, n);
    return take_char(s, '"');
}

/* Takes NAME=VALUE. Returns false if it is none. */
static bool take_pair(struct cla_slice *s, char text[NODE_MAX], struct cla_slice *name,
                      struct cla_slice *value)
{
    *name = take_token(s);
    if (name->n == 0 || !take_char(s, '='))
        return false;
    if (take_char(s, '"'))
        return take_quoted(s, text, value);
    *value = take_token(s);
    return value->n > 0;
}

/* One element: pairs, with semicolons between them. Returns false if it is malformed. */
static bool read_element(struct way *way, struct cla_slice *s)
{
    char text[NODE_MAX], node_text[NODE_MAX];
    struct cla_slice name, value, node = {NULL, 0};
    bool any = false, has_node = false;

    for (;;) {
        skip_blanks(s);
        if (s->n > 0 && *s->p != ';' && *s->p != ',') {
            if (!take_pair(s, text, &name, &value))
                return false;
            any = true;
            if (cla_slice_eq_nocase(name, CLA_LIT("for"))) {
                if (has_node)
                    return false;
                has_node = true;
                node = cla_slice(node_text, value.n < NODE_MAX ? value.n : 0);
                memcpy(node_text, value.p, node.n);
            }
            skip_blanks(s);
        }
        if (!take_char(s, ';'))
            break;
    }
    if (any)
        step(way, node);
    return s->n == 0 || *s->p == ',';
}

static bool read_forwarded(struct way *way, struct cla_slice value)
{
    do {
        if (!read_element(way, &value))
            return false;
    } while (take_char(&value, ','));
    return true;
}

bool cla_http_forwarded(const struct cla_http_head *head, const struct cla_http_trusted *trusted,
                        struct cla_http_client *client)
{
    struct way forwarded = {.trusted = trusted}, x = {.trusted = trusted};
    bool has_forwarded = false, whole = true;

    for (unsigned i = 0; i < head->field_count; i++) {
        const struct cla_http_field *field = &head->fields[i];

        if (cla_slice_eq_nocase(field->name, CLA_LIT("forwarded"))) {
            has_forwarded = true;
            whole = whole && read_forwarded(&forwarded, field->value);
        } else if (cla_slice_eq_nocase(field->name, CLA_LIT("x-forwarded-for"))) {
            read_x_forwarded_for(&x, field->value);
        }
    }
    *client = has_forwarded ? forwarded.client : x.client;
    return has_forwarded ? whole && forwarded.found : x.found;
}
