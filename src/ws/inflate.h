/* Decompression of permessage-deflate messages (RFC 7692 section 7.2.2), in pieces and bounded.
 *
 * One thread. Depends on: base/buf, zlib. A stream is made by its first bytes; between messages it
 * is kept only if the peer refers back to earlier ones (context takeover), and then it can rest. */
#ifndef CLA_WS_INFLATE_H
#define CLA_WS_INFLATE_H

#include "base/buf.h"

struct cla_ws_inflate; /* about 7 KiB and the window; resting, little more than the window */

/* Appends to 'out' what in.p[0..n) of the message under way says, up to 'limit' bytes in all of
 * 'out'. '*stream' NULL: begins one with a window of 1 << window_bits bytes (8 to 15).
 * Returns 0, -CLA_ENOMEM, -CLA_EPROTO (not DEFLATE) or -CLA_ELIMIT (there is more); 'out' then
 * holds what came before. */
int cla_ws_inflate_feed(struct cla_ws_inflate **stream, unsigned window_bits, struct cla_slice in,
                        struct cla_buf *out, size_t limit);

/* The message is complete: appends what the peer left out of it. Returns as cla_ws_inflate_feed();
 * -CLA_EPROTO also if the message ends inside a block. */
int cla_ws_inflate_end(struct cla_ws_inflate **stream, unsigned window_bits, struct cla_buf *out,
                       size_t limit);

/* Gives back all but the window, if that is small and there is memory to do so. Between messages
 * only; the next cla_ws_inflate_feed() makes up for it. */
void cla_ws_inflate_rest(struct cla_ws_inflate *stream);

/* Frees the stream; NULL is fine. */
void cla_ws_inflate_free(struct cla_ws_inflate *stream);

#endif
