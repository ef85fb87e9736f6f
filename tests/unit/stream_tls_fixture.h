/* Streams with TLS over a pair of connected TCP sockets: a server's, and a client's or a bare
 * socket. */
#ifndef CLA_TEST_STREAM_TLS_FIXTURE_H
#define CLA_TEST_STREAM_TLS_FIXTURE_H

#include "io/stream.h"
#include "mem_fault.h"
#include "tcp_pair.h"
#include "tls_fixture.h"

#define NO_END 1 /* no on_end yet */

struct side {
    struct cla_stream stream;
    struct cla_buf got;
    int end; /* of on_end, or NO_END */
    unsigned ends, drains, closes, secured, cleartexts;
    const char *close_in; /* the callback that closes; NULL: none */
    bool open;
};

struct fixture {
    struct cla_loop loop;
    struct cla_tls_context *server_context, *client_context;
    struct side server, client;
    int fd; /* the client's socket, while it is no stream */
};

static inline struct side *side_of(struct cla_stream *stream)
{
    return CLA_CONTAINER(stream, struct side, stream);
}

static inline void maybe_close(struct side *side, const char *in)
{
    if (side->close_in != NULL && strcmp(side->close_in, in) == 0)
        cla_stream_close(&side->stream);
}

static inline void on_read(struct cla_stream *stream, struct cla_slice bytes)
{
    struct side *side = side_of(stream);

    assert_int_equal(side->ends, 0);
    assert_int_equal(cla_buf_add(&side->got, bytes), 0);
    maybe_close(side, "on_read");
}

static inline void on_end(struct cla_stream *stream, int rc)
{
    struct side *side = side_of(stream);

    side->end = rc;
    side->ends++;
    maybe_close(side, "on_end");
}

static inline void on_drained(struct cla_stream *stream)
{
    side_of(stream)->drains++;
}

static inline void on_closed(struct cla_stream *stream)
{
    side_of(stream)->closes++;
    side_of(stream)->open = false;
}

static inline void on_secured(struct cla_stream *stream)
{
    struct side *side = side_of(stream);

    assert_int_equal(side->got.n, 0);
    side->secured++;
    maybe_close(side, "on_secured");
}

static inline void on_cleartext(struct cla_stream *stream)
{
    struct side *side = side_of(stream);

    side->cleartexts++;
    maybe_close(side, "on_cleartext");
}

static const struct cla_stream_events events = {on_read, on_end, on_drained, on_closed};
static const struct cla_stream_tls_events tls_events = {on_secured, on_cleartext};

static inline void open_side(struct fixture *f, struct side *side, int fd)
{
    *side = (struct side){.end = NO_END, .open = true};
    assert_int_equal(cla_stream_open(&side->stream, &f->loop, fd, &events), 0);
}

static inline void secure_server(struct fixture *f, const struct cla_stream_tls_events *on)
{
    struct cla_tls *tls;

    assert_int_equal(cla_tls_new_server(&tls, f->server_context), 0);
    assert_int_equal(cla_stream_secure(&f->server.stream, tls, on), 0);
    cla_stream_read(&f->server.stream);
}

static inline void secure_client(struct fixture *f, const char *host)
{
    struct cla_tls *tls;

    fcntl(f->fd, F_SETFL, O_NONBLOCK);
    open_side(f, &f->client, f->fd);
    f->fd = -1;
    assert_int_equal(cla_tls_new_client(&tls, f->client_context, host), 0);
    assert_int_equal(cla_stream_secure(&f->client.stream, tls, &tls_events), 0);
    cla_stream_read(&f->client.stream);
}

static inline int open_fixture(void **state)
{
    static struct fixture f;
    int fd;

    f = (struct fixture){0};
    assert_int_equal(cla_loop_init(&f.loop), 0);
    f.server_context = tls_server(CLA_TLS_CLIENT_OPTIONAL);
    f.client_context = tls_client("client");
    tcp_pair(&fd, &f.fd);
    open_side(&f, &f.server, fd);
    *state = &f;
    return 0;
}

static inline void close_side(struct fixture *f, struct side *side)
{
    if (side->open)
        cla_stream_close(&side->stream);
    while (side->open)
        cla_loop_step(&f->loop, true);
    cla_buf_fini(&side->got);
}

static inline int close_fixture(void **state)
{
    struct fixture *f = *state;

    close_side(f, &f->server);
    close_side(f, &f->client);
    assert_int_equal(f->server.closes, 1);
    if (f->fd >= 0)
        close(f->fd);
    cla_loop_fini(&f->loop);
    cla_tls_context_put(f->server_context);
    cla_tls_context_put(f->client_context);
    assert_int_equal(mem_fault.live, 0);
    return 0;
}

/* Some turns, enough for anything that needs no waiting. */
static inline void turns(struct fixture *f)
{
    for (int i = 0; i < 20; i++)
        cla_loop_step(&f->loop, false);
}

static inline void connect_both(struct fixture *f)
{
    secure_server(f, &tls_events);
    secure_client(f, "localhost");
    turns(f);
    assert_int_equal(f->server.secured, 1);
    assert_int_equal(f->client.secured, 1);
    assert_false(cla_stream_handshaking(&f->server.stream));
}

static inline void write_text(struct side *side, const char *text)
{
    struct cla_buf bytes = {0};

    assert_int_equal(cla_buf_add(&bytes, cla_slice_str(text)), 0);
    cla_stream_write(&side->stream, &bytes);
    assert_int_equal(bytes.n, 0);
    cla_buf_fini(&bytes);
}

static inline void require_got(const struct side *side, const char *text)
{
    assert_int_equal(side->got.n, strlen(text));
    assert_memory_equal(side->got.p, text, side->got.n);
}

static inline void require_end(const struct side *side, int rc)
{
    assert_int_equal(side->ends, 1);
    assert_int_equal(side->end, rc);
}

/* Writes until bytes have to wait; returns how many were written in all. */
static inline size_t fill(struct side *side)
{
    struct cla_buf bytes = {0};
    size_t total = 0;

    while (side->stream.queued == 0) {
        assert_int_equal(cla_buf_reserve(&bytes, 100000), 0);
        memset(bytes.p, 'x', 100000);
        bytes.n = 100000;
        total += bytes.n;
        cla_stream_write(&side->stream, &bytes);
    }
    cla_buf_fini(&bytes);
    return total;
}

#endif
