/* What a WebSocket client is subscribed to, and the messages that wait until it has read others.
 *
 * Worker thread. Depends on: gateway/bulletin, gateway/socket.
 *
 * Messages go straight to the connection's output while the client keeps up. Once the system takes
 * no more for it they wait, in order, and each subscription's share is bounded by its topic's
 * queue: see enum cla_slow. They follow a piece at a time whenever the output has been written. */
#ifndef CLA_GATEWAY_SUBSCRIBER_H
#define CLA_GATEWAY_SUBSCRIBER_H

#include "base/list.h"
#include "gateway/bulletin.h"

struct cla_letter;
struct cla_subscriber;
struct cla_topic;

struct cla_subscription {
    struct cla_topic *topic;
    struct cla_subscriber *subscriber;
    struct cla_link of_topic;  /* in topic->subscriptions */
    struct cla_link of_client; /* in subscriber->subscriptions */
    struct cla_link waiting;   /* messages, oldest first */
    size_t bytes;              /* of them, with what each costs */
};

/* Embedded in its socket. */
struct cla_subscriber {
    struct cla_link subscriptions;
    unsigned count;                     /* of them */
    struct cla_link waiting;            /* messages of all of them, in order */
    struct cla_subscription everything; /* broadcasts */
};

/* Makes it one that is subscribed to nothing. */
void cla_subscriber_init(struct cla_subscriber *subscriber);

/* What its notifications are written in. */
enum cla_language cla_subscriber_language(const struct cla_subscriber *subscriber);

/* True if the bulletin finds room in the subscription's queue. */
bool cla_subscription_fits(const struct cla_subscription *subscription,
                           const struct cla_bulletin *bulletin);

/* Hands the bulletin on as its rules say, which may be the end of the client and its
 * subscriptions; 'letter' is what brought it here, NULL: it was published here. Returns false if
 * the client is not to get it: it is not open, or it was closed for it. */
bool cla_subscription_put(struct cla_subscription *subscription, struct cla_bulletin *bulletin,
                          struct cla_letter *letter);

/* Drops what waits for one subscription. */
void cla_subscription_clear(struct cla_subscription *subscription);

/* Everything was written to the client: more may follow. For the socket while it is OPEN. */
void cla_subscriber_drained(struct cla_subscriber *subscriber);

#endif
