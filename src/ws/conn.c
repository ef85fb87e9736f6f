#include "ws/conn.h"

#include "base/error.h"
#include "ws/deflate.h"
#include "ws/inflate.h"
#include "ws/mask.h"

void cla_ws_conn_init(struct cla_ws_conn *conn, bool client, const struct cla_ws_settings *settings,
                      const struct cla_ws_agreed *agreed, const struct cla_ws_events *events,
                      void *arg)
{
    *conn = (struct cla_ws_conn){
        .client = client,
        .closing = CLA_WS_OPEN,
        .settings = settings,
        .agreed = *agreed,
        .events = events,
        .arg = arg,
    };
}

void cla_ws_conn_fini(struct cla_ws_conn *conn)
{
    cla_buf_fini(&conn->message);
    cla_ws_inflate_free(conn->inflate);
    cla_ws_deflate_free(conn->deflate);
    conn->inflate = NULL;
    conn->deflate = NULL;
}

void cla_ws_conn_pause(struct cla_ws_conn *conn)
{
    conn->paused = true;
}

bool cla_ws_conn_in_message(const struct cla_ws_conn *conn)
{
    return conn->kind != 0 || conn->in_payload || conn->header_n > 0;
}

bool cla_ws_conn_writable(const struct cla_ws_conn *conn)
{
    return conn->closing != CLA_WS_SENT && conn->closing != CLA_WS_CLOSED;
}

static bool move(struct cla_ws_conn *conn, enum cla_ws_closing_event event)
{
    enum cla_ws_closing state = (enum cla_ws_closing)conn->closing;
    bool legal = cla_ws_closing_move(&state, event);

    conn->closing = (uint8_t)state;
    return legal;
}

static void fail(struct cla_ws_conn *conn, unsigned code, const char *why)
{
    CLA_PRE(move(conn, CLA_WS_BREAK));
    conn->code = (uint16_t)code;
    conn->error = why;
}

static bool readable(const struct cla_ws_conn *conn)
{
    return conn->closing == CLA_WS_OPEN || conn->closing == CLA_WS_SENT;
}

/* We have closed: frames are read for the sake of the peer's close frame only. */
static bool ignoring(const struct cla_ws_conn *conn)
{
    return conn->closing != CLA_WS_OPEN;
}

static void no_memory(struct cla_ws_conn *conn)
{
    fail(conn, CLA_WS_INTERNAL, "out of memory");
}

/* Which half of the agreement the peer's messages follow. */
static bool peer_takes_over(const struct cla_ws_conn *conn)
{
    return !(conn->client ? conn->agreed.server_no_context_takeover
                          : conn->agreed.client_no_context_takeover);
}

static unsigned peer_window_bits(const struct cla_ws_conn *conn)
{
    return conn->client ? conn->agreed.server_window_bits : conn->agreed.client_window_bits;
}

static void drop_message(struct cla_ws_conn *conn)
{
    conn->kind = 0;
    cla_buf_fini(&conn->message);
    if (!conn->compressed || conn->inflate == NULL)
        return;
    if (peer_takes_over(conn)) {
        cla_ws_inflate_rest(conn->inflate);
    } else {
        cla_ws_inflate_free(conn->inflate);
        conn->inflate = NULL;
    }
}

static void end_message(struct cla_ws_conn *conn, struct cla_slice message)
{
    enum cla_ws_kind kind = (enum cla_ws_kind)conn->kind;
    struct cla_buf gathered = cla_buf_take(&conn->message);

    drop_message(conn);
    conn->events->on_message(conn->arg, kind, message);
    cla_buf_fini(&gathered);
}

/* Checks the next bytes of a message; 'last': none follow. */
static bool check_text(struct cla_ws_conn *conn, const char *p, size_t n, bool last)
{
    if (conn->kind != CLA_WS_KIND_TEXT)
        return true;
    if (cla_ws_utf8_feed(&conn->utf8, p, n) && (!last || cla_ws_utf8_complete(&conn->utf8)))
        return true;
    fail(conn, CLA_WS_INVALID, "a text message is not UTF-8");
    return false;
}

static void read_plain(struct cla_ws_conn *conn, const char *p, size_t n, bool last)
{
    if (!check_text(conn, p, n, last))
        return;
    if (last && conn->message.n == 0) {
        end_message(conn, cla_slice(p, n));
        return;
    }
    if (cla_buf_append(&conn->message, p, n) != 0)
        no_memory(conn);
    else if (last)
        end_message(conn, cla_buf_slice(&conn->message));
}

static void fail_inflate(struct cla_ws_conn *conn, int rc)
{
    if (rc == -CLA_ENOMEM)
        no_memory(conn);
    else if (rc == -CLA_ELIMIT)
        fail(conn, CLA_WS_TOO_BIG, "a message is longer than message_bytes");
    else
        fail(conn, CLA_WS_INVALID, "a compressed message is not DEFLATE");
}

/* What came out before a fault is checked first: it would have been if it had come earlier. */
static void read_compressed(struct cla_ws_conn *conn, const char *p, size_t n, bool last)
{
    size_t had = conn->message.n, limit = conn->settings->message_bytes;
    unsigned bits = peer_window_bits(conn);
    int rc = 0;

    if (n > 0)
        rc = cla_ws_inflate_feed(&conn->inflate, bits, cla_slice(p, n), &conn->message, limit);
    if (rc == 0 && last)
        rc = cla_ws_inflate_end(&conn->inflate, bits, &conn->message, limit);
    n = conn->message.n - had;
    if (!check_text(conn, n > 0 ? conn->message.p + had : NULL, n, last && rc == 0))
        return;
    if (rc != 0)
        fail_inflate(conn, rc);
    else if (last)
        end_message(conn, cla_buf_slice(&conn->message));
}

static void read_close(struct cla_ws_conn *conn, struct cla_slice payload)
{
    struct cla_slice reason;
    unsigned code, fault = cla_ws_close_read(payload, &code, &reason);

    if (fault != 0) {
        fail(conn, fault,
             fault == CLA_WS_INVALID ? "the reason of a close is not UTF-8"
                                     : "a close frame is malformed");
        return;
    }
    CLA_PRE(move(conn, CLA_WS_RECEIVE));
    conn->events->on_close(conn->arg, code, reason);
}

static void end_control(struct cla_ws_conn *conn, struct cla_slice payload)
{
    enum cla_ws_opcode opcode = cla_ws_opcode_of(conn->frame.first);

    conn->control_n = 0;
    if (opcode == CLA_WS_CLOSE)
        read_close(conn, payload);
    else if (ignoring(conn))
        return;
    else if (opcode == CLA_WS_PING)
        conn->events->on_ping(conn->arg, payload);
    else
        conn->events->on_pong(conn->arg, payload);
}

/* Pieces of a control frame wait behind what was gathered of the message around it. */
static void read_control(struct cla_ws_conn *conn, const char *p, size_t n, bool last)
{
    struct cla_buf *buf = &conn->message;

    if (last && conn->control_n == 0) {
        end_control(conn, cla_slice(p, n));
        return;
    }
    if (cla_buf_reserve(buf, conn->control_n + n) != 0) {
        no_memory(conn);
        return;
    }
    if (n > 0)
        memcpy(buf->p + buf->n + conn->control_n, p, n);
    conn->control_n = (uint8_t)(conn->control_n + n);
    if (!last)
        return;
    end_control(conn, cla_slice(buf->p + buf->n, conn->control_n));
    if (conn->kind == 0)
        cla_buf_fini(buf);
}

static void read_data(struct cla_ws_conn *conn, const char *p, size_t n, bool last)
{
    bool fin = last && (conn->frame.first & CLA_WS_FIN) != 0;

    if (ignoring(conn)) {
        if (fin)
            drop_message(conn);
    } else if (conn->compressed) {
        read_compressed(conn, p, n, fin);
    } else {
        read_plain(conn, p, n, fin);
    }
}

/* Returns the bytes used. */
static size_t read_payload(struct cla_ws_conn *conn, char *p, size_t n)
{
    uint64_t left = conn->frame.length - conn->at;
    bool last = left <= n;

    n = last ? (size_t)left : n;
    if (!conn->client)
        cla_ws_mask(p, n, conn->frame.key, (size_t)conn->at);
    conn->at += n;
    conn->in_payload = !last;
    if (cla_ws_is_control(conn->frame.first))
        read_control(conn, p, n, last);
    else
        read_data(conn, p, n, last);
    return n;
}

/* Compressed bytes may be a little more than what they say, but not without end. */
static bool fits(const struct cla_ws_conn *conn)
{
    uint64_t limit = conn->settings->message_bytes;

    if (conn->compressed)
        limit += limit / 8 + 64;
    return conn->frame.length <= limit && conn->received <= limit - conn->frame.length;
}

static void begin_message(struct cla_ws_conn *conn)
{
    conn->kind = (uint8_t)cla_ws_opcode_of(conn->frame.first);
    conn->compressed = (conn->frame.first & CLA_WS_RSV1) != 0;
    conn->fragments = 0;
    conn->received = 0;
    cla_ws_utf8_init(&conn->utf8);
}

static void begin_frame(struct cla_ws_conn *conn)
{
    conn->at = 0;
    conn->in_payload = true;
    if (cla_ws_is_control(conn->frame.first))
        return;
    if (cla_ws_opcode_of(conn->frame.first) != CLA_WS_CONTINUATION)
        begin_message(conn);
    if (!fits(conn)) {
        fail(conn, CLA_WS_TOO_BIG, "a message is longer than message_bytes");
        return;
    }
    conn->received += conn->frame.length;
    if (++conn->fragments > conn->settings->fragments)
        fail(conn, CLA_WS_POLICY, "a message has more frames than message_fragments allows");
}

static unsigned rules_of(const struct cla_ws_conn *conn)
{
    return (conn->client ? 0 : CLA_WS_WANT_MASK) |
           (conn->agreed.deflate ? CLA_WS_MAY_COMPRESS : 0) |
           (conn->kind != 0 ? CLA_WS_IN_MESSAGE : 0);
}

/* Returns the bytes used. */
static size_t read_header(struct cla_ws_conn *conn, const char *p, size_t n)
{
    const char *from = p, *why;
    size_t had = conn->header_n, have = n;
    int rc;

    if (had > 0) {
        have = n < sizeof conn->header - had ? n : sizeof conn->header - had;
        memcpy(conn->header + had, p, have);
        from = conn->header;
        have += had;
    }
    rc = cla_ws_header_read(&conn->frame, from, have, rules_of(conn), &why);
    if (rc < 0) {
        fail(conn, CLA_WS_PROTOCOL, why);
        return n;
    }
    if (rc == 0) {
        if (had == 0)
            memcpy(conn->header, p, n);
        conn->header_n = (uint8_t)have;
        return n;
    }
    conn->header_n = 0;
    begin_frame(conn);
    return (size_t)rc - had;
}

static size_t read_some(struct cla_ws_conn *conn, char *p, size_t n)
{
    size_t used = conn->in_payload ? 0 : read_header(conn, p, n);

    if (conn->in_payload && readable(conn))
        used += read_payload(conn, p + used, n - used);
    return used;
}

static enum cla_ws_result result_of(const struct cla_ws_conn *conn)
{
    if (conn->error != NULL)
        return CLA_WS_FAILED;
    if (!readable(conn))
        return CLA_WS_PEER_CLOSED;
    return conn->paused ? CLA_WS_PAUSED : CLA_WS_MORE;
}

enum cla_ws_result cla_ws_conn_feed(struct cla_ws_conn *conn, char *p, size_t n, size_t *taken)
{
    size_t at = 0;

    conn->paused = false;
    while (at < n && !conn->paused && readable(conn))
        at += read_some(conn, p + at, n - at);
    *taken = at;
    return result_of(conn);
}
