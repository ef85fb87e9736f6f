/* UTF-8 (RFC 3629) that arrives in pieces, refused at the first byte that cannot be right.
 *
 * One thread. Depends on: base/slice. */
#ifndef CLA_WS_UTF8_H
#define CLA_WS_UTF8_H

#include <stdint.h>

#include "base/slice.h"

struct cla_ws_utf8 {
    uint8_t state; /* of the automaton in utf8.c */
};

/* Begins a text. */
void cla_ws_utf8_init(struct cla_ws_utf8 *utf8);

/* Reads the next bytes of the text. Returns false once no continuation can make it UTF-8. */
bool cla_ws_utf8_feed(struct cla_ws_utf8 *utf8, const char *p, size_t n);

/* True if the text may end here: no code point is cut. */
bool cla_ws_utf8_complete(const struct cla_ws_utf8 *utf8);

#endif
