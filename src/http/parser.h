/* HTTP/1.0 and 1.1 messages (RFC 9112): bytes in, events out; requests or responses.
 *
 * One thread. Depends on: base, llhttp. No sockets, no clocks.
 *
 * A strict gate (http/gate.h) reads each head before llhttp does. A head that comes in one piece is
 * read where it lies; the pieces of any other are gathered here first, up to the head limit, so
 * that every span of a head is one contiguous piece of text. llhttp reads the pieces as they come,
 * so that nonsense is refused at its first bad byte and not at the end of a head that may never
 * come. Body bytes pass through as they come.
 *
 * The same bytes give the same events and the same refusal, however they are split over calls. */
#ifndef CLA_HTTP_PARSER_H
#define CLA_HTTP_PARSER_H

#include <stdint.h>

#include "base/buf.h"

enum cla_http_method {
    CLA_HTTP_OTHER, /* one that llhttp knows and we have no use for: see 'method_name' */
    CLA_HTTP_GET,
    CLA_HTTP_HEAD,
    CLA_HTTP_POST,
    CLA_HTTP_PUT,
    CLA_HTTP_PATCH,
    CLA_HTTP_DELETE,
    CLA_HTTP_OPTIONS,
};

struct cla_http_field {
    struct cla_slice name;  /* as sent */
    struct cla_slice value; /* without white space at both ends */
};

#define CLA_HTTP_FIELDS_MAX 128

/* A parsed head. Borrowed: valid during on_head only. */
struct cla_http_head {
    struct cla_slice raw; /* the whole head; all other slices point into it */
    struct cla_slice method_name;
    struct cla_slice target; /* as sent; empty in a response */
    struct cla_slice host;   /* of an absolute target, else of Host; empty if HTTP/1.0 sent none */
    struct cla_slice content_type;
    uint64_t content_length; /* bytes; 0 if chunked or none */
    enum cla_http_method method;
    int status;             /* of a response */
    unsigned version_minor; /* HTTP/1.x */
    bool has_body;          /* content_length > 0 or chunked (or a response until close) */
    bool chunked;
    bool keep_alive;      /* after RFC 9112 section 9.3 */
    bool expect_continue; /* Expect: 100-continue, only on HTTP/1.1 and with a body */
    bool upgrade; /* a request for "Upgrade: websocket" without a body, or a response with 101 */
    unsigned field_count;
    struct cla_http_field fields[CLA_HTTP_FIELDS_MAX];
};

struct cla_http_limits {
    size_t head_bytes;    /* of one head and trailer, above 0 and below 4 GiB; above: 431 */
    unsigned field_count; /* 1 to CLA_HTTP_FIELDS_MAX; above: 431 */
    size_t target_bytes;  /* above: 414 */
    uint64_t body_bytes;  /* above: 413; by Content-Length instead of on_head; below 2^63 */
};

/* Called from inside cla_http_parser_feed(), in this order for each message. They may not feed,
 * finish or free the parser. Interim responses (1xx but 101) are skipped without a call. */
struct cla_http_events {
    /* The head is complete. */
    void (*on_head)(void *arg, const struct cla_http_head *head);
    /* Some bytes of the body (transfer coding removed), borrowed. */
    void (*on_body)(void *arg, struct cla_slice bytes);
    /* The message is complete. The parser then stops: feed returns CLA_HTTP_PAUSED. */
    void (*on_end)(void *arg);
    /* The head is complete, and its Content-Length too large: instead of on_head, before FAILED.
     * May be NULL. */
    void (*on_too_large)(void *arg, const struct cla_http_head *head);
};

enum cla_http_result {
    CLA_HTTP_MORE,    /* all bytes taken; more are needed */
    CLA_HTTP_PAUSED,  /* a message ended; '*taken' bytes were used, the rest is the next message */
    CLA_HTTP_UPGRADE, /* as PAUSED, and head->upgrade was set: the caller decides what the rest is,
                         another protocol's bytes or (no upgrade) the next message to feed */
    CLA_HTTP_FAILED,  /* refused: see parser->status and ->error; answer, then close */
};

struct cla_http_parser; /* llhttp's state and the gathered head */

/* Makes a parser. 'events' and 'limits' must outlive it. Returns 0 or -CLA_ENOMEM. */
int cla_http_parser_new_request(struct cla_http_parser **out, const struct cla_http_limits *limits,
                                const struct cla_http_events *events, void *arg);

/* As cla_http_parser_new_request(), for responses. The gate's rules for Host do not apply. */
int cla_http_parser_new_response(struct cla_http_parser **out, const struct cla_http_limits *limits,
                                 const struct cla_http_events *events, void *arg);

/* True if the parser holds nothing of what was fed, not even an empty line before a request. */
bool cla_http_parser_idle(const struct cla_http_parser *parser);

/* Makes 'arg' what the events are called with, so that an idle parser serves another connection. */
void cla_http_parser_set_arg(struct cla_http_parser *parser, void *arg);

/* Frees the parser; NULL is fine. */
void cla_http_parser_free(struct cla_http_parser *parser);

/* Reads p[0..n). '*taken' is how many bytes were used (all, for MORE).
 * After FAILED the parser may only be asked for status and error, and freed; running out of memory
 * shows as FAILED with status 503. */
enum cla_http_result cla_http_parser_feed(struct cla_http_parser *parser, const char *p, size_t n,
                                          size_t *taken);

/* The peer ended its output. Returns 0 if no message was under way (or a response ended with it:
 * on_end was called), else -CLA_EPROTO. */
int cla_http_parser_finish(struct cla_http_parser *parser);

/* Makes the next final response one without a body whatever its head says (the answer to HEAD). */
void cla_http_parser_no_body(struct cla_http_parser *parser);

/* True while a message has begun and not ended (for the header and body timeouts). Empty lines
 * before a request do not begin one. */
bool cla_http_parser_in_message(const struct cla_http_parser *parser);

/* The status to refuse with: 400, 413, 414, 417, 431, 501 (CONNECT) or 503. After FAILED only. */
int cla_http_parser_status(const struct cla_http_parser *parser);

/* What was wrong, one line for people, naming the element and the limit. After FAILED only. */
const char *cla_http_parser_error(const struct cla_http_parser *parser);

#endif
