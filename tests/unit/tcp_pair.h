/* Two connected TCP sockets on the loopback address, for tests of streams and connections. */
#ifndef CLA_TEST_TCP_PAIR_H
#define CLA_TEST_TCP_PAIR_H

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* Aborts the test program if 'ok' is false: without a network there is nothing to test. */
static inline void tcp_require(bool ok)
{
    if (!ok)
        abort();
}

/* '*ours' is non-blocking, '*peer' is blocking; neither waits to fill packets. */
static inline void tcp_pair(int *ours, int *peer)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof address;
    int on = 1, listener = socket(AF_INET, SOCK_STREAM, 0);

    tcp_require(bind(listener, (struct sockaddr *)&address, sizeof address) == 0);
    tcp_require(listen(listener, 1) == 0);
    tcp_require(getsockname(listener, (struct sockaddr *)&address, &n) == 0);
    *peer = socket(AF_INET, SOCK_STREAM, 0);
    tcp_require(connect(*peer, (struct sockaddr *)&address, sizeof address) == 0);
    *ours = accept(listener, NULL, NULL);
    tcp_require(*ours >= 0 && fcntl(*ours, F_SETFL, O_NONBLOCK) == 0);
    setsockopt(*peer, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    close(listener);
}

/* Closes 'fd' with a reset instead of an orderly end. */
static inline void tcp_reset(int fd)
{
    const struct linger none = {.l_onoff = 1, .l_linger = 0};

    setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    close(fd);
}

#endif
