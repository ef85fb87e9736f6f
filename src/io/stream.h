/* One connected TCP stream.
 *
 * Loop thread only. Depends on: base, io/loop.
 *
 * The caller embeds the struct and may free it once 'on_closed' ran. Bytes are read into the loop's
 * shared buffer and handed on at once. A stream that is not being read can still be watched for the
 * peer's hang-up, so that its end is never hidden behind unread bytes. */
#ifndef CLA_IO_STREAM_H
#define CLA_IO_STREAM_H

#include <stdbool.h>

#include "base/buf.h"
#include "io/loop.h"

struct cla_stream;

struct cla_stream_events {
    /* Bytes arrived; borrowed for the call. */
    void (*on_read)(struct cla_stream *stream, struct cla_slice bytes);
    /* The peer will send no more: rc 0 for an orderly end (FIN), -CLA_EIO for a reset or any other
     * failure, writes included. Each at most once, and nothing behind a failure: who goes on
     * writing after an orderly end learns so that it is in vain. The stream stays open until it is
     * closed.
     */
    void (*on_end)(struct cla_stream *stream, int rc);
    /* Everything queued was written. */
    void (*on_drained)(struct cla_stream *stream);
    /* The last callback. */
    void (*on_closed)(struct cla_stream *stream);
};

struct cla_stream {
    uv_tcp_t tcp;
    struct cla_loop *loop;
    const struct cla_stream_events *events;
    struct watch *watch; /* for hang-up while not reading; NULL: none */
    size_t queued;       /* bytes taken and not yet written */
    unsigned handles;    /* open libuv handles and writes under way: gone at 0 */
    bool reading;
    bool ended;   /* on_end ran … */
    bool failed;  /* … for a failure */
    bool closing; /* cla_stream_close() was called */
};

/* Takes over the connected, non-blocking socket 'fd'. Returns 0, or -CLA_EIO: then 'fd' is still
 * the caller's, the stream is closing, and of the callbacks only on_closed will run, later. */
int cla_stream_open(struct cla_stream *stream, struct cla_loop *loop, int fd,
                    const struct cla_stream_events *events);

/* Starts, or goes on, reading. */
void cla_stream_read(struct cla_stream *stream);

/* Stops reading, but still reports the peer's end. Where it cannot watch for that, the stream ends
 * now, with -CLA_ENOMEM or -CLA_EIO: on_end may run inside. */
void cla_stream_pause(struct cla_stream *stream);

/* Writes what it can of 'bytes' now, takes the rest, and leaves 'bytes' empty (with its memory if
 * all was written). Failure shows as on_end. */
void cla_stream_write(struct cla_stream *stream, struct cla_buf *bytes);

/* Bytes that the peer has not taken yet, to the byte; 'queued' counts by whole writes. */
static inline size_t cla_stream_unwritten(const struct cla_stream *stream)
{
    return uv_stream_get_write_queue_size((const uv_stream_t *)&stream->tcp);
}

/* Stops reading for a moment, without cla_stream_pause()'s watch: cla_stream_read() must follow in
 * this turn or the next. */
void cla_stream_rest(struct cla_stream *stream);

/* Sends FIN once everything is written; reading goes on. */
void cla_stream_shutdown(struct cla_stream *stream);

/* Closes; unwritten bytes are lost. on_closed runs later, once. Idempotent. */
void cla_stream_close(struct cla_stream *stream);

#endif
