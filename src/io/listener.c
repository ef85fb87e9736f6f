/* Happy path: readable, accept until there is no more, hand each descriptor on.
 * Failure modes: near the limit of descriptors, or out of memory, it rests and tries again; a
 * connection that was gone before it was accepted is passed over.
 * On close: the poll handle is closed, then the descriptor; the file of a unix socket is removed if
 * it is still the one that was made. */
#include "io/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/check.h"
#include "base/error.h"

#define BACKLOG 4096
/* Questions to a silent peer, in the second half of its time. */
#define KEEP_PROBES 3
/* Connections accepted before other events are looked at. */
#define ACCEPT_MAX 64
/* Rest after the process ran out of descriptors or memory; the kernel keeps connections waiting. */
#define PAUSE_NS (100 * CLA_NS_PER_MS)
/* Rests that follow each other within this time are one shortage. */
#define SHORTAGE_NS (10 * CLA_NS_PER_S)
/* One descriptor in so many is kept free, but no more than RESERVE_MAX. */
#define RESERVE_SHARE 16
#define RESERVE_MAX 256

static void read_peer(const struct sockaddr *address, struct cla_listener_peer *peer)
{
    *peer = (struct cla_listener_peer){.local = address->sa_family == AF_UNIX};
    if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;

        memcpy(peer->ip.bytes, &in6->sin6_addr, sizeof peer->ip.bytes);
        peer->port = ntohs(in6->sin6_port);
    } else if (address->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)address;

        peer->ip = cla_ip_v4((const unsigned char *)&in->sin_addr);
        peer->port = ntohs(in->sin_port);
    }
}

/* --- Resting. --- */

static int fd_limit(void)
{
    struct rlimit limit;
    rlim_t reserve;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > INT32_MAX)
        return INT32_MAX;
    reserve = limit.rlim_cur / RESERVE_SHARE;
    return (int)(limit.rlim_cur - (reserve < RESERVE_MAX ? reserve : RESERVE_MAX));
}

static void on_readable(uv_poll_t *poll, int status, int events);

static void rest(struct cla_listener *listener)
{
    uint64_t now = cla_loop_now_ns(listener->loop), before = listener->rested_ns;

    listener->rested_ns = now;
    uv_poll_stop(&listener->poll);
    cla_timer_start(&listener->loop->timers, &listener->pause, now + PAUSE_NS);
    if (before == 0 || now - before > SHORTAGE_NS)
        listener->events->on_shortage(listener->arg);
}

/* The lowest free descriptor tells how many are in use. */
static bool has_room(const struct cla_listener *listener)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd >= 0)
        close(fd);
    return fd >= 0 && fd < listener->fd_limit;
}

static void on_pause_over(struct cla_timer *timer)
{
    struct cla_listener *listener = CLA_CONTAINER(timer, struct cla_listener, pause);

    if (has_room(listener))
        uv_poll_start(&listener->poll, UV_READABLE, on_readable);
    else
        rest(listener);
}

/* --- Accepting. --- */

/* Returns false if there is nothing more to accept for now. */
static bool accept_one(struct cla_listener *listener)
{
    struct sockaddr_storage address = {0};
    struct cla_listener_peer peer;
    socklen_t n = sizeof address;
    int fd = accept4(listener->fd, (struct sockaddr *)&address, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd >= 0) {
        address.ss_family = listener->local ? AF_UNIX : address.ss_family;
        read_peer((struct sockaddr *)&address, &peer);
        listener->events->on_accept(listener->arg, fd, &peer);
        if (fd < listener->fd_limit || listener->fd < 0)
            return true;
    } else if (errno == EINTR || errno == ECONNABORTED) {
        return true;
    } else if (errno != EMFILE && errno != ENFILE && errno != ENOBUFS && errno != ENOMEM) {
        return false;
    }
    rest(listener);
    return false;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct cla_listener *listener = poll->data;

    (void)status, (void)events;
    for (int i = 0; i < ACCEPT_MAX && listener->fd >= 0 && accept_one(listener); i++) {
    }
}

/* Watches a socket that listens. */
static int watch(struct cla_listener *listener, struct cla_loop *loop)
{
    listener->fd_limit = fd_limit();
    cla_timer_init(&listener->pause, on_pause_over);
    if (uv_poll_init(&loop->uv, &listener->poll, listener->fd) != 0)
        return -CLA_EIO;
    listener->poll.data = listener;
    uv_poll_start(&listener->poll, UV_READABLE, on_readable);
    return 0;
}

static int start(struct cla_listener *listener, struct cla_loop *loop)
{
    if (listen(listener->fd, BACKLOG) != 0)
        return errno == EADDRINUSE ? -CLA_EADDRINUSE : -CLA_EIO;
    return watch(listener, loop);
}

static void close_fd(struct cla_listener *listener)
{
    int error = errno;

    if (listener->fd >= 0)
        close(listener->fd);
    listener->fd = -1;
    errno = error;
}

/* --- TCP. --- */

static int resolve(const char *host, uint16_t port, struct addrinfo **found)
{
    const struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV,
                                   .ai_socktype = SOCK_STREAM};
    char service[8];

    snprintf(service, sizeof service, "%u", port);
    return getaddrinfo(host[0] != '\0' ? host : NULL, service, &hints, found) == 0 ? 0
                                                                                   : -CLA_ENOTFOUND;
}

static int code_of_errno(void)
{
    if (errno == EADDRINUSE)
        return -CLA_EADDRINUSE;
    return errno == EADDRNOTAVAIL ? -CLA_ENOTFOUND : -CLA_EIO;
}

/* Where a socket is bound: the address that was asked for, with the port the system chose. */
static void note_address(struct cla_listener *listener, const struct sockaddr *bound)
{
    struct cla_listener_peer self;

    read_peer(bound, &self);
    cla_ip_print(&self.ip, self.port, listener->address);
    listener->loopback = cla_ip_is_loopback(&self.ip);
}

/* Binds to one address; for "every address" IPv6 stands for IPv4 too. */
static int bind_to(struct cla_listener *listener, const struct addrinfo *info)
{
    struct sockaddr_storage bound;
    socklen_t n = sizeof bound;
    int on = 1, off = 0;

    listener->fd = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener->fd < 0)
        return -CLA_EIO;
    setsockopt(listener->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (info->ai_family == AF_INET6)
        setsockopt(listener->fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    if (bind(listener->fd, info->ai_addr, info->ai_addrlen) != 0 ||
        getsockname(listener->fd, (struct sockaddr *)&bound, &n) != 0)
        return code_of_errno();
    note_address(listener, (struct sockaddr *)&bound);
    return 0;
}

/* Of "every address" the IPv6 one is taken if there is one. */
static const struct addrinfo *preferred(const struct addrinfo *list, bool every)
{
    for (const struct addrinfo *info = list; every && info != NULL; info = info->ai_next) {
        if (info->ai_family == AF_INET6)
            return info;
    }
    return list;
}

int cla_listener_open(struct cla_listener *listener, struct cla_loop *loop, const char *host,
                      uint16_t port, const struct cla_listener_events *events, void *arg)
{
    struct addrinfo *found;
    int rc;

    *listener = (struct cla_listener){.loop = loop, .events = events, .arg = arg, .fd = -1};
    rc = resolve(host, port, &found);
    if (rc != 0)
        return rc;
    rc = bind_to(listener, preferred(found, host[0] == '\0'));
    freeaddrinfo(found);
    if (rc == 0)
        rc = start(listener, loop);
    if (rc != 0)
        close_fd(listener);
    return rc;
}

static void set_tcp(const struct cla_listener *listener, int option, uint64_t value)
{
    int number = value > 0 ? (int)value : 1;

    (void)setsockopt(listener->fd, IPPROTO_TCP, option, &number, sizeof number);
}

/* Accepted sockets take these options over from the listening one. A system that lacks one still
 * has the others. The user timeout is for what is under way when the peer goes: the system asks
 * nothing while data waits for its acknowledgement. */
void cla_listener_keep_alive(struct cla_listener *listener, uint64_t timeout_ns)
{
    uint64_t seconds = (timeout_ns + CLA_NS_PER_S - 1) / CLA_NS_PER_S;
    int on = 1;

    if (listener->local)
        return;
    set_tcp(listener, TCP_KEEPIDLE, seconds / 2);
    set_tcp(listener, TCP_KEEPINTVL, seconds / (2 * KEEP_PROBES));
    set_tcp(listener, TCP_KEEPCNT, KEEP_PROBES);
    set_tcp(listener, TCP_USER_TIMEOUT, 1000 * seconds);
    (void)setsockopt(listener->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
}

/* --- Unix sockets. --- */

/* True if the file at 'address' is a socket that nobody listens on any more. */
static bool is_stale(const struct sockaddr_un *address)
{
    struct stat file;
    int fd;
    bool refused;

    if (lstat(address->sun_path, &file) != 0 || !S_ISSOCK(file.st_mode))
        return false;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    refused = connect(fd, (const struct sockaddr *)address, sizeof *address) != 0 &&
              errno == ECONNREFUSED;
    close(fd);
    return refused;
}

/* Makes the file with its mode from the first moment on. */
static int bind_file(int fd, const struct sockaddr_un *address, mode_t mode)
{
    mode_t before = umask(~mode & 0777);
    int rc = bind(fd, (const struct sockaddr *)address, sizeof *address);

    umask(before);
    return rc;
}

static int bind_path(struct cla_listener *listener, const struct sockaddr_un *address, mode_t mode)
{
    struct stat file;

    listener->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener->fd < 0)
        return -CLA_EIO;
    if (bind_file(listener->fd, address, mode) != 0) {
        if (errno != EADDRINUSE)
            return errno == ENOENT ? -CLA_ENOTFOUND : -CLA_EIO;
        if (!is_stale(address))
            return -CLA_EADDRINUSE;
        if (unlink(address->sun_path) != 0 || bind_file(listener->fd, address, mode) != 0)
            return -CLA_EIO;
    }
    if (lstat(address->sun_path, &file) != 0)
        return -CLA_EIO;
    listener->file_device = file.st_dev;
    listener->file_number = file.st_ino;
    return 0;
}

int cla_listener_open_local(struct cla_listener *listener, struct cla_loop *loop, const char *path,
                            mode_t mode, const struct cla_listener_events *events, void *arg)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int rc;

    *listener =
        (struct cla_listener){.loop = loop, .events = events, .arg = arg, .fd = -1, .local = true};
    CLA_PRE(strlen(path) < sizeof address.sun_path);
    memcpy(address.sun_path, path, strlen(path) + 1);
    snprintf(listener->address, sizeof listener->address, "unix:%s", path);
    rc = bind_path(listener, &address, mode);
    if (rc == 0) {
        listener->path = listener->address + strlen("unix:");
        rc = start(listener, loop);
        if (rc != 0)
            unlink(path);
    }
    if (rc != 0)
        close_fd(listener);
    return rc;
}

/* --- Sockets of others. --- */

/* As "unix:path"; a name without a file has an @ in front. */
static void note_path(struct cla_listener *listener, const struct sockaddr_un *bound, socklen_t n)
{
    size_t most = n - offsetof(struct sockaddr_un, sun_path);
    bool nameless = most > 0 && bound->sun_path[0] == '\0';

    listener->local = true;
    snprintf(listener->address, sizeof listener->address, "unix:%s%.*s", nameless ? "@" : "",
             (int)(most - nameless), bound->sun_path + nameless);
}

static int get_option(int fd, int option)
{
    int value = -1;
    socklen_t n = sizeof value;

    (void)getsockopt(fd, SOL_SOCKET, option, &value, &n);
    return value;
}

int cla_listener_adopt(struct cla_listener *listener, struct cla_loop *loop, int fd,
                       const struct cla_listener_events *events, void *arg)
{
    struct sockaddr_storage bound;
    socklen_t n = sizeof bound;

    *listener = (struct cla_listener){.loop = loop, .events = events, .arg = arg, .fd = fd};
    if (get_option(fd, SO_TYPE) != SOCK_STREAM || get_option(fd, SO_ACCEPTCONN) != 1 ||
        getsockname(fd, (struct sockaddr *)&bound, &n) != 0)
        return -CLA_EINVAL;
    if (bound.ss_family == AF_UNIX)
        note_path(listener, (struct sockaddr_un *)&bound, n);
    else if (bound.ss_family == AF_INET || bound.ss_family == AF_INET6)
        note_address(listener, (struct sockaddr *)&bound);
    else
        return -CLA_EINVAL;
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0 ||
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) != 0)
        return -CLA_EIO;
    return watch(listener, loop);
}

/* Another server may have put its own in place of ours. */
static void remove_file(const struct cla_listener *listener)
{
    struct stat file;

    if (lstat(listener->path, &file) == 0 && file.st_dev == listener->file_device &&
        file.st_ino == listener->file_number)
        unlink(listener->path);
}

void cla_listener_close(struct cla_listener *listener)
{
    if (listener->path != NULL)
        remove_file(listener);
    cla_timer_stop(&listener->loop->timers, &listener->pause);
    uv_close((uv_handle_t *)&listener->poll, NULL);
    close_fd(listener);
}
