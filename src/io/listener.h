/* A listening socket, TCP or unix, that hands out accepted descriptors.
 *
 * Loop thread only. Depends on: base, io/loop. Descriptors, not streams: they go on to the loop of
 * another thread.
 *
 * Some descriptors are kept free for what connections need besides their own: a listener that comes
 * close to the process's limit rests, and looks every PAUSE_NS (listener.c) if there is room again.
 * The kernel keeps connections waiting meanwhile. */
#ifndef CLA_IO_LISTENER_H
#define CLA_IO_LISTENER_H

#include <sys/types.h>

#include "base/ip.h"
#include "io/loop.h"

/* Who has connected. */
struct cla_listener_peer {
    bool local; /* by a unix socket: there is no address */
    struct cla_ip ip;
    uint16_t port;
};

struct cla_listener_events {
    /* Takes over 'fd', connected and non-blocking. */
    void (*on_accept)(void *arg, int fd, const struct cla_listener_peer *peer);
    /* It rests for want of descriptors or memory. Not again before it has taken connections for
     * ten seconds without a rest. */
    void (*on_shortage)(void *arg);
};

struct cla_listener {
    uv_poll_t poll;
    struct cla_loop *loop;
    struct cla_timer pause; /* until descriptors may be free again */
    uint64_t rested_ns;     /* when it last rested; 0: never */
    const struct cla_listener_events *events;
    void *arg;
    int fd;
    int fd_limit;      /* descriptors from here on are kept for others */
    bool loopback;     /* bound to a loopback address */
    bool local;        /* a unix socket */
    char address[128]; /* bound to: "ip:port", or "unix:path" */
    const char *path;  /* of the file that it has made, in 'address'; NULL: it has made none */
    dev_t file_device; /* what that file was when it was made */
    ino_t file_number;
};

/* Listens on 'host' (a name or address; empty: every address) and 'port' (0: any free one). 'arg'
 * is given to the events. Returns 0, -CLA_EADDRINUSE, -CLA_ENOTFOUND (the name, or no such address
 * here), -CLA_EIO. */
int cla_listener_open(struct cla_listener *listener, struct cla_loop *loop, const char *host,
                      uint16_t port, const struct cla_listener_events *events, void *arg);

/* Listens on a unix socket whose file it makes at 'path' (at most 107 bytes) with these permission
 * bits, in place of one that nobody listens on any more. No other thread may make files meanwhile.
 * Returns 0, -CLA_EADDRINUSE (a server listens there, or the file is no socket), -CLA_ENOTFOUND (no
 * such folder), -CLA_EIO with errno set. */
int cla_listener_open_local(struct cla_listener *listener, struct cla_loop *loop, const char *path,
                            mode_t mode, const struct cla_listener_events *events, void *arg);

/* Goes on listening where somebody else has begun to: 'fd', whose file, if it has one, stays when
 * the listener is closed, and whose queue is as long as it is. Returns 0: it owns 'fd'; or
 * -CLA_EINVAL (no listening stream socket, TCP or unix) or -CLA_EIO: it does not. */
int cla_listener_adopt(struct cla_listener *listener, struct cla_loop *loop, int fd,
                       const struct cla_listener_events *events, void *arg);

/* Has the system ask the peers of connections accepted from now on whether they are there, and give
 * up those that have not answered for about timeout_ns (in whole seconds, rounded up; up to 12
 * hours), be it that or data. No-op for a unix socket. */
void cla_listener_keep_alive(struct cla_listener *listener, uint64_t timeout_ns);

/* Stops listening at once; the file that it has made is removed. The struct may be freed once the
 * loop has run. */
void cla_listener_close(struct cla_listener *listener);

#endif
