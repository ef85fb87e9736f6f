/* Writes down what the reader reports, one line an event. */
#ifndef CLA_TEST_RPC_RECORDER_H
#define CLA_TEST_RPC_RECORDER_H

#include "rpc/jsonrpc.h"

static inline void recorder_options(struct cla_buf *to, const struct cla_rpc_options *o)
{
    if (o->has_timeout)
        (void)cla_buf_printf(to, " timeout=%llu", (unsigned long long)o->timeout_ms);
    if (o->progress_token.n > 0)
        (void)cla_buf_printf(to, " progress=%.*s", (int)o->progress_token.n, o->progress_token.p);
    if (o->item_token.n > 0)
        (void)cla_buf_printf(to, " item=%.*s", (int)o->item_token.n, o->item_token.p);
}

static inline void recorder_on_text(void *arg, const struct cla_rpc_text *text)
{
    if (text->batch)
        (void)cla_buf_printf(arg, "batch of %zu\n", text->count);
}

static inline void recorder_on_request(void *arg, const struct cla_rpc_request *r)
{
    static const char *const kinds[] = {"call", "notify", "invalid"};
    struct cla_buf *to = arg;

    (void)cla_buf_printf(to, "%s id=%.*s", kinds[r->kind], (int)r->id.n, r->id.p);
    if (r->kind == CLA_RPC_INVALID) {
        (void)cla_buf_printf(to, " %d %s\n", r->error_code, r->error);
        return;
    }
    (void)cla_buf_append(to, " ", 1);
    (void)cla_buf_add(to, r->method);
    if (r->params.n > 0)
        (void)cla_buf_printf(to, " %.*s", (int)r->params.n, r->params.p);
    recorder_options(to, &r->options);
    (void)cla_buf_printf(to, "%s\n", r->params_meta ? " (meta)" : "");
}

/* What reading 'text' reports, NUL-terminated; free with cla_buf_fini(). */
static inline struct cla_buf recorder_read(struct cla_slice text,
                                           const struct cla_rpc_limits *limits)
{
    static const struct cla_rpc_server_events events = {recorder_on_text, recorder_on_request};
    struct cla_buf log = {0};

    if (cla_jsonrpc_read(text, limits, &events, &log) != 0)
        (void)cla_buf_append(&log, "no memory\n", 10);
    (void)cla_buf_push(&log, '\0');
    return log;
}

#endif
