/* Subscribers of the fixture's worker, and messages for them. */
#ifndef CLA_TEST_TOPICS_FIXTURE_H
#define CLA_TEST_TOPICS_FIXTURE_H

#include "gateway/publisher.h"
#include "socket_fixture.h"

/* What a message costs while it waits, besides its frame. */
#define DELIVERY_BYTES 56

/* The socket of the connection that was opened last. */
static inline struct cla_socket *topics_last(struct gate *g)
{
    return CLA_CONTAINER(g->worker.conns.prev, struct cla_conn, link)->socket;
}

/* A WebSocket by a pair of local sockets, on which what is read makes room at once. */
static inline void topics_open(struct client *c, struct gate *g)
{
    int fds[2];

    *c = (struct client){0};
    tcp_require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
    c->fd = fds[1];
    client_hand_over(c, g, fds[0]);
    client_send(c, SOCKET_UPGRADE "\r\n");
    assert_int_equal(client_take(c, false).status, 101);
}

static inline int topics_subscribe(struct cla_socket *socket, const char *topic)
{
    return cla_topics_subscribe(&socket->worker->topics, &socket->subscriber, cla_slice_str(topic),
                                100);
}

/* A message of 'n' bytes that begins with 'c' on 'topic'. */
static inline struct cla_bulletin *topics_message(const char *topic, char c, size_t n,
                                                  enum cla_slow slow, size_t queue)
{
    const struct cla_topic_rules rules = {.slow = slow, .queue_bytes = queue};
    struct cla_slice messages[CLA_LANGUAGES] = {{0}};
    struct cla_bulletin *bulletin;
    char *text = malloc(n);

    tcp_require(text != NULL);
    memset(text, c, n);
    messages[CLA_LANGUAGE_JSONRPC] = cla_slice(text, n);
    tcp_require(cla_bulletin_new(&bulletin, cla_slice_str(topic), false, &rules, messages) == 0);
    free(text);
    return bulletin;
}

/* Publishes one; returns how many it goes to. */
static inline unsigned topics_publish(struct gate *g, const char *topic, char c, size_t n,
                                      enum cla_slow slow, size_t queue)
{
    struct cla_bulletin *bulletin = topics_message(topic, c, n, slow, queue);
    unsigned count = cla_topics_publish(&g->worker.topics, bulletin);

    cla_bulletin_put(bulletin);
    return count;
}

#endif
