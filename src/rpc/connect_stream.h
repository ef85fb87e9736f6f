/* Streams over HTTP: Connect's server streaming in JSON, and the same as server-sent events.
 *
 * Any thread. Depends on: rpc/connect. Bytes in, bytes out.
 *
 * Connect (https://connectrpc.com/docs/protocol, "Streaming RPCs"), both ways, is a sequence of
 *
 *     u8 flags | u32 length, big-endian | payload      flags: 1 compressed, 2 end of the stream
 *
 * of which the request has one. The payload behind the items is {} or {"error":{…}}.
 *
 * As server-sent events (HTML, section 9.2) an item is an event without a type, that is a "message"
 * to EventSource; progress has the type "progress", and the end "end", with the same payload. */
#ifndef CLA_RPC_CONNECT_STREAM_H
#define CLA_RPC_CONNECT_STREAM_H

#include "rpc/protocol.h"

extern const struct cla_rpc_protocol cla_connect_stream_protocol;
extern const struct cla_rpc_protocol cla_sse_protocol;

/* Takes the one message out of the body of a request: its JSON text, '*params', which may be empty.
 * Returns 0, or -CLA_EINVAL and one line in '*why'. */
int cla_connect_stream_params(struct cla_slice body, unsigned json_depth, struct cla_slice *params,
                              const char **why);

#endif
