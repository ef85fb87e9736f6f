/* The bare-result protocol of POST and GET /rpc/<name>: Connect unary JSON
 * (https://connectrpc.com/docs/protocol, "Unary-Response" and "Error").
 *
 * Any thread. Depends on: base, json, rpc/protocol. A success is the result alone, a failure
 * {"code","message","details"?} with the HTTP status of its code. Connect has details be Protobuf
 * messages, so the script's data goes out as the one detail
 *   {"type":"google.protobuf.Value","value":<it in base64>,"debug":<the data itself>}
 * which stock Connect clients can decode, and people can read. */
#ifndef CLA_RPC_CONNECT_H
#define CLA_RPC_CONNECT_H

#include "rpc/jsonrpc.h"
#include "rpc/protocol.h"

/* How calls are answered; ids are not looked at. */
extern const struct cla_rpc_protocol cla_connect_protocol;

/* The same for a client that says it is Connect's: a result of null is {}, the empty message, since
 * Protobuf has no other for nothing. The reply must be all that is in the buffer. */
extern const struct cla_rpc_protocol cla_connect_client_protocol;

/* Reads the body of a unary call, or the message of its query: nothing, or one JSON object or array
 * nested at most 'json_depth' deep. '*params' is its text without white space around it, empty for
 * nothing. Returns 0, or -CLA_EINVAL with '*why', one line for people. */
int cla_connect_params(struct cla_slice body, unsigned json_depth, struct cla_slice *params,
                       const char **why);

/* Appends the error body; 'id' and 'error->number' are not looked at.
 * Returns 0 or -CLA_ENOMEM (nothing appended). */
int cla_connect_error(struct cla_buf *buf, struct cla_slice id, const struct cla_rpc_error *error);

/* --- Client half. --- */

/* Reads an error body: code, number, message and, from the first detail's "debug", data. 'out'
 * borrows the text. Returns 0, or -CLA_EPROTO if it is none. */
int cla_connect_error_read(struct cla_slice text, struct cla_rpc_response *out);

/* Checks that an item, or progress, is JSON. Returns 0, or -CLA_EPROTO. */
int cla_connect_item_check(struct cla_slice text);

/* Reads what stands behind the items of a stream: {} (the code is OK) or {"error":{…}}. As
 * cla_connect_error_read(). */
int cla_connect_end_read(struct cla_slice text, struct cla_rpc_response *out);

#endif
