/* Compression of permessage-deflate messages (RFC 7692 section 7.2.1).
 *
 * One thread. Depends on: base/buf, zlib. */
#ifndef CLA_WS_DEFLATE_H
#define CLA_WS_DEFLATE_H

#include "base/buf.h"

struct cla_ws_deflate; /* about 6 KiB + (4 << window_bits) + (512 << mem_level) bytes */

/* Replaces the bytes of 'buf' from 'at' on, one message, by their compressed form. '*stream' NULL:
 * begins one with a window of 1 << window_bits bytes (8 to 15), zlib's mem_level and level (1 to
 * 9); else goes on with it, and may refer to the messages before. Returns 0; or -CLA_ENOMEM: then
 * the bytes are as they were, and '*stream' is freed and NULL. There must be at least one byte, and
 * at most CLA_WS_DEFLATE_MAX. */
int cla_ws_deflate_message(struct cla_ws_deflate **stream, unsigned window_bits, int mem_level,
                           int level, struct cla_buf *buf, size_t at);

#define CLA_WS_DEFLATE_MAX ((size_t)1 << 30)

/* Frees the stream; NULL is fine. */
void cla_ws_deflate_free(struct cla_ws_deflate *stream);

#endif
