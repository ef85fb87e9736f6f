/* Happy path: open, read and write until the peer ends, close. What TLS adds is in
 * io/stream_tls.c.
 * Failure modes: a failed read or write is on_end(-CLA_EIO), reported once, whichever came first;
 * an orderly end may come before it.
 * On close: each open handle and each write under way counts; the last one calls on_closed. */
#include "io/stream.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "io/stream_tls.h"

struct watch { /* hang-up watch on a duplicate descriptor: libuv has one watcher per descriptor */
    uv_poll_t poll;
    struct cla_stream *stream;
    int fd;
};

struct write {
    uv_write_t req;
    struct cla_stream *stream;
    struct cla_buf bytes; /* owned until written */
};

static void release(struct cla_stream *stream)
{
    if (--stream->handles > 0)
        return;
    cla_stream_tls_free(stream);
    stream->events->on_closed(stream);
}

void cla_stream_end(struct cla_stream *stream, int rc)
{
    if (stream->closing || stream->failed || (stream->ended && rc == 0))
        return;
    stream->ended = true;
    stream->failed = rc != 0;
    stream->events->on_end(stream, rc);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct cla_stream *stream = handle->data;

    *buf = uv_buf_init(stream->loop->read_buf, CLA_LOOP_READ_BYTES);
}

void cla_stream_stop_reading(struct cla_stream *stream)
{
    stream->reading = false;
    uv_read_stop((uv_stream_t *)&stream->tcp);
}

static void on_read(uv_stream_t *handle, ssize_t n, const uv_buf_t *buf)
{
    struct cla_stream *stream = handle->data;

    if (n > 0 && stream->tls != NULL) {
        cla_stream_tls_feed(stream, cla_slice(buf->base, (size_t)n));
    } else if (n > 0) {
        stream->events->on_read(stream, cla_slice(buf->base, (size_t)n));
    } else if (n < 0) {
        cla_stream_stop_reading(stream);
        cla_stream_end(stream, n == UV_EOF && stream->tls == NULL ? 0 : -CLA_EIO);
    }
}

int cla_stream_open(struct cla_stream *stream, struct cla_loop *loop, int fd,
                    const struct cla_stream_events *events)
{
    int rc;

    *stream = (struct cla_stream){.loop = loop, .events = events};
    rc = uv_tcp_init(&loop->uv, &stream->tcp);
    CLA_PRE(rc == 0); /* it has no way to fail */
    stream->tcp.data = stream;
    stream->handles = 1;
    if (uv_tcp_open(&stream->tcp, fd) != 0) {
        cla_stream_close(stream);
        return -CLA_EIO;
    }
    uv_tcp_nodelay(&stream->tcp, 1);
    return 0;
}

static void on_watch_closed(uv_handle_t *handle)
{
    struct watch *watch = handle->data;
    struct cla_stream *stream = watch->stream;

    close(watch->fd);
    cla_mem_free(watch);
    release(stream);
}

static void stop_watch(struct cla_stream *stream)
{
    struct watch *watch = stream->watch;

    if (watch == NULL)
        return;
    stream->watch = NULL;
    uv_close((uv_handle_t *)&watch->poll, on_watch_closed);
}

/* A reset shows as an error on the socket; an orderly end does not. */
static int hang_up_cause(int fd)
{
    int error = 0;
    socklen_t n = sizeof error;

    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n) != 0 || error != 0)
        return -CLA_EIO;
    return 0;
}

static void on_hang_up(uv_poll_t *poll, int status, int events)
{
    struct watch *watch = poll->data;
    struct cla_stream *stream = watch->stream;
    int rc = status != 0 ? -CLA_EIO : hang_up_cause(watch->fd);

    stop_watch(stream);
    cla_stream_end(stream, rc);
}

/* Returns 0, -CLA_ENOMEM or -CLA_EIO. */
static int start_watch(struct cla_stream *stream)
{
    uv_os_fd_t fd;
    struct watch *watch = cla_mem_zalloc(sizeof *watch);

    if (watch == NULL)
        return -CLA_ENOMEM;
    if (uv_fileno((uv_handle_t *)&stream->tcp, &fd) != 0)
        goto free_watch;
    watch->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (watch->fd < 0)
        goto free_watch;
    if (uv_poll_init(&stream->loop->uv, &watch->poll, watch->fd) != 0)
        goto close_fd;
    watch->poll.data = watch;
    watch->stream = stream;
    stream->watch = watch;
    stream->handles++;
    uv_poll_start(&watch->poll, UV_DISCONNECT, on_hang_up);
    return 0;
close_fd:
    close(watch->fd);
free_watch:
    cla_mem_free(watch);
    return -CLA_EIO;
}

void cla_stream_read(struct cla_stream *stream)
{
    if (stream->reading || stream->ended || stream->closing)
        return;
    stop_watch(stream);
    stream->reading = true;
    if (uv_read_start((uv_stream_t *)&stream->tcp, on_alloc, on_read) != 0)
        cla_stream_end(stream, -CLA_EIO);
}

void cla_stream_pause(struct cla_stream *stream)
{
    int rc;

    if (!stream->reading || stream->closing)
        return;
    cla_stream_stop_reading(stream);
    rc = start_watch(stream);
    if (rc != 0)
        cla_stream_end(stream, rc);
}

static void on_written(uv_write_t *req, int status)
{
    struct write *write = req->data;
    struct cla_stream *stream = write->stream;

    stream->queued -= write->bytes.n;
    cla_buf_fini(&write->bytes);
    cla_mem_free(write);
    if (status != 0)
        cla_stream_end(stream, -CLA_EIO);
    else if (stream->queued == 0 && !stream->closing)
        stream->events->on_drained(stream);
    release(stream);
}

static void queue(struct cla_stream *stream, struct cla_buf *bytes, size_t done)
{
    struct write *write = cla_mem_zalloc(sizeof *write);
    uv_buf_t rest;

    if (write == NULL) {
        bytes->n = 0;
        cla_stream_end(stream, -CLA_ENOMEM);
        return;
    }
    write->req.data = write;
    write->stream = stream;
    rest = uv_buf_init(bytes->p + done, (unsigned)(bytes->n - done));
    write->bytes = cla_buf_take(bytes);
    write->bytes.n -= done; /* only the count of what is still queued matters from here on */
    stream->queued += write->bytes.n;
    stream->handles++;
    if (uv_write(&write->req, (uv_stream_t *)&stream->tcp, &rest, 1, on_written) != 0) {
        stream->queued -= write->bytes.n;
        stream->handles--;
        cla_buf_fini(&write->bytes);
        cla_mem_free(write);
        cla_stream_end(stream, -CLA_EIO);
    }
}

void cla_stream_write(struct cla_stream *stream, struct cla_buf *bytes)
{
    if (bytes->n == 0 || stream->closing)
        bytes->n = 0;
    else if (stream->tls != NULL)
        cla_stream_tls_write(stream, bytes);
    else
        cla_stream_send(stream, bytes);
}

void cla_stream_send(struct cla_stream *stream, struct cla_buf *bytes)
{
    uv_buf_t buf;
    int n = UV_EAGAIN;

    buf = uv_buf_init(bytes->p, (unsigned)bytes->n);
    if (stream->queued == 0)
        n = uv_try_write((uv_stream_t *)&stream->tcp, &buf, 1);
    if (n >= 0 && (size_t)n == bytes->n) {
        bytes->n = 0;
    } else if (n >= 0 || n == UV_EAGAIN) {
        queue(stream, bytes, n > 0 ? (size_t)n : 0);
    } else {
        bytes->n = 0;
        cla_stream_end(stream, -CLA_EIO);
    }
}

static void on_shutdown(uv_shutdown_t *req, int status)
{
    struct cla_stream *stream = req->data;

    cla_mem_free(req);
    release(stream);
}

void cla_stream_shutdown(struct cla_stream *stream)
{
    uv_shutdown_t *req;

    if (stream->closing)
        return;
    if (stream->tls != NULL)
        cla_stream_tls_goodbye(stream);
    req = cla_mem_zalloc(sizeof *req);
    if (req == NULL)
        return;
    req->data = stream;
    if (uv_shutdown(req, (uv_stream_t *)&stream->tcp, on_shutdown) != 0)
        cla_mem_free(req);
    else
        stream->handles++;
}

static void on_tcp_closed(uv_handle_t *handle)
{
    release(handle->data);
}

void cla_stream_close(struct cla_stream *stream)
{
    if (stream->closing)
        return;
    stream->closing = true;
    if (stream->tls != NULL && stream->queued == 0)
        cla_stream_tls_goodbye(stream);
    stop_watch(stream);
    uv_close((uv_handle_t *)&stream->tcp, on_tcp_closed);
}
