/* A scripted WebSocket server on the same loop, and a client that makes calls of it. */
#ifndef CLA_TEST_SOCKET_CLIENT_FIXTURE_H
#define CLA_TEST_SOCKET_CLIENT_FIXTURE_H

#include <arpa/inet.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/error.h"
#include "gateway/socket_client.h"
#include "mem_fault.h"
#include "ws/conn.h"
#include "ws/handshake.h"

#define MS CLA_NS_PER_MS
#define STEPS_MAX 8

/* What the server does for a text: it sends 'answer'; or with one of these answers something else.
 */
#define NOTHING ""
#define END "end"     /* ends the connection */
#define RESET "reset" /* resets it */
#define CLOSE "close" /* closes with 1001 and a reason */
#define BREAK "break" /* sends a frame that breaks the protocol */

struct fixture {
    struct cla_loop loop;
    /* The server. */
    uv_tcp_t listener, peer;
    bool has_peer, peer_ended;
    const char *refusal;            /* sent instead of the 101; NULL: it is sent */
    const char *greeting;           /* a text sent in one piece with the 101; NULL: none */
    const char *answers[STEPS_MAX]; /* to each text in turn */
    unsigned texts;                 /* received */
    uint64_t upgrade_ns;            /* that the upgrade takes … */
    uint64_t think_ns;              /* … and the answer to the first text */
    struct cla_buf request, got;    /* the upgrade; texts and ends as they came, a line each */
    struct cla_ws_conn ws;
    bool upgraded;
    /* The client. */
    struct cla_client_call to;
    struct cla_socket_client *client;
    const char *calls[STEPS_MAX]; /* procedures, made one after the other */
    unsigned made;
    uint64_t timeout_ns; /* of each call */
    bool cancels;        /* each call at once */
    struct cla_buf said; /* what the client reported, a line each */
    bool opened, closed;
};

/* Notes a line: 'what', which ends with a space or is empty, and a text. */
static inline void say(struct cla_buf *to, const char *what, struct cla_slice text)
{
    assert_int_equal(cla_buf_printf(to, "%s%.*s\n", what, (int)text.n, text.n > 0 ? text.p : ""),
                     0);
}

/* --- The server. --- */

static inline void close_peer(struct fixture *f)
{
    if (f->has_peer && !uv_is_closing((uv_handle_t *)&f->peer))
        uv_close((uv_handle_t *)&f->peer, NULL);
}

static inline void send_bytes(struct fixture *f, struct cla_buf *out)
{
    uv_buf_t buf = uv_buf_init(out->p, (unsigned)out->n);

    if (out->n > 0 && !uv_is_closing((uv_handle_t *)&f->peer))
        uv_try_write((uv_stream_t *)&f->peer, &buf, 1);
    cla_buf_fini(out);
}

static inline void act(struct fixture *f, const char *answer)
{
    struct cla_buf out = {0};

    if (f->texts == 1)
        f->loop.virtual_ns += f->think_ns;
    if (strcmp(answer, END) == 0)
        close_peer(f);
    else if (strcmp(answer, RESET) == 0)
        uv_tcp_close_reset(&f->peer, NULL);
    else if (strcmp(answer, CLOSE) == 0)
        cla_ws_conn_close(&f->ws, &out, CLA_WS_GOING_AWAY, CLA_LIT("later"));
    else if (strcmp(answer, BREAK) == 0)
        cla_buf_add(&out, CLA_LIT("\x83\x00"));
    else if (answer[0] != '\0')
        cla_ws_conn_send(&f->ws, &out, CLA_WS_KIND_TEXT, cla_slice_str(answer));
    send_bytes(f, &out);
}

static inline void on_text(void *arg, enum cla_ws_kind kind, struct cla_slice text)
{
    struct fixture *f = arg;
    const char *answer = f->texts < STEPS_MAX ? f->answers[f->texts] : NULL;

    assert_int_equal(kind, CLA_WS_KIND_TEXT);
    say(&f->got, "", text);
    f->texts++;
    act(f, answer != NULL ? answer : NOTHING);
}

static inline void on_pong(void *arg, struct cla_slice payload)
{
    say(&((struct fixture *)arg)->got, "pong ", payload);
}

static inline void on_close_frame(void *arg, unsigned code, struct cla_slice reason)
{
    struct fixture *f = arg;
    struct cla_buf out = {0};

    assert_int_equal(cla_buf_printf(&f->got, "close %u\n", code), 0);
    cla_ws_conn_close(&f->ws, &out, code, cla_slice("", 0));
    send_bytes(f, &out);
    close_peer(f);
}

static const struct cla_ws_events ws_events = {on_text, on_pong, on_pong, on_close_frame};
static const struct cla_ws_settings settings = {
    .message_bytes = 1 << 20, .fragments = 100, .deflate = CLA_WS_DEFLATE_DEFAULTS};

/* The value of a field of the upgrade. */
static inline struct cla_slice field(const struct fixture *f, const char *name)
{
    const char *p = strstr(f->request.p, name);

    assert_non_null(p);
    p += strlen(name) + 2;
    return cla_slice(p, strcspn(p, "\r"));
}

static inline void add_101(struct fixture *f, struct cla_buf *out)
{
    const struct cla_ws_offer offer = {.deflate = settings.deflate};
    struct cla_ws_request request = {.method = CLA_LIT("GET"),
                                     .version_minor = 1,
                                     .connection = CLA_LIT("Upgrade"),
                                     .upgrade = CLA_LIT("websocket"),
                                     .version = CLA_LIT("13"),
                                     .key = field(f, "Sec-WebSocket-Key"),
                                     .extensions = field(f, "Sec-WebSocket-Extensions")};
    struct cla_ws_accept accept;
    const char *why;

    assert_int_equal(cla_ws_handshake_read(&request, &offer, &accept, &why), 0);
    cla_ws_conn_init(&f->ws, false, &settings, &accept.agreed, &ws_events, f);
    cla_buf_add(out, CLA_LIT("HTTP/1.1 101 Switching Protocols\r\n"));
    cla_ws_handshake_answer(out, &accept);
    cla_buf_add(out, CLA_LIT("\r\n"));
    f->upgraded = true;
}

static inline void answer_upgrade(struct fixture *f)
{
    struct cla_buf out = {0};

    f->loop.virtual_ns += f->upgrade_ns;
    if (f->refusal == NULL)
        add_101(f, &out);
    else
        cla_buf_add(&out, cla_slice_str(f->refusal));
    if (f->greeting != NULL)
        cla_ws_conn_send(&f->ws, &out, CLA_WS_KIND_TEXT, cla_slice_str(f->greeting));
    send_bytes(f, &out);
    if (f->refusal != NULL)
        close_peer(f);
}

static inline void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    static char bytes[65536];

    *buf = uv_buf_init(bytes, sizeof bytes);
}

static inline void on_bytes(uv_stream_t *peer, ssize_t n, const uv_buf_t *buf)
{
    struct fixture *f = peer->data;
    long countdown = mem_fault.countdown; /* it is the client's memory that may fail */
    size_t taken;

    mem_fault_off();
    if (n < 0) {
        f->peer_ended = true;
        close_peer(f);
    } else if (f->upgraded) {
        cla_ws_conn_feed(&f->ws, buf->base, (size_t)n, &taken);
    } else {
        assert_int_equal(cla_buf_append(&f->request, buf->base, (size_t)n), 0);
        assert_int_equal(cla_buf_push(&f->request, '\0'), 0); /* it comes in one piece */
        answer_upgrade(f);
    }
    mem_fault.countdown = countdown;
}

static inline void on_connection(uv_stream_t *listener, int status)
{
    struct fixture *f = listener->data;

    assert_int_equal(status, 0);
    uv_tcp_init(&f->loop.uv, &f->peer);
    f->peer.data = f;
    f->has_peer = true;
    assert_int_equal(uv_accept(listener, (uv_stream_t *)&f->peer), 0);
    uv_read_start((uv_stream_t *)&f->peer, on_alloc, on_bytes);
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
    f->to.port = ntohs(address.sin_port);
}

/* --- The client. --- */

/* Makes the next call, or closes behind the last. */
static inline void next(struct fixture *f)
{
    const char *procedure = f->made < STEPS_MAX ? f->calls[f->made] : NULL;
    uint64_t deadline_ns = cla_clock_add(f->loop.virtual_ns, f->timeout_ns);
    int rc;

    if (procedure == NULL) {
        cla_socket_client_close(f->client);
        return;
    }
    f->made++;
    rc = cla_socket_client_call(f->client, cla_slice_str(procedure), f->to.params, deadline_ns);
    if (rc != 0)
        assert_int_equal(cla_buf_printf(&f->said, "no call: %s\n", cla_error_text(rc)), 0);
    else if (f->cancels)
        cla_socket_client_cancel(f->client);
}

static inline void on_open(void *arg)
{
    struct fixture *f = arg;

    f->opened = true;
    next(f);
}

static inline void on_answer(void *arg, const struct cla_client_answer *answer)
{
    struct fixture *f = arg;

    if (answer->end == CLA_CLIENT_RESULT)
        say(&f->said, "result ", answer->response.result);
    else if (answer->end == CLA_CLIENT_ERROR)
        say(&f->said, "error ", answer->response.message);
    else
        say(&f->said, "timeout ", cla_slice_str(answer->detail));
    next(f);
}

static inline void on_notice(void *arg, struct cla_slice text, const struct cla_rpc_notice *notice)
{
    struct fixture *f = arg;

    say(&f->said, notice != NULL ? "notice " : "text ", notice != NULL ? notice->method : text);
}

static inline void on_closed(void *arg, const struct cla_client_answer *end)
{
    static const char *const names[] = {"result ", "error ",   "status ",   "unreachable ",
                                        "broken ", "timeout ", "cancelled "};
    struct fixture *f = arg;
    struct cla_slice text = end->end == CLA_CLIENT_STATUS ? end->body : cla_slice_str(end->detail);

    assert_false(f->closed);
    f->closed = true;
    say(&f->said, names[end->end], text);
    cla_loop_stop(&f->loop);
}

static const struct cla_socket_client_events events = {on_open, on_answer, on_notice, on_closed};

static inline void start(struct fixture *f)
{
    assert_int_equal(cla_socket_client_start(&f->client, &f->loop, &f->to, &events, f), 0);
}

static const char *text_of(struct cla_buf *buf)
{
    if (buf->n == 0 || buf->p[buf->n - 1] != '\0')
        assert_int_equal(cla_buf_push(buf, '\0'), 0);
    return buf->p;
}

/* Runs to the end and requires what the client reported. */
static inline void run(struct fixture *f, const char *said)
{
    start(f);
    cla_loop_run(&f->loop);
    assert_string_equal(text_of(&f->said), said);
}

#endif
