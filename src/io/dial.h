/* Connects to a host over TCP, or to a unix socket.
 *
 * Loop thread only. Depends on: base, io/loop.
 *
 * The name's addresses are tried in the order the resolver gives; of the time that is left, each
 * gets an equal share with those behind it. The result is a descriptor, as cla_stream_open() takes
 * it. */
#ifndef CLA_IO_DIAL_H
#define CLA_IO_DIAL_H

#include "io/loop.h"

struct cla_dial; /* Frees itself after its callback. */

/* Called exactly once, never from inside cla_dial_start() or cla_dial_cancel(). On 0 the callee
 * owns 'fd', connected and non-blocking. Else 'fd' is -1 and 'rc' one of:
 *   -CLA_ENOTFOUND  the name has no address, or could not be looked up
 *   -CLA_EREFUSED   no address took the connection, and at least one refused it
 *   -CLA_ETIMEOUT   the time was over
 *   -CLA_EIO        no address took the connection, for other reasons
 *   -CLA_ECLOSED    cancelled
 * 'error' says for people what was tried ("connection refused (127.0.0.1)"); borrowed. */
typedef void cla_dial_cb(void *arg, int rc, int fd, const char *error);

/* Starts connecting to 'host' (copied): a name, an IPv4 or an IPv6 address without brackets, or
 * "unix:PATH", which has no port. Gives up 'timeout_ns' nanoseconds from now (CLA_NEVER: when the
 * system does). Returns 0, -CLA_ENOMEM, or -CLA_EINVAL ('host' can be no name, or no path): then
 * 'cb' is never called. */
int cla_dial_start(struct cla_dial **out, struct cla_loop *loop, const char *host, uint16_t port,
                   uint64_t timeout_ns, cla_dial_cb *cb, void *arg);

/* Gives up. The callback still comes, in the next turn, with -CLA_ECLOSED whatever has happened.
 * A name lookup that has begun cannot be broken off and keeps libuv's loop alive until it ends. */
void cla_dial_cancel(struct cla_dial *dial);

#endif
