/* Clients of WebSockets for the fixture's worker: the upgrade, masked frames out, frames in. */
#ifndef CLA_TEST_SOCKET_FIXTURE_H
#define CLA_TEST_SOCKET_FIXTURE_H

#include "gateway_fixture.h"
#include "ws/conn.h"

#define SOCKET_UPGRADE                                                                      \
    "GET /rpc HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"

#define SOCKET_CALL(method, id) "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"method\":\"" method "\"}"
#define SOCKET_CANCEL(id) \
    "{\"jsonrpc\":\"2.0\",\"method\":\"$/cancelRequest\",\"params\":{\"id\":" id "}}"

/* Appends a frame of at most 125 or 65,535 bytes, masked with zeros. */
static inline void socket_frame(struct cla_buf *to, unsigned opcode, const char *p, size_t n)
{
    const char head[] = {(char)(0x80 | opcode), (char)(0x80 | (n < 126 ? n : 126)), (char)(n >> 8),
                         (char)n};

    tcp_require(n < 65536 && cla_buf_append(to, head, n < 126 ? 2 : 4) == 0 &&
                cla_buf_append(to, "\0\0\0\0", 4) == 0 && cla_buf_append(to, p, n) == 0);
}

static inline void socket_send_frame(struct client *c, unsigned opcode, const char *p, size_t n)
{
    struct cla_buf bytes = {0};

    socket_frame(&bytes, opcode, p, n);
    client_send_bytes(c, bytes.p, bytes.n);
    cla_buf_fini(&bytes);
}

static inline void socket_send(struct client *c, const char *text)
{
    socket_send_frame(c, CLA_WS_TEXT, text, strlen(text));
}

static inline void socket_upgrade(struct client *c, struct gate *g)
{
    client_open(c, g);
    client_send(c, SOCKET_UPGRADE "\r\n");
    assert_int_equal(client_take(c, false).status, 101);
}

struct socket_frame {
    unsigned opcode; /* 0: there is none */
    size_t n;
    char payload[4096]; /* ends with '\0' */
};

/* Takes the next frame. */
static inline struct socket_frame socket_take(struct client *c)
{
    struct socket_frame frame = {0};
    const unsigned char *p;
    size_t head = 2;

    gate_turns(c->gate);
    client_drain(c);
    if (c->in.n == 0)
        return frame;
    p = (const unsigned char *)c->in.p;
    assert_true(c->in.n >= 2);
    frame.opcode = p[0] & 15;
    frame.n = p[1];
    if (frame.n == 126) {
        frame.n = (size_t)p[2] << 8 | p[3];
        head = 4;
    }
    assert_true(frame.n < sizeof frame.payload && head + frame.n <= c->in.n);
    memcpy(frame.payload, p + head, frame.n);
    cla_buf_drop(&c->in, head + frame.n);
    return frame;
}

/* Requires that the next frame is this text. */
static inline void socket_require(struct client *c, const char *text)
{
    struct socket_frame frame = socket_take(c);

    assert_string_equal(frame.payload, text);
    assert_int_equal(frame.opcode, CLA_WS_TEXT);
}

/* Requires that the next frame is a text that holds this. */
static inline void socket_require_part(struct client *c, const char *part)
{
    struct socket_frame frame = socket_take(c);

    assert_int_equal(frame.opcode, CLA_WS_TEXT);
    if (strstr(frame.payload, part) == NULL)
        fail_msg("%s", frame.payload);
}

/* Requires that the next frame closes with this code. */
static inline void socket_require_close(struct client *c, unsigned code)
{
    struct socket_frame frame = socket_take(c);

    assert_int_equal(frame.opcode, CLA_WS_CLOSE);
    assert_true(frame.n >= 2);
    assert_int_equal((unsigned char)frame.payload[0] << 8 | (unsigned char)frame.payload[1], code);
}

#endif
