/* A worker without Lua: a fake app (gate_app.h), on a loop under virtual time, and clients that are
 * plain sockets.
 *
 * Nothing here waits: loopback sockets deliver at once, so a few turns are enough. */
#ifndef CLA_TEST_GATEWAY_FIXTURE_H
#define CLA_TEST_GATEWAY_FIXTURE_H

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "gate_app.h"
#include "tcp_pair.h"

#define GATE_TURNS 12 /* enough for anything that needs no waiting */

struct gate {
    struct cla_loop loop;
    struct cla_log log;
    struct cla_config config;
    struct gate_app app;
    struct cla_worker worker;
    struct cla_via via;
    bool stopped; /* the loop was */
};

struct client {
    struct gate *gate;
    int fd;
    struct cla_buf in; /* read and not yet taken */
    unsigned reads;    /* that returned something */
    bool ended;        /* FIN or RST seen */
    bool reset;
};

/* --- The worker. --- */

/* Answers the held call at 'index'. */
static inline void gate_answer(struct gate *g, unsigned index)
{
    struct cla_call *call = g->app.held[index];

    gate_remove(g->app.held, &g->app.held_n, call);
    gate_complete(call, CLA_LIT("\"held\""));
}

/* Sets one setting; before gate_open_worker(). */
static inline void gate_set(struct gate *g, const char *name, const char *value)
{
    struct cla_config_error error;

    assert_int_equal(cla_config_set(&g->config, cla_slice_str(name), cla_slice_str(value),
                                    CLA_CONFIG_FLAG, &error),
                     0);
}

static inline void gate_init(struct gate *g)
{
    *g = (struct gate){.log = {.fd = 2, .level = CLA_LOG_OFF}, .app.base.ops = &gate_app_ops};
    assert_int_equal(cla_config_init(&g->config), 0);
    assert_int_equal(cla_loop_init(&g->loop), 0);
    cla_loop_use_virtual_time(&g->loop);
}

static inline void gate_open_worker(struct gate *g)
{
    cla_worker_init(&g->worker, &g->loop, &g->app.base, &g->config, &g->log);
    g->via = (struct cla_via){.loopback = true,
                              .half_close_allowed = g->config.half_close == CLA_HALF_CLOSE_ALLOW};
}

/* Some turns, in which virtual time stands still. */
static inline void gate_turns(struct gate *g)
{
    for (int i = 0; i < GATE_TURNS; i++)
        cla_loop_step(&g->loop, false);
}

/* Moves virtual time, and lets happen what is due. */
static inline void gate_pass(struct gate *g, uint64_t ms)
{
    g->loop.virtual_ns += ms * CLA_NS_PER_MS;
    gate_turns(g);
}

static inline void gate_post(struct gate *g, enum cla_message_kind kind)
{
    struct cla_message message = {.kind = kind, .arrival.fd = -1};

    cla_worker_on_message(&g->worker, &message);
}

/* The one connection of the worker. */
static inline struct cla_conn *gate_conn(struct gate *g)
{
    assert_int_equal(g->worker.conn_count, 1);
    return CLA_CONTAINER(g->worker.conns.next, struct cla_conn, link);
}

/* Ends everything and requires that nothing is left. */
static inline void gate_fini(struct gate *g)
{
    gate_post(g, CLA_MESSAGE_STOP);
    gate_turns(g);
    assert_int_equal(g->worker.conn_count, 0);
    assert_int_equal(cla_worker_connections(&g->worker), 0);
    assert_int_equal(g->worker.env.in_flight, 0);
    assert_int_equal(g->worker.backlogged, 0);
    cla_worker_fini(&g->worker);
    assert_int_equal(g->loop.timers.active, 0);
    cla_loop_fini(&g->loop);
    cla_config_fini(&g->config);
}

/* --- Clients. --- */

/* Hands 'fd' over; 'refusal' NULL: it is welcome. */
static inline void client_arrive(struct client *c, struct gate *g, int fd, const char *refusal)
{
    struct cla_message message = {
        .kind = CLA_MESSAGE_CONNECTION,
        .arrival = {
            .fd = fd, .via = &g->via, .refusal = refusal, .peer_n = 14, .peer = "192.0.2.1:1234"}};

    c->gate = g;
    cla_worker_expect(&g->worker, &message.arrival);
    cla_worker_on_message(&g->worker, &message);
    gate_turns(g);
}

static inline void client_hand_over(struct client *c, struct gate *g, int fd)
{
    client_arrive(c, g, fd, NULL);
}

static inline void client_open(struct client *c, struct gate *g)
{
    int fd;

    *c = (struct client){0};
    tcp_pair(&fd, &c->fd);
    client_hand_over(c, g, fd);
}

/* A client between which and the gateway there is nothing but the kernel's buffers: no packets that
 * are lost where they find no room, and sent again in their own time. */
static inline void client_open_local(struct client *c, struct gate *g)
{
    int fds[2];

    *c = (struct client){0};
    tcp_require(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
    tcp_require(fcntl(fds[0], F_SETFL, O_NONBLOCK) == 0);
    c->fd = fds[1];
    client_hand_over(c, g, fds[0]);
}

/* A client for which each write of the gateway is one read. */
static inline void client_open_packets(struct client *c, struct gate *g)
{
    int fds[2];

    *c = (struct client){0};
    tcp_require(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, fds) == 0);
    c->fd = fds[1];
    client_hand_over(c, g, fds[0]);
}

/* Makes the one connection hold little in the kernel, so that a client that does not read is soon
 * felt. */
static inline void client_narrow(struct client *c)
{
    const int small = 4096;
    int fd;

    tcp_require(uv_fileno((uv_handle_t *)&gate_conn(c->gate)->stream.tcp, &fd) == 0);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
}

/* Reads what has come. */
static inline void client_drain(struct client *c)
{
    char bytes[65536];

    while (!c->ended) {
        ssize_t n = recv(c->fd, bytes, sizeof bytes, MSG_DONTWAIT);

        if (n > 0) {
            tcp_require(cla_buf_append(&c->in, bytes, (size_t)n) == 0);
            c->reads++;
        } else if (n == 0 || errno != EAGAIN) {
            c->ended = true;
            c->reset = n < 0;
        } else {
            return;
        }
    }
}

static inline void client_send_bytes(struct client *c, const char *bytes, size_t n)
{
    tcp_require(send(c->fd, bytes, n, MSG_NOSIGNAL) == (ssize_t)n);
    gate_turns(c->gate);
    client_drain(c);
}

static inline void client_send(struct client *c, const char *text)
{
    client_send_bytes(c, text, strlen(text));
}

/* Sends a POST of 'body' to /rpc; 'fields' are more whole lines. */
static inline void client_post_with(struct client *c, const char *fields, const char *body)
{
    char text[4096];

    tcp_require(snprintf(text, sizeof text,
                         "POST /rpc HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
                         "application/json\r\nContent-Length: %zu\r\n%s\r\n%s",
                         strlen(body), fields, body) < (int)sizeof text);
    client_send(c, text);
}

static inline void client_post(struct client *c, const char *body)
{
    client_post_with(c, "", body);
}

/* Calls 'method' without params, with this id. */
static inline void client_call(struct client *c, const char *method, int id)
{
    char body[128];

    snprintf(body, sizeof body, "{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":\"%s\"}", id, method);
    client_post(c, body);
}

struct response {
    int status;
    char head[1024];
    char body[4096];
};

/* Takes the next response; status 0: there is none. 'has_body' false: the answer to HEAD. */
static inline struct response client_take(struct client *c, bool has_body)
{
    struct response r = {0};
    char *end, *length;
    size_t head_n, body_n = 0;

    gate_turns(c->gate);
    client_drain(c);
    if (c->in.n == 0)
        return r;
    tcp_require(cla_buf_push(&c->in, '\0') == 0);
    c->in.n--;
    end = strstr(c->in.p, "\r\n\r\n");
    assert_non_null(end);
    head_n = (size_t)(end - c->in.p) + 4;
    assert_true(head_n < sizeof r.head);
    memcpy(r.head, c->in.p, head_n);
    assert_int_equal(sscanf(r.head, "HTTP/1.1 %d ", &r.status), 1);
    length = strstr(r.head, "Content-Length: ");
    if (has_body && length != NULL)
        body_n = strtoul(length + 16, NULL, 10);
    assert_true(body_n < sizeof r.body && head_n + body_n <= c->in.n);
    memcpy(r.body, c->in.p + head_n, body_n);
    cla_buf_drop(&c->in, head_n + body_n);
    return r;
}

/* Requires that the next response has this status and body. */
static inline void client_require(struct client *c, int status, const char *body)
{
    struct response r = client_take(c, true);

    assert_string_equal(r.body, body);
    assert_int_equal(r.status, status);
}

/* Requires a JSON-RPC result. */
static inline void client_require_result(struct client *c, int id, const char *result)
{
    char body[512];

    snprintf(body, sizeof body, "{\"jsonrpc\":\"2.0\",\"id\":%d,\"result\":%s}", id, result);
    client_require(c, 200, body);
}

/* Requires that the next response has this status, and its text in the body. */
static inline struct response client_require_refusal(struct client *c, int status, const char *text)
{
    struct response r = client_take(c, true);

    assert_int_equal(r.status, status);
    assert_non_null(strstr(r.body, text));
    return r;
}

/* Requires that nothing has come. */
static inline void client_require_nothing(struct client *c)
{
    gate_turns(c->gate);
    client_drain(c);
    assert_int_equal(c->in.n, 0);
    assert_false(c->ended);
}

/* Requires that the gateway has ended its side, and sent nothing more. */
static inline void client_require_end(struct client *c)
{
    gate_turns(c->gate);
    client_drain(c);
    assert_int_equal(c->in.n, 0);
    assert_true(c->ended && !c->reset);
}

static inline void client_close(struct client *c)
{
    close(c->fd);
    c->fd = -1;
    cla_buf_fini(&c->in);
    gate_turns(c->gate);
}

#endif
