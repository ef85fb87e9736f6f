/* The client's side of becoming a WebSocket: the request, and what its answer is worth.
 *
 * Any thread. Depends on: base, http, ws, gateway/client. */
#ifndef CLA_GATEWAY_UPGRADE_H
#define CLA_GATEWAY_UPGRADE_H

#include "gateway/client.h"
#include "http/parser.h"
#include "ws/handshake.h"

struct cla_upgrade {
    struct cla_ws_offer offer;   /* what we ask for */
    char key[CLA_WS_KEY_BYTES];  /* of this request */
    struct cla_ws_accept accept; /* what was agreed on, if … */
    const char *why;             /* … this is NULL; else what is wrong with the answer */
};

/* Fills to[0..n) with unpredictable bytes. */
void cla_upgrade_random(void *to, size_t n);

/* Makes a key and appends the request for the target of 'to', with its fields. Returns 0 or
 * -CLA_ENOMEM. */
int cla_upgrade_request(struct cla_upgrade *upgrade, struct cla_buf *out,
                        const struct cla_client_call *to);

/* Judges the head of the answer: see 'accept' and 'why'. */
void cla_upgrade_judge(struct cla_upgrade *upgrade, const struct cla_http_head *head);

#endif
