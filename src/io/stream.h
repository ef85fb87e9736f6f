/* One connected TCP stream, with TLS or without.
 *
 * Loop thread only. Depends on: base, io/loop, io/tls.
 *
 * The caller embeds the struct and may free it once 'on_closed' ran. Bytes are read into the loop's
 * shared buffer and handed on at once. A stream that is not being read can still be watched for the
 * peer's hang-up, so that its end is never hidden behind unread bytes.
 *
 * With TLS, on_read gets plaintext, and what is written is encrypted; what is written before the
 * handshake is over is held until then. The peer ends with close_notify: a FIN without one may be
 * anybody's, and is a failure. A stream that is not being read sees TCP's end only, as a plain one
 * does: its FIN is taken for orderly, for the close_notify may be among what is unread. */
#ifndef CLA_IO_STREAM_H
#define CLA_IO_STREAM_H

#include <stdbool.h>

#include "base/buf.h"
#include "io/loop.h"
#include "io/tls.h"

struct cla_stream;
struct cla_stream_tls;

struct cla_stream_events {
    /* Bytes arrived; borrowed for the call, and may be changed in place. */
    void (*on_read)(struct cla_stream *stream, struct cla_slice bytes);
    /* The peer will send no more: rc 0 for an orderly end (FIN; with TLS close_notify), -CLA_EIO
     * for a reset or any other failure, writes included, -CLA_EPROTO if TLS failed
     * (cla_stream_error() says why). Each at most once, and nothing behind a failure: who goes on
     * writing after an orderly end learns so that it is in vain. The stream stays open until it is
     * closed. */
    void (*on_end)(struct cla_stream *stream, int rc);
    /* Everything queued was written. */
    void (*on_drained)(struct cla_stream *stream);
    /* The last callback. */
    void (*on_closed)(struct cla_stream *stream);
};

struct cla_stream_tls_events {
    /* The handshake is over; on_read may follow. NULL: nobody asks. */
    void (*on_secured)(struct cla_stream *stream);
    /* Of a server: the peer speaks plain text, as of HTTP. The stream has become a plain one, and
     * what was received is dropped. NULL: that is on_end with -CLA_EPROTO. */
    void (*on_cleartext)(struct cla_stream *stream);
};

struct cla_stream {
    uv_tcp_t tcp;
    struct cla_loop *loop;
    const struct cla_stream_events *events;
    struct watch *watch;        /* for hang-up while not reading; NULL: none */
    struct cla_stream_tls *tls; /* NULL: plain */
    size_t queued;              /* bytes taken and not yet written; with TLS, of ciphertext … */
    size_t held;                /* … and among them plaintext that waits for the handshake */
    unsigned handles;           /* open libuv handles and writes under way: gone at 0 */
    bool reading;
    bool ended;   /* on_end ran … */
    bool failed;  /* … for a failure */
    bool closing; /* cla_stream_close() was called */
};

/* Takes over the connected, non-blocking socket 'fd'. Returns 0, or -CLA_EIO: then 'fd' is still
 * the caller's, the stream is closing, and of the callbacks only on_closed will run, later. */
int cla_stream_open(struct cla_stream *stream, struct cla_loop *loop, int fd,
                    const struct cla_stream_events *events);

/* Has the stream speak TLS by 'engine', which it owns from now on: before anything is read or
 * written. A client begins its handshake: on_end may run inside. Returns 0, or -CLA_ENOMEM: then
 * 'engine' is freed, and the stream is good for closing only. */
int cla_stream_secure(struct cla_stream *stream, struct cla_tls *engine,
                      const struct cla_stream_tls_events *events);

/* As cla_stream_secure(), by a new client's engine: the peer's certificate must be for 'host' (a
 * name, or an address without brackets). Returns as it does, or -CLA_EINVAL: 'host' can be no name.
 */
int cla_stream_secure_client(struct cla_stream *stream, struct cla_tls_context *context,
                             const char *host, const struct cla_stream_tls_events *events);

/* True while a TLS handshake is under way: for whoever limits its time. */
bool cla_stream_handshaking(const struct cla_stream *stream);

/* Why TLS failed, for people; "" if it did not. Valid until the stream is closed. */
const char *cla_stream_error(const struct cla_stream *stream);

/* The certificate that the peer presented, verified; NULL: none. The caller owns a reference. Only
 * from on_secured on. */
struct cla_certificate *cla_stream_certificate(const struct cla_stream *stream);

/* Starts, or goes on, reading. */
void cla_stream_read(struct cla_stream *stream);

/* Stops reading, but still reports the peer's end. With TLS, on_read may run once more for what
 * had been received. Where it cannot watch for that, the stream ends
 * now, with -CLA_ENOMEM or -CLA_EIO: on_end may run inside. */
void cla_stream_pause(struct cla_stream *stream);

/* Writes what it can of 'bytes' now, takes the rest, and leaves 'bytes' empty (with its memory if
 * all was written, or copied). Failure shows as on_end. */
void cla_stream_write(struct cla_stream *stream, struct cla_buf *bytes);

/* Bytes that the peer has not taken yet, to the byte; 'queued' counts by whole writes. */
static inline size_t cla_stream_unwritten(const struct cla_stream *stream)
{
    return uv_stream_get_write_queue_size((const uv_stream_t *)&stream->tcp) + stream->held;
}

/* Sends FIN, and with TLS close_notify before it, once everything is written; reading goes on. */
void cla_stream_shutdown(struct cla_stream *stream);

/* Closes; unwritten bytes are lost. With TLS close_notify goes before, if all was written and it
 * can be sent at once. on_closed runs later, once. Idempotent. */
void cla_stream_close(struct cla_stream *stream);

#endif
