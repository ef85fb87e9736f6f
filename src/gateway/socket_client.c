/* Happy path: dial, shake hands where there is TLS, upgrade, calls out and answers in, close with
 * 1000, the server's close. Failure modes: no connection; an upgrade that is refused, or is none;
 * the end of the connection, in order or not; frames that break the protocol. The first of them is
 * the one reported. On close: the dial's callback or the stream's last one reports the end and
 * frees the client. */
#include "gateway/socket_client.h"

#include <stdio.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "gateway/upgrade.h"
#include "io/dial.h"
#include "io/stream.h"
#include "ws/conn.h"

/* How long connecting and upgrading may take where there is no time limit. */
#define CONNECT_NS (10 * CLA_NS_PER_S)
/* How much longer than the server's the own limit is, so that it is the server that says it. */
#define MARGIN_NS (250 * CLA_NS_PER_MS)
/* How long the server's close frame is waited for. */
#define CLOSE_NS CLA_NS_PER_S

/* Of the tokens under which parts are asked for: a server may have others. */
#define TOKEN_PREFIX "\"cancela-"
#define TOKEN_BYTES 48

struct cla_socket_client {
    struct cla_loop *loop;
    const struct cla_client_call *to; /* borrowed */
    const struct cla_socket_client_events *events;
    void *arg;
    struct cla_dial *dial; /* NULL: not dialing */
    struct cla_stream stream;
    struct cla_http_parser *parser; /* of the answer to the upgrade; NULL behind it */
    struct cla_ws_conn ws;          /* once it is open */
    struct cla_timer timer;         /* of connecting, of the call, or of closing */
    uint64_t id;                    /* of the last call */
    struct cla_upgrade upgrade;
    struct cla_buf body;          /* of a refused upgrade */
    struct cla_client_answer end; /* what on_closed reports */
    bool open;
    bool calling; /* a call is under way */
    bool settled; /* the end is decided */
    char detail[320];
};

static const struct cla_http_limits limits = {
    .head_bytes = CLA_CLIENT_HEAD_BYTES_MAX,
    .field_count = CLA_HTTP_FIELDS_MAX,
    .target_bytes = CLA_CLIENT_HEAD_BYTES_MAX,
    .body_bytes = CLA_CLIENT_BODY_BYTES_MAX,
};

/* A client has one connection: large windows cost little here. */
static const struct cla_ws_settings settings = {
    .message_bytes = CLA_CLIENT_BODY_BYTES_MAX,
    .fragments = UINT32_MAX,
    .deflate = {.on = true,
                .window_bits = 15,
                .peer_window_bits = 15,
                .mem_level = 8,
                .level = 6,
                .threshold_bytes = 256},
    .random = cla_upgrade_random,
};

/* --- The end. --- */

static void free_client(struct cla_socket_client *client)
{
    cla_http_parser_free(client->parser);
    if (client->open)
        cla_ws_conn_fini(&client->ws);
    cla_buf_fini(&client->body);
    cla_mem_free(client);
}

static void report(struct cla_socket_client *client)
{
    client->loop->pending--;
    client->end.detail = client->detail;
    client->end.body = cla_buf_slice(&client->body);
    client->events->on_closed(client->arg, &client->end);
    free_client(client);
}

/* Decides the end, unless it was before. */
static void decide(struct cla_socket_client *client, enum cla_client_end end, const char *detail)
{
    if (client->settled)
        return;
    client->settled = true;
    client->calling = false;
    client->end.end = end;
    snprintf(client->detail, sizeof client->detail, "%s", detail);
    cla_timer_stop(&client->loop->timers, &client->timer);
}

static void settle(struct cla_socket_client *client, enum cla_client_end end, const char *detail)
{
    decide(client, end, detail);
    if (client->dial != NULL)
        cla_dial_cancel(client->dial);
    else
        cla_stream_close(&client->stream);
}

static void start_timer(struct cla_socket_client *client, uint64_t due_ns)
{
    cla_timer_start(&client->loop->timers, &client->timer, due_ns);
}

/* Not connected in time: the limit of a call, or that of everybody's patience. */
static enum cla_client_end late(const struct cla_socket_client *client)
{
    return client->to->timeout_ns == CLA_NEVER ? CLA_CLIENT_UNREACHABLE : CLA_CLIENT_TIMEOUT;
}

/* --- Writing. --- */

/* What is appended to 'out' leaves now; rc says whether it could be built. */
static void flush(struct cla_socket_client *client, int rc, struct cla_buf *out)
{
    if (rc == -CLA_ENOMEM)
        settle(client, CLA_CLIENT_BROKEN, "out of memory");
    else if (rc == 0)
        cla_stream_write(&client->stream, out);
    cla_buf_fini(out);
}

/* Writes the close frame if none was yet, and gives the server time for what it does then. */
static void close_frame(struct cla_socket_client *client, unsigned code, const char *reason)
{
    struct cla_buf out = {0};
    int rc = cla_ws_conn_close(&client->ws, &out, code, cla_slice_str(reason));

    if (rc == 0)
        start_timer(client, cla_clock_add(cla_loop_now_ns(client->loop), CLOSE_NS));
    flush(client, rc, &out);
}

/* The token of the present call's items or progress, a JSON string. */
static struct cla_slice token_of(const struct cla_socket_client *client, enum cla_client_part kind,
                                 char *text, size_t size)
{
    snprintf(text, size, TOKEN_PREFIX "%s-%ju\"", kind == CLA_CLIENT_ITEM ? "items" : "progress",
             (uintmax_t)client->id);
    return cla_slice_str(text);
}

/* Appends the frame of a call. What is left of its time is rounded up: 0 would have expired. */
static int add_call(struct cla_socket_client *client, struct cla_buf *out,
                    struct cla_slice procedure, struct cla_slice params, uint64_t deadline_ns)
{
    uint64_t now = cla_loop_now_ns(client->loop), ms = 1;
    struct cla_rpc_options options = {.has_timeout = deadline_ns != CLA_NEVER};
    char id[24], items[TOKEN_BYTES], progress[TOKEN_BYTES];
    struct cla_buf text = {0};
    int rc;

    snprintf(id, sizeof id, "%ju", (uintmax_t)client->id);
    if (deadline_ns > now)
        ms = (deadline_ns - now + CLA_NS_PER_MS - 1) / CLA_NS_PER_MS;
    options.timeout_ms = ms < CLA_RPC_TIMEOUT_MS_MAX ? ms : CLA_RPC_TIMEOUT_MS_MAX;
    if (client->to->on_part != NULL) {
        options.item_token = token_of(client, CLA_CLIENT_ITEM, items, sizeof items);
        options.progress_token = token_of(client, CLA_CLIENT_PROGRESS, progress, sizeof progress);
    }
    rc = cla_jsonrpc_request_with(&text, cla_slice_str(id), procedure, params, &options);
    if (rc == 0)
        rc = cla_ws_conn_send(&client->ws, out, CLA_WS_KIND_TEXT, cla_buf_slice(&text));
    cla_buf_fini(&text);
    return rc;
}

int cla_socket_client_call(struct cla_socket_client *client, struct cla_slice procedure,
                           struct cla_slice params, uint64_t deadline_ns)
{
    struct cla_buf out = {0};
    int rc;

    CLA_PRE(client->open && !client->calling);
    if (client->settled)
        return -CLA_ECLOSED;
    client->id++;
    rc = add_call(client, &out, procedure, params, deadline_ns);
    if (rc == 0) {
        client->calling = true;
        start_timer(client, cla_clock_add(deadline_ns, MARGIN_NS));
        cla_stream_write(&client->stream, &out);
    }
    cla_buf_fini(&out);
    return rc;
}

void cla_socket_client_cancel(struct cla_socket_client *client)
{
    struct cla_buf text = {0}, out = {0};
    char params[40];
    int rc;

    if (!client->calling)
        return;
    snprintf(params, sizeof params, "{\"id\":%ju}", (uintmax_t)client->id);
    rc = cla_jsonrpc_request(&text, cla_slice("", 0), CLA_LIT("$/cancelRequest"),
                             cla_slice_str(params));
    if (rc == 0)
        rc = cla_ws_conn_send(&client->ws, &out, CLA_WS_KIND_TEXT, cla_buf_slice(&text));
    cla_buf_fini(&text);
    flush(client, rc, &out);
}

void cla_socket_client_close(struct cla_socket_client *client)
{
    bool again = client->settled;

    decide(client, CLA_CLIENT_CANCELLED, "cancelled");
    if (client->open && !again)
        close_frame(client, CLA_WS_NORMAL, "");
    else
        settle(client, CLA_CLIENT_CANCELLED, "cancelled");
}

static void on_timer(struct cla_timer *timer)
{
    struct cla_socket_client *client = CLA_CONTAINER(timer, struct cla_socket_client, timer);
    const struct cla_client_answer none = {.end = CLA_CLIENT_TIMEOUT,
                                           .detail = "the server did not answer in time"};

    if (client->settled) {
        cla_stream_close(&client->stream);
    } else if (!client->open) {
        settle(client, late(client), "the server did not answer the upgrade in time");
    } else {
        cla_socket_client_cancel(client);
        client->calling = false;
        client->events->on_answer(client->arg, &none);
    }
}

/* --- Messages. --- */

/* An error about a text that the server could not read has no id to go by. */
static bool is_ours(const struct cla_socket_client *client, const struct cla_rpc_response *response)
{
    char id[24];

    snprintf(id, sizeof id, "%ju", (uintmax_t)client->id);
    return cla_slice_eq(response->id, cla_slice_str(id)) ||
           (response->code != CLA_CODE_OK && cla_slice_eq(response->id, CLA_LIT("null")));
}

/* A part of the present call; one of another, that was given up, is dropped. False: it is no part.
 */
static bool take_part(struct cla_socket_client *client, const struct cla_rpc_notice *notice)
{
    struct cla_slice token, value;
    char text[TOKEN_BYTES];

    if (client->to->on_part == NULL || cla_jsonrpc_progress_read(notice, &token, &value) != 0 ||
        !cla_slice_starts(token, CLA_LIT(TOKEN_PREFIX)))
        return false;
    for (int kind = CLA_CLIENT_ITEM; client->calling && kind <= CLA_CLIENT_PROGRESS; kind++) {
        if (cla_slice_eq(token, token_of(client, kind, text, sizeof text)))
            client->to->on_part(client->arg, kind, value);
    }
    return true;
}

static void on_message(void *arg, enum cla_ws_kind kind, struct cla_slice message)
{
    struct cla_socket_client *client = arg;
    struct cla_client_answer answer = {.end = CLA_CLIENT_RESULT, .body = message, .detail = ""};
    struct cla_rpc_notice notice;

    (void)kind; /* a JSON text is one in either kind of message */
    if (client->settled)
        return;
    if (cla_jsonrpc_response_read(message, &answer.response) == 0) {
        if (!client->calling || !is_ours(client, &answer.response))
            return; /* the late answer to a call that was given up */
        if (answer.response.code != CLA_CODE_OK)
            answer.end = CLA_CLIENT_ERROR;
        client->calling = false;
        cla_timer_stop(&client->loop->timers, &client->timer);
        client->events->on_answer(client->arg, &answer);
    } else if (cla_jsonrpc_notice_read(message, &notice) == 0) {
        if (!take_part(client, &notice))
            client->events->on_notice(client->arg, message, &notice);
    } else {
        client->events->on_notice(client->arg, message, NULL);
    }
}

static void on_ping(void *arg, struct cla_slice payload)
{
    struct cla_socket_client *client = arg;
    struct cla_buf out = {0};

    flush(client, cla_ws_conn_pong(&client->ws, &out, payload), &out);
}

static void on_pong(void *arg, struct cla_slice payload)
{
    (void)arg, (void)payload;
}

static void on_close(void *arg, unsigned code, struct cla_slice reason)
{
    struct cla_socket_client *client = arg;
    char text[224];

    snprintf(text, sizeof text, "the server closed the connection with code %u%s%.*s", code,
             reason.n > 0 ? ": " : "", (int)reason.n, reason.n > 0 ? reason.p : "");
    decide(client, CLA_CLIENT_BROKEN, text);
    close_frame(client, code, "");
}

static const struct cla_ws_events ws_events = {on_message, on_ping, on_pong, on_close};

static void on_frames(struct cla_socket_client *client, char *p, size_t n)
{
    char text[160];
    size_t taken;

    if (cla_ws_conn_feed(&client->ws, p, n, &taken) != CLA_WS_FAILED)
        return;
    snprintf(text, sizeof text, "the server broke the WebSocket protocol: %s", client->ws.error);
    decide(client, CLA_CLIENT_BROKEN, text);
    close_frame(client, client->ws.code, client->ws.error);
}

/* --- The upgrade. --- */

static void on_head(void *arg, const struct cla_http_head *head)
{
    struct cla_socket_client *client = arg;

    client->end.status = head->status;
    cla_upgrade_judge(&client->upgrade, head);
}

static void on_body(void *arg, struct cla_slice bytes)
{
    struct cla_socket_client *client = arg;

    if (cla_buf_add(&client->body, bytes) != 0)
        settle(client, CLA_CLIENT_BROKEN, "out of memory");
}

static void on_head_end(void *arg)
{
    (void)arg;
}

static const struct cla_http_events http_events = {on_head, on_body, on_head_end, NULL};

static void become_open(struct cla_socket_client *client)
{
    cla_timer_stop(&client->loop->timers, &client->timer);
    cla_ws_conn_init(&client->ws, true, &settings, &client->upgrade.accept.agreed, &ws_events,
                     client);
    client->open = true;
    client->events->on_open(client->arg);
}

/* The answer to the upgrade has come. The same bytes may hold frames behind it. */
static void judge(struct cla_socket_client *client, struct cla_slice rest)
{
    if (client->end.status != 101) {
        settle(client, CLA_CLIENT_STATUS, "");
    } else if (client->upgrade.why != NULL) {
        settle(client, CLA_CLIENT_BROKEN, client->upgrade.why);
    } else {
        become_open(client);
        on_frames(client, (char *)(uintptr_t)rest.p, rest.n);
    }
}

static void on_answer_bytes(struct cla_socket_client *client, struct cla_slice bytes)
{
    char text[160];
    size_t taken;

    switch (cla_http_parser_feed(client->parser, bytes.p, bytes.n, &taken)) {
    case CLA_HTTP_FAILED:
        snprintf(text, sizeof text, "the server's answer was refused: %s",
                 cla_http_parser_error(client->parser));
        settle(client, CLA_CLIENT_BROKEN, text);
        break;
    case CLA_HTTP_PAUSED:
    case CLA_HTTP_UPGRADE:
        judge(client, cla_slice(bytes.p + taken, bytes.n - taken));
        break;
    case CLA_HTTP_MORE:
        break;
    }
}

/* --- The connection. --- */

static struct cla_socket_client *client_of(struct cla_stream *stream)
{
    return CLA_CONTAINER(stream, struct cla_socket_client, stream);
}

static void on_read(struct cla_stream *stream, struct cla_slice bytes)
{
    struct cla_socket_client *client = client_of(stream);

    if (client->open)
        on_frames(client, (char *)(uintptr_t)bytes.p, bytes.n); /* the loop's own buffer */
    else if (!client->settled)
        on_answer_bytes(client, bytes);
}

/* A server may refuse a client's certificate when the client's side of the handshake is over. */
static void on_tls_failed(struct cla_socket_client *client)
{
    bool connected = !cla_stream_handshaking(&client->stream);
    char text[300];

    snprintf(text, sizeof text, "TLS failed: %s", cla_stream_error(&client->stream));
    settle(client, connected ? CLA_CLIENT_BROKEN : CLA_CLIENT_UNREACHABLE, text);
}

static void on_end(struct cla_stream *stream, int rc)
{
    struct cla_socket_client *client = client_of(stream);

    if (rc == -CLA_EPROTO)
        on_tls_failed(client);
    else if (!client->open && rc == 0 && cla_http_parser_finish(client->parser) == 0 &&
             client->end.status != 0)
        settle(client, CLA_CLIENT_STATUS, "");
    else if (rc != 0)
        settle(client, CLA_CLIENT_BROKEN, "the connection broke");
    else
        settle(client, CLA_CLIENT_BROKEN, "the server ended the connection without a close frame");
}

static void on_drained(struct cla_stream *stream)
{
    (void)stream;
}

static void on_closed(struct cla_stream *stream)
{
    struct cla_socket_client *client = client_of(stream);

    cla_timer_stop(&client->loop->timers, &client->timer);
    report(client);
}

static const struct cla_stream_events stream_events = {on_read, on_end, on_drained, on_closed};

/* Returns 0, or -CLA_E*: then it is settled. The handshake has the time that connecting has. */
static int secure(struct cla_socket_client *client)
{
    static const struct cla_stream_tls_events none = {NULL, NULL};
    int rc = 0;

    if (client->to->tls != NULL)
        rc = cla_stream_secure_client(&client->stream, client->to->tls, client->to->host, &none);
    if (rc != 0)
        settle(client, CLA_CLIENT_UNREACHABLE, cla_error_text(rc));
    return rc;
}

static void ask(struct cla_socket_client *client)
{
    struct cla_buf out = {0};

    cla_stream_read(&client->stream);
    flush(client, cla_upgrade_request(&client->upgrade, &out, client->to), &out);
}

static void on_dialed(void *arg, int rc, int fd, const char *error)
{
    struct cla_socket_client *client = arg;

    client->dial = NULL;
    if (rc != 0) {
        decide(client, rc == -CLA_ETIMEOUT ? late(client) : CLA_CLIENT_UNREACHABLE, error);
        client->end.refused = rc == -CLA_EREFUSED;
        report(client);
    } else if (cla_stream_open(&client->stream, client->loop, fd, &stream_events) != 0) {
        close(fd); /* the stream closes all the same, and then reports */
        settle(client, CLA_CLIENT_UNREACHABLE, "the connection could not be used");
    } else if (secure(client) == 0) {
        ask(client);
    }
}

int cla_socket_client_start(struct cla_socket_client **out, struct cla_loop *loop,
                            const struct cla_client_call *to,
                            const struct cla_socket_client_events *events, void *arg)
{
    struct cla_socket_client *client = cla_mem_zalloc(sizeof *client);
    uint64_t limit = to->timeout_ns != CLA_NEVER ? to->timeout_ns : CONNECT_NS;
    int rc;

    if (client == NULL)
        return -CLA_ENOMEM;
    *client = (struct cla_socket_client){.loop = loop, .to = to, .events = events, .arg = arg};
    client->upgrade.offer.deflate = settings.deflate;
    cla_timer_init(&client->timer, on_timer);
    rc = cla_http_parser_new_response(&client->parser, &limits, &http_events, client);
    if (rc == 0)
        rc = cla_dial_start(&client->dial, loop, to->host, to->port, limit, on_dialed, client);
    if (rc != 0) {
        free_client(client);
        return rc;
    }
    start_timer(client, cla_clock_add(cla_loop_now_ns(loop), cla_clock_add(limit, MARGIN_NS)));
    loop->pending++;
    *out = client;
    return 0;
}
