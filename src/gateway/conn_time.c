#include "gateway/conn_time.h"

#include "gateway/conn_tls.h"
#include "gateway/socket_out.h"

void cla_conn_set_due(struct cla_conn *conn, uint64_t due_ns)
{
    conn->due_ns = due_ns;
    if (due_ns != CLA_NEVER && (!cla_timer_active(&conn->timer) || conn->timer.due_ns > due_ns))
        cla_timer_start(&conn->worker->loop->timers, &conn->timer, due_ns);
}

void cla_conn_update_due(struct cla_conn *conn, uint64_t now)
{
    const struct cla_worker *worker = conn->worker;

    if (conn->state == CLA_CONN_CLOSED)
        return; /* to stop or begin reading may have been its end */
    if (conn->state == CLA_CONN_LINGERING || conn->stream.queued > 0 ||
        cla_stream_handshaking(&conn->stream))
        return; /* fixed when it began */
    if (conn->socket != NULL)
        cla_conn_set_due(conn, cla_socket_due(conn->socket));
    else if (cla_conn_busy(conn))
        cla_conn_set_due(conn, CLA_NEVER);
    else if (conn->exchange != NULL)
        cla_conn_set_due(conn, cla_clock_add(conn->head_ns, worker->body_timeout_ns));
    else if (cla_conn_in_message(conn))
        cla_conn_set_due(conn, cla_clock_add(conn->received_ns, worker->header_timeout_ns));
    else
        cla_conn_set_due(conn, cla_clock_add(now, worker->idle_timeout_ns));
}

void cla_conn_await_writing(struct cla_conn *conn)
{
    conn->unwritten = cla_stream_unwritten(&conn->stream);
    if (cla_stream_handshaking(&conn->stream))
        return; /* which has a limit of its own */
    cla_conn_set_due(conn, cla_clock_add(cla_conn_now(conn), conn->worker->write_timeout_ns));
}

/* The peer has taken nothing for write_timeout. A WebSocket's close frame may still get through. */
static void writing_stalled(struct cla_conn *conn)
{
    if (conn->state != CLA_CONN_OPEN || conn->socket == NULL) {
        conn->worker->slow_consumers += conn->socket == NULL;
        cla_conn_close(conn, CLA_CANCEL_SLOW_CONSUMER);
        return;
    }
    cla_socket_slow(conn->socket, "the client takes nothing (write_timeout)");
    if (conn->state != CLA_CONN_CLOSED)
        cla_conn_await_writing(conn);
}

/* Nothing has come on a WebSocket for as long as may be. */
static void socket_is_silent(struct cla_conn *conn)
{
    if (cla_socket_still_there(conn->socket))
        cla_conn_set_due(conn, cla_socket_due(conn->socket));
    else
        cla_conn_close(conn, CLA_CANCEL_DISCONNECT);
}

static void handshake_is_late(struct cla_conn *conn)
{
    cla_conn_tls_failed(conn, "the handshake took too long (handshake_timeout)");
    cla_conn_close(conn, CLA_CANCEL_DISCONNECT);
}

void cla_conn_begin(struct cla_conn *conn)
{
    if (conn->stream.queued > 0)
        cla_conn_await_writing(conn); /* it was refused before it could be told so */
    else
        cla_conn_set_due(conn, cla_clock_add(cla_conn_now(conn), conn->worker->header_timeout_ns));
}

void cla_conn_on_timer(struct cla_timer *timer)
{
    struct cla_conn *conn = CLA_CONTAINER(timer, struct cla_conn, timer);

    if (conn->due_ns == CLA_NEVER)
        return;
    if (cla_conn_now(conn) < conn->due_ns)
        cla_conn_set_due(conn, conn->due_ns);
    else if (cla_stream_handshaking(&conn->stream))
        handshake_is_late(conn);
    else if (conn->stream.queued > 0 && cla_stream_unwritten(&conn->stream) < conn->unwritten)
        cla_conn_await_writing(conn); /* it took some */
    else if (conn->state != CLA_CONN_OPEN || conn->stream.queued > 0)
        writing_stalled(conn);
    else if (conn->socket != NULL)
        socket_is_silent(conn);
    else if (conn->exchange != NULL)
        cla_conn_refuse(conn, 408, "the body took too long (body_timeout)");
    else if (cla_conn_in_message(conn))
        cla_conn_refuse(conn, 408, "the head took too long (header_timeout)");
    else
        cla_conn_close(conn, CLA_CANCEL_DISCONNECT);
}
