/* Happy path: dial, shake hands where there is TLS, write the request, feed the parser until the
 * answer is complete, close. Failure modes: no connection; an end or a failure before the answer is
 * complete; an answer that is no HTTP or no JSON-RPC; the time limit. The first to be settled is
 * the one reported. On close: the dial's callback or the stream's last one reports the answer and
 * frees the client.
 */
#include "gateway/client.h"

#include <stdio.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "gateway/client_events.h"
#include "http/head.h"
#include "http/parser.h"
#include "http/url.h"
#include "io/dial.h"
#include "io/stream.h"
#include "rpc/connect.h"

/* How long a connection, and then its TLS handshake, may take where the call has no time limit. */
#define CONNECT_NS (10 * CLA_NS_PER_S)
/* How much longer than the server's the own limit is, so that it is the server that says it. */
#define MARGIN_NS (250 * CLA_NS_PER_MS)

#define ID CLA_LIT("1")

struct cla_client {
    struct cla_loop *loop;
    const struct cla_client_call *call; /* borrowed */
    cla_client_cb *cb;
    void *arg;
    struct cla_dial *dial; /* NULL: not dialing */
    struct cla_stream stream;
    struct cla_http_parser *parser;
    struct cla_timer timer; /* the own limit */
    uint64_t deadline_ns;   /* the server's */
    struct cla_buf request; /* the JSON text */
    struct cla_buf body;    /* of the answer */
    struct cla_client_answer answer;
    bool settled;  /* the answer is decided */
    bool complete; /* all of the answer has come */
    bool starved;  /* no memory for the body */
    bool streams;  /* the answer is a stream of events, which are not kept */
    struct cla_client_events events;
    char detail[320];
};

static const struct cla_http_limits limits = {
    .head_bytes = CLA_CLIENT_HEAD_BYTES_MAX,
    .field_count = CLA_HTTP_FIELDS_MAX,
    .target_bytes = CLA_CLIENT_HEAD_BYTES_MAX,
    .body_bytes = CLA_CLIENT_BODY_BYTES_MAX,
};

/* A stream may be as long as it likes. */
static const struct cla_http_limits stream_limits = {
    .head_bytes = CLA_CLIENT_HEAD_BYTES_MAX,
    .field_count = CLA_HTTP_FIELDS_MAX,
    .target_bytes = CLA_CLIENT_HEAD_BYTES_MAX,
    .body_bytes = INT64_MAX,
};

/* --- The end. --- */

static void free_client(struct cla_client *client)
{
    cla_http_parser_free(client->parser);
    cla_buf_fini(&client->request);
    cla_buf_fini(&client->body);
    cla_client_events_fini(&client->events);
    cla_mem_free(client);
}

static void report(struct cla_client *client)
{
    client->loop->pending--;
    client->answer.detail = client->detail;
    client->answer.body = cla_buf_slice(&client->body);
    client->cb(client->arg, &client->answer);
    free_client(client);
}

/* Decides the answer; false if it was decided before. */
static bool decide(struct cla_client *client, enum cla_client_end end, const char *detail)
{
    if (client->settled)
        return false;
    client->settled = true;
    client->answer.end = end;
    snprintf(client->detail, sizeof client->detail, "%s", detail);
    cla_timer_stop(&client->loop->timers, &client->timer);
    return true;
}

static void settle(struct cla_client *client, enum cla_client_end end, const char *detail)
{
    if (!decide(client, end, detail))
        return;
    if (client->dial != NULL)
        cla_dial_cancel(client->dial);
    else
        cla_stream_close(&client->stream);
}

static bool is_limited(const struct cla_client *client)
{
    return client->call->timeout_ns != CLA_NEVER;
}

static void on_timer(struct cla_timer *timer)
{
    struct cla_client *client = CLA_CONTAINER(timer, struct cla_client, timer);

    if (is_limited(client))
        settle(client, CLA_CLIENT_TIMEOUT, "the server did not answer in time");
    else
        settle(client, CLA_CLIENT_UNREACHABLE, "the TLS handshake took too long");
}

/* --- The answer. --- */

static bool is_event_stream(struct cla_slice content_type)
{
    struct cla_slice type;

    return cla_slice_next(&content_type, ';', &type) &&
           cla_slice_eq_nocase(type, CLA_LIT("text/event-stream"));
}

static void on_head(void *arg, const struct cla_http_head *head)
{
    struct cla_client *client = arg;

    client->answer.status = head->status;
    client->streams =
        client->call->on_part != NULL && head->status == 200 && is_event_stream(head->content_type);
}

static void on_body(void *arg, struct cla_slice bytes)
{
    struct cla_client *client = arg;

    if (client->streams)
        cla_client_events_feed(&client->events, bytes);
    else if (client->body.n + bytes.n > CLA_CLIENT_BODY_BYTES_MAX ||
             cla_buf_add(&client->body, bytes) != 0)
        client->starved = true;
}

static void on_message_end(void *arg)
{
    struct cla_client *client = arg;

    client->complete = true;
}

static const struct cla_http_events http_events = {on_head, on_body, on_message_end, NULL};

static void on_part(void *arg, enum cla_client_part kind, struct cla_slice value)
{
    const struct cla_client *client = arg;

    if (!client->settled)
        client->call->on_part(client->arg, kind, value);
}

/* Some of a stream has come, or all. */
static void judge_events(struct cla_client *client)
{
    const struct cla_client_events *events = &client->events;

    if (events->why != NULL) {
        settle(client, CLA_CLIENT_BROKEN, events->why);
    } else if (events->ended) {
        client->answer.response = events->response;
        settle(client, events->response.code == CLA_CODE_OK ? CLA_CLIENT_RESULT : CLA_CLIENT_ERROR,
               "");
    } else if (client->complete) {
        settle(client, CLA_CLIENT_BROKEN, "the stream was cut off: its end is missing");
    }
}

/* A stream was asked for, and the answer is none: it was refused before it began. */
static void judge_refusal(struct cla_client *client)
{
    if (client->answer.status == 200)
        settle(client, CLA_CLIENT_BROKEN, "the server's answer is not a stream of events");
    else if (cla_connect_error_read(cla_buf_slice(&client->body), &client->answer.response) == 0)
        settle(client, CLA_CLIENT_ERROR, "");
    else
        settle(client, CLA_CLIENT_STATUS, "");
}

/* True if it answers our request. An error about a request that the server could not read has no
 * id to go by. */
static bool is_ours(const struct cla_rpc_response *response)
{
    return cla_slice_eq(response->id, ID) ||
           (response->code != CLA_CODE_OK && cla_slice_eq(response->id, CLA_LIT("null")));
}

/* All of the answer has come: finds out what it is. Any status may carry a JSON-RPC response. */
static void judge(struct cla_client *client)
{
    struct cla_rpc_response *response = &client->answer.response;
    int status = client->answer.status;

    if (client->streams)
        judge_events(client);
    else if (client->starved)
        settle(client, CLA_CLIENT_BROKEN, "no memory for the server's answer");
    else if (client->call->on_part != NULL)
        judge_refusal(client);
    else if (status == 204)
        settle(client, CLA_CLIENT_RESULT, "");
    else if (cla_jsonrpc_response_read(cla_buf_slice(&client->body), response) == 0 &&
             is_ours(response))
        settle(client, response->code == CLA_CODE_OK ? CLA_CLIENT_RESULT : CLA_CLIENT_ERROR, "");
    else if (status != 200)
        settle(client, CLA_CLIENT_STATUS, "");
    else
        settle(client, CLA_CLIENT_BROKEN, "the server's answer is not a JSON-RPC response");
}

static void refuse(struct cla_client *client)
{
    char text[160];

    snprintf(text, sizeof text, "the server's answer was refused: %s",
             cla_http_parser_error(client->parser));
    settle(client, CLA_CLIENT_BROKEN, text);
}

/* --- The connection. --- */

static struct cla_client *client_of(struct cla_stream *stream)
{
    return CLA_CONTAINER(stream, struct cla_client, stream);
}

static void on_read(struct cla_stream *stream, struct cla_slice bytes)
{
    struct cla_client *client = client_of(stream);
    size_t taken;

    if (client->settled)
        return;
    switch (cla_http_parser_feed(client->parser, bytes.p, bytes.n, &taken)) {
    case CLA_HTTP_FAILED:
        refuse(client);
        break;
    case CLA_HTTP_PAUSED:
    case CLA_HTTP_UPGRADE:
        judge(client);
        break;
    case CLA_HTTP_MORE:
        if (client->streams)
            judge_events(client);
        break;
    }
}

/* A server may refuse a client's certificate when the client's side of the handshake is over. */
static void on_tls_failed(struct cla_client *client)
{
    bool connected = !cla_stream_handshaking(&client->stream);
    char text[300];

    snprintf(text, sizeof text, "TLS failed: %s", cla_stream_error(&client->stream));
    settle(client, connected ? CLA_CLIENT_BROKEN : CLA_CLIENT_UNREACHABLE, text);
}

static void on_end(struct cla_stream *stream, int rc)
{
    struct cla_client *client = client_of(stream);

    if (rc == -CLA_EPROTO)
        on_tls_failed(client);
    else if (rc == 0 && cla_http_parser_finish(client->parser) == 0 && client->complete)
        judge(client);
    else if (client->streams)
        settle(client, CLA_CLIENT_BROKEN, "the stream was cut off: the connection ended");
    else if (rc != 0)
        settle(client, CLA_CLIENT_BROKEN, "the connection broke before the server answered");
    else
        settle(client, CLA_CLIENT_BROKEN, "the server closed the connection before it answered");
}

static void on_drained(struct cla_stream *stream)
{
}

static void on_closed(struct cla_stream *stream)
{
    report(client_of(stream));
}

static const struct cla_stream_events stream_events = {on_read, on_end, on_drained, on_closed};

/* What is left of the time limit in milliseconds, rounded up: 0 would have expired. */
static uint64_t left_ms(const struct cla_client *client)
{
    uint64_t now = cla_loop_now_ns(client->loop), ms = 1;

    if (client->deadline_ns > now)
        ms = (client->deadline_ns - now + CLA_NS_PER_MS - 1) / CLA_NS_PER_MS;
    return ms < CLA_RPC_TIMEOUT_MS_MAX ? ms : CLA_RPC_TIMEOUT_MS_MAX;
}

static int write_fields(const struct cla_client *client, struct cla_buf *fields)
{
    int rc =
        cla_buf_printf(fields, "Accept: %s\r\nConnection: close\r\n",
                       client->call->on_part != NULL ? "text/event-stream" : "application/json");

    if (rc == 0 && client->call->timeout_ns != CLA_NEVER)
        rc = cla_buf_printf(fields, "Connect-Timeout-Ms: %ju\r\n", (uintmax_t)left_ms(client));
    if (rc == 0)
        rc = cla_buf_add(fields, client->call->fields);
    return rc;
}

/* The path that the procedure has below the target's, before the query. */
static int write_target(const struct cla_client *client, struct cla_buf *target)
{
    struct cla_slice rest = client->call->target, path;
    int rc;

    if (client->call->on_part == NULL)
        return cla_buf_add(target, rest);
    (void)cla_slice_next(&rest, '?', &path);
    rc = cla_buf_add(target, path);
    if (rc == 0 && (path.n == 0 || path.p[path.n - 1] != '/'))
        rc = cla_buf_push(target, '/');
    if (rc == 0)
        rc = cla_http_percent_encode(target, client->call->procedure);
    if (rc == 0 && path.n < client->call->target.n)
        rc = cla_buf_add(
            target, cla_slice(client->call->target.p + path.n, client->call->target.n - path.n));
    return rc;
}

static int write_request(const struct cla_client *client, struct cla_buf *out)
{
    struct cla_http_request request = {
        .method = "POST",
        .host = client->call->authority,
        .content_type = "application/json",
        .content_length = client->request.n,
    };
    struct cla_buf fields = {0}, target = {0};
    int rc = write_fields(client, &fields);

    if (rc == 0)
        rc = write_target(client, &target);
    request.fields = cla_buf_slice(&fields);
    request.target = cla_buf_slice(&target);
    if (rc == 0)
        rc = cla_http_write_request(out, &request);
    if (rc == 0)
        rc = cla_buf_add(out, cla_buf_slice(&client->request));
    cla_buf_fini(&fields);
    cla_buf_fini(&target);
    return rc;
}

static void ask(struct cla_client *client)
{
    struct cla_buf out = {0};

    if (write_request(client, &out) == 0) {
        cla_stream_read(&client->stream);
        cla_stream_write(&client->stream, &out);
    } else {
        settle(client, CLA_CLIENT_BROKEN, "no memory for the request");
    }
    cla_buf_fini(&out);
}

/* From here on the call's own limit counts, if it has one. */
static void on_secured(struct cla_stream *stream)
{
    struct cla_client *client = client_of(stream);

    if (!is_limited(client))
        cla_timer_stop(&client->loop->timers, &client->timer);
}

static const struct cla_stream_tls_events tls_events = {.on_secured = on_secured};

/* Returns 0, or -CLA_E*: then it is settled. */
static int secure(struct cla_client *client)
{
    const struct cla_client_call *call = client->call;
    int rc = 0;

    if (call->tls == NULL)
        return 0;
    rc = cla_stream_secure_client(&client->stream, call->tls, call->host, &tls_events);
    if (rc != 0)
        settle(client, CLA_CLIENT_UNREACHABLE, cla_error_text(rc));
    else if (!is_limited(client))
        cla_timer_start(&client->loop->timers, &client->timer,
                        cla_clock_add(cla_loop_now_ns(client->loop), CONNECT_NS));
    return rc;
}

static void on_dial_failed(struct cla_client *client, int rc, const char *error)
{
    bool in_time = rc != -CLA_ETIMEOUT || client->call->timeout_ns == CLA_NEVER;

    decide(client, in_time ? CLA_CLIENT_UNREACHABLE : CLA_CLIENT_TIMEOUT, error);
    client->answer.refused = rc == -CLA_EREFUSED;
    report(client);
}

static void on_dialed(void *arg, int rc, int fd, const char *error)
{
    struct cla_client *client = arg;

    client->dial = NULL;
    if (rc != 0) {
        on_dial_failed(client, rc, error);
    } else if (cla_stream_open(&client->stream, client->loop, fd, &stream_events) != 0) {
        close(fd); /* the stream closes all the same, and then reports */
        settle(client, CLA_CLIENT_UNREACHABLE, "the connection could not be used");
    } else if (secure(client) == 0) {
        ask(client);
    }
}

/* The body of the request. */
static int make_request(struct cla_client *client)
{
    const struct cla_client_call *call = client->call;

    if (call->on_part == NULL)
        return cla_jsonrpc_request(&client->request, ID, call->procedure, call->params);
    if (!cla_utf8_valid(call->procedure))
        return -CLA_EUTF8;
    return cla_buf_add(&client->request, call->params);
}

int cla_client_start(struct cla_client **out, struct cla_loop *loop,
                     const struct cla_client_call *call, cla_client_cb *cb, void *arg)
{
    struct cla_client *client = cla_mem_zalloc(sizeof *client);
    int rc;

    if (client == NULL)
        return -CLA_ENOMEM;
    *client = (struct cla_client){.loop = loop, .call = call, .cb = cb, .arg = arg};
    client->deadline_ns = cla_clock_add(cla_loop_now_ns(loop), call->timeout_ns);
    cla_timer_init(&client->timer, on_timer);
    cla_client_events_init(&client->events, on_part, client);
    rc = cla_http_parser_new_response(
        &client->parser, call->on_part != NULL ? &stream_limits : &limits, &http_events, client);
    if (rc == 0)
        rc = make_request(client);
    if (rc == 0)
        rc = cla_dial_start(&client->dial, loop, call->host, call->port,
                            is_limited(client) ? call->timeout_ns : CONNECT_NS, on_dialed, client);
    if (rc != 0) {
        free_client(client);
        return rc;
    }
    cla_timer_start(&loop->timers, &client->timer, cla_clock_add(client->deadline_ns, MARGIN_NS));
    loop->pending++;
    *out = client;
    return 0;
}

void cla_client_cancel(struct cla_client *client)
{
    settle(client, CLA_CLIENT_CANCELLED, "cancelled");
}
