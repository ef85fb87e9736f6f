/* Request targets and URLs (RFC 3986, RFC 9112 section 3.2).
 *
 * Any thread. Depends on: base. */
#ifndef CLA_HTTP_URL_H
#define CLA_HTTP_URL_H

#include <stdint.h>

#include "base/buf.h"

struct cla_http_target {
    struct cla_slice path;  /* as sent, with its leading slash ("/" if empty); "*" for OPTIONS * */
    struct cla_slice query; /* without '?'; empty if none */
    struct cla_slice host;  /* authority of the absolute form; empty otherwise */
};

/* True if 'host' is a host (RFC 3986 section 3.2.2) with or without a port, and nothing else: no
 * user info, no path, no comma. An empty one is not. */
bool cla_http_host_valid(struct cla_slice host);

/* Splits a request target in origin, absolute (http, https) or asterisk form.
 * Returns 0, or -CLA_EINVAL: not one of them, a fragment, white space, or bytes outside ASCII.
 * Other bytes that RFC 3986 does not allow pass, because browsers send them ("|" in a query). */
int cla_http_target_split(struct cla_slice target, struct cla_http_target *out);

/* Appends 'text' with %XX decoded ('+' stays). Returns 0, -CLA_ENOMEM, or -CLA_EINVAL for a
 * malformed escape or a decoded NUL; on failure nothing is appended. */
int cla_http_percent_decode(struct cla_buf *buf, struct cla_slice text);

/* Appends 'text' with everything but unreserved characters as %XX. Returns 0 or -CLA_ENOMEM. */
int cla_http_percent_encode(struct cla_buf *buf, struct cla_slice text);

/* Cuts the next name=value off '*query' (both still encoded). False when there is none left. */
bool cla_http_query_next(struct cla_slice *query, struct cla_slice *name, struct cla_slice *value);

struct cla_http_url {
    struct cla_slice scheme; /* "http", "https", "ws", "wss", or empty if the text had none */
    struct cla_slice host;   /* without brackets */
    uint16_t port;           /* given, or the scheme's default (80 without a scheme) */
    struct cla_slice target; /* path and query; empty if none was given, may begin with '?' */
    bool ipv6;               /* host stood in brackets */
};

/* Reads "[scheme://]host[:port][/path][?query]" ("localhost:3000" included). Returns 0, or
 * -CLA_EINVAL (user info, an empty host, a port outside 1-65535, an unknown scheme). */
int cla_http_url_parse(struct cla_slice text, struct cla_http_url *out);

#endif
