/* Negotiation of permessage-deflate (RFC 6455 section 9.1, RFC 7692 sections 5 and 7.1).
 *
 * Any thread. Depends on: base/buf. */
#ifndef CLA_WS_EXTENSION_H
#define CLA_WS_EXTENSION_H

#include "base/buf.h"

/* What this side wants. Windows are in bits: 1 << bits bytes, 9 to 15. */
struct cla_ws_deflate_settings {
    bool on;
    bool no_context_takeover;       /* of our messages: each is compressed on its own */
    bool peer_no_context_takeover;  /* of the peer's */
    unsigned char window_bits;      /* of our compression, at most */
    unsigned char peer_window_bits; /* of the peer's; a client that cannot be told is asked to
                                       compress each message on its own, so that none is kept */
    unsigned char mem_level;        /* zlib's, 1 to 9 */
    unsigned char level;            /* zlib's, 1 to 9 */
    size_t threshold_bytes;         /* shorter messages are sent as they are */
};

/* Small: about 13 KiB for a connection that has both sent and received compressed messages. */
#define CLA_WS_DEFLATE_DEFAULTS                                                            \
    {                                                                                      \
        .on = true, .window_bits = 10, .peer_window_bits = 10, .mem_level = 2, .level = 6, \
        .threshold_bytes = 256                                                             \
    }

/* What both sides agreed on. */
struct cla_ws_agreed {
    bool deflate; /* false: the rest means nothing */
    bool server_no_context_takeover;
    bool client_no_context_takeover;
    bool server_bits_said;            /* the client named server_max_window_bits */
    unsigned char server_window_bits; /* 8 to 15 */
    unsigned char client_window_bits; /* 8 to 15 */
};

/* Server: chooses among the offers of Sec-WebSocket-Extensions; the first that can be met is.
 * Returns 0, or -CLA_EPROTO if the field is malformed. */
int cla_ws_extension_choose(struct cla_slice offers, const struct cla_ws_deflate_settings *settings,
                            struct cla_ws_agreed *out);

/* Server: appends the answer, the value of Sec-WebSocket-Extensions; agreed->deflate must be true.
 * Returns 0 or -CLA_ENOMEM. */
int cla_ws_extension_answer(struct cla_buf *buf, const struct cla_ws_agreed *agreed);

/* Client: appends the offer, the value of Sec-WebSocket-Extensions; settings->on must be true.
 * Returns 0 or -CLA_ENOMEM. */
int cla_ws_extension_offer(struct cla_buf *buf, const struct cla_ws_deflate_settings *settings);

/* Client: reads the answer (empty: none) to cla_ws_extension_offer() with these settings.
 * Returns 0, or -CLA_EPROTO if it is malformed or not what was offered. */
int cla_ws_extension_check(struct cla_slice answer, const struct cla_ws_deflate_settings *settings,
                           struct cla_ws_agreed *out);

#endif
