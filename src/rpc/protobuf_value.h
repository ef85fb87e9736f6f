/* JSON as google.protobuf.Value (google/protobuf/struct.proto) in Protobuf's binary format: what a
 * typed detail of Connect can hold of any data, since its clients bring the type.
 *
 * Any thread. Depends on: base, json. */
#ifndef CLA_RPC_PROTOBUF_VALUE_H
#define CLA_RPC_PROTOBUF_VALUE_H

#include "base/buf.h"

/* Appends the one JSON value that 'json' must be. Numbers become doubles. Returns 0 or -CLA_ENOMEM
 * (what was appended means nothing then). */
int cla_protobuf_value(struct cla_buf *buf, struct cla_slice json);

#endif
