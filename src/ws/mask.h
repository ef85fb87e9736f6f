/* The masking of WebSocket payloads (RFC 6455 section 5.3).
 *
 * Any thread. Depends on: nothing. */
#ifndef CLA_WS_MASK_H
#define CLA_WS_MASK_H

#include <stddef.h>

/* Masks or unmasks p[0..n) in place; 'at' is the offset of p[0] in the payload. */
void cla_ws_mask(char *p, size_t n, const unsigned char key[4], size_t at);

#endif
