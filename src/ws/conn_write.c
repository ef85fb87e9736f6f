#include "base/error.h"
#include "ws/conn.h"
#include "ws/deflate.h"

/* The key of the next frame: in 'key' for a client, none for a server. */
static const unsigned char *next_key(struct cla_ws_conn *conn, unsigned char key[4])
{
    if (!conn->client)
        return NULL;
    conn->settings->random(key, 4);
    return key;
}

static bool takes_over(const struct cla_ws_conn *conn)
{
    return !(conn->client ? conn->agreed.client_no_context_takeover
                          : conn->agreed.server_no_context_takeover);
}

/* What the peer can read, and what we want to spend. */
static unsigned window_bits(const struct cla_ws_conn *conn)
{
    unsigned agreed =
        conn->client ? conn->agreed.client_window_bits : conn->agreed.server_window_bits;
    unsigned wanted = conn->settings->deflate.window_bits;

    return agreed < wanted ? agreed : wanted;
}

/* The next compressed message refers to none before it. */
static void forget(struct cla_ws_conn *conn)
{
    cla_ws_deflate_free(conn->deflate);
    conn->deflate = NULL;
}

/* Compresses the message in buf from 'at' on if it is worth it. Without memory it goes as it is. */
static bool compress(struct cla_ws_conn *conn, struct cla_buf *buf, size_t at)
{
    const struct cla_ws_deflate_settings *settings = &conn->settings->deflate;
    size_t n = buf->n - at;
    int rc;

    if (!conn->agreed.deflate || n == 0 || n < settings->threshold_bytes || n > CLA_WS_DEFLATE_MAX)
        return false;
    rc = cla_ws_deflate_message(&conn->deflate, window_bits(conn), settings->mem_level,
                                settings->level, buf, at);
    if (!takes_over(conn))
        forget(conn);
    return rc == 0;
}

int cla_ws_conn_begin(struct cla_ws_conn *conn, struct cla_buf *buf, size_t *mark)
{
    *mark = buf->n;
    if (!cla_ws_conn_writable(conn))
        return -CLA_ECLOSED;
    return cla_ws_frame_begin(buf, conn->client, mark);
}

int cla_ws_conn_end(struct cla_ws_conn *conn, struct cla_buf *buf, size_t mark,
                    enum cla_ws_kind kind)
{
    unsigned char key[4], first = (unsigned char)(CLA_WS_FIN | kind);

    if (!cla_ws_conn_writable(conn)) {
        buf->n = mark;
        return -CLA_ECLOSED;
    }
    if (compress(conn, buf, cla_ws_frame_payload(mark, conn->client)))
        first |= CLA_WS_RSV1; /* and there is room: the peer will have it */
    return cla_ws_frame_end(buf, mark, first, next_key(conn, key));
}

static bool goes_as_it_is(const struct cla_ws_conn *conn, size_t n)
{
    return !conn->agreed.deflate || n < conn->settings->deflate.threshold_bytes;
}

int cla_ws_conn_send(struct cla_ws_conn *conn, struct cla_buf *buf, enum cla_ws_kind kind,
                     struct cla_slice message)
{
    unsigned char key[4];
    size_t mark;
    int rc;

    if (!cla_ws_conn_writable(conn))
        return -CLA_ECLOSED;
    if (goes_as_it_is(conn, message.n))
        return cla_ws_frame_add(buf, (unsigned char)(CLA_WS_FIN | kind), message,
                                next_key(conn, key));
    rc = cla_ws_conn_begin(conn, buf, &mark);
    if (rc == 0)
        rc = cla_buf_add(buf, message);
    if (rc == 0)
        return cla_ws_conn_end(conn, buf, mark, kind);
    buf->n = mark;
    return rc;
}

int cla_ws_conn_send_frame(struct cla_ws_conn *conn, struct cla_buf *buf, enum cla_ws_kind kind,
                           struct cla_slice frame, struct cla_slice message)
{
    CLA_PRE(!conn->client);
    if (!cla_ws_conn_writable(conn))
        return -CLA_ECLOSED;
    return goes_as_it_is(conn, message.n) ? cla_buf_add(buf, frame)
                                          : cla_ws_conn_send(conn, buf, kind, message);
}

static int send_control(struct cla_ws_conn *conn, struct cla_buf *buf, enum cla_ws_opcode opcode,
                        struct cla_slice payload)
{
    unsigned char key[4];

    CLA_PRE(payload.n <= CLA_WS_CONTROL_MAX);
    return cla_ws_frame_add(buf, (unsigned char)(CLA_WS_FIN | opcode), payload,
                            next_key(conn, key));
}

int cla_ws_conn_ping(struct cla_ws_conn *conn, struct cla_buf *buf, struct cla_slice payload)
{
    return cla_ws_conn_writable(conn) ? send_control(conn, buf, CLA_WS_PING, payload)
                                      : -CLA_ECLOSED;
}

int cla_ws_conn_pong(struct cla_ws_conn *conn, struct cla_buf *buf, struct cla_slice payload)
{
    return cla_ws_conn_writable(conn) ? send_control(conn, buf, CLA_WS_PONG, payload)
                                      : -CLA_ECLOSED;
}

int cla_ws_conn_close(struct cla_ws_conn *conn, struct cla_buf *buf, unsigned code,
                      struct cla_slice reason)
{
    enum cla_ws_closing state = (enum cla_ws_closing)conn->closing;
    char payload[CLA_WS_CONTROL_MAX];
    int rc;

    if (!cla_ws_closing_move(&state, CLA_WS_SEND))
        return -CLA_ECLOSED;
    rc = send_control(conn, buf, CLA_WS_CLOSE,
                      cla_slice(payload, cla_ws_close_write(payload, code, reason)));
    if (rc == 0)
        conn->closing = (uint8_t)state;
    return rc;
}
