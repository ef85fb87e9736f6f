#include "gateway/socket_out.h"

#include "base/error.h"
#include "gateway/conn.h"
#include "gateway/worker.h"

struct cla_buf *cla_socket_out(struct cla_socket *socket)
{
    struct cla_conn *conn = socket->conn;

    if (conn->out.cap == 0)
        cla_worker_take_buf(conn->worker, &conn->out);
    cla_worker_flush_later(conn->worker, conn);
    return &conn->out;
}

static size_t waiting(const struct cla_conn *conn)
{
    return conn->stream.queued + conn->out.n;
}

bool cla_socket_has_room(const struct cla_socket *socket)
{
    return socket->state != CLA_SOCKET_OPEN || waiting(socket->conn) <= socket->worker->out_bytes;
}

bool cla_socket_room_for(const struct cla_writers *writers)
{
    return cla_socket_has_room(CLA_CONTAINER(writers, const struct cla_socket, writers));
}

void cla_socket_drained(struct cla_socket *socket)
{
    socket->pinged_ns = cla_loop_now_ns(socket->worker->loop); /* none saw the ping before now */
    socket->forced_n = 0;
    if (socket->state == CLA_SOCKET_OPEN) {
        cla_writers_pass(&socket->writers);
        cla_subscriber_drained(&socket->subscriber);
    } else {
        cla_writers_release(&socket->writers);
    }
}

int cla_socket_send(struct cla_socket *socket, enum cla_ws_kind kind, struct cla_slice message)
{
    int rc;

    if (socket->state != CLA_SOCKET_OPEN)
        return -CLA_ECLOSED;
    rc = cla_ws_conn_send(&socket->ws, cla_socket_out(socket), kind, message);
    cla_writers_pass(&socket->writers);
    return rc;
}

void cla_socket_slow(struct cla_socket *socket, const char *why)
{
    socket->worker->slow_consumers += socket->state == CLA_SOCKET_OPEN;
    cla_socket_close(socket, CLA_WS_TRY_LATER, cla_slice_str(why), CLA_CANCEL_SLOW_CONSUMER);
}

/* What is about to go out cannot wait. False: the peer has left too much of that unread, and is
 * closed. */
static bool may_force(struct cla_socket *socket, size_t n)
{
    if (cla_socket_has_room(socket))
        return true;
    socket->forced_n += n;
    if (socket->forced_n <= socket->worker->out_bytes)
        return true;
    cla_socket_slow(socket, "the client reads too slowly (out_bytes)");
    return false;
}

void cla_socket_pong(struct cla_socket *socket, struct cla_slice payload)
{
    if (may_force(socket, CLA_WS_HEADER_MAX + payload.n))
        (void)cla_ws_conn_pong(&socket->ws, cla_socket_out(socket), payload);
}

void cla_socket_answer(struct cla_socket *socket, struct cla_slice reply, bool lost)
{
    enum cla_ws_kind kind = cla_socket_framed(socket) ? CLA_WS_KIND_BINARY : CLA_WS_KIND_TEXT;

    if (socket->state != CLA_SOCKET_OPEN)
        return;
    if (lost || (reply.n > 0 && may_force(socket, reply.n) &&
                 cla_socket_send(socket, kind, reply) == -CLA_ENOMEM))
        cla_socket_close(socket, CLA_WS_INTERNAL, CLA_LIT("out of memory"), CLA_CANCEL_LIMIT);
    else if (socket->worker->env.draining)
        cla_socket_drain(socket);
}
