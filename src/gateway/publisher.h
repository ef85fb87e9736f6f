/* Somebody who waits until every subscriber has room for a message, and then publishes it.
 *
 * Worker thread. Depends on: gateway/topics.
 *
 * Those of a topic wait in order; only the first of them looks for room. */
#ifndef CLA_GATEWAY_PUBLISHER_H
#define CLA_GATEWAY_PUBLISHER_H

#include "gateway/topics.h"

struct cla_publisher {
    struct cla_link link;          /* in topic->publishers, or in none */
    struct cla_topic *topic;       /* while it waits */
    struct cla_bulletin *bulletin; /* borrowed */
    /* There may be room now: try again. */
    void (*on_room)(struct cla_publisher *publisher);
};

/* Begins to wait, until on_room. True: it need not, and is to try now. */
bool cla_publisher_wait(struct cla_topics *topics, struct cla_publisher *publisher);

/* Publishes, and ends the wait, if nobody is before it and every subscriber, and every other worker,
 * has room: true, with the number of cla_topics_publish() in '*count'. */
bool cla_publisher_try(struct cla_topics *topics, struct cla_publisher *publisher, unsigned *count);

/* True if cla_publisher_try() would publish, were it called by one who does not wait. */
bool cla_publisher_may(struct cla_topics *topics, const struct cla_bulletin *bulletin);

/* It does not wait any more; the next is called. No-op if it did not. */
void cla_publisher_withdraw(struct cla_topics *topics, struct cla_publisher *publisher);

/* The first who waits at the topic, if any does, is to try again. */
void cla_publisher_call_first(struct cla_topic *topic);

#endif
