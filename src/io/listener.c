#include "io/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/error.h"

#define BACKLOG 4096
/* Connections accepted before other events are looked at. */
#define ACCEPT_MAX 64
/* Rest after the process ran out of descriptors or memory; the kernel keeps connections waiting. */
#define PAUSE_NS (100 * CLA_NS_PER_MS)

static void format_address(const struct sockaddr *address, char *text, size_t size)
{
    char ip[INET6_ADDRSTRLEN] = "?";

    if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;

        inet_ntop(AF_INET6, &in6->sin6_addr, ip, sizeof ip);
        snprintf(text, size, "[%s]:%u", ip, ntohs(in6->sin6_port));
    } else {
        const struct sockaddr_in *in = (const struct sockaddr_in *)address;

        inet_ntop(AF_INET, &in->sin_addr, ip, sizeof ip);
        snprintf(text, size, "%s:%u", ip, ntohs(in->sin_port));
    }
}

static bool is_loopback(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET6)
        return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)address)->sin6_addr);
    return ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr) >> 24 == 127;
}

static void on_readable(uv_poll_t *poll, int status, int events);

static void on_pause_over(struct cla_timer *timer)
{
    struct cla_listener *listener = CLA_CONTAINER(timer, struct cla_listener, pause);

    uv_poll_start(&listener->poll, UV_READABLE, on_readable);
}

static void rest(struct cla_listener *listener)
{
    uv_poll_stop(&listener->poll);
    cla_timer_start(&listener->loop->timers, &listener->pause,
                    cla_loop_now_ns(listener->loop) + PAUSE_NS);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct cla_listener *listener = poll->data;

    (void)status, (void)events;
    for (int i = 0; i < ACCEPT_MAX && listener->fd >= 0; i++) {
        struct sockaddr_storage peer;
        socklen_t n = sizeof peer;
        char text[64];
        int fd = accept4(listener->fd, (struct sockaddr *)&peer, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd >= 0) {
            format_address((struct sockaddr *)&peer, text, sizeof text);
            listener->on_accept(listener->arg, fd, cla_slice_str(text));
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            rest(listener);
            return;
        } else if (errno != EINTR && errno != ECONNABORTED) {
            return;
        }
    }
}

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

/* Binds to one address; for "every address" IPv6 stands for IPv4 too. */
static int listen_on(struct cla_listener *listener, const struct addrinfo *info)
{
    struct sockaddr_storage bound;
    socklen_t n = sizeof bound;
    int on = 1, off = 0, rc;

    listener->fd = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener->fd < 0)
        return -CLA_EIO;
    setsockopt(listener->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (info->ai_family == AF_INET6)
        setsockopt(listener->fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    if (bind(listener->fd, info->ai_addr, info->ai_addrlen) != 0 ||
        listen(listener->fd, BACKLOG) != 0 ||
        getsockname(listener->fd, (struct sockaddr *)&bound, &n) != 0) {
        rc = code_of_errno();
        close(listener->fd);
        listener->fd = -1;
        return rc;
    }
    format_address((struct sockaddr *)&bound, listener->address, sizeof listener->address);
    listener->loopback = is_loopback((struct sockaddr *)&bound);
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
                      uint16_t port, cla_listener_cb *on_accept, void *arg)
{
    struct addrinfo *found;
    int rc;

    *listener = (struct cla_listener){.loop = loop, .on_accept = on_accept, .arg = arg, .fd = -1};
    cla_timer_init(&listener->pause, on_pause_over);
    rc = resolve(host, port, &found);
    if (rc != 0)
        return rc;
    rc = listen_on(listener, preferred(found, host[0] == '\0'));
    freeaddrinfo(found);
    if (rc != 0)
        return rc;
    if (uv_poll_init(&loop->uv, &listener->poll, listener->fd) != 0) {
        close(listener->fd);
        return -CLA_EIO;
    }
    listener->poll.data = listener;
    uv_poll_start(&listener->poll, UV_READABLE, on_readable);
    return 0;
}

void cla_listener_close(struct cla_listener *listener)
{
    cla_timer_stop(&listener->loop->timers, &listener->pause);
    uv_close((uv_handle_t *)&listener->poll, NULL);
    close(listener->fd);
    listener->fd = -1;
}
