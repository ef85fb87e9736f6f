/* A scripted HTTP server on the same loop, and a client that makes one call of it. */
#ifndef CLA_TEST_CLIENT_FIXTURE_H
#define CLA_TEST_CLIENT_FIXTURE_H

#include <arpa/inet.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/error.h"
#include "gateway/client.h"
#include "mem_fault.h"

#define MS CLA_NS_PER_MS

struct fixture {
    struct cla_loop loop;
    /* The server: it reads one request, then does as the script says. */
    uv_tcp_t listener, peer;
    bool has_peer, peer_ended;
    struct cla_buf request;
    struct cla_slice answer;
    size_t piece;       /* bytes of the answer sent in each turn */
    uint64_t think_ns;  /* how long it takes to answer */
    bool asked, silent; /* the request has come; there will be no answer */
    bool ends, resets;  /* it ends the connection after the answer */
    /* The client. */
    struct cla_client_call call;
    struct cla_client *client;
    unsigned answers;
    struct cla_client_answer got;
    char result[256], message[256], detail[320];
};

/* --- The server. --- */

static inline void close_peer(struct fixture *f)
{
    if (f->has_peer && !uv_is_closing((uv_handle_t *)&f->peer))
        uv_close((uv_handle_t *)&f->peer, NULL);
}

static inline void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    static char bytes[65536];

    *buf = uv_buf_init(bytes, sizeof bytes);
}

static inline void on_read(uv_stream_t *peer, ssize_t n, const uv_buf_t *buf)
{
    struct fixture *f = peer->data;

    if (n < 0) {
        f->peer_ended = true;
        close_peer(f);
    } else if (n > 0) {
        assert_int_equal(cla_buf_append(&f->request, buf->base, (size_t)n), 0);
        f->asked = true; /* the requests here are small: they come in one piece */
        f->loop.virtual_ns += f->think_ns;
    }
}

static inline void on_connection(uv_stream_t *listener, int status)
{
    struct fixture *f = listener->data;

    assert_int_equal(status, 0);
    uv_tcp_init(&f->loop.uv, &f->peer);
    f->peer.data = f;
    f->has_peer = true;
    assert_int_equal(uv_accept(listener, (uv_stream_t *)&f->peer), 0);
    uv_tcp_nodelay(&f->peer, 1);
    uv_read_start((uv_stream_t *)&f->peer, on_alloc, on_read);
}

/* Sends the next piece of the answer. */
static inline bool on_turn(void *arg)
{
    struct fixture *f = arg;
    size_t n = f->answer.n < f->piece ? f->answer.n : f->piece;
    uv_buf_t buf = uv_buf_init((char *)(uintptr_t)f->answer.p, (unsigned)n);

    if (!f->asked || f->silent || f->peer_ended || uv_is_closing((uv_handle_t *)&f->peer))
        return false;
    if (n > 0) {
        uv_try_write((uv_stream_t *)&f->peer, &buf, 1);
        f->answer = cla_slice(f->answer.p + n, f->answer.n - n);
        return f->answer.n > 0 || f->ends;
    }
    if (f->resets)
        uv_tcp_close_reset(&f->peer, NULL);
    else if (f->ends)
        close_peer(f);
    return false;
}

static inline void listen_on_loopback(struct fixture *f)
{
    struct sockaddr_in address;
    int n = sizeof address;

    uv_tcp_init(&f->loop.uv, &f->listener);
    f->listener.data = f;
    uv_ip4_addr("127.0.0.1", 0, &address);
    assert_int_equal(uv_tcp_bind(&f->listener, (struct sockaddr *)&address, 0), 0);
    assert_int_equal(uv_listen((uv_stream_t *)&f->listener, 64, on_connection), 0);
    assert_int_equal(uv_tcp_getsockname(&f->listener, (struct sockaddr *)&address, &n), 0);
    f->call.port = ntohs(address.sin_port);
}

/* --- The client. --- */

static inline void copy(char *to, size_t size, struct cla_slice from)
{
    snprintf(to, size, "%.*s", (int)from.n, from.n > 0 ? from.p : "");
}

static inline void on_answer(void *arg, const struct cla_client_answer *answer)
{
    struct fixture *f = arg;

    f->answers++;
    f->got = *answer;
    copy(f->result, sizeof f->result, answer->response.result);
    copy(f->message, sizeof f->message, answer->response.message);
    copy(f->detail, sizeof f->detail, cla_slice_str(answer->detail));
    cla_loop_stop(&f->loop);
}

static inline void start(struct fixture *f)
{
    assert_int_equal(cla_client_start(&f->client, &f->loop, &f->call, on_answer, f), 0);
    assert_int_equal(f->answers, 0);
}

static inline enum cla_client_end run(struct fixture *f)
{
    start(f);
    cla_loop_run(&f->loop);
    assert_int_equal(f->answers, 1);
    return f->got.end;
}

static inline enum cla_client_end run_answer(struct fixture *f, const char *answer)
{
    f->answer = cla_slice_str(answer);
    return run(f);
}

static inline int set_up(void **state)
{
    static struct fixture fixture;

    fixture = (struct fixture){
        .piece = SIZE_MAX,
        .call = {.host = "127.0.0.1",
                 .authority = CLA_LIT("gate:3000"),
                 .target = CLA_LIT("/rpc"),
                 .procedure = CLA_LIT("add"),
                 .params = CLA_LIT("[1,2]"),
                 .timeout_ns = CLA_NEVER},
    };
    assert_int_equal(cla_loop_init(&fixture.loop), 0);
    cla_loop_use_virtual_time(&fixture.loop);
    cla_loop_on_turn(&fixture.loop, on_turn, &fixture);
    listen_on_loopback(&fixture);
    *state = &fixture;
    return 0;
}

static inline int tear_down(void **state)
{
    struct fixture *f = *state;

    close_peer(f);
    uv_close((uv_handle_t *)&f->listener, NULL);
    assert_int_equal(f->loop.pending, 0);
    assert_int_equal(f->loop.timers.active, 0);
    cla_loop_fini(&f->loop);
    cla_buf_fini(&f->request);
    return 0;
}

#define JSON(length, json)                                                                   \
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " #length "\r\n\r" \
    "\n" json
#define GOOD JSON(36, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":42}")
#define ERROR                                                                                \
    "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32005,\"message\":\"no such user\"," \
    "\"data\":{\"code\":\"not_found\"}}}"

#endif
