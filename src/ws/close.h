/* The closing handshake (RFC 6455 sections 5.5.1 and 7): codes, the payload of a close frame, and
 * who has said what.
 *
 *   OPEN -- we send ----> SENT ------ the peer's close, or nonsense --> CLOSED
 *     |---- it sends ---> RECEIVED -- we send ------------------------> CLOSED
 *     \---- nonsense ---> FAILED ---- we send ------------------------> CLOSED
 *
 * One thread. Depends on: base. */
#ifndef CLA_WS_CLOSE_H
#define CLA_WS_CLOSE_H

#include "base/buf.h"

/* Codes of RFC 6455 section 7.4.1 and of the IANA registry. */
enum {
    CLA_WS_NORMAL = 1000,
    CLA_WS_GOING_AWAY = 1001,
    CLA_WS_PROTOCOL = 1002,
    CLA_WS_UNSUPPORTED = 1003,
    CLA_WS_NO_STATUS = 1005, /* never sent: a close frame without a code */
    CLA_WS_ABNORMAL = 1006,  /* never sent: the connection was lost */
    CLA_WS_INVALID = 1007,   /* not UTF-8, or not DEFLATE */
    CLA_WS_POLICY = 1008,
    CLA_WS_TOO_BIG = 1009,
    CLA_WS_EXTENSION = 1010,
    CLA_WS_INTERNAL = 1011,
    CLA_WS_RESTART = 1012,
    CLA_WS_TRY_LATER = 1013,
    CLA_WS_BAD_GATEWAY = 1014,
};

#define CLA_WS_REASON_MAX 123 /* bytes of a reason */

/* True if 'code' may stand in a close frame. */
bool cla_ws_close_code_valid(unsigned code);

/* Reads the payload of a close frame; '*reason' points into it. Without a code '*code' is
 * CLA_WS_NO_STATUS. Returns 0, or the code to fail the connection with. */
unsigned cla_ws_close_read(struct cla_slice payload, unsigned *code, struct cla_slice *reason);

/* Writes the payload of a close frame to 'to', which has room for 125 bytes: nothing for
 * CLA_WS_NO_STATUS; a reason that is too long is cut between two code points. 'code' must be valid
 * or CLA_WS_NO_STATUS, 'reason' UTF-8. Returns the bytes written. */
size_t cla_ws_close_write(char *to, unsigned code, struct cla_slice reason);

enum cla_ws_closing {
    CLA_WS_OPEN,     /* nobody has closed */
    CLA_WS_SENT,     /* we have; the peer's close frame is awaited, all else ignored */
    CLA_WS_RECEIVED, /* the peer has; ours is to be sent */
    CLA_WS_BROKEN,   /* the peer broke the protocol; our close frame is to be sent */
    CLA_WS_CLOSED,   /* nothing more is read or written */
};

enum cla_ws_closing_event {
    CLA_WS_SEND,
    CLA_WS_RECEIVE,
    CLA_WS_BREAK,
};

/* Moves '*state' by 'event'. Returns false, and leaves it, if the event is not legal there. */
bool cla_ws_closing_move(enum cla_ws_closing *state, enum cla_ws_closing_event event);

#endif
