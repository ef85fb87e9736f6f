#include "ws/deflate.h"

#include <limits.h>

#include "base/error.h"
#include "ws/zmem.h"

#define TAIL 4       /* bytes of the empty block's length that end a flush and are not sent */
#define MIN_ROOM 128 /* bytes */

struct cla_ws_deflate {
    z_stream z;
};

/* zlib has no window of 256 bytes for raw streams. With one of 512 its matches reach back 250 bytes
 * at most (its MAX_DIST), so a peer that was promised 256 can read them. */
static int zlib_bits(unsigned window_bits)
{
    return window_bits < 9 ? 9 : (int)window_bits;
}

static int open_stream(struct cla_ws_deflate **out, unsigned window_bits, int mem_level, int level)
{
    struct cla_ws_deflate *stream = cla_mem_zalloc(sizeof *stream);

    if (stream == NULL)
        return -CLA_ENOMEM;
    stream->z.zalloc = cla_ws_zmem_alloc;
    stream->z.zfree = cla_ws_zmem_free;
    if (deflateInit2(&stream->z, level, Z_DEFLATED, -zlib_bits(window_bits), mem_level,
                     Z_DEFAULT_STRATEGY) != Z_OK) {
        cla_mem_free(stream);
        return -CLA_ENOMEM;
    }
    *out = stream;
    return 0;
}

/* Appends to 'buf' the compressed form of its bytes from 'at' to 'end'. */
static int deflate_behind(z_stream *z, struct cla_buf *buf, size_t at, size_t end)
{
    z->avail_in = (unsigned)(end - at);
    do {
        size_t room = z->avail_in / 2 + MIN_ROOM;

        if (cla_buf_reserve(buf, room) != 0)
            return -CLA_ENOMEM;
        z->next_in = (unsigned char *)buf->p + end - z->avail_in; /* it may have moved */
        z->next_out = (unsigned char *)buf->p + buf->n;
        z->avail_out = (unsigned)room;
        CLA_PRE(deflate(z, Z_SYNC_FLUSH) == Z_OK);
        buf->n += room - z->avail_out;
    } while (z->avail_out == 0);
    return 0;
}

int cla_ws_deflate_message(struct cla_ws_deflate **stream, unsigned window_bits, int mem_level,
                           int level, struct cla_buf *buf, size_t at)
{
    size_t end = buf->n;
    int rc;

    CLA_PRE(at < end && end - at <= CLA_WS_DEFLATE_MAX);
    rc = *stream != NULL ? 0 : open_stream(stream, window_bits, mem_level, level);
    if (rc != 0)
        return rc;
    if (deflate_behind(&(*stream)->z, buf, at, end) != 0) {
        buf->n = end;
        cla_ws_deflate_free(*stream); /* it remembers what was not sent */
        *stream = NULL;
        return -CLA_ENOMEM;
    }
    buf->n -= TAIL;
    memmove(buf->p + at, buf->p + end, buf->n - end);
    buf->n -= end - at;
    return 0;
}

void cla_ws_deflate_free(struct cla_ws_deflate *stream)
{
    if (stream == NULL)
        return;
    deflateEnd(&stream->z);
    cla_mem_free(stream);
}
