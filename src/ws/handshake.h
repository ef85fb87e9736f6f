/* The opening handshake (RFC 6455 section 4), a server and a client half.
 *
 * Any thread. Depends on: base, ws/extension, OpenSSL (SHA-1). Header fields are plain slices here:
 * an absent one is empty; one that came several times is its values joined with commas (RFC 9110
 * section 5.2), which makes a repeated key or version invalid. The Host and the Origin are the
 * caller's to judge. */
#ifndef CLA_WS_HANDSHAKE_H
#define CLA_WS_HANDSHAKE_H

#include "ws/extension.h"

#define CLA_WS_KEY_BYTES 24    /* of Sec-WebSocket-Key */
#define CLA_WS_ACCEPT_BYTES 28 /* of Sec-WebSocket-Accept */

struct cla_ws_request {
    struct cla_slice method;
    unsigned version_minor; /* HTTP/1.x */
    struct cla_slice connection, upgrade;
    struct cla_slice key, version, protocol, extensions; /* Sec-WebSocket-… */
};

/* What a server supports. */
struct cla_ws_offer {
    const struct cla_slice *protocols; /* subprotocols, exact names */
    size_t protocol_count;
    struct cla_ws_deflate_settings deflate;
};

/* What was agreed. */
struct cla_ws_accept {
    char accept[CLA_WS_ACCEPT_BYTES];
    struct cla_slice protocol; /* the server's or client's own text of it; empty: none */
    struct cla_ws_agreed agreed;
};

/* Server: judges a request. The first subprotocol in the client's order that the server has is
 * chosen; none is not an error. Returns 0; or the status to refuse with, 400 or 426, and one line
 * in
 * '*why'. An answer of 426 carries the field lines CLA_WS_UPGRADE_REQUIRED. */
int cla_ws_handshake_read(const struct cla_ws_request *request, const struct cla_ws_offer *offer,
                          struct cla_ws_accept *out, const char **why);

#define CLA_WS_UPGRADE_REQUIRED \
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"

/* Server: appends the field lines of the answer 101. Returns 0 or -CLA_ENOMEM. */
int cla_ws_handshake_answer(struct cla_buf *buf, const struct cla_ws_accept *accept);

/* Client: makes a key of 16 unpredictable bytes. */
void cla_ws_handshake_key(const unsigned char random[16], char key[CLA_WS_KEY_BYTES]);

/* Client: appends the field lines of the request, without Host and Origin. Returns 0 or
 * -CLA_ENOMEM. */
int cla_ws_handshake_request(struct cla_buf *buf, const char key[CLA_WS_KEY_BYTES],
                             const struct cla_ws_offer *offer);

/* The answer, as its head says. */
struct cla_ws_response {
    int status;
    struct cla_slice connection, upgrade;
    struct cla_slice accept, protocol, extensions; /* Sec-WebSocket-… */
};

/* Client: verifies the answer to cla_ws_handshake_request() with the same key and offer.
 * Returns 0, or -CLA_EPROTO and one line in '*why'. */
int cla_ws_handshake_verify(const struct cla_ws_response *response,
                            const char key[CLA_WS_KEY_BYTES], const struct cla_ws_offer *offer,
                            struct cla_ws_accept *out, const char **why);

#endif
