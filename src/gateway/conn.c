/* Happy path: bytes are fed to the parser; a complete request becomes an exchange, whose calls run
 * later in the turn; its answer goes to 'out' and leaves with the turn's flush; then the next.
 * Failure modes: a refused head is answered and the connection closed; a peer that ends or fails
 * while a call runs cancels it; a time limit refuses (408) or closes.
 * On close: the stream's last callback frees the connection. */
#include "gateway/conn_time.h"

#include "base/error.h"
#include "base/mem.h"
#include "gateway/conn_tls.h"
#include "gateway/socket_out.h"
#include "gateway/worker.h"

/* How long a closing connection goes on reading, so that the answer is not lost to a reset that
 * unread bytes would cause (RFC 9112 section 9.6). */
#define LINGER_NS (2 * CLA_NS_PER_S)

/* Reads of less are never late. */
#define LATE_BYTES 4096

static struct cla_conn *conn_of(struct cla_stream *stream)
{
    return CLA_CONTAINER(stream, struct cla_conn, stream);
}

static void drop_pending(struct cla_conn *conn)
{
    conn->worker->backlogged -= conn->pending.cap > 0;
    conn->pending_at = 0;
    cla_worker_put_buf(conn->worker, &conn->pending);
}

/* Appends to what is pending. Returns 0 or -CLA_ENOMEM. */
static int add_pending(struct cla_conn *conn, struct cla_slice bytes)
{
    bool had_room = conn->pending.cap > 0;
    int rc;

    if (!had_room)
        cla_worker_take_buf(conn->worker, &conn->pending);
    rc = cla_buf_add(&conn->pending, bytes);
    conn->worker->backlogged += !had_room && conn->pending.cap > 0;
    return rc;
}

/* The peer will send no more, and all that it sent has been answered. */
static bool at_end(const struct cla_conn *conn)
{
    return conn->peer_ended && !cla_conn_busy(conn) && cla_conn_pending(conn) == 0;
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
    drop_pending(conn);
    cla_buf_fini(&conn->out);
    cla_certificate_put(&conn->certificate);
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
    cla_conn_set_due(conn, cla_clock_add(cla_conn_now(conn), LINGER_NS));
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
    if (conn->state == CLA_CONN_OPEN && conn->exchange == NULL && cla_conn_pending(conn) == 0 &&
        conn->out.n == 0 && conn->stream.queued == 0 && !cla_conn_in_message(conn))
        cla_conn_close(conn, CLA_CANCEL_SHUTDOWN);
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
        /* Its body may come or not: nobody can tell. */
        cla_exchange_http(conn->exchange)->keep_alive = false;
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

    if (conn->state != CLA_CONN_OPEN || cla_conn_busy(conn))
        return; /* answered or running already: its body was not waited for */
    if (conn->exchange != NULL)
        cla_exchange_run(conn->exchange);
    else
        cla_conn_refuse(conn, 503, "out of memory");
}

/* It will be refused, in the form that it asks for. */
static void on_too_large(void *arg, const struct cla_http_head *head)
{
    struct cla_conn *conn = arg;

    conn->exchange = cla_exchange_get(conn, head, conn->received_ns);
}

const struct cla_http_events cla_conn_http_events = {on_head, on_body, on_end, on_too_large};

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
    while (done < n && conn->state == CLA_CONN_OPEN && conn->socket == NULL &&
           !cla_conn_busy(conn)) {
        enum cla_http_result result;
        size_t taken = 0;

        if (!cla_conn_in_message(conn))
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
    if (conn->pending_at >
        cla_conn_pending(conn)) { /* else it would grow as long as it never runs dry */
        cla_buf_drop(&conn->pending, conn->pending_at);
        conn->pending_at = 0;
    }
    if (add_pending(conn, bytes) != 0)
        cla_conn_close(conn, CLA_CANCEL_LIMIT);
    else if (cla_conn_pending(conn) >= conn->worker->pipeline_bytes)
        cla_stream_pause(&conn->stream);
}

/* Whether to leave bytes for later in the turn, when connections that have some take turns. */
static bool is_late(struct cla_conn *conn, size_t n)
{
    struct cla_worker *worker = conn->worker;

    if (worker->read_began_ns == 0)
        worker->read_began_ns = conn->read_ns;
    return n >= LATE_BYTES && conn->read_ns - worker->read_began_ns > CLA_WORKER_TURN_NS;
}

/* The handler must take some messages first: until then only the end is watched for. */
static void stop_reading(struct cla_conn *conn)
{
    cla_stream_read(&conn->stream); /* it may be resting, which is without a watch */
    cla_stream_pause(&conn->stream);
}

/* Feeds bytes that lie in the loop's own buffer, so they may be changed. A client that sends more
 * than is read at a time, or messages that take long, goes on in the next turn, after others. */
static void feed_socket(struct cla_conn *conn, struct cla_slice bytes)
{
    size_t used = 0;

    if (cla_conn_pending(conn) == 0 && !is_late(conn, bytes.n))
        used = cla_socket_feed(conn->socket, (char *)bytes.p, bytes.n);
    if (conn->state != CLA_CONN_OPEN)
        return;
    keep(conn, cla_slice(bytes.p + used, bytes.n - used));
    if (conn->state != CLA_CONN_OPEN)
        return;
    if (cla_socket_full(conn->socket)) {
        stop_reading(conn);
    } else if (used < bytes.n || bytes.n == CLA_LOOP_READ_BYTES) {
        cla_stream_rest(&conn->stream);
        cla_worker_advance_later(conn->worker, conn);
    }
}

static void on_read(struct cla_stream *stream, struct cla_slice bytes)
{
    struct cla_conn *conn = conn_of(stream);
    size_t used = 0;

    if (conn->state != CLA_CONN_OPEN)
        return; /* thrown away: nothing more will be answered */
    conn->read_ns = cla_conn_now(conn);
    if (conn->socket == NULL && !cla_conn_busy(conn) && cla_conn_pending(conn) == 0)
        used = feed(conn, bytes.p, bytes.n);
    bytes = cla_slice(bytes.p + used, bytes.n - used);
    if (conn->socket == NULL)
        keep(conn, bytes);
    else if (bytes.n > 0)
        feed_socket(conn, bytes);
    if (conn->state != CLA_CONN_CLOSED)
        cla_conn_update_due(conn, conn->read_ns);
}

/* What came behind the upgrade request, and waited with it, was too much for the handler, or had to
 * wait for its share. */
static void advance_socket(struct cla_conn *conn)
{
    if (cla_conn_pending(conn) > 0)
        conn->pending_at += cla_socket_feed(conn->socket, conn->pending.p + conn->pending_at,
                                            cla_conn_pending(conn));
    if (conn->state != CLA_CONN_OPEN)
        return;
    if (cla_socket_full(conn->socket)) {
        stop_reading(conn);
    } else if (cla_conn_pending(conn) > 0) {
        cla_worker_advance_later(conn->worker, conn);
    } else {
        drop_pending(conn);
        cla_stream_read(&conn->stream);
    }
    cla_conn_update_due(conn, conn->read_ns);
}

void cla_conn_advance(struct cla_conn *conn)
{
    if (conn->state == CLA_CONN_OPEN && conn->socket != NULL) {
        advance_socket(conn);
        return;
    }
    if (conn->state != CLA_CONN_OPEN || cla_conn_busy(conn) ||
        conn->stream.queued + conn->out.n > conn->worker->out_bytes)
        return; /* more room, or the end of the request under way, brings us back */
    conn->pending_at += feed(conn, conn->pending.p + conn->pending_at, cla_conn_pending(conn));
    if (conn->state != CLA_CONN_OPEN)
        return;
    if (conn->socket != NULL) {
        advance_socket(conn);
        return;
    }
    if (cla_conn_pending(conn) == 0)
        drop_pending(conn);
    if (at_end(conn))
        cla_worker_flush_later(conn->worker, conn);
    if (cla_conn_pending(conn) < conn->worker->pipeline_bytes)
        cla_stream_read(&conn->stream);
    cla_conn_update_due(conn, conn->read_ns);
}

/* There is nobody to answer any more. */
static void lose(struct cla_conn *conn)
{
    bool calls = conn->socket != NULL ? conn->socket->in_flight > 0 : cla_conn_busy(conn);

    if (conn->state == CLA_CONN_OPEN && calls)
        cla_worker_conn_lost(conn->worker, conn);
    else
        cla_conn_close(conn, CLA_CANCEL_DISCONNECT);
}

/* The peer ended its side (rc 0), or the connection failed. An end while a call runs is taken for
 * a disconnect, for only a write could tell the difference, unless half_close = "allow"; an answer
 * that is on its way may still be read. */
static void on_stream_end(struct cla_stream *stream, int rc)
{
    struct cla_conn *conn = conn_of(stream);
    bool answering = conn->out.n + stream->queued > 0;
    bool upgrading = conn->exchange != NULL && cla_exchange_http(conn->exchange)->upgrade != NULL;
    bool in_use = upgrading || (conn->socket != NULL && conn->state == CLA_CONN_OPEN);

    if (rc == -CLA_EPROTO)
        cla_conn_tls_failed(conn, cla_stream_error(stream));
    if (rc == 0 && !in_use &&
        (cla_conn_busy(conn) ? conn->arrival.via->half_close_allowed : answering))
        conn->peer_ended = true;
    else
        lose(conn);
}

/* --- Output. --- */

/* True if a response goes out in pieces. */
static bool is_streaming(const struct cla_conn *conn)
{
    return conn->exchange != NULL && cla_exchange_http(conn->exchange)->stream.conn != NULL;
}

static void written(struct cla_conn *conn)
{
    if (conn->state == CLA_CONN_FLUSHING || at_end(conn)) {
        linger(conn);
    } else if (conn->state == CLA_CONN_OPEN) {
        cla_conn_update_due(conn, cla_conn_now(conn));
        if (conn->socket != NULL)
            cla_socket_drained(conn->socket);
        else if (is_streaming(conn))
            cla_writers_pass(&cla_exchange_http(conn->exchange)->stream.writers);
        else if (cla_conn_pending(conn) > 0 && !cla_conn_busy(conn))
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
        cla_conn_await_writing(conn);
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

static int open_tls(struct cla_conn *conn)
{
    int rc = cla_conn_tls_open(conn);

    if (rc != 0)
        cla_conn_close(conn, CLA_CANCEL_LIMIT);
    else
        cla_conn_set_due(conn,
                         cla_clock_add(cla_conn_now(conn), conn->worker->handshake_timeout_ns));
    return rc;
}

int cla_conn_open(struct cla_worker *worker, const struct cla_arrival *arrival)
{
    struct cla_conn *conn = cla_mem_zalloc(sizeof *conn);
    int rc = -CLA_ENOMEM;

    if (conn == NULL) {
        cla_worker_forget(worker, arrival);
        goto drop;
    }
    conn->worker = worker;
    conn->arrival = *arrival;
    cla_list_init(&conn->advance);
    cla_list_init(&conn->dirty);
    cla_timer_init(&conn->timer, cla_conn_on_timer);
    worker->conn_count++;
    cla_list_push(&worker->conns, &conn->link);
    rc = cla_stream_open(&conn->stream, worker->loop, arrival->fd, &stream_events);
    if (rc != 0) {
        conn->state = CLA_CONN_CLOSED; /* on_closed frees it */
        goto drop;
    }
    if (arrival->tls == NULL)
        cla_conn_begin(conn);
    else
        rc = open_tls(conn);
    cla_stream_read(&conn->stream);
    return rc;
drop:
    cla_arrival_drop(arrival);
    return rc;
}
