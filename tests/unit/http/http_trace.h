/* Writes what a parser does as text, so that two runs can be compared and read.
 *
 * One line for each head, body and end, and a last one that says how it came out. A run ends with
 * the first refusal, or when all bytes are fed. */
#ifndef CLA_TEST_HTTP_TRACE_H
#define CLA_TEST_HTTP_TRACE_H

#include <stdlib.h>

#include "base/buf.h"
#include "base/check.h"
#include "http/parser.h"

struct http_trace {
    struct cla_buf text;
    bool in_body;
    unsigned messages; /* that ended */
    unsigned upgrades; /* of them */
    int status;        /* of the refusal; 0: none */
};

static inline void http_trace_add(struct http_trace *trace, const char *name, struct cla_slice s)
{
    CLA_PRE(cla_buf_printf(&trace->text, " %s=%.*s", name, (int)s.n, s.n > 0 ? s.p : "") == 0);
}

static inline void http_trace_on_head(void *arg, const struct cla_http_head *head)
{
    struct http_trace *trace = arg;
    unsigned char first = 0, last = 0;

    if (head->raw.n > 0) { /* read both ends: the sanitizer sees a stale slice */
        first = (unsigned char)head->raw.p[0];
        last = (unsigned char)head->raw.p[head->raw.n - 1];
    }
    CLA_PRE(cla_buf_printf(&trace->text, "head %c%02x %zu method=%d status=%d 1.%u length=%llu",
                           first, last, head->raw.n, (int)head->method, head->status,
                           head->version_minor, (unsigned long long)head->content_length) == 0);
    CLA_PRE(cla_buf_printf(&trace->text, "%s%s%s%s%s", head->has_body ? " body" : "",
                           head->chunked ? " chunked" : "", head->keep_alive ? " keep" : " close",
                           head->expect_continue ? " expect" : "",
                           head->upgrade ? " upgrade" : "") == 0);
    http_trace_add(trace, "name", head->method_name);
    http_trace_add(trace, "target", head->target);
    http_trace_add(trace, "host", head->host);
    http_trace_add(trace, "type", head->content_type);
    for (unsigned i = 0; i < head->field_count; i++) {
        http_trace_add(trace, "field", head->fields[i].name);
        http_trace_add(trace, "value", head->fields[i].value);
    }
    CLA_PRE(cla_buf_push(&trace->text, '\n') == 0);
    trace->in_body = false;
}

static inline void http_trace_on_body(void *arg, struct cla_slice bytes)
{
    struct http_trace *trace = arg;

    CLA_PRE(bytes.n > 0);
    if (!trace->in_body)
        CLA_PRE(cla_buf_add(&trace->text, CLA_LIT("body ")) == 0);
    trace->in_body = true;
    CLA_PRE(cla_buf_add(&trace->text, bytes) == 0);
}

static inline void http_trace_on_end(void *arg)
{
    struct http_trace *trace = arg;

    CLA_PRE(cla_buf_add(&trace->text, trace->in_body ? CLA_LIT("\nend\n") : CLA_LIT("end\n")) == 0);
    trace->in_body = false;
    trace->messages++;
}

static inline void http_trace_on_too_large(void *arg, const struct cla_http_head *head)
{
    struct http_trace *trace = arg;

    CLA_PRE(cla_buf_add(&trace->text, CLA_LIT("too large")) == 0);
    http_trace_add(trace, "host", head->host);
    CLA_PRE(cla_buf_push(&trace->text, '\n') == 0);
}

static const struct cla_http_events http_trace_events = {
    http_trace_on_head, http_trace_on_body, http_trace_on_end, http_trace_on_too_large};

/* Feeds one piece from a block of exactly its size. Returns false after a refusal. */
static inline bool http_trace_feed(struct http_trace *trace, struct cla_http_parser *parser,
                                   struct cla_slice piece)
{
    char *copy = malloc(piece.n > 0 ? piece.n : 1);
    enum cla_http_result result = CLA_HTTP_MORE;
    size_t at = 0, taken;

    CLA_PRE(copy != NULL);
    if (piece.n > 0)
        memcpy(copy, piece.p, piece.n);
    while (at < piece.n && result != CLA_HTTP_FAILED) {
        result = cla_http_parser_feed(parser, copy + at, piece.n - at, &taken);
        at += taken;
        CLA_PRE(at <= piece.n && (result != CLA_HTTP_MORE || at == piece.n));
        trace->upgrades += result == CLA_HTTP_UPGRADE;
    }
    free(copy);
    if (result != CLA_HTTP_FAILED)
        return true;
    trace->status = cla_http_parser_status(parser);
    CLA_PRE(cla_buf_printf(&trace->text, "failed %d %s\n", trace->status,
                           cla_http_parser_error(parser)) == 0);
    return false;
}

/* The end of input, unless the parser failed. */
static inline void http_trace_finish(struct http_trace *trace, struct cla_http_parser *parser)
{
    bool in_message = cla_http_parser_in_message(parser);
    int rc = cla_http_parser_finish(parser);

    CLA_PRE(cla_buf_printf(&trace->text, "%s%s\n", in_message ? "in message, " : "",
                           rc == 0 ? "fine" : "cut") == 0);
}

/* Feeds 'bytes' to a fresh parser, cut at 'cut', or (step > 0) in pieces of 'step' bytes. */
static inline void http_trace_run(struct http_trace *trace, bool response,
                                  const struct cla_http_limits *limits, struct cla_slice bytes,
                                  size_t cut, size_t step)
{
    struct cla_http_parser *parser;
    size_t at = 0;
    bool fine = true;

    CLA_PRE((response ? cla_http_parser_new_response : cla_http_parser_new_request)(
                &parser, limits, &http_trace_events, trace) == 0);
    while (at < bytes.n && fine) {
        size_t n = step > 0 ? step : at < cut ? cut - at : bytes.n - at;

        n = n < bytes.n - at ? n : bytes.n - at;
        fine = http_trace_feed(trace, parser, cla_slice(bytes.p + at, n));
        at += n;
    }
    if (fine)
        http_trace_finish(trace, parser);
    cla_http_parser_free(parser);
}

/* Frees the text. */
static inline void http_trace_fini(struct http_trace *trace)
{
    cla_buf_fini(&trace->text);
}

#endif
