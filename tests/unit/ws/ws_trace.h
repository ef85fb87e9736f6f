/* Writes what one half of a WebSocket connection does as text, so that two runs can be compared and
 * read: one line for each event, and a last one that says how it came out. */
#ifndef CLA_TEST_WS_TRACE_H
#define CLA_TEST_WS_TRACE_H

#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/check.h"
#include "ws/conn.h"

struct ws_trace {
    struct cla_buf text;
    struct cla_ws_conn conn;
    unsigned messages;  /* that ended */
    unsigned close_at;  /* close from inside this message (from 1); 0: do not */
    bool pause;         /* after each event */
    struct cla_buf out; /* what was written from inside events */
};

/* How a run cuts its bytes. */
struct ws_cut {
    size_t at;   /* into two here */
    size_t step; /* above 0: into pieces of this many bytes instead */
};

static inline void ws_trace_line(struct ws_trace *trace, const char *name, struct cla_slice s)
{
    CLA_PRE(cla_buf_printf(&trace->text, "%s %zu ", name, s.n) == 0);
    CLA_PRE(cla_buf_add(&trace->text, s) == 0);
    CLA_PRE(cla_buf_push(&trace->text, '\n') == 0);
    if (trace->pause)
        cla_ws_conn_pause(&trace->conn);
}

static inline void ws_trace_on_message(void *arg, enum cla_ws_kind kind, struct cla_slice message)
{
    struct ws_trace *trace = arg;

    ws_trace_line(trace, kind == CLA_WS_KIND_TEXT ? "text" : "binary", message);
    if (++trace->messages == trace->close_at)
        CLA_PRE(cla_ws_conn_close(&trace->conn, &trace->out, CLA_WS_GOING_AWAY, CLA_LIT("bye")) ==
                0);
}

static inline void ws_trace_on_ping(void *arg, struct cla_slice payload)
{
    ws_trace_line(arg, "ping", payload);
}

static inline void ws_trace_on_pong(void *arg, struct cla_slice payload)
{
    ws_trace_line(arg, "pong", payload);
}

static inline void ws_trace_on_close(void *arg, unsigned code, struct cla_slice reason)
{
    char name[16];

    snprintf(name, sizeof name, "close %u", code);
    ws_trace_line(arg, name, reason);
}

static const struct cla_ws_events ws_trace_events = {ws_trace_on_message, ws_trace_on_ping,
                                                     ws_trace_on_pong, ws_trace_on_close};

/* Not random at all, so that runs are alike. */
static inline void ws_trace_random(void *to, size_t n)
{
    memset(to, 0x5a, n);
}

/* Feeds one piece from a block of exactly its size, so that the sanitizer sees what is read beside
 * it. Returns how it came out. */
static inline enum cla_ws_result ws_trace_feed(struct ws_trace *trace, struct cla_slice piece)
{
    char *copy = malloc(piece.n > 0 ? piece.n : 1);
    enum cla_ws_result result = CLA_WS_MORE;
    size_t at = 0, taken;

    CLA_PRE(copy != NULL);
    if (piece.n > 0)
        memcpy(copy, piece.p, piece.n);
    do {
        result = cla_ws_conn_feed(&trace->conn, copy + at, piece.n - at, &taken);
        at += taken;
        CLA_PRE(at <= piece.n && (result != CLA_WS_MORE || at == piece.n));
        CLA_PRE(result != CLA_WS_PAUSED || trace->pause);
    } while (result == CLA_WS_PAUSED && at < piece.n);
    free(copy);
    return result;
}

static inline void ws_trace_result(struct ws_trace *trace, enum cla_ws_result result)
{
    if (result == CLA_WS_FAILED)
        CLA_PRE(cla_buf_printf(&trace->text, "failed %u %s\n", trace->conn.code,
                               trace->conn.error) == 0);
    else if (result == CLA_WS_PEER_CLOSED)
        CLA_PRE(cla_buf_add(&trace->text, CLA_LIT("closed\n")) == 0);
    else if (cla_ws_conn_in_message(&trace->conn))
        CLA_PRE(cla_buf_add(&trace->text, CLA_LIT("in message\n")) == 0);
}

/* Makes the connection of 'trace'. */
static inline void ws_trace_init(struct ws_trace *trace, bool client,
                                 const struct cla_ws_settings *settings,
                                 const struct cla_ws_agreed *agreed)
{
    static const struct cla_ws_agreed nothing;

    cla_ws_conn_init(&trace->conn, client, settings, agreed != NULL ? agreed : &nothing,
                     &ws_trace_events, trace);
}

/* Feeds 'bytes' as 'cut' says, up to the close or the refusal. */
static inline void ws_trace_run(struct ws_trace *trace, struct cla_slice bytes, struct ws_cut cut)
{
    enum cla_ws_result result = CLA_WS_MORE;
    size_t at = 0;

    while (at < bytes.n && (result == CLA_WS_MORE || result == CLA_WS_PAUSED)) {
        size_t n = cut.step > 0 ? cut.step : at < cut.at ? cut.at - at : bytes.n - at;

        n = n < bytes.n - at ? n : bytes.n - at;
        result = ws_trace_feed(trace, cla_slice(bytes.p + at, n));
        at += n;
    }
    ws_trace_result(trace, result);
}

/* Frees the texts and the connection. */
static inline void ws_trace_fini(struct ws_trace *trace)
{
    cla_ws_conn_fini(&trace->conn);
    cla_buf_fini(&trace->text);
    cla_buf_fini(&trace->out);
}

/* Appends a frame, masked as a client's. */
static inline void ws_put(struct cla_buf *buf, unsigned char first, struct cla_slice payload)
{
    static const unsigned char key[4] = {0x37, 0xfa, 0x21, 0x3d};

    CLA_PRE(cla_ws_frame_add(buf, first, payload, key) == 0);
}

#endif
