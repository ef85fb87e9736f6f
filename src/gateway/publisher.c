/* Happy path: there is room, it publishes, the next is called.
 * Failure modes: a subscriber without room, or a worker: the topic notes which, and its room, or
 * its end, calls the first publisher.
 * On close: one that withdraws calls the next, who may be luckier. */
#include "gateway/publisher.h"

void cla_publisher_call_first(struct cla_topic *topic)
{
    struct cla_publisher *first;

    topic->blocked = NULL;
    cla_list_remove(&topic->abroad);
    if (cla_list_empty(&topic->publishers))
        return;
    first = CLA_CONTAINER(topic->publishers.next, struct cla_publisher, link);
    first->on_room(first);
}

/* The first subscription without room, or NULL. */
static struct cla_subscription *find_full(struct cla_topic *topic,
                                          const struct cla_bulletin *bulletin)
{
    CLA_LIST_EACH (link, &topic->subscriptions) {
        struct cla_subscription *each = CLA_CONTAINER(link, struct cla_subscription, of_topic);

        if (!cla_subscription_fits(each, bulletin))
            return each;
    }
    return NULL;
}

static bool relay_has_room(struct cla_topics *topics, const struct cla_bulletin *bulletin)
{
    struct cla_relay *relay = topics->relay;

    if (relay == NULL || cla_relay_has_room(relay, bulletin))
        return true;
    cla_relay_want(relay);
    return cla_relay_has_room(relay, bulletin);
}

/* True if there is room for it everywhere; else the topic notes where there is none. */
static bool has_room(struct cla_topics *topics, struct cla_topic *topic,
                     const struct cla_bulletin *bulletin)
{
    topic->blocked = find_full(topic, bulletin);
    if (topic->blocked != NULL)
        return false;
    if (relay_has_room(topics, bulletin))
        return true;
    if (cla_list_empty(&topic->abroad))
        cla_list_push(&topics->abroad, &topic->abroad);
    return false;
}

bool cla_publisher_may(struct cla_topics *topics, const struct cla_bulletin *bulletin)
{
    struct cla_topic *topic = cla_topics_queue(topics, bulletin);

    return cla_list_empty(&topic->publishers) && find_full(topic, bulletin) == NULL &&
           (topics->relay == NULL || cla_relay_has_room(topics->relay, bulletin));
}

void cla_publisher_withdraw(struct cla_topics *topics, struct cla_publisher *publisher)
{
    struct cla_topic *topic = publisher->topic;
    bool first;

    if (topic == NULL)
        return;
    first = topic->publishers.next == &publisher->link;
    cla_list_remove(&publisher->link);
    publisher->topic = NULL;
    if (first)
        cla_publisher_call_first(topic);
    cla_topics_unuse(topics, topic);
}

/* Puts it last where it is to wait now. */
static struct cla_topic *line_up(struct cla_topics *topics, struct cla_publisher *publisher)
{
    struct cla_topic *topic = cla_topics_queue(topics, publisher->bulletin);

    if (publisher->topic == topic)
        return topic;
    cla_publisher_withdraw(topics, publisher);
    cla_list_push(&topic->publishers, &publisher->link);
    publisher->topic = topic;
    return topic;
}

/* True if it is the first, and there is room. */
static bool has_turn(struct cla_topics *topics, struct cla_publisher *publisher)
{
    struct cla_topic *topic = line_up(topics, publisher);

    return topic->publishers.next == &publisher->link &&
           has_room(topics, topic, publisher->bulletin);
}

bool cla_publisher_wait(struct cla_topics *topics, struct cla_publisher *publisher)
{
    topics->counters.suspended++;
    return has_turn(topics, publisher);
}

bool cla_publisher_try(struct cla_topics *topics, struct cla_publisher *publisher, unsigned *count)
{
    if (!has_turn(topics, publisher))
        return false;
    *count = cla_topics_publish(topics, publisher->bulletin);
    cla_publisher_withdraw(topics, publisher);
    return true;
}
