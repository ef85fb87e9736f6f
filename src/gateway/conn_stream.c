#include "gateway/conn_stream.h"

#include <stdio.h>

#include "gateway/conn.h"
#include "gateway/worker.h"
#include "http/head.h"

static bool has_room(const struct cla_writers *writers)
{
    const struct cla_conn *conn =
        CLA_CONTAINER(writers, const struct cla_conn_stream, writers)->conn;

    return conn == NULL || conn->stream.queued + conn->out.n <= conn->worker->out_bytes;
}

/* What is appended leaves with the end of the turn. */
static struct cla_buf *output_of(struct cla_conn *conn)
{
    if (conn->out.cap == 0)
        cla_worker_take_buf(conn->worker, &conn->out);
    cla_worker_flush_later(conn->worker, conn);
    return &conn->out;
}

static void begin(struct cla_exchange *exchange, const struct cla_http_reply *reply)
{
    struct cla_exchange_http *http = cla_exchange_http(exchange);
    struct cla_conn *conn = http->conn;
    struct cla_conn_stream *stream = &http->stream;

    stream->conn = conn;
    stream->chunked = reply->chunked;
    stream->closes = reply->close;
    cla_writers_init(&stream->writers, has_room);
    if (cla_http_write_reply(output_of(conn), reply) != 0)
        cla_conn_close(conn, CLA_CANCEL_LIMIT); /* no memory: nothing sensible can be sent */
}

void cla_conn_stream_begin_sized(struct cla_exchange *exchange, const char *content_type,
                                 struct cla_slice fields, uint64_t bytes)
{
    const struct cla_exchange_http *http = cla_exchange_http(exchange);
    bool close = cla_conn_last_request(http->conn, exchange);
    const struct cla_http_reply reply = {
        .status = http->status,
        .content_type = content_type,
        .content_length = bytes,
        .fields = fields,
        .date = cla_worker_date(http->conn->worker),
        .close = close,
        .keep_alive_1_0 = http->version_1_0 && !close,
    };

    begin(exchange, &reply);
}

void cla_conn_stream_begin(struct cla_exchange *exchange, const char *content_type,
                           struct cla_slice fields)
{
    const struct cla_exchange_http *http = cla_exchange_http(exchange);
    struct cla_conn *conn = http->conn;
    bool chunked = !http->version_1_0;
    const struct cla_http_reply reply = {
        .status = http->status,
        .content_type = content_type,
        .chunked = chunked,
        .unsized = true,
        .fields = fields,
        .date = cla_worker_date(conn->worker),
        .close = !chunked || cla_conn_last_request(conn, exchange),
    };

    begin(exchange, &reply);
}

/* Returns 0 or -CLA_ENOMEM. */
static int add_chunk(struct cla_buf *out, struct cla_slice first, struct cla_slice second)
{
    char size[24];
    int n = snprintf(size, sizeof size, "%zx\r\n", first.n + second.n);

    if (cla_buf_reserve(out, (size_t)n + first.n + second.n + 2) != 0)
        return -CLA_ENOMEM;
    (void)cla_buf_append(out, size, (size_t)n);
    (void)cla_buf_add(out, first);
    (void)cla_buf_add(out, second);
    return cla_buf_add(out, CLA_LIT("\r\n"));
}

static int add_plain(struct cla_buf *out, struct cla_slice first, struct cla_slice second)
{
    return cla_buf_add(out, first) == 0 ? cla_buf_add(out, second) : -CLA_ENOMEM;
}

void cla_conn_stream_piece(struct cla_conn_stream *stream, struct cla_slice first,
                           struct cla_slice second)
{
    struct cla_conn *conn = stream->conn;

    if (conn == NULL || first.n + second.n == 0)
        return; /* an empty chunk would be the last */
    if ((stream->chunked ? add_chunk : add_plain)(output_of(conn), first, second) != 0)
        cla_conn_close(conn, CLA_CANCEL_LIMIT);
    else
        cla_writers_pass(&stream->writers);
}

void cla_conn_stream_end(struct cla_conn_stream *stream)
{
    struct cla_conn *conn = stream->conn;

    if (conn == NULL)
        return;
    if (stream->chunked && cla_buf_add(output_of(conn), CLA_LIT("0\r\n\r\n")) != 0) {
        cla_conn_close(conn, CLA_CANCEL_LIMIT);
        return;
    }
    cla_conn_stream_lost(stream);
    cla_conn_answered(conn, stream->closes);
}

void cla_conn_stream_cut(struct cla_conn_stream *stream)
{
    struct cla_conn *conn = stream->conn;

    if (conn == NULL)
        return;
    cla_conn_stream_lost(stream);
    cla_conn_answered(conn, true);
}

void cla_conn_stream_lost(struct cla_conn_stream *stream)
{
    if (stream->conn == NULL)
        return;
    stream->conn = NULL;
    cla_writers_release(&stream->writers);
}
