/* Happy path: a message is appended to the connection's output.
 * Failure modes: a client that does not read: messages wait, then the topic's rules say who
 * suffers; without memory for a message its client is closed, for it must not miss one unnoticed.
 * On close: cla_topics_leave() drops what waits. */
#include "gateway/subscriber.h"

#include "base/error.h"
#include "base/mem.h"
#include "gateway/conn.h"
#include "gateway/socket_out.h"
#include "gateway/worker.h"

/* So much is moved to the output at a time: it can no longer be dropped there. */
#define CHUNK_BYTES 65536

/* A message that waits. */
struct delivery {
    struct cla_link of_client;       /* in subscriber->waiting */
    struct cla_link of_subscription; /* in subscription->waiting */
    struct cla_subscription *subscription;
    struct cla_bulletin *bulletin;
    struct cla_letter *letter; /* NULL: none */
};

void cla_subscriber_init(struct cla_subscriber *subscriber)
{
    struct cla_subscription *everything = &subscriber->everything;

    cla_list_init(&subscriber->subscriptions);
    cla_list_init(&subscriber->waiting);
    everything->subscriber = subscriber;
    cla_list_init(&everything->of_topic);
    cla_list_init(&everything->of_client);
    cla_list_init(&everything->waiting);
}

static struct cla_socket *socket_of(struct cla_subscriber *subscriber)
{
    return CLA_CONTAINER(subscriber, struct cla_socket, subscriber);
}

enum cla_language cla_subscriber_language(const struct cla_subscriber *subscriber)
{
    const struct cla_socket *socket =
        CLA_CONTAINER(subscriber, const struct cla_socket, subscriber);

    return cla_socket_framed(socket) ? CLA_LANGUAGE_FRAMES : CLA_LANGUAGE_JSONRPC;
}

/* --- Waiting. --- */

static size_t cost(const struct cla_bulletin *bulletin)
{
    return sizeof(struct delivery) + bulletin->n;
}

bool cla_subscription_fits(const struct cla_subscription *subscription,
                           const struct cla_bulletin *bulletin)
{
    return subscription->bytes == 0 ||
           subscription->bytes + cost(bulletin) <= bulletin->rules.queue_bytes;
}

static void free_delivery(struct delivery *delivery)
{
    cla_list_remove(&delivery->of_client);
    cla_list_remove(&delivery->of_subscription);
    delivery->subscription->bytes -= cost(delivery->bulletin);
    cla_bulletin_put(delivery->bulletin);
    if (delivery->letter != NULL)
        cla_letter_put(delivery->letter);
    cla_mem_free(delivery);
}

static struct delivery *oldest_of(struct cla_subscription *subscription)
{
    return CLA_CONTAINER(subscription->waiting.next, struct delivery, of_subscription);
}

void cla_subscription_clear(struct cla_subscription *subscription)
{
    while (!cla_list_empty(&subscription->waiting))
        free_delivery(oldest_of(subscription));
}

/* True if the message may wait, once the topic's rules have been followed. */
static bool make_room(struct cla_subscription *subscription, const struct cla_bulletin *bulletin)
{
    struct cla_socket *socket = socket_of(subscription->subscriber);
    struct cla_topics *topics = &socket->worker->topics;

    if (bulletin->rules.slow == CLA_SLOW_SUSPEND || cla_subscription_fits(subscription, bulletin))
        return true;
    if (bulletin->rules.slow == CLA_SLOW_CLOSE) {
        topics->counters.slow_consumers++;
        cla_socket_slow(socket, "the client reads too slowly (queue of a topic)");
        return false;
    }
    do {
        free_delivery(oldest_of(subscription));
        topics->counters.dropped++;
    } while (!cla_subscription_fits(subscription, bulletin));
    return true;
}

static bool starved(struct cla_socket *socket)
{
    cla_socket_close(socket, CLA_WS_INTERNAL, CLA_LIT("out of memory"), CLA_CANCEL_LIMIT);
    return false;
}

static bool enqueue(struct cla_subscription *subscription, struct cla_bulletin *bulletin,
                    struct cla_letter *letter)
{
    struct cla_subscriber *subscriber = subscription->subscriber;
    struct delivery *delivery;

    if (!make_room(subscription, bulletin))
        return false;
    delivery = cla_mem_alloc(sizeof *delivery);
    if (delivery == NULL)
        return starved(socket_of(subscriber));
    *delivery = (struct delivery){
        .subscription = subscription, .bulletin = cla_bulletin_ref(bulletin), .letter = letter};
    cla_list_push(&subscriber->waiting, &delivery->of_client);
    cla_list_push(&subscription->waiting, &delivery->of_subscription);
    subscription->bytes += cost(bulletin);
    if (letter != NULL)
        letter->uses++;
    return true;
}

/* --- Writing. --- */

static bool hand_over(struct cla_socket *socket, const struct cla_bulletin *bulletin)
{
    static const enum cla_ws_kind kinds[CLA_LANGUAGES] = {CLA_WS_KIND_TEXT, CLA_WS_KIND_BINARY};
    enum cla_language language = cla_subscriber_language(&socket->subscriber);

    if (cla_ws_conn_send_frame(&socket->ws, cla_socket_out(socket), kinds[language],
                               bulletin->frames[language], bulletin->messages[language]) != 0)
        return starved(socket);
    socket->worker->topics.counters.delivered++;
    return true;
}

/* True if nothing is before the message, and the output takes it without growing beyond the queue.
 */
static bool is_next(struct cla_socket *socket, const struct cla_bulletin *bulletin)
{
    const struct cla_conn *conn = socket->conn;

    return conn->stream.queued == 0 && cla_list_empty(&socket->subscriber.waiting) &&
           (conn->out.n == 0 || conn->out.n + bulletin->n <= bulletin->rules.queue_bytes);
}

/* Writes what this turn has for the client, rather than at its end, so that what a client that
 * keeps up could have read does not wait. */
static void flush(struct cla_conn *conn)
{
    if (conn->stream.queued > 0 || conn->out.n == 0)
        return;
    cla_list_remove(&conn->dirty);
    cla_conn_flush(conn);
}

bool cla_subscription_put(struct cla_subscription *subscription, struct cla_bulletin *bulletin,
                          struct cla_letter *letter)
{
    struct cla_socket *socket = socket_of(subscription->subscriber);
    bool taken = false;

    if (socket->state != CLA_SOCKET_OPEN ||
        bulletin->frames[cla_subscriber_language(subscription->subscriber)].n == 0)
        return false;
    if (is_next(socket, bulletin))
        return hand_over(socket, bulletin);
    (void)cla_socket_hold(socket);
    flush(socket->conn);
    if (socket->state == CLA_SOCKET_OPEN) /* else the subscription is gone */
        taken = is_next(socket, bulletin) ? hand_over(socket, bulletin)
                                          : enqueue(subscription, bulletin, letter);
    cla_socket_release(socket);
    return taken;
}

void cla_subscriber_drained(struct cla_subscriber *subscriber)
{
    struct cla_socket *socket = socket_of(subscriber);

    while (!cla_list_empty(&subscriber->waiting) && socket->conn->out.n < CHUNK_BYTES) {
        struct delivery *next = CLA_CONTAINER(subscriber->waiting.next, struct delivery, of_client);

        struct cla_subscription *subscription = next->subscription;

        if (!hand_over(socket, next->bulletin))
            return; /* closed: 'next' is gone */
        free_delivery(next);
        cla_topics_room(subscription);
    }
}
