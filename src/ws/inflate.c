#include "ws/inflate.h"

#include <limits.h>

#include "base/error.h"
#include "ws/zmem.h"

#define AT_BLOCK_END 128 /* in z_stream.data_type, see inflate() in zlib.h */
#define FIRST_ROOM 256   /* bytes */
#define REST_MAX 4096    /* bytes of a window; copying a larger one costs more than it saves */

struct cla_ws_inflate {
    z_stream z;            /* open during a message, and longer where memory was short */
    bool open;             /* z is */
    bool ended;            /* by a block that said it was the last */
    unsigned window_n;     /* bytes */
    unsigned char *window; /* what the next message may refer to, while z is not open */
};

static int open_stream(struct cla_ws_inflate *stream, unsigned window_bits)
{
    int bits = window_bits < 9 ? 9 : (int)window_bits; /* zlib writes as if 8 were 9 */

    stream->z.zalloc = cla_ws_zmem_alloc;
    stream->z.zfree = cla_ws_zmem_free;
    if (inflateInit2(&stream->z, -bits) != Z_OK)
        return -CLA_ENOMEM;
    stream->open = true;
    stream->ended = false;
    if (stream->window == NULL)
        return 0;
    if (inflateSetDictionary(&stream->z, stream->window, stream->window_n) != Z_OK)
        return -CLA_ENOMEM;
    cla_mem_free(stream->window);
    stream->window = NULL;
    return 0;
}

static int wake(struct cla_ws_inflate **stream, unsigned window_bits)
{
    if (*stream == NULL)
        *stream = cla_mem_zalloc(sizeof **stream);
    if (*stream == NULL)
        return -CLA_ENOMEM;
    return (*stream)->open ? 0 : open_stream(*stream, window_bits);
}

void cla_ws_inflate_rest(struct cla_ws_inflate *stream)
{
    unsigned n = 0;

    if (!stream->open)
        return;
    inflateGetDictionary(&stream->z, NULL, &n);
    if (n > REST_MAX)
        return;
    stream->window = cla_mem_alloc(n > 0 ? n : 1);
    if (stream->window == NULL)
        return;
    inflateGetDictionary(&stream->z, stream->window, &n);
    stream->window_n = n;
    inflateEnd(&stream->z);
    stream->open = false;
}

/* Makes the space behind 'out' the room to write to: one byte more than the limit, which tells that
 * it was passed. */
static int make_room(z_stream *z, struct cla_buf *out, size_t limit)
{
    size_t room, want = limit - out->n + 1;

    if (out->n == out->cap && cla_buf_reserve(out, want < FIRST_ROOM ? want : FIRST_ROOM) != 0)
        return -CLA_ENOMEM;
    room = out->cap - out->n;
    room = room < want ? room : want;
    z->next_out = (unsigned char *)out->p + out->n;
    z->avail_out = room < INT_MAX ? (unsigned)room : INT_MAX;
    return 0;
}

static int result_of(struct cla_ws_inflate *stream, int rc)
{
    switch (rc) {
    case Z_OK:
    case Z_BUF_ERROR: /* nothing to do */
        return 0;
    case Z_STREAM_END:
        stream->ended = true;
        return 0;
    case Z_MEM_ERROR:
        return -CLA_ENOMEM;
    default:
        return -CLA_EPROTO;
    }
}

static int inflate_once(struct cla_ws_inflate *stream, struct cla_buf *out, size_t limit)
{
    z_stream *z = &stream->z;
    unsigned room;
    int rc = make_room(z, out, limit);

    if (rc != 0)
        return rc;
    room = z->avail_out;
    rc = result_of(stream, inflate(z, Z_SYNC_FLUSH));
    out->n += room - z->avail_out;
    if (out->n <= limit)
        return rc;
    out->n = limit;
    return -CLA_ELIMIT;
}

/* Until all input is used and all output written; the latter is so when room was left. */
static int inflate_all(struct cla_ws_inflate *stream, struct cla_buf *out, size_t limit)
{
    int rc;

    do {
        if (stream->ended && stream->z.avail_in > 0) {
            CLA_PRE(inflateResetKeep(&stream->z) == Z_OK); /* the peer may still refer back */
            stream->ended = false;
        }
        rc = inflate_once(stream, out, limit);
    } while (rc == 0 && (stream->z.avail_out == 0 || (stream->ended && stream->z.avail_in > 0)));
    return rc;
}

int cla_ws_inflate_feed(struct cla_ws_inflate **stream, unsigned window_bits, struct cla_slice in,
                        struct cla_buf *out, size_t limit)
{
    int rc = wake(stream, window_bits);

    while (rc == 0 && in.n > 0) {
        unsigned n = in.n < INT_MAX ? (unsigned)in.n : INT_MAX;

        (*stream)->z.next_in = (unsigned char *)in.p;
        (*stream)->z.avail_in = n;
        rc = inflate_all(*stream, out, limit);
        in = cla_slice(in.p + n, in.n - n);
    }
    return rc;
}

int cla_ws_inflate_end(struct cla_ws_inflate **stream, unsigned window_bits, struct cla_buf *out,
                       size_t limit)
{
    int rc;

    if (*stream != NULL && (*stream)->ended)
        return 0; /* no empty block follows a last one */
    rc = cla_ws_inflate_feed(stream, window_bits, cla_slice("\0\0\xff\xff", 4), out, limit);
    if (rc == 0 && ((*stream)->z.data_type & AT_BLOCK_END) == 0)
        rc = -CLA_EPROTO;
    return rc;
}

void cla_ws_inflate_free(struct cla_ws_inflate *stream)
{
    if (stream == NULL)
        return;
    if (stream->open)
        inflateEnd(&stream->z);
    cla_mem_free(stream->window);
    cla_mem_free(stream);
}
