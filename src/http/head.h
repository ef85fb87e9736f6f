/* HTTP/1.1 heads out.
 *
 * One thread. Depends on: base. */
#ifndef CLA_HTTP_HEAD_H
#define CLA_HTTP_HEAD_H

#include <stdint.h>

#include "base/buf.h"

/* "Date: …\r\n" (RFC 9110 section 6.6.1), rebuilt at most once a second. Zeroed: empty. */
struct cla_http_date {
    uint64_t second; /* since 1970, of 'text' */
    char text[40];   /* the whole line with its line end */
    size_t n;        /* bytes of it */
};

/* The line for 'wall_ns' (nanoseconds since 1970). Borrowed until the next call. */
struct cla_slice cla_http_date_line(struct cla_http_date *date, uint64_t wall_ns);

/* The reason phrase of 'status' ("Not Found"; 499: "Client Closed Request"), or "Unknown". */
const char *cla_http_reason(int status);

struct cla_http_reply {
    int status;
    const char *content_type; /* NULL: no body, and no Content-Type */
    uint64_t content_length;  /* bytes; sent unless status is 1xx, 204 or 304 */
    struct cla_slice fields;  /* more whole lines, each with its \r\n; may be empty */
    struct cla_slice date;    /* from cla_http_date_line() */
    bool unsized;             /* no Content-Length: the end will be seen otherwise */
    bool chunked;             /* adds Transfer-Encoding: chunked */
    bool close;               /* adds Connection: close */
    bool keep_alive_1_0;      /* adds Connection: keep-alive, for a 1.0 client that asked */
};

/* Appends a response head with its blank line. Returns 0 or -CLA_ENOMEM (nothing appended). */
int cla_http_write_reply(struct cla_buf *buf, const struct cla_http_reply *reply);

struct cla_http_request {
    const char *method;
    struct cla_slice target, host;
    const char *content_type; /* NULL: no body */
    uint64_t content_length;
    struct cla_slice fields; /* more whole lines; may be empty */
};

/* Appends a request head with its blank line. Returns 0 or -CLA_ENOMEM (nothing appended). */
int cla_http_write_request(struct cla_buf *buf, const struct cla_http_request *request);

#endif
