#include "ws/frame.h"

#include "base/error.h"
#include "ws/mask.h"

#define GAP 4 /* bytes kept before a payload that is still growing: fits 126 to 65,535 bytes */

static const char *check_first(unsigned char first, unsigned rules)
{
    enum cla_ws_opcode opcode = cla_ws_opcode_of(first);
    bool begins = opcode == CLA_WS_TEXT || opcode == CLA_WS_BINARY;

    if ((first & 0x30) != 0 || ((first & CLA_WS_RSV1) != 0 && (rules & CLA_WS_MAY_COMPRESS) == 0))
        return "a reserved bit is set";
    if ((first & CLA_WS_RSV1) != 0 && !begins)
        return "a frame that begins no message is marked as compressed";
    if (opcode > CLA_WS_PONG || (opcode > CLA_WS_BINARY && opcode < CLA_WS_CLOSE))
        return "the opcode is reserved";
    if (cla_ws_is_control(first))
        return (first & CLA_WS_FIN) != 0 ? NULL : "a control frame is fragmented";
    if (begins == ((rules & CLA_WS_IN_MESSAGE) != 0))
        return begins ? "a message begins inside another" : "a continuation continues nothing";
    return NULL;
}

static const char *check_second(unsigned char first, unsigned char second, unsigned rules)
{
    bool masked = (second & 0x80) != 0;

    if (masked != ((rules & CLA_WS_WANT_MASK) != 0))
        return masked ? "a server's frame is masked" : "a client's frame is not masked";
    if (cla_ws_is_control(first) && (second & 0x7f) > CLA_WS_CONTROL_MAX)
        return "a control frame is longer than 125 bytes";
    return NULL;
}

/* Reads the length behind a first length byte of 126 (n = 2) or 127 (n = 8). */
static const char *read_length(const unsigned char *u, unsigned n, uint64_t *length)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < n; i++)
        value = value << 8 | u[i];
    *length = value;
    if (value >> 63 != 0)
        return "the highest bit of a length is set";
    if (value < (n == 2 ? 126 : 65536))
        return "a length is not in its shortest form";
    return NULL;
}

static const char *check_start(const unsigned char *u, size_t n, unsigned rules)
{
    const char *why = NULL;

    if (n > 0)
        why = check_first(u[0], rules);
    if (why == NULL && n > 1)
        why = check_second(u[0], u[1], rules);
    return why;
}

static void read_key(struct cla_ws_header *header, const unsigned char *u)
{
    memcpy(header->key, u, sizeof header->key);
}

int cla_ws_header_read(struct cla_ws_header *header, const char *p, size_t n, unsigned rules,
                       const char **why)
{
    const unsigned char *u = (const unsigned char *)p;
    unsigned key_n = (rules & CLA_WS_WANT_MASK) != 0 ? 4 : 0, more;

    *why = check_start(u, n, rules);
    if (*why != NULL)
        return -CLA_EPROTO;
    if (n < 2)
        return 0;
    header->first = u[0];
    header->length = u[1] & 0x7f;
    more = header->length < 126 ? 0 : header->length == 126 ? 2 : 8;
    if (n < 2 + more)
        return 0;
    if (more > 0)
        *why = read_length(u + 2, more, &header->length);
    if (*why != NULL)
        return -CLA_EPROTO;
    if (n < 2 + more + key_n)
        return 0;
    memset(header->key, 0, sizeof header->key);
    if (key_n > 0)
        read_key(header, u + 2 + more);
    return (int)(2 + more + key_n);
}

static size_t header_size(uint64_t length, bool masked)
{
    return (length < 126 ? 2 : length < 65536 ? 4 : 10) + (masked ? 4 : 0);
}

size_t cla_ws_header_write(char *end, unsigned char first, uint64_t length,
                           const unsigned char *key)
{
    size_t size = header_size(length, key != NULL);
    unsigned char *u = (unsigned char *)end - size;
    unsigned more = length < 126 ? 0 : length < 65536 ? 2 : 8;

    u[0] = first;
    u[1] = (unsigned char)((key != NULL ? 0x80 : 0) | (more == 0 ? length : more == 2 ? 126 : 127));
    for (unsigned i = 0; i < more; i++)
        u[2 + i] = (unsigned char)(length >> 8 * (more - 1 - i));
    if (key != NULL)
        memcpy(u + 2 + more, key, 4);
    return size;
}

size_t cla_ws_frame_payload(size_t mark, bool masked)
{
    return mark + GAP + (masked ? 4 : 0);
}

int cla_ws_frame_begin(struct cla_buf *buf, bool masked, size_t *mark)
{
    size_t gap = cla_ws_frame_payload(0, masked);
    int rc = cla_buf_reserve(buf, gap);

    *mark = buf->n;
    if (rc == 0)
        buf->n += gap;
    return rc;
}

int cla_ws_frame_end(struct cla_buf *buf, size_t mark, unsigned char first,
                     const unsigned char *key)
{
    size_t from = cla_ws_frame_payload(mark, key != NULL), n = buf->n - from;
    size_t to = mark + header_size(n, key != NULL);

    if (to > from && cla_buf_reserve(buf, to - from) != 0) {
        buf->n = mark;
        return -CLA_ENOMEM;
    }
    if (to != from)
        memmove(buf->p + to, buf->p + from, n);
    buf->n = to + n;
    cla_ws_header_write(buf->p + to, first, n, key);
    if (key != NULL)
        cla_ws_mask(buf->p + to, n, key, 0);
    return 0;
}

int cla_ws_frame_add(struct cla_buf *buf, unsigned char first, struct cla_slice payload,
                     const unsigned char *key)
{
    size_t size = header_size(payload.n, key != NULL);
    int rc = cla_buf_reserve(buf, size + payload.n);

    if (rc != 0)
        return rc;
    buf->n += size;
    cla_ws_header_write(buf->p + buf->n, first, payload.n, key);
    if (payload.n > 0)
        memcpy(buf->p + buf->n, payload.p, payload.n);
    if (key != NULL)
        cla_ws_mask(buf->p + buf->n, payload.n, key, 0);
    buf->n += payload.n;
    return 0;
}
