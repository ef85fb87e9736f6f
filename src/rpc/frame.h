/* Calls in binary frames, one a WebSocket message: the subprotocols websocket.io-rpc-v0.1 and
 * cancela.v1, which is the same with two more frames of the server.
 *
 * Any thread. Depends on: base, json, rpc/protocol. Bytes in, frames out, and back; both halves.
 * What a payload means is its procedure's to say (json, text or bytes).
 *
 *     Notify   (both ways)          01 | u8 name_len | name (UTF-8) | payload
 *     Request  (client -> server)   02 | u32 id | u8 name_len | name | payload
 *     Reset    (client -> server)   03 | u32 id
 *     Response (server -> client)   04 | u32 id | payload
 *     Error    (server, cancela.v1) 05 | u32 id | {"code","message","data"}
 *     Part     (server, cancela.v1) 06 | u32 id | payload
 *
 * Integers are big-endian. What stands behind the id of a Reset means nothing. */
#ifndef CLA_RPC_FRAME_H
#define CLA_RPC_FRAME_H

#include <stdint.h>

#include "rpc/protocol.h"

#define CLA_FRAME_V0_1 "websocket.io-rpc-v0.1"
#define CLA_FRAME_V1 "cancela.v1"

#define CLA_FRAME_NAME_MAX 255
#define CLA_FRAME_ID_DIGITS 10

enum cla_frame_kind {
    CLA_FRAME_NOTIFY = 1,
    CLA_FRAME_REQUEST,
    CLA_FRAME_RESET,
    CLA_FRAME_RESPONSE,
    CLA_FRAME_ERROR,
    CLA_FRAME_PART,
};

/* Sets of kinds: what each half may be sent. */
#define CLA_FRAME_SET(kind) (1U << (kind))
#define CLA_FRAME_TO_SERVER                                               \
    (CLA_FRAME_SET(CLA_FRAME_NOTIFY) | CLA_FRAME_SET(CLA_FRAME_REQUEST) | \
     CLA_FRAME_SET(CLA_FRAME_RESET))
#define CLA_FRAME_TO_CLIENT_V0_1 \
    (CLA_FRAME_SET(CLA_FRAME_NOTIFY) | CLA_FRAME_SET(CLA_FRAME_RESPONSE))
#define CLA_FRAME_TO_CLIENT_V1 \
    (CLA_FRAME_TO_CLIENT_V0_1 | CLA_FRAME_SET(CLA_FRAME_ERROR) | CLA_FRAME_SET(CLA_FRAME_PART))

struct cla_frame {
    enum cla_frame_kind kind;
    uint32_t id;              /* 0 in a NOTIFY, which has none */
    struct cla_slice name;    /* of a NOTIFY or REQUEST: UTF-8, perhaps empty */
    struct cla_slice payload; /* empty in a RESET, which has none */
};

/* Reads a message, which must be of a kind in the set 'kinds'; 'out' borrows from it. Returns 0, or
 * -CLA_EPROTO and one line for people in '*why' (static text): close with 1002. */
int cla_frame_read(struct cla_slice message, unsigned kinds, struct cla_frame *out,
                   const char **why);

/* Appends a frame. Returns 0; or with nothing appended -CLA_ELIMIT (the name is longer than
 * CLA_FRAME_NAME_MAX), -CLA_EUTF8 (it is none), or -CLA_ENOMEM. */
int cla_frame_write(struct cla_buf *buf, const struct cla_frame *frame);

/* How calls are answered that came in frames. A request's id is there its decimal digits, as
 * cla_frame_id() writes them, so that it is JSON as every protocol's. Errors are a Response whose
 * payload is {"error":{"code","message"}} in v0.1, which has no other, and an Error in v1. */
extern const struct cla_rpc_protocol cla_frame_v0_1_protocol;
extern const struct cla_rpc_protocol cla_frame_v1_protocol;

/* The protocol of that subprotocol, or NULL. */
const struct cla_rpc_protocol *cla_frame_protocol(struct cla_slice subprotocol);

/* Writes the digits of 'id' to 'to', and returns them. */
struct cla_slice cla_frame_id(uint32_t id, char to[CLA_FRAME_ID_DIGITS]);

#endif
