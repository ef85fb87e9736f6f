/* One side of a WebSocket connection behind its opening handshake (RFC 6455, RFC 7692): bytes in,
 * events out, and the frames to write.
 *
 * One thread. Depends on: base, the rest of ws, zlib. No sockets, no clocks, no random numbers.
 *
 * A message that arrives in one frame and in one piece is unmasked where it lies and given from
 * there; any other is gathered, up to the message limit, and so are the pieces of a control frame.
 * An idle connection holds no buffer; with context takeover it keeps the peer's window once it was
 * used, and the stream that compresses. Frames go to a buffer of the caller's, which sends it.
 *
 * The same bytes give the same events and the same refusal, however they are split over calls. (Not
 * so where a peer refers back further than the window it agreed to: zlib may or may not mind.) */
#ifndef CLA_WS_CONN_H
#define CLA_WS_CONN_H

#include "ws/close.h"
#include "ws/extension.h"
#include "ws/frame.h"
#include "ws/utf8.h"

struct cla_ws_settings {
    size_t message_bytes; /* of one message, decompressed; above: 1009; below SIZE_MAX / 2 */
    unsigned fragments;   /* frames of one message; above: 1008 */
    struct cla_ws_deflate_settings deflate;
    /* Fills to[0..n) with unpredictable bytes, for the masks. A server's is not called. */
    void (*random)(void *to, size_t n);
};

enum cla_ws_kind {
    CLA_WS_KIND_TEXT = CLA_WS_TEXT, /* UTF-8, checked */
    CLA_WS_KIND_BINARY = CLA_WS_BINARY,
};

/* Called from inside cla_ws_conn_feed(). They may write, close and pause; they may not feed or
 * fini. Slices are borrowed for the call. Once we have closed only on_close is called. */
struct cla_ws_events {
    /* A whole message. */
    void (*on_message)(void *arg, enum cla_ws_kind kind, struct cla_slice message);
    /* A ping, to be answered with a pong of the same payload. */
    void (*on_ping)(void *arg, struct cla_slice payload);
    /* A pong, asked for or not. */
    void (*on_pong)(void *arg, struct cla_slice payload);
    /* The peer's close frame; 'code' is CLA_WS_NO_STATUS if it named none. Unless we have closed
     * before, answer with cla_ws_conn_close() and the same code. */
    void (*on_close)(void *arg, unsigned code, struct cla_slice reason);
};

enum cla_ws_result {
    CLA_WS_MORE,        /* all bytes taken; more are wanted */
    CLA_WS_PAUSED,      /* an event asked for it; '*taken' bytes were used */
    CLA_WS_PEER_CLOSED, /* its close frame was read; nothing more will be */
    CLA_WS_FAILED,      /* refused: see ->code and ->error; close with them, and the socket too */
};

struct cla_ws_inflate;
struct cla_ws_deflate;

struct cla_ws_conn {
    const char *error;       /* why it failed, one line for people; NULL: it did not */
    uint16_t code;           /* to close with after FAILED */
    uint8_t closing;         /* enum cla_ws_closing */
    bool client;             /* which half this is */
    bool paused;             /* an event said so during this feed */
    bool in_payload;         /* of the frame under way; else in its header */
    bool compressed;         /* the message under way */
    uint8_t kind;            /* enum cla_ws_kind of the message under way; 0: none */
    uint8_t control_n;       /* gathered bytes of a control frame, behind those of 'message' */
    uint8_t header_n;        /* gathered bytes of a header */
    struct cla_ws_utf8 utf8; /* of the message under way */
    char header[CLA_WS_HEADER_MAX]; /* one that came in pieces */
    struct cla_ws_agreed agreed;
    unsigned fragments;             /* frames of the message under way */
    struct cla_ws_header frame;     /* under way */
    uint64_t at;                    /* bytes of its payload so far */
    uint64_t received;              /* payload bytes announced by the message under way */
    struct cla_buf message;         /* gathered bytes of it */
    struct cla_ws_inflate *inflate; /* NULL: none needed yet */
    struct cla_ws_deflate *deflate; /* NULL: none needed yet */
    const struct cla_ws_settings *settings;
    const struct cla_ws_events *events;
    void *arg;
};

/* Makes 'conn' the server's or client's half of a connection whose handshake agreed on 'agreed'
 * (copied). 'settings' and 'events' must outlive it. Takes no memory. */
void cla_ws_conn_init(struct cla_ws_conn *conn, bool client, const struct cla_ws_settings *settings,
                      const struct cla_ws_agreed *agreed, const struct cla_ws_events *events,
                      void *arg);

/* Frees what was gathered, and the zlib streams. */
void cla_ws_conn_fini(struct cla_ws_conn *conn);

/* Reads p[0..n), and changes it: payloads are unmasked in place. '*taken' is how many bytes were
 * used; the rest are as they were (only after PAUSED are they wanted: feed them again). Running out
 * of memory shows as FAILED with code 1011. */
enum cla_ws_result cla_ws_conn_feed(struct cla_ws_conn *conn, char *p, size_t n, size_t *taken);

/* Makes the feed return after this event. For the functions of 'events'. */
void cla_ws_conn_pause(struct cla_ws_conn *conn);

/* True while a message has begun and not ended (for a time limit). */
bool cla_ws_conn_in_message(const struct cla_ws_conn *conn);

/* True if messages, pings and pongs may be written: we have not closed. */
bool cla_ws_conn_writable(const struct cla_ws_conn *conn);

/* The writing functions append whole frames to 'buf'. They return 0, -CLA_ECLOSED if not writable,
 * or -CLA_ENOMEM; then 'buf' is as it was. */

/* Writes a message. Text must be UTF-8. */
int cla_ws_conn_send(struct cla_ws_conn *conn, struct cla_buf *buf, enum cla_ws_kind kind,
                     struct cla_slice message);

/* Writes a server's message that lies ready as a whole frame, for many connections: as it is, but
 * where it is worth compressing. 'message' is the frame's payload. */
int cla_ws_conn_send_frame(struct cla_ws_conn *conn, struct cla_buf *buf, enum cla_ws_kind kind,
                           struct cla_slice frame, struct cla_slice message);

/* Begins a message that the caller appends to 'buf', so that it is not copied; then comes
 * cla_ws_conn_end() with '*mark', or buf->n is set back to '*mark'. Only one at a time in a buffer.
 */
int cla_ws_conn_begin(struct cla_ws_conn *conn, struct cla_buf *buf, size_t *mark);

/* Completes the message begun at 'mark'. If it fails, 'buf' ends at 'mark'. */
int cla_ws_conn_end(struct cla_ws_conn *conn, struct cla_buf *buf, size_t mark,
                    enum cla_ws_kind kind);

/* Writes a ping; the payload has at most CLA_WS_CONTROL_MAX bytes. */
int cla_ws_conn_ping(struct cla_ws_conn *conn, struct cla_buf *buf, struct cla_slice payload);

/* Writes a pong; the payload has at most CLA_WS_CONTROL_MAX bytes. */
int cla_ws_conn_pong(struct cla_ws_conn *conn, struct cla_buf *buf, struct cla_slice payload);

/* Writes the close frame: the first, or the answer to the peer's. 'code' must be valid or
 * CLA_WS_NO_STATUS, 'reason' UTF-8; it is cut if it is too long. -CLA_ECLOSED: one was written. */
int cla_ws_conn_close(struct cla_ws_conn *conn, struct cla_buf *buf, unsigned code,
                      struct cla_slice reason);

#endif
