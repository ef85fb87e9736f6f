/* Happy path: handshake, then records to and fro through the loop's two shared buffers, so that a
 * quiet stream holds none.
 * Failure modes: the engine's are on_end(-CLA_EPROTO), behind the alert that tells the peer.
 * On close: close_notify is sent if nothing waits before it; nobody waits for the peer's. */
#include "io/stream_tls.h"

#include "base/error.h"
#include "base/mem.h"

/* The encrypting buffer is given back when one write made it larger than this. */
#define CIPHER_KEEP_BYTES (256u << 10)

struct cla_stream_tls {
    struct cla_tls *engine;
    const struct cla_stream_tls_events *events;
    struct cla_buf held; /* plaintext written before the handshake was over */
    bool goodbye;        /* close_notify was sent */
};

/* --- Out. --- */

/* Sends what the engine has put into the loop's buffer. */
static void flush(struct cla_stream *stream)
{
    struct cla_buf *cipher = &stream->loop->cipher_buf;

    if (cipher->n > 0)
        cla_stream_send(stream, cipher);
    if (cipher->cap > CIPHER_KEEP_BYTES)
        cla_buf_fini(cipher);
}

static void hold(struct cla_stream *stream, struct cla_buf *bytes)
{
    struct cla_slice text = cla_buf_slice(bytes);
    int rc = cla_buf_add(&stream->tls->held, text);

    bytes->n = 0;
    if (rc != 0) {
        cla_stream_end(stream, rc);
        return;
    }
    stream->queued += text.n;
    stream->held += text.n;
}

static void encrypt(struct cla_stream *stream, struct cla_slice text)
{
    int rc = cla_tls_write(stream->tls->engine, text, &stream->loop->cipher_buf);

    flush(stream);
    if (rc != 0)
        cla_stream_end(stream, rc);
}

void cla_stream_tls_write(struct cla_stream *stream, struct cla_buf *bytes)
{
    if (!cla_tls_is_secured(stream->tls->engine)) {
        hold(stream, bytes);
        return;
    }
    encrypt(stream, cla_buf_slice(bytes));
    bytes->n = 0;
}

void cla_stream_tls_goodbye(struct cla_stream *stream)
{
    struct cla_stream_tls *tls = stream->tls;

    if (tls->goodbye || stream->failed)
        return;
    tls->goodbye = true;
    cla_tls_close(tls->engine, &stream->loop->cipher_buf);
    flush(stream);
}

/* --- In. --- */

/* The handshake is over: what was held may go. */
static void secured(struct cla_stream *stream)
{
    struct cla_stream_tls *tls = stream->tls;
    struct cla_buf held = cla_buf_take(&tls->held);
    bool waited = stream->held > 0;

    stream->queued -= stream->held;
    stream->held = 0;
    if (waited)
        encrypt(stream, cla_buf_slice(&held));
    cla_buf_fini(&held);
    if (!stream->closing && tls->events->on_secured != NULL)
        tls->events->on_secured(stream);
    if (waited && stream->queued == 0 && !stream->closing && !stream->failed)
        stream->events->on_drained(stream);
}

/* The peer does not speak TLS: neither do we. */
static void become_plain(struct cla_stream *stream)
{
    const struct cla_stream_tls_events *events = stream->tls->events;

    stream->queued -= stream->held;
    stream->held = 0;
    cla_stream_tls_free(stream);
    events->on_cleartext(stream);
}

static void stop(struct cla_stream *stream, int rc)
{
    cla_stream_stop_reading(stream);
    cla_stream_end(stream, rc);
}

/* Acts on what the engine says. Returns true if it has more. */
static bool act(struct cla_stream *stream, enum cla_tls_result result)
{
    switch (result) {
    case CLA_TLS_MORE:
        return false;
    case CLA_TLS_FULL:
        return true;
    case CLA_TLS_SECURED:
        secured(stream);
        return true;
    case CLA_TLS_ENDED:
        stop(stream, 0);
        return false;
    case CLA_TLS_CLEARTEXT:
        if (stream->tls->events->on_cleartext != NULL) {
            become_plain(stream);
            return false;
        }
        break;
    case CLA_TLS_FAILED:
        break;
    }
    stop(stream, -CLA_EPROTO);
    return false;
}

/* One step of the engine; returns true if there is more to do with what it was fed. */
static bool step(struct cla_stream *stream)
{
    struct cla_loop *loop = stream->loop;
    size_t n;
    enum cla_tls_result result = cla_tls_read(stream->tls->engine, loop->plain_buf,
                                              CLA_LOOP_READ_BYTES, &n, &loop->cipher_buf);

    flush(stream);
    if (n > 0 && !stream->closing && !stream->failed)
        stream->events->on_read(stream, cla_slice(loop->plain_buf, n));
    return !stream->closing && !stream->failed && act(stream, result);
}

void cla_stream_tls_feed(struct cla_stream *stream, struct cla_slice ciphertext)
{
    bool more = !stream->failed;

    cla_tls_feed(stream->tls->engine, ciphertext);
    while (more)
        more = step(stream) && !stream->closing && !stream->failed;
}

/* --- Making, asking, freeing. --- */

int cla_stream_secure(struct cla_stream *stream, struct cla_tls *engine,
                      const struct cla_stream_tls_events *events)
{
    struct cla_loop *loop = stream->loop;
    struct cla_stream_tls *tls = cla_mem_zalloc(sizeof *tls);

    if (loop->plain_buf == NULL)
        loop->plain_buf = cla_mem_alloc(CLA_LOOP_READ_BYTES);
    if (tls == NULL || loop->plain_buf == NULL) {
        cla_mem_free(tls);
        cla_tls_free(engine);
        return -CLA_ENOMEM;
    }
    *tls = (struct cla_stream_tls){.engine = engine, .events = events};
    stream->tls = tls;
    cla_stream_tls_feed(stream, cla_slice(NULL, 0)); /* a client begins */
    return 0;
}

int cla_stream_secure_client(struct cla_stream *stream, struct cla_tls_context *context,
                             const char *host, const struct cla_stream_tls_events *events)
{
    struct cla_tls *engine;
    int rc = cla_tls_new_client(&engine, context, host);

    return rc != 0 ? rc : cla_stream_secure(stream, engine, events);
}

bool cla_stream_handshaking(const struct cla_stream *stream)
{
    return stream->tls != NULL && !cla_tls_is_secured(stream->tls->engine);
}

const char *cla_stream_error(const struct cla_stream *stream)
{
    return stream->tls != NULL ? cla_tls_error(stream->tls->engine) : "";
}

struct cla_certificate *cla_stream_certificate(const struct cla_stream *stream)
{
    return stream->tls != NULL ? cla_tls_peer_certificate(stream->tls->engine) : NULL;
}

void cla_stream_tls_free(struct cla_stream *stream)
{
    struct cla_stream_tls *tls = stream->tls;

    if (tls == NULL)
        return;
    stream->tls = NULL;
    cla_tls_free(tls->engine);
    cla_buf_fini(&tls->held);
    cla_mem_free(tls);
}
