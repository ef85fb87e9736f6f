/* The topics of one worker: who is subscribed to what, and what is published.
 *
 * Worker thread. Depends on: gateway/subscriber, gateway/publisher, gateway/relay.
 *
 * A topic exists while somebody is subscribed to it or waits to publish on it. What is published
 * goes to the subscribers here, then to the other workers, which do the same: so each subscriber
 * gets a publisher's messages in order. */
#ifndef CLA_GATEWAY_TOPICS_H
#define CLA_GATEWAY_TOPICS_H

#include "gateway/relay.h"
#include "gateway/subscriber.h"

/* X(name, what it counts) */
#define CLA_TOPICS_COUNTERS(X)                                            \
    X(published, "messages published or broadcast on this worker")        \
    X(delivered, "of any worker's, handed to a client's connection here") \
    X(dropped, "dropped because the client had not read those before")    \
    X(slow_consumers, "clients closed because they had not")              \
    X(suspended, "publishes that waited for room")                        \
    X(unrelayed, "not taken by another worker, which had no room for more")

struct cla_topics_counters {
#define X(name, doc) uint64_t name;
    CLA_TOPICS_COUNTERS(X)
#undef X
};

struct cla_topic {
    struct cla_topic *next;           /* in its chain */
    struct cla_link subscriptions;    /* in no particular order */
    struct cla_link publishers;       /* who wait, in order */
    struct cla_subscription *blocked; /* the first of them waits for this one; NULL: for none */
    struct cla_link abroad;           /* in topics->abroad, or in none */
    unsigned uses;                    /* walks of its subscriptions */
    uint64_t hash;
    struct cla_slice name;
};

struct cla_topics {
    struct cla_topic **slots; /* chains; NULL: there is none yet */
    size_t slot_count, count;
    uint64_t seed;
    struct cla_topic everyone;  /* broadcasts */
    struct cla_topic elsewhere; /* has those who wait to publish where nobody here listens */
    struct cla_link abroad;     /* topics whose first publisher waits for another worker */
    struct cla_relay *relay;    /* to the other workers; NULL: it is alone */
    struct cla_topics_counters counters;
};

/* Sets up an empty one, alone. */
void cla_topics_init(struct cla_topics *topics);

/* Joins it with those of other workers. Before the threads run. */
void cla_topics_join(struct cla_topics *topics, struct cla_relay *relay);

/* Frees what is left: nothing, unless the server never ran. */
void cla_topics_fini(struct cla_topics *topics);

/* Subscribes to the topic 'name' (at most CLA_TOPIC_NAME_MAX bytes). Returns 0, also if it was;
 * -CLA_ELIMIT: it has 'most' subscriptions; or -CLA_ENOMEM. */
int cla_topics_subscribe(struct cla_topics *topics, struct cla_subscriber *subscriber,
                         struct cla_slice name, unsigned most);

/* Ends a subscription, with what waits for it. Returns false if there was none. */
bool cla_topics_unsubscribe(struct cla_topics *topics, struct cla_subscriber *subscriber,
                            struct cla_slice name);

/* The socket is OPEN and makes calls: it gets broadcasts. */
void cla_topics_enter(struct cla_topics *topics, struct cla_subscriber *subscriber);

/* The socket is OVER: ends all of its subscriptions. */
void cla_topics_leave(struct cla_topics *topics, struct cla_subscriber *subscriber);

/* True if a message is to be encoded in that language. */
bool cla_topics_speak(const struct cla_topics *topics, enum cla_language language);

/* Publishes to every subscriber of every worker, without waiting for any. Returns how many of this
 * worker it went to, or waits for. */
unsigned cla_topics_publish(struct cla_topics *topics, struct cla_bulletin *bulletin);

/* Where publishers of the bulletin wait. */
struct cla_topic *cla_topics_queue(struct cla_topics *topics, const struct cla_bulletin *bulletin);

/* The subscription has more room, or ends: who waits for that looks again. */
void cla_topics_room(struct cla_subscription *subscription);

/* Frees the topic if nobody needs it any more. */
void cla_topics_unuse(struct cla_topics *topics, struct cla_topic *topic);

#endif
