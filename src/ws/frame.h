/* The frames of RFC 6455 section 5: headers read and written, both directions.
 *
 * Any thread. Depends on: base/buf, ws/mask. */
#ifndef CLA_WS_FRAME_H
#define CLA_WS_FRAME_H

#include "base/buf.h"

enum cla_ws_opcode {
    CLA_WS_CONTINUATION = 0,
    CLA_WS_TEXT = 1,
    CLA_WS_BINARY = 2,
    CLA_WS_CLOSE = 8,
    CLA_WS_PING = 9,
    CLA_WS_PONG = 10,
};

/* Bits of a frame's first byte, beside the opcode. */
#define CLA_WS_FIN 0x80
#define CLA_WS_RSV1 0x40 /* compressed (RFC 7692 section 6) */

#define CLA_WS_HEADER_MAX 14   /* bytes of a header */
#define CLA_WS_CONTROL_MAX 125 /* payload bytes of a control frame */

struct cla_ws_header {
    uint64_t length;      /* of the payload, bytes; below 2^63 */
    unsigned char first;  /* fin, reserved bits and opcode */
    unsigned char key[4]; /* of the mask; zeros: none */
};

/* The opcode of a frame's first byte. */
static inline enum cla_ws_opcode cla_ws_opcode_of(unsigned char first)
{
    return (enum cla_ws_opcode)(first & 0x0f);
}

/* True for close, ping and pong. */
static inline bool cla_ws_is_control(unsigned char first)
{
    return (first & 0x08) != 0;
}

/* What the frame may be: flags. */
enum {
    CLA_WS_WANT_MASK = 1,    /* a client's: must be masked; else it must not be */
    CLA_WS_MAY_COMPRESS = 2, /* permessage-deflate was agreed */
    CLA_WS_IN_MESSAGE = 4,   /* the last fragment of a message is still to come */
};

/* Reads a header at p[0..n). Returns its bytes, 0 if it is not all there, or -CLA_EPROTO and one
 * line in '*why': at the first byte, or the end of the length, that cannot be right. */
int cla_ws_header_read(struct cla_ws_header *header, const char *p, size_t n, unsigned rules,
                       const char **why);

/* Writes the header of a frame so that it ends right before 'end', where the payload of 'length'
 * bytes begins; CLA_WS_HEADER_MAX bytes before it are room enough. 'key' NULL: not masked. Returns
 * the bytes written. */
size_t cla_ws_header_write(char *end, unsigned char first, uint64_t length,
                           const unsigned char *key);

/* Begins a frame at the end of 'buf': append the payload, then call cla_ws_frame_end() with the
 * same 'masked' and '*mark'. To give it up set buf->n to '*mark'. Returns 0 or -CLA_ENOMEM. */
int cla_ws_frame_begin(struct cla_buf *buf, bool masked, size_t *mark);

/* Where the payload begins of the frame begun at 'mark'. */
size_t cla_ws_frame_payload(size_t mark, bool masked);

/* Completes the frame: header in its place, payload masked with 'key' if there is one (not NULL).
 * The payload is moved only if it has less than 126 or more than 65,535 bytes, by a few bytes.
 * Returns 0, or -CLA_ENOMEM: then the frame is gone from 'buf'. */
int cla_ws_frame_end(struct cla_buf *buf, size_t mark, unsigned char first,
                     const unsigned char *key);

/* Appends a whole frame. Returns 0 or -CLA_ENOMEM. */
int cla_ws_frame_add(struct cla_buf *buf, unsigned char first, struct cla_slice payload,
                     const unsigned char *key);

#endif
