/* Happy path: bytes are fed to the parser; a complete request becomes an exchange, whose calls run
 * later in the turn; its answer goes to 'out' and leaves with the turn's flush; then the next.
 * Failure modes: a refused head is answered and the connection closed; a peer that ends or fails
 * while a call runs cancels it; a time limit refuses (408) or closes.
 * On close: the stream's last callback frees the connection. */
#include "gateway/conn.h"

#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "gateway/access.h"
#include "gateway/origin.h"
#include "gateway/socket_out.h"
#include "gateway/worker.h"
#include "ws/handshake.h"

/* How long a closing connection goes on reading, so that the answer is not lost to a reset that
 * unread bytes would cause (RFC 9112 section 9.6). */
#define LINGER_NS (2 * CLA_NS_PER_S)

static struct cla_conn *conn_of(struct cla_stream *stream)
{
    return CLA_CONTAINER(stream, struct cla_conn, stream);
}

/* Who the request under way is from; between requests, who has connected. */
static struct cla_slice peer_of(const struct cla_conn *conn)
{
    if (conn->exchange != NULL)
        return conn->exchange->request.peer;
    return cla_slice(conn->arrival.peer, conn->arrival.peer_n);
}

static uint64_t now_of(const struct cla_conn *conn)
{
    return cla_loop_now_ns(conn->worker->loop);
}

static size_t pending_n(const struct cla_conn *conn)
{
    return conn->pending.n - conn->pending_at;
}

static void drop_pending(struct cla_conn *conn)
{
    conn->pending_at = 0;
    cla_worker_put_buf(conn->worker, &conn->pending);
}

static bool busy(const struct cla_conn *conn)
{
    return conn->exchange != NULL && conn->exchange->busy;
}

static bool in_message(const struct cla_conn *conn)
{
    return conn->parser != NULL && cla_http_parser_in_message(conn->parser);
}

/* The peer will send no more, and all that it sent has been answered. */
static bool at_end(const struct cla_conn *conn)
{
    return conn->peer_ended && !busy(conn) && pending_n(conn) == 0;
}

/* --- Time limits. --- */

/* Sets when the present wait is over. The timer is only moved when it would fire too late. */
static void set_due(struct cla_conn *conn, uint64_t due_ns)
{
    conn->due_ns = due_ns;
    if (due_ns != CLA_NEVER && (!conn->timer.active || conn->timer.due_ns > due_ns))
        cla_timer_start(&conn->worker->loop->timers, &conn->timer, due_ns);
}

static void update_due(struct cla_conn *conn, uint64_t now)
{
    const struct cla_worker *worker = conn->worker;

    if (conn->state == CLA_CONN_LINGERING || conn->stream.queued > 0)
        return; /* fixed when it began */
    if (conn->socket != NULL)
        set_due(conn, cla_socket_due(conn->socket));
    else if (busy(conn))
        set_due(conn, CLA_NEVER);
    else if (conn->exchange != NULL)
        set_due(conn, cla_clock_add(conn->head_ns, worker->body_timeout_ns));
    else if (in_message(conn))
        set_due(conn, cla_clock_add(conn->received_ns, worker->header_timeout_ns));
    else
        set_due(conn, cla_clock_add(now, worker->idle_timeout_ns));
}

/* Begins the wait for the peer to take what is queued. */
static void await_writing(struct cla_conn *conn)
{
    conn->unwritten = cla_stream_unwritten(&conn->stream);
    set_due(conn, cla_clock_add(now_of(conn), conn->worker->write_timeout_ns));
}

/* The peer has taken nothing for write_timeout. A WebSocket's close frame may still get through. */
static void writing_stalled(struct cla_conn *conn)
{
    if (conn->state != CLA_CONN_OPEN || conn->socket == NULL) {
        cla_conn_close(conn, CLA_CANCEL_SLOW_CONSUMER);
        return;
    }
    cla_socket_slow(conn->socket, "the client takes nothing (write_timeout)");
    if (conn->state != CLA_CONN_CLOSED)
        await_writing(conn);
}

/* Nothing has come on a WebSocket for as long as may be. */
static void socket_is_silent(struct cla_conn *conn)
{
    if (cla_socket_still_there(conn->socket))
        set_due(conn, cla_socket_due(conn->socket));
    else
        cla_conn_close(conn, CLA_CANCEL_DISCONNECT);
}

static void on_timer(struct cla_timer *timer)
{
    struct cla_conn *conn = CLA_CONTAINER(timer, struct cla_conn, timer);

    if (conn->due_ns == CLA_NEVER)
        return;
    if (now_of(conn) < conn->due_ns)
        set_due(conn, conn->due_ns);
    else if (conn->stream.queued > 0 && cla_stream_unwritten(&conn->stream) < conn->unwritten)
        await_writing(conn); /* it took some */
    else if (conn->state != CLA_CONN_OPEN || conn->stream.queued > 0)
        writing_stalled(conn);
    else if (conn->socket != NULL)
        socket_is_silent(conn);
    else if (conn->exchange != NULL)
        cla_conn_refuse(conn, 408, "the body took too long (body_timeout)");
    else if (in_message(conn))
        cla_conn_refuse(conn, 408, "the head took too long (header_timeout)");
    else
        cla_conn_close(conn, CLA_CANCEL_DISCONNECT);
}

/* --- Closing. --- */

void cla_conn_close(struct cla_conn *conn, enum cla_cancel_kind kind)
{
    struct cla_exchange *exchange = conn->exchange;
    struct cla_socket *socket = conn->socket;

    if (conn->state == CLA_CONN_CLOSED)
        return;
    conn->state = CLA_CONN_CLOSED;
    conn->exchange = NULL;
    conn->socket = NULL;
    cla_timer_stop(&conn->worker->loop->timers, &conn->timer);
    cla_list_remove(&conn->advance);
    cla_list_remove(&conn->dirty);
    if (exchange != NULL)
        cla_exchange_abandon(exchange, kind);
    if (socket != NULL)
        cla_socket_gone(socket, kind);
    cla_stream_close(&conn->stream);
}

static void on_closed(struct cla_stream *stream)
{
    struct cla_conn *conn = conn_of(stream);

    cla_list_remove(&conn->link);
    cla_worker_forget(conn->worker, &conn->arrival);
    cla_worker_conn_gone(conn->worker);
    cla_http_parser_free(conn->parser);
    cla_buf_fini(&conn->pending);
    cla_buf_fini(&conn->out);
    cla_mem_free(conn);
}

/* Everything is written: end our side, then wait for the peer to end its own. */
static void linger(struct cla_conn *conn)
{
    conn->state = CLA_CONN_LINGERING;
    if (conn->peer_ended || conn->stream.ended) {
        cla_conn_close(conn, CLA_CANCEL_DISCONNECT);
        return;
    }
    cla_stream_shutdown(&conn->stream);
    set_due(conn, cla_clock_add(now_of(conn), LINGER_NS));
    cla_stream_read(&conn->stream);
}

void cla_conn_finish(struct cla_conn *conn)
{
    conn->state = CLA_CONN_FLUSHING;
    cla_worker_flush_later(conn->worker, conn);
}

void cla_conn_drain(struct cla_conn *conn)
{
    if (conn->socket != NULL) {
        cla_socket_drain(conn->socket);
        return;
    }
    if (conn->state == CLA_CONN_OPEN && conn->exchange == NULL && pending_n(conn) == 0 &&
        conn->out.n == 0 && conn->stream.queued == 0 && !in_message(conn))
        cla_conn_close(conn, CLA_CANCEL_SHUTDOWN);
}

/* --- Answers. --- */

static void write_reply(struct cla_conn *conn, const struct cla_http_reply *reply,
                        struct cla_slice body)
{
    if (conn->out.cap == 0)
        cla_worker_take_buf(conn->worker, &conn->out);
    if (cla_http_write_reply(&conn->out, reply) != 0 || cla_buf_add(&conn->out, body) != 0) {
        cla_conn_close(conn, CLA_CANCEL_LIMIT); /* no memory: nothing sensible can be sent */
        return;
    }
    conn->requests++;
    if (reply->close)
        cla_conn_finish(conn);
    else
        cla_worker_flush_later(conn->worker, conn);
}

static bool last_request(const struct cla_conn *conn, const struct cla_exchange *exchange)
{
    const struct cla_worker *worker = conn->worker;

    return !exchange->keep_alive || worker->env.draining ||
           (conn->peer_ended && pending_n(conn) == 0) ||
           (worker->requests_per_connection > 0 &&
            conn->requests + 1 >= worker->requests_per_connection);
}

/* The lines that are not in every response: Upgrade, with 426; Allow, with the answer to OPTIONS
 * and with 405 (RFC 9110 section 15.5.6), and those for pages of other sites. */
static struct cla_slice more_fields(struct cla_worker *worker, const struct cla_exchange *exchange)
{
    const struct cla_route *route = &exchange->route;
    bool options = route->kind == CLA_ROUTE_OPTIONS;
    struct cla_buf *fields = &worker->scratch;

    fields->n = 0;
    if (exchange->status == 426)
        (void)cla_buf_add(fields, CLA_LIT(CLA_WS_UPGRADE_REQUIRED));
    if (options || exchange->status == 405)
        (void)cla_buf_printf(fields, "Allow: %s\r\n", route->allow);
    if (route->origin.n > 0)
        (void)cla_origin_fields(fields, route->origin, options ? route->allow : NULL);
    return cla_buf_slice(fields);
}

void cla_conn_answer(struct cla_conn *conn, const struct cla_exchange *exchange,
                     const char *content_type)
{
    bool body = content_type != NULL && !exchange->head_only;
    bool close = last_request(conn, exchange);
    const struct cla_http_reply reply = {
        .status = exchange->status,
        .content_type = content_type,
        .content_length = content_type != NULL ? exchange->reply.n : 0,
        .fields = more_fields(conn->worker, exchange),
        .date = cla_worker_date(conn->worker),
        .close = close,
        .keep_alive_1_0 = exchange->version_1_0 && !close,
    };

    conn->exchange = NULL;
    write_reply(conn, &reply, body ? cla_buf_slice(&exchange->reply) : cla_slice("", 0));
    if (conn->state == CLA_CONN_OPEN && pending_n(conn) > 0)
        cla_worker_advance_later(conn->worker, conn);
}

void cla_conn_refuse(struct cla_conn *conn, int status, const char *why)
{
    struct cla_exchange *exchange = conn->exchange;
    struct cla_slice text = cla_slice_str(why);
    const struct cla_http_reply reply = {
        .status = status,
        .content_type = "text/plain; charset=utf-8",
        .content_length = text.n,
        .date = cla_worker_date(conn->worker),
        .close = true,
    };

    cla_access_refused(&conn->worker->env, peer_of(conn), status, why);
    conn->exchange = NULL;
    if (exchange != NULL)
        cla_exchange_abandon(exchange, CLA_CANCEL_DISCONNECT);
    write_reply(conn, &reply, text);
}

void cla_conn_refuse_upgrade(struct cla_conn *conn, int status, const char *why,
                             struct cla_slice fields)
{
    const struct cla_http_reply reply = {
        .status = status,
        .content_type = "text/plain; charset=utf-8",
        .content_length = strlen(why),
        .fields = fields,
        .date = cla_worker_date(conn->worker),
        .close = true,
    };

    cla_access_refused(&conn->worker->env, peer_of(conn), status, why);
    write_reply(conn, &reply, cla_slice_str(why));
}

/* From now on all that comes is from the client that asked for the upgrade. */
static void become_peers_own(struct cla_conn *conn, const struct cla_exchange *exchange)
{
    conn->arrival.proxies = NULL;
    conn->arrival.peer_n = exchange->request.peer.n;
    memcpy(conn->arrival.peer, exchange->peer, conn->arrival.peer_n);
}

void cla_conn_upgrade(struct cla_conn *conn, struct cla_exchange *exchange)
{
    struct cla_buf fields = {0};
    const char *why = NULL;
    int status =
        cla_socket_new(&exchange->upgrade, exchange, exchange->route.socket, &fields, &why);

    become_peers_own(conn, exchange);
    if (status == 0) {
        cla_socket_ask(exchange->upgrade);
    } else {
        conn->exchange = NULL;
        cla_exchange_abandon(exchange, CLA_CANCEL_DISCONNECT);
        cla_conn_refuse_upgrade(conn, status, why, cla_buf_slice(&fields));
    }
    cla_buf_fini(&fields);
}

void cla_conn_switch(struct cla_conn *conn, struct cla_socket *socket, struct cla_slice fields)
{
    const struct cla_http_reply reply = {.status = 101, .fields = fields};

    conn->socket = socket;
    write_reply(conn, &reply, cla_slice("", 0));
    if (conn->state == CLA_CONN_OPEN && pending_n(conn) > 0)
        cla_worker_advance_later(conn->worker, conn);
    if (conn->state == CLA_CONN_OPEN)
        update_due(conn, conn->read_ns);
}

/* --- Requests. --- */

static void on_head(void *arg, const struct cla_http_head *head)
{
    struct cla_conn *conn = arg;

    conn->head_ns = conn->read_ns;
    conn->exchange = cla_exchange_get(conn, head, conn->received_ns);
    if (conn->exchange == NULL || !head->expect_continue)
        return;
    if (cla_exchange_wants_body(conn->exchange)) {
        (void)cla_buf_add(&conn->out, CLA_LIT("HTTP/1.1 100 Continue\r\n\r\n"));
        cla_worker_flush_later(conn->worker, conn);
    } else {
        conn->exchange->keep_alive = false; /* its body may come or not: nobody can tell */
        cla_exchange_run(conn->exchange);
    }
}

static void on_body(void *arg, struct cla_slice bytes)
{
    struct cla_conn *conn = arg;

    if (conn->exchange != NULL && cla_exchange_body(conn->exchange, bytes) != 0)
        cla_conn_refuse(conn, 503, "out of memory");
}

static void on_end(void *arg)
{
    struct cla_conn *conn = arg;

    if (conn->state != CLA_CONN_OPEN || busy(conn))
        return; /* answered or running already: its body was not waited for */
    if (conn->exchange != NULL)
        cla_exchange_run(conn->exchange);
    else
        cla_conn_refuse(conn, 503, "out of memory");
}

const struct cla_http_events cla_conn_http_events = {on_head, on_body, on_end};

/* Parsers are large, and most connections quiet: one is held only while it has something in it. */
static void lend_parser(struct cla_conn *conn)
{
    struct cla_http_parser *parser = conn->parser;

    if (parser == NULL || !cla_http_parser_idle(parser))
        return;
    conn->parser = NULL;
    cla_worker_put_parser(conn->worker, parser);
}

/* Feeds until a request is under way; returns how many bytes were used. */
static size_t feed(struct cla_conn *conn, const char *p, size_t n)
{
    size_t done = 0;

    if (conn->parser == NULL)
        conn->parser = cla_worker_take_parser(conn->worker, conn);
    if (conn->parser == NULL) {
        cla_conn_refuse(conn, 503, "out of memory");
        return n;
    }
    while (done < n && conn->state == CLA_CONN_OPEN && conn->socket == NULL && !busy(conn)) {
        enum cla_http_result result;
        size_t taken = 0;

        if (!in_message(conn))
            conn->received_ns = conn->read_ns;
        result = cla_http_parser_feed(conn->parser, p + done, n - done, &taken);
        done += taken;
        if (result == CLA_HTTP_FAILED && conn->state == CLA_CONN_OPEN)
            cla_conn_refuse(conn, cla_http_parser_status(conn->parser),
                            cla_http_parser_error(conn->parser));
    }
    lend_parser(conn);
    return done;
}

/* Keeps bytes that came behind the request under way. */
static void keep(struct cla_conn *conn, struct cla_slice bytes)
{
    if (conn->state != CLA_CONN_OPEN || bytes.n == 0)
        return;
    if (conn->pending.cap == 0)
        cla_worker_take_buf(conn->worker, &conn->pending);
    if (conn->pending_at > pending_n(conn)) { /* else it would grow as long as it never runs dry */
        cla_buf_drop(&conn->pending, conn->pending_at);
        conn->pending_at = 0;
    }
    if (cla_buf_add(&conn->pending, bytes) != 0)
        cla_conn_close(conn, CLA_CANCEL_LIMIT);
    else if (pending_n(conn) >= conn->worker->pipeline_bytes)
        cla_stream_pause(&conn->stream);
}

static void on_read(struct cla_stream *stream, struct cla_slice bytes)
{
    struct cla_conn *conn = conn_of(stream);
    size_t used = 0;

    if (conn->state != CLA_CONN_OPEN)
        return; /* thrown away: nothing more will be answered */
    conn->read_ns = now_of(conn);
    if (conn->socket == NULL && !busy(conn) && pending_n(conn) == 0)
        used = feed(conn, bytes.p, bytes.n);
    bytes = cla_slice(bytes.p + used, bytes.n - used);
    if (conn->socket != NULL && pending_n(conn) == 0 && bytes.n > 0) {
        /* they lie in the loop's own buffer, so they may be changed */
        used = cla_socket_feed(conn->socket, (char *)bytes.p, bytes.n);
        bytes = cla_slice(bytes.p + used, bytes.n - used);
        if (conn->state == CLA_CONN_OPEN && cla_socket_full(conn->socket))
            cla_stream_pause(&conn->stream);
    }
    keep(conn, bytes);
    if (conn->state != CLA_CONN_CLOSED)
        update_due(conn, conn->read_ns);
}

/* What came behind the upgrade request, and waited with it, or was too much for the handler. */
static void feed_socket(struct cla_conn *conn)
{
    if (pending_n(conn) > 0)
        conn->pending_at +=
            cla_socket_feed(conn->socket, conn->pending.p + conn->pending_at, pending_n(conn));
    if (conn->state != CLA_CONN_OPEN)
        return;
    if (pending_n(conn) == 0)
        drop_pending(conn);
    if (!cla_socket_full(conn->socket))
        cla_stream_read(&conn->stream);
    update_due(conn, conn->read_ns);
}

void cla_conn_advance(struct cla_conn *conn)
{
    if (conn->state == CLA_CONN_OPEN && conn->socket != NULL) {
        feed_socket(conn);
        return;
    }
    if (conn->state != CLA_CONN_OPEN || busy(conn) ||
        conn->stream.queued + conn->out.n > conn->worker->out_bytes)
        return; /* more room, or the end of the request under way, brings us back */
    conn->pending_at += feed(conn, conn->pending.p + conn->pending_at, pending_n(conn));
    if (conn->state != CLA_CONN_OPEN)
        return;
    if (conn->socket != NULL) {
        feed_socket(conn);
        return;
    }
    if (pending_n(conn) == 0)
        drop_pending(conn);
    if (at_end(conn))
        cla_worker_flush_later(conn->worker, conn);
    if (pending_n(conn) < conn->worker->pipeline_bytes)
        cla_stream_read(&conn->stream);
    update_due(conn, conn->read_ns);
}

/* The peer ended its side (rc 0), or the connection failed. An end while a call runs is taken for
 * a disconnect, for only a write could tell the difference, unless half_close = "allow"; an answer
 * that is on its way may still be read. */
static void on_stream_end(struct cla_stream *stream, int rc)
{
    struct cla_conn *conn = conn_of(stream);
    bool answering = conn->out.n + stream->queued > 0;
    bool upgrading = conn->exchange != NULL && conn->exchange->upgrade != NULL;
    bool in_use = upgrading || (conn->socket != NULL && conn->state == CLA_CONN_OPEN);

    if (rc == 0 && !in_use && (busy(conn) ? conn->arrival.via->half_close_allowed : answering))
        conn->peer_ended = true;
    else
        cla_conn_close(conn, CLA_CANCEL_DISCONNECT);
}

/* --- Output. --- */

static void written(struct cla_conn *conn)
{
    if (conn->state == CLA_CONN_FLUSHING || at_end(conn)) {
        linger(conn);
    } else if (conn->state == CLA_CONN_OPEN) {
        update_due(conn, now_of(conn));
        if (conn->socket != NULL)
            cla_socket_drained(conn->socket);
        else if (pending_n(conn) > 0 && !busy(conn))
            cla_worker_advance_later(conn->worker, conn);
        if (conn->worker->env.draining)
            cla_conn_drain(conn);
    }
}

void cla_conn_flush(struct cla_conn *conn)
{
    bool waiting = conn->stream.queued > 0;

    if (waiting)
        conn->unwritten += conn->out.n; /* all of it waits behind what does */
    cla_stream_write(&conn->stream, &conn->out);
    if (conn->state == CLA_CONN_CLOSED)
        return;
    cla_worker_put_buf(conn->worker, &conn->out);
    if (conn->stream.queued == 0)
        written(conn);
    else if (!waiting)
        await_writing(conn);
}

static void on_drained(struct cla_stream *stream)
{
    struct cla_conn *conn = conn_of(stream);

    if (conn->out.n == 0)
        written(conn);
}

/* --- Opening. --- */

static const struct cla_stream_events stream_events = {on_read, on_stream_end, on_drained,
                                                       on_closed};

int cla_conn_open(struct cla_worker *worker, const struct cla_arrival *arrival)
{
    struct cla_conn *conn = cla_mem_zalloc(sizeof *conn);
    int rc = -CLA_ENOMEM;

    if (conn == NULL) {
        cla_worker_forget(worker, arrival);
        goto close_fd;
    }
    conn->worker = worker;
    conn->arrival = *arrival;
    cla_list_init(&conn->advance);
    cla_list_init(&conn->dirty);
    cla_timer_init(&conn->timer, on_timer);
    worker->conn_count++;
    cla_list_push(&worker->conns, &conn->link);
    rc = cla_stream_open(&conn->stream, worker->loop, arrival->fd, &stream_events);
    if (rc != 0) {
        conn->state = CLA_CONN_CLOSED; /* on_closed frees it */
        goto close_fd;
    }
    set_due(conn, cla_clock_add(now_of(conn), worker->header_timeout_ns));
    cla_stream_read(&conn->stream);
    return 0;
close_fd:
    close(arrival->fd);
    return rc;
}
