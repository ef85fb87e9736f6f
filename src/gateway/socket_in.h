/* Messages that wait for a handler of the script.
 *
 * Worker thread. Depends on: gateway/socket.
 *
 * No more than pipeline_bytes wait, and one message: then the connection is not read, only watched
 * for its end, until the handler has taken some. */
#ifndef CLA_GATEWAY_SOCKET_IN_H
#define CLA_GATEWAY_SOCKET_IN_H

#include "gateway/socket.h"

struct cla_socket_message {
    struct cla_link link;
    enum cla_ws_kind kind;
    size_t n;
    char bytes[];
};

struct cla_socket_inbox {
    struct cla_link messages;
    size_t bytes;                    /* of them, with what each costs */
    struct cla_ws_settings settings; /* the worker's, with the route's own limits */
    struct cla_timer timer;          /* the end of the time to read what came before a close */
    struct cla_socket *socket;
    bool full; /* the connection waits to be read on */
};

/* Gives the socket an inbox, with the limits of its route. Returns 0 or -CLA_ENOMEM. */
int cla_socket_in_open(struct cla_socket *socket);

/* Sets the limits of its inbox as its route has them. */
void cla_socket_in_limit(struct cla_socket *socket);

/* Queues a message, and stops reading if that is enough. Returns 0 or -CLA_ENOMEM. */
int cla_socket_in_put(struct cla_socket *socket, enum cla_ws_kind kind, struct cla_slice message);

/* The next message, to be freed with cla_mem_free(), or NULL: none has come yet, or none will. */
struct cla_socket_message *cla_socket_in_take(struct cla_socket *socket);

/* True if a message waits. */
bool cla_socket_in_any(const struct cla_socket *socket);

/* The peer has closed: the handler has call_timeout to take what waits; then it is stopped. */
void cla_socket_in_closed(struct cla_socket *socket);

/* Drops what waits. */
void cla_socket_in_clear(struct cla_socket *socket);

#endif
