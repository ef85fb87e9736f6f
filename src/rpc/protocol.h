/* What the protocols that carry calls have in common: the error of a call, and how its terminal
 * reply is written. The gateway holds one of these beside each call and need not know which.
 *
 * Any thread. Depends on: base. */
#ifndef CLA_RPC_PROTOCOL_H
#define CLA_RPC_PROTOCOL_H

#include "base/buf.h"
#include "base/error.h"

struct cla_rpc_error {
    enum cla_code code;       /* its name is sent */
    int number;               /* JSON-RPC code; 0: the table's. Other protocols do not show it */
    struct cla_slice message; /* empty: the table's; need not be UTF-8 */
    struct cla_slice data;    /* valid JSON text of the script's data, or empty */
};

/* X(symbol, name): what protocols are called, whatever variant of them. */
#define CLA_RPC_FAMILIES(X)                \
    X(JSONRPC, "jsonrpc")                  \
    X(FRAME_V1, "cancela.v1")              \
    X(FRAME_V0_1, "websocket.io-rpc-v0.1") \
    X(CONNECT, "connect")                  \
    X(SSE, "sse")                          \
    X(PLAIN, "http")

enum cla_rpc_family {
#define X(symbol, name) CLA_RPC_##symbol,
    CLA_RPC_FAMILIES(X)
#undef X
        CLA_RPC_FAMILY_COUNT
};

struct cla_rpc_protocol {
    const char *name; /* of its family: for logs and call.protocol */
    enum cla_rpc_family family;
    bool status_of_code; /* over HTTP an error has its code's status; false: always 200 */
    bool raw;            /* payloads of text and of bytes stand as they are; false: in JSON */

    /* Appends what stands before the result's JSON text. To roll back, set buf->n to what it was.
     * 'id' is raw JSON, and not looked at where the protocol has none.
     * Returns 0 or -CLA_ENOMEM (nothing appended). */
    int (*reply_begin)(struct cla_buf *buf, struct cla_slice id);

    /* Appends what stands behind it. Returns 0 or -CLA_ENOMEM (nothing appended). */
    int (*reply_end)(struct cla_buf *buf, struct cla_slice id);

    /* Appends a whole error reply. Returns 0 or -CLA_ENOMEM (nothing appended). */
    int (*error)(struct cla_buf *buf, struct cla_slice id, const struct cla_rpc_error *error);

    /* Streaming. Where clients cannot take items: why, and what to call instead; else NULL. */
    const char *no_items;
    /* Items and progress go under tokens of the client's, not the id; see struct cla_rpc_options.
     */
    bool by_token;
    /* Over HTTP: the type of a response that goes out in pieces; NULL: it is answered as a whole.
     */
    const char *stream_type;

    /* Appends an item of the call with that id, or under that token. 'value' is JSON text, or as
     * 'raw' says. NULL: there are none. Returns 0 or -CLA_ENOMEM (nothing appended). */
    int (*item)(struct cla_buf *buf, struct cla_slice key, struct cla_slice value);

    /* Appends news of how far it is; as 'item'. */
    int (*progress)(struct cla_buf *buf, struct cla_slice key, struct cla_slice value);

    /* Appends what stands behind the last item, where 'stream_type' is given and no error does. */
    int (*end)(struct cla_buf *buf);
};

/* The message to send for 'error': its own, or its code's. */
static inline struct cla_slice cla_rpc_error_message(const struct cla_rpc_error *error)
{
    return error->message.n > 0 ? error->message : cla_slice_str(cla_code_info(error->code)->text);
}

#endif
