/* The one table of errors.
 *
 * Any thread. Depends on: base/slice. Two kinds: what a call can end with (cla_code: the names
 * of Connect and gRPC, seen by clients), and what C functions return (negative CLA_E*). */
#ifndef CLA_BASE_ERROR_H
#define CLA_BASE_ERROR_H

#include "base/slice.h"

/* symbol, gRPC number, name on the wire, HTTP status, JSON-RPC code, default text.
 * JSON-RPC codes that no specification fixes are -32000 minus the gRPC number. */
#define CLA_CODE_TABLE(X)                                                                \
    X(OK, 0, "ok", 200, 0, "ok")                                                         \
    X(CANCELED, 1, "canceled", 499, -32800, "the call was cancelled")                    \
    X(UNKNOWN, 2, "unknown", 500, -32002, "unknown error")                               \
    X(INVALID_ARGUMENT, 3, "invalid_argument", 400, -32602, "invalid parameters")        \
    X(DEADLINE_EXCEEDED, 4, "deadline_exceeded", 504, -32004, "the deadline passed")     \
    X(NOT_FOUND, 5, "not_found", 404, -32005, "not found")                               \
    X(ALREADY_EXISTS, 6, "already_exists", 409, -32006, "already exists")                \
    X(PERMISSION_DENIED, 7, "permission_denied", 403, -32007, "permission denied")       \
    X(RESOURCE_EXHAUSTED, 8, "resource_exhausted", 429, -32008, "a limit was reached")   \
    X(FAILED_PRECONDITION, 9, "failed_precondition", 400, -32009, "failed precondition") \
    X(ABORTED, 10, "aborted", 409, -32010, "the call was aborted")                       \
    X(OUT_OF_RANGE, 11, "out_of_range", 400, -32011, "out of range")                     \
    X(UNIMPLEMENTED, 12, "unimplemented", 501, -32601, "no such procedure")              \
    X(INTERNAL, 13, "internal", 500, -32603, "internal error")                           \
    X(UNAVAILABLE, 14, "unavailable", 503, -32014, "unavailable")                        \
    X(DATA_LOSS, 15, "data_loss", 500, -32015, "data loss")                              \
    X(UNAUTHENTICATED, 16, "unauthenticated", 401, -32016, "unauthenticated")

enum cla_code {
#define X(symbol, number, name, http, jsonrpc, text) CLA_CODE_##symbol = number,
    CLA_CODE_TABLE(X)
#undef X
        CLA_CODE_COUNT
};

/* JSON-RPC codes beside the table: the two of its specification that name no error above, and
 * 'unavailable' of a running call that shutdown or reload ended. */
#define CLA_JSONRPC_PARSE_ERROR (-32700)
#define CLA_JSONRPC_INVALID_REQUEST (-32600)
#define CLA_JSONRPC_SERVER_CANCELLED (-32802)

struct cla_code_info {
    const char *name; /* on the wire: "deadline_exceeded" */
    int http;         /* status */
    int jsonrpc;      /* error code */
    const char *text; /* default message */
};

/* What is known of 'code' (must be below CLA_CODE_COUNT). */
const struct cla_code_info *cla_code_info(enum cla_code code);

/* Finds a code by its wire name. Returns false if there is none. */
bool cla_code_by_name(struct cla_slice name, enum cla_code *code);

/* symbol, text. Functions return these negated. */
#define CLA_E_TABLE(X)                \
    X(ENOMEM, "out of memory")        \
    X(EINVAL, "invalid value")        \
    X(ELIMIT, "a limit was reached")  \
    X(EJSON, "not valid JSON")        \
    X(EUTF8, "not valid UTF-8")       \
    X(EPROTO, "protocol error")       \
    X(EIO, "input or output failed")  \
    X(EOF, "end of input")            \
    X(ECLOSED, "closed")              \
    X(EADDRINUSE, "address in use")   \
    X(ENOTFOUND, "not found")         \
    X(ESCRIPT, "the script failed")   \
    X(EREFUSED, "connection refused") \
    X(ETIMEOUT, "timed out")

enum {
    CLA_E_NONE = 0,
#define X(symbol, text) CLA_##symbol,
    CLA_E_TABLE(X)
#undef X
        CLA_E_COUNT
};

/* The text of a (negative or zero) return code. */
const char *cla_error_text(int rc);

#endif
