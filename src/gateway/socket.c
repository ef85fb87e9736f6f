/* Happy path: 101, texts in, texts out, the peer closes, its close is answered, the socket ends.
 * Failure modes: a broken frame or a limit is closed with its code (resets_per_second: 1008); a
 * peer that reads too slowly with 1013; one that does not answer a ping, or is lost, is a
 * disconnect. On close: every call of every text is cancelled; the socket is freed when the last of
 * them is. */
#include "gateway/socket.h"

#include "base/error.h"
#include "base/mem.h"
#include "gateway/access.h"
#include "gateway/conn.h"
#include "gateway/worker.h"

/* A connection's share of a turn: bytes of messages, decompressed, and what each costs besides. */
#define SHARE_BYTES 262144
#define MESSAGE_BYTES 2048

/* --- The handshake. --- */

/* Where the value of a field goes that the handshake reads. */
static struct cla_slice *value_of(struct cla_ws_request *request, struct cla_slice name)
{
    const struct {
        struct cla_slice name;
        struct cla_slice *value;
    } fields[] = {
        {CLA_LIT("connection"), &request->connection},
        {CLA_LIT("upgrade"), &request->upgrade},
        {CLA_LIT("sec-websocket-key"), &request->key},
        {CLA_LIT("sec-websocket-version"), &request->version},
        {CLA_LIT("sec-websocket-protocol"), &request->protocol},
        {CLA_LIT("sec-websocket-extensions"), &request->extensions},
    };

    for (size_t i = 0; i < CLA_ARRAY_LEN(fields); i++) {
        if (cla_slice_eq_nocase(name, fields[i].name))
            return fields[i].value;
    }
    return NULL;
}

/* Joins a repeated field's values in 'joined', which has room for all that a head can hold. */
static void add_value(struct cla_slice *to, struct cla_slice value, struct cla_buf *joined)
{
    size_t at = joined->n;

    if (to->n > 0) {
        (void)cla_buf_add(joined, *to);
        (void)cla_buf_add(joined, CLA_LIT(", "));
    }
    (void)cla_buf_add(joined, value);
    *to = cla_slice(joined->p + at, joined->n - at);
}

/* Reads the fields from the raw head, which the parser has checked. Returns 0 or -CLA_ENOMEM. */
static int read_request(struct cla_slice head, struct cla_ws_request *request,
                        struct cla_buf *joined)
{
    struct cla_slice line, name, *to;

    *request = (struct cla_ws_request){.method = CLA_LIT("GET"), .version_minor = 1};
    if (cla_buf_reserve(joined, head.n * 8) != 0) /* values may be joined again and again */
        return -CLA_ENOMEM;
    (void)cla_slice_next(&head, '\n', &line);
    while (cla_slice_next(&head, '\n', &line)) {
        if (line.n > 0 && line.p[line.n - 1] == '\r')
            line.n--;
        if (!cla_slice_next(&line, ':', &name) || (to = value_of(request, name)) == NULL)
            continue;
        if (joined->cap - joined->n < to->n + line.n + 2)
            return -CLA_ENOMEM;
        add_value(to, cla_slice_trim(line), joined);
    }
    return 0;
}

static int accept_request(struct cla_worker *worker, struct cla_slice head,
                          struct cla_ws_accept *accept, struct cla_buf *fields, const char **why)
{
    static const struct cla_slice protocols[] = {{"jsonrpc", 7}};
    const struct cla_ws_offer offer = {.protocols = protocols,
                                       .protocol_count = CLA_ARRAY_LEN(protocols),
                                       .deflate = worker->ws.deflate};
    struct cla_ws_request request;
    struct cla_buf joined = {0};
    int status = 503;

    if (read_request(head, &request, &joined) == 0) {
        status = cla_ws_handshake_read(&request, &offer, accept, why);
        if (status == 0 && cla_ws_handshake_answer(fields, accept) != 0)
            status = 503;
    }
    cla_buf_fini(&joined);
    if (status == 426)
        (void)cla_buf_add(fields, CLA_LIT(CLA_WS_UPGRADE_REQUIRED));
    return status;
}

/* --- Events of the protocol. --- */

/* Where frames go; they leave with the end of the turn. */
static struct cla_buf *out_of(struct cla_socket *socket)
{
    struct cla_conn *conn = socket->conn;

    if (conn->out.cap == 0)
        cla_worker_take_buf(conn->worker, &conn->out);
    cla_worker_flush_later(conn->worker, conn);
    return &conn->out;
}

static void on_message(void *arg, enum cla_ws_kind kind, struct cla_slice message)
{
    struct cla_socket *socket = arg;

    (void)kind; /* a JSON text is one in either kind of message */
    socket->fed += MESSAGE_BYTES + (unsigned)message.n;
    if (socket->fed >= SHARE_BYTES)
        cla_ws_conn_pause(&socket->ws);
    if (cla_exchange_run_text(socket, message, socket->conn->read_ns) != 0)
        cla_socket_close(socket, CLA_WS_INTERNAL, "out of memory", CLA_CANCEL_LIMIT);
}

/* The peer leaves more unread than may wait for it. */
static bool reads_too_slowly(const struct cla_socket *socket)
{
    return socket->conn->stream.queued > socket->conn->worker->out_bytes;
}

static void close_slow(struct cla_socket *socket)
{
    cla_socket_close(socket, CLA_WS_TRY_LATER, "the client reads too slowly (out_bytes)",
                     CLA_CANCEL_SLOW_CONSUMER);
}

static void on_ping(void *arg, struct cla_slice payload)
{
    struct cla_socket *socket = arg;

    if (reads_too_slowly(socket))
        close_slow(socket);
    else
        (void)cla_ws_conn_pong(&socket->ws, out_of(socket), payload);
}

static void on_pong(void *arg, struct cla_slice payload)
{
    (void)arg, (void)payload; /* that something came was noticed before */
}

static void on_close(void *arg, unsigned code, struct cla_slice reason)
{
    struct cla_socket *socket = arg;

    (void)reason;
    (void)cla_ws_conn_close(&socket->ws, out_of(socket), code, cla_slice("", 0));
}

static const struct cla_ws_events events = {on_message, on_ping, on_pong, on_close};

/* --- Life. --- */

int cla_socket_open(struct cla_conn *conn, struct cla_slice head, struct cla_buf *fields,
                    const char **why)
{
    struct cla_socket *socket = cla_mem_zalloc(sizeof *socket);
    struct cla_ws_accept accept;
    int status = 503;

    if (socket != NULL)
        status = accept_request(conn->worker, head, &accept, fields, why);
    if (status == 0 && cla_buf_add(&socket->head, head) != 0)
        status = 503;
    if (status != 0) {
        if (status == 503)
            *why = "out of memory";
        if (socket != NULL)
            cla_buf_fini(&socket->head);
        cla_mem_free(socket);
        return status;
    }
    socket->conn = conn;
    socket->refs = 1;
    cla_list_init(&socket->texts);
    cla_ws_conn_init(&socket->ws, false, &conn->worker->ws, &accept.agreed, &events, socket);
    conn->socket = socket;
    return 0;
}

struct cla_socket *cla_socket_hold(struct cla_socket *socket)
{
    socket->refs++;
    return socket;
}

void cla_socket_release(struct cla_socket *socket)
{
    if (--socket->refs > 0)
        return;
    cla_ws_conn_fini(&socket->ws);
    cla_call_index_fini(&socket->calls);
    cla_buf_fini(&socket->head);
    cla_mem_free(socket);
}

/* Marks every call of every text before any of them runs on. */
static void abandon_texts(struct cla_socket *socket, enum cla_cancel_kind kind)
{
    struct cla_link *link;

    while ((link = cla_list_pop(&socket->texts)) != NULL)
        cla_exchange_abandon(CLA_CONTAINER(link, struct cla_exchange, of_socket), kind);
}

void cla_socket_close(struct cla_socket *socket, unsigned code, const char *reason,
                      enum cla_cancel_kind kind)
{
    switch (cla_ws_conn_close(&socket->ws, out_of(socket), code, cla_slice_str(reason))) {
    case 0:
        abandon_texts(socket, kind);
        cla_conn_finish(socket->conn);
        break;
    case -CLA_ENOMEM:
        cla_conn_close(socket->conn, kind);
        break;
    default: /* it was closed before */
        break;
    }
}

void cla_socket_gone(struct cla_socket *socket, enum cla_cancel_kind kind)
{
    abandon_texts(socket, kind);
    socket->conn = NULL;
    cla_ws_conn_pause(&socket->ws); /* this may be inside its feed */
    cla_socket_release(socket);
}

static void act_on(struct cla_socket *socket, enum cla_ws_result result)
{
    struct cla_conn *conn = socket->conn;

    switch (result) {
    case CLA_WS_MORE:
    case CLA_WS_PAUSED:
        break;
    case CLA_WS_PEER_CLOSED:
        abandon_texts(socket, CLA_CANCEL_DISCONNECT);
        cla_conn_finish(conn);
        break;
    case CLA_WS_FAILED:
        cla_access_refused(&conn->worker->env, cla_slice(conn->peer, conn->peer_n), socket->ws.code,
                           socket->ws.error);
        cla_socket_close(socket, socket->ws.code, socket->ws.error, CLA_CANCEL_DISCONNECT);
        break;
    }
}

size_t cla_socket_feed(struct cla_socket *socket, char *p, size_t n)
{
    enum cla_ws_result result;
    size_t taken = 0;

    socket->pinged = false;
    socket->fed = 0;
    (void)cla_socket_hold(socket); /* a message may be the end of the connection */
    result = cla_ws_conn_feed(&socket->ws, p, n, &taken);
    if (socket->conn != NULL)
        act_on(socket, result);
    cla_socket_release(socket);
    return taken;
}

/* Calls that are started and reset at once cost the client next to nothing (CVE-2023-44487). Counts
 * one; true: more than a second's worth have come. */
static bool resets_too_often(struct cla_socket *socket)
{
    uint64_t now_ns = socket->conn->read_ns;

    if (socket->resets_ns < now_ns)
        socket->resets_ns = now_ns;
    socket->resets_ns += socket->conn->worker->reset_interval_ns;
    return socket->resets_ns > now_ns + CLA_NS_PER_S;
}

void cla_socket_reset(struct cla_socket *socket, struct cla_slice id)
{
    static const char why[] = "too many calls were reset (resets_per_second)";
    struct cla_call *call = cla_call_index_find(&socket->calls, id);
    struct cla_conn *conn = socket->conn;

    if (call == NULL)
        return;
    cla_call_cancel(call, CLA_CANCEL_RESET, cla_slice(NULL, 0));
    if (socket->conn == NULL || !cla_ws_conn_writable(&socket->ws) || !resets_too_often(socket))
        return; /* the answer may have been the end of the connection */
    cla_access_refused(&conn->worker->env, cla_slice(conn->peer, conn->peer_n), CLA_WS_POLICY, why);
    cla_socket_close(socket, CLA_WS_POLICY, why, CLA_CANCEL_LIMIT);
}

void cla_socket_answer(struct cla_socket *socket, struct cla_slice reply, bool lost)
{
    struct cla_conn *conn = socket->conn;

    if (reads_too_slowly(socket))
        close_slow(socket);
    else if (lost || (reply.n > 0 && cla_ws_conn_send(&socket->ws, out_of(socket), CLA_WS_KIND_TEXT,
                                                      reply) == -CLA_ENOMEM))
        cla_socket_close(socket, CLA_WS_INTERNAL, "out of memory", CLA_CANCEL_LIMIT);
    else if (conn->worker->env.draining)
        cla_conn_drain(conn);
}

uint64_t cla_socket_due(const struct cla_socket *socket)
{
    const struct cla_worker *worker = socket->conn->worker;

    if (socket->pinged)
        return cla_clock_add(socket->pinged_ns, worker->pong_timeout_ns);
    return cla_clock_add(socket->conn->read_ns, worker->ping_interval_ns);
}

void cla_socket_taken(struct cla_socket *socket)
{
    socket->pinged_ns = cla_loop_now_ns(socket->conn->worker->loop);
}

bool cla_socket_still_there(struct cla_socket *socket)
{
    if (socket->pinged)
        return false;
    socket->pinged = true;
    socket->pinged_ns = cla_loop_now_ns(socket->conn->worker->loop);
    (void)cla_ws_conn_ping(&socket->ws, out_of(socket), cla_slice("", 0));
    return true;
}
