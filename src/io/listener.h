/* A listening TCP socket that hands out accepted descriptors.
 *
 * Loop thread only. Depends on: base, io/loop. Descriptors, not streams: they go on to the loop of
 * another thread. */
#ifndef CLA_IO_LISTENER_H
#define CLA_IO_LISTENER_H

#include "base/slice.h"
#include "io/loop.h"

/* Takes over 'fd', connected and non-blocking; 'peer' is "ip:port". */
typedef void cla_listener_cb(void *arg, int fd, struct cla_slice peer);

struct cla_listener {
    uv_poll_t poll;
    struct cla_loop *loop;
    struct cla_timer pause; /* until descriptors may be free again */
    cla_listener_cb *on_accept;
    void *arg;
    int fd;
    bool loopback;    /* bound to a loopback address */
    char address[64]; /* bound to, "ip:port" */
};

/* Listens on 'host' (a name or address; empty: every address) and 'port' (0: any free one).
 * Returns 0, -CLA_EADDRINUSE, -CLA_ENOTFOUND (the name, or no such address here), -CLA_EIO. */
int cla_listener_open(struct cla_listener *listener, struct cla_loop *loop, const char *host,
                      uint16_t port, cla_listener_cb *on_accept, void *arg);

/* Stops listening at once. The struct may be freed once the loop has run. */
void cla_listener_close(struct cla_listener *listener);

#endif
