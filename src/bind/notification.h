/* Notifications to clients: an event and plain data, in the language that the client speaks.
 *
 * VM thread. Depends on: bind/json_codec, rpc, lua. */
#ifndef CLA_BIND_NOTIFICATION_H
#define CLA_BIND_NOTIFICATION_H

#include "bind/json_codec.h"

/* Appends the notification 'event' that carries the value at 'index': as a binary frame, or as a
 * JSON-RPC text. Returns 0, or -CLA_EUTF8 or -CLA_ELIMIT (the event's name), or any other error,
 * with 'fault', which must say "out of memory" before. */
int cla_notification_write(lua_State *L, bool framed, struct cla_slice event, int index,
                           struct cla_buf *to, struct cla_json_encode_fault *fault);

#endif
