/* JSON-RPC 2.0 (https://www.jsonrpc.org/specification): texts in, calls out; results in, texts out.
 *
 * One thread. Depends on: base, json, rpc/protocol. Knows no HTTP, no sockets, no calls in flight:
 * one text is one step, so HTTP and WebSocket use the same functions. */
#ifndef CLA_RPC_JSONRPC_H
#define CLA_RPC_JSONRPC_H

#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "rpc/protocol.h"

/* The longest timeout that can be asked for: ten digits, as in Connect. */
#define CLA_RPC_TIMEOUT_MS_MAX UINT64_C(9999999999)

/* What a client may ask of one call, in the member _meta of object params, or in a member _meta
 * of the request beside other params: {timeout_ms, progressToken, itemToken}. The members
 * workDoneToken and partialResultToken of object params name the tokens too, as in LSP; _meta
 * has precedence. A null member is an absent one. */
struct cla_rpc_options {
    bool has_timeout;
    uint64_t timeout_ms;             /* 0: already expired; at most CLA_RPC_TIMEOUT_MS_MAX */
    struct cla_slice progress_token; /* raw JSON (string or integer); empty if none */
    struct cla_slice item_token;     /* raw JSON; empty if none */
};

enum cla_rpc_kind {
    CLA_RPC_CALL,
    CLA_RPC_NOTIFY,
    CLA_RPC_INVALID, /* not a request: answer with 'error_code' and 'error' */
};

struct cla_rpc_request {
    enum cla_rpc_kind kind;
    struct cla_slice id;     /* raw JSON, to be echoed exactly; empty: answer nothing (NOTIFY, and
                                INVALID where a notification's _meta is wrong); "null": unknown */
    struct cla_slice method; /* decoded; borrowed for the callback only; empty if INVALID */
    struct cla_slice params; /* raw JSON text of an object or array; empty if absent */
    bool params_meta; /* params is an object with a member _meta, which scripts must not see */
    struct cla_rpc_options options;
    int error_code;    /* INVALID: a JSON-RPC code; the name is invalid_argument */
    const char *error; /* INVALID: the message; borrowed for the callback only */
};

struct cla_rpc_text {
    bool batch;
    size_t count; /* elements, invalid ones included; 1 if not a batch */
};

struct cla_rpc_limits {
    unsigned json_depth;  /* 1 to CLA_JSON_DEPTH_MAX */
    unsigned batch_items; /* at most this many elements */
};

struct cla_rpc_server_events {
    /* The whole text is valid JSON, params included; its requests follow, in order. */
    void (*on_text)(void *arg, const struct cla_rpc_text *text);
    /* One request. Slices borrow the fed text, but for 'method' and 'error'. */
    void (*on_request)(void *arg, const struct cla_rpc_request *request);
};

/* Reads one text. A text that is not JSON, an empty batch and a batch of too many elements give
 * on_text with batch = false and one INVALID request.
 *
 * An invalid request is -32600 and echoes its id where it has a usable one, else null; options
 * that are malformed are -32602. Params that are neither object nor array are -32600: the
 * specification makes that part of what a request is. Of members that occur twice the last counts;
 * members not in the specification are ignored.
 * Returns 0, or -CLA_ENOMEM (requests already reported stand). */
int cla_jsonrpc_read(struct cla_slice text, const struct cla_rpc_limits *limits,
                     const struct cla_rpc_server_events *events, void *arg);

/* How calls are answered: the three functions below. Errors are 200 over HTTP. */
extern const struct cla_rpc_protocol cla_jsonrpc_protocol;

/* The same over HTTP, where a reply is whole: there are no items. */
extern const struct cla_rpc_protocol cla_jsonrpc_http_protocol;

/* Appends the start of a success: the result's JSON text is to follow. Returns 0 or -CLA_ENOMEM.
 * To roll back, set buf->n to what it was. */
int cla_jsonrpc_reply_begin(struct cla_buf *buf, struct cla_slice id);

/* Appends the end of a success. Returns 0 or -CLA_ENOMEM. */
int cla_jsonrpc_reply_end(struct cla_buf *buf, struct cla_slice id);

/* Appends a whole error reply, whose error.data.code is always the code's name: 'error.data' that
 * is an object gets that member added; no data becomes {"code":…}; anything else, and an object
 * with another member "code", becomes {"code":…,"value":data}.
 * Returns 0 or -CLA_ENOMEM (nothing appended). */
int cla_jsonrpc_error(struct cla_buf *buf, struct cla_slice id, const struct cla_rpc_error *error);

/* Reads the params of a cancel notification, {"id": …}. '*id' is raw JSON. Returns 0, or
 * -CLA_EPROTO if they are not that. */
int cla_jsonrpc_cancel_id(struct cla_slice params, struct cla_slice *id);

/* --- Client half. --- */

/* Appends a request ('id' raw JSON) or, with an empty id, a notification. 'params' is raw JSON or
 * empty. Returns 0, -CLA_EUTF8 ('method' is not), or -CLA_ENOMEM (nothing appended). */
int cla_jsonrpc_request(struct cla_buf *buf, struct cla_slice id, struct cla_slice method,
                        struct cla_slice params);

/* As cla_jsonrpc_request(), and says in _meta that the client waits for 'timeout_ms' milliseconds,
 * at most CLA_RPC_TIMEOUT_MS_MAX. Object params with a member _meta of their own keep that one. */
int cla_jsonrpc_request_within(struct cla_buf *buf, struct cla_slice id, struct cla_slice method,
                               struct cla_slice params, uint64_t timeout_ms);

/* As cla_jsonrpc_request_within(), with all that can be asked for; tokens are raw JSON. */
int cla_jsonrpc_request_with(struct cla_buf *buf, struct cla_slice id, struct cla_slice method,
                             struct cla_slice params, const struct cla_rpc_options *options);

struct cla_rpc_response {
    struct cla_slice id;      /* raw JSON */
    struct cla_slice result;  /* raw JSON; empty for an error */
    int number;               /* JSON-RPC code of an error */
    struct cla_slice message; /* of an error, raw JSON string with its quotes */
    struct cla_slice data;    /* of an error, raw JSON or empty */
    enum cla_code code;       /* of an error: from data.code, else by number, else UNKNOWN; OK */
};

/* Reads one response object; 'out' borrows the text. A member "error" or "result" that is null
 * beside the other is taken for absent (JSON-RPC 1.0 servers send both).
 * Returns 0, or -CLA_EPROTO if it is no response. */
int cla_jsonrpc_response_read(struct cla_slice text, struct cla_rpc_response *out);

/* A notification of the server's. */
struct cla_rpc_notice {
    struct cla_slice method; /* raw JSON string with its quotes */
    struct cla_slice params; /* raw JSON; empty if absent */
};

/* Reads one notification; 'out' borrows the text. Returns 0, or -CLA_EPROTO if it is none. */
int cla_jsonrpc_notice_read(struct cla_slice text, struct cla_rpc_notice *out);

/* Reads a $/progress, which carries items and progress: both are raw JSON, and borrow the
 * notification's text. Returns 0, or -CLA_EPROTO if it is none. */
int cla_jsonrpc_progress_read(const struct cla_rpc_notice *notice, struct cla_slice *token,
                              struct cla_slice *value);

#endif
