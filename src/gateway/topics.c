/* Happy path: publish walks the subscriptions of the topic and sends a letter to each other worker.
 * Failure modes: handing a message out may be the end of its client, and of that subscription; a
 * table that cannot grow for want of memory has longer chains.
 * On close: a client's subscriptions go with it; a topic with the last of them. */
#include "gateway/topics.h"

#include "base/error.h"
#include "base/hash.h"
#include "base/mem.h"
#include "gateway/publisher.h"
#include "gateway/worker.h"

#define SLOTS_MIN 16

static struct cla_topic *topic_of(struct cla_link *link)
{
    return CLA_CONTAINER(link, struct cla_topic, abroad);
}

static void init_topic(struct cla_topic *topic)
{
    cla_list_init(&topic->subscriptions);
    cla_list_init(&topic->publishers);
    cla_list_init(&topic->abroad);
}

void cla_topics_init(struct cla_topics *topics)
{
    *topics = (struct cla_topics){.seed = cla_hash_seed()};
    init_topic(&topics->everyone);
    init_topic(&topics->elsewhere);
    cla_list_init(&topics->abroad);
}

void cla_topics_fini(struct cla_topics *topics)
{
    CLA_PRE(topics->count == 0 && cla_list_empty(&topics->everyone.subscriptions));
    cla_mem_free(topics->slots);
}

/* --- The table. --- */

static struct cla_topic **slot_of(const struct cla_topics *topics, uint64_t hash)
{
    return &topics->slots[hash & (topics->slot_count - 1)];
}

static struct cla_topic *find(const struct cla_topics *topics, uint64_t hash, struct cla_slice name)
{
    struct cla_topic *topic = topics->slots != NULL ? *slot_of(topics, hash) : NULL;

    while (topic != NULL && (topic->hash != hash || !cla_slice_eq(topic->name, name)))
        topic = topic->next;
    return topic;
}

static struct cla_topic *find_name(const struct cla_topics *topics, struct cla_slice name)
{
    return find(topics, cla_hash(topics->seed, name), name);
}

/* Doubles the table. Returns 0 or -CLA_ENOMEM: it is as it was. */
static int grow(struct cla_topics *topics)
{
    struct cla_topics grown = *topics;

    grown.slot_count = topics->slot_count > 0 ? 2 * topics->slot_count : SLOTS_MIN;
    grown.slots = cla_mem_zalloc(grown.slot_count * sizeof *grown.slots);
    if (grown.slots == NULL)
        return -CLA_ENOMEM;
    for (size_t i = 0; i < topics->slot_count; i++) {
        struct cla_topic *topic, *next;

        for (topic = topics->slots[i]; topic != NULL; topic = next) {
            struct cla_topic **slot = slot_of(&grown, topic->hash);

            next = topic->next;
            topic->next = *slot;
            *slot = topic;
        }
    }
    cla_mem_free(topics->slots);
    topics->slots = grown.slots;
    topics->slot_count = grown.slot_count;
    return 0;
}

static struct cla_topic *add(struct cla_topics *topics, uint64_t hash, struct cla_slice name)
{
    struct cla_topic *topic;
    char *text;

    if (topics->count >= topics->slot_count && grow(topics) != 0 && topics->slots == NULL)
        return NULL;
    topic = cla_mem_zalloc(sizeof *topic + name.n);
    if (topic == NULL)
        return NULL;
    init_topic(topic);
    text = (char *)(topic + 1);
    memcpy(text, name.p, name.n);
    topic->name = cla_slice(text, name.n);
    topic->hash = hash;
    topic->next = *slot_of(topics, hash);
    *slot_of(topics, hash) = topic;
    topics->count++;
    return topic;
}

void cla_topics_unuse(struct cla_topics *topics, struct cla_topic *topic)
{
    struct cla_topic **slot;

    if (topic == &topics->everyone || topic == &topics->elsewhere || topic->uses > 0 ||
        !cla_list_empty(&topic->subscriptions) || !cla_list_empty(&topic->publishers))
        return;
    for (slot = slot_of(topics, topic->hash); *slot != topic; slot = &(*slot)->next)
        continue;
    *slot = topic->next;
    topics->count--;
    cla_list_remove(&topic->abroad);
    cla_mem_free(topic);
}

/* --- Subscribing. --- */

static void count_listeners(struct cla_topics *topics, int change)
{
    if (topics->relay != NULL)
        atomic_fetch_add(&topics->relay->listeners, (unsigned)change);
}

static struct cla_subscription *find_subscription(const struct cla_subscriber *subscriber,
                                                  const struct cla_topic *topic)
{
    CLA_LIST_EACH (link, &subscriber->subscriptions) {
        struct cla_subscription *each = CLA_CONTAINER(link, struct cla_subscription, of_client);

        if (each->topic == topic)
            return each;
    }
    return NULL;
}

int cla_topics_subscribe(struct cla_topics *topics, struct cla_subscriber *subscriber,
                         struct cla_slice name, unsigned most)
{
    uint64_t hash = cla_hash(topics->seed, name);
    struct cla_topic *topic = find(topics, hash, name);
    struct cla_subscription *subscription;

    if (topic != NULL && find_subscription(subscriber, topic) != NULL)
        return 0;
    if (subscriber->count >= most)
        return -CLA_ELIMIT;
    subscription = cla_mem_zalloc(sizeof *subscription);
    if (subscription == NULL)
        return -CLA_ENOMEM;
    if (topic == NULL)
        topic = add(topics, hash, name);
    if (topic == NULL) {
        cla_mem_free(subscription);
        return -CLA_ENOMEM;
    }
    subscription->topic = topic;
    subscription->subscriber = subscriber;
    cla_list_init(&subscription->waiting);
    cla_list_push(&topic->subscriptions, &subscription->of_topic);
    cla_list_push(&subscriber->subscriptions, &subscription->of_client);
    subscriber->count++;
    count_listeners(topics, 1);
    return 0;
}

static void end_subscription(struct cla_topics *topics, struct cla_subscription *subscription)
{
    struct cla_topic *topic = subscription->topic;

    cla_subscription_clear(subscription);
    cla_list_remove(&subscription->of_topic);
    cla_topics_room(subscription);
    if (subscription == &subscription->subscriber->everything)
        return;
    cla_list_remove(&subscription->of_client);
    subscription->subscriber->count--;
    count_listeners(topics, -1);
    cla_mem_free(subscription);
    cla_topics_unuse(topics, topic);
}

bool cla_topics_unsubscribe(struct cla_topics *topics, struct cla_subscriber *subscriber,
                            struct cla_slice name)
{
    struct cla_topic *topic = find_name(topics, name);
    struct cla_subscription *subscription =
        topic != NULL ? find_subscription(subscriber, topic) : NULL;

    if (subscription == NULL)
        return false;
    end_subscription(topics, subscription);
    return true;
}

static void count_client(struct cla_topics *topics, const struct cla_subscriber *subscriber,
                         int change)
{
    enum cla_language language = cla_subscriber_language(subscriber);

    if (topics->relay != NULL)
        atomic_fetch_add(&topics->relay->clients[language], (unsigned)change);
}

void cla_topics_enter(struct cla_topics *topics, struct cla_subscriber *subscriber)
{
    subscriber->everything.topic = &topics->everyone;
    cla_list_push(&topics->everyone.subscriptions, &subscriber->everything.of_topic);
    count_client(topics, subscriber, 1);
}

void cla_topics_leave(struct cla_topics *topics, struct cla_subscriber *subscriber)
{
    if (!cla_list_empty(&subscriber->everything.of_topic)) {
        end_subscription(topics, &subscriber->everything);
        count_client(topics, subscriber, -1);
    }
    while (!cla_list_empty(&subscriber->subscriptions))
        end_subscription(topics, CLA_CONTAINER(subscriber->subscriptions.next,
                                               struct cla_subscription, of_client));
}

/* --- Publishing. --- */

bool cla_topics_speak(const struct cla_topics *topics, enum cla_language language)
{
    return topics->relay == NULL || cla_relay_speaks(topics->relay, language);
}

static unsigned hand_out(struct cla_topics *topics, struct cla_bulletin *bulletin,
                         struct cla_letter *letter)
{
    struct cla_topic *topic =
        bulletin->broadcast ? &topics->everyone : find_name(topics, bulletin->name);
    unsigned count = 0;

    if (topic == NULL)
        return 0;
    topic->uses++;
    CLA_LIST_EACH (link, &topic->subscriptions) {
        if (cla_subscription_put(CLA_CONTAINER(link, struct cla_subscription, of_topic), bulletin,
                                 letter))
            count++;
    }
    topic->uses--;
    cla_topics_unuse(topics, topic);
    return count;
}

unsigned cla_topics_publish(struct cla_topics *topics, struct cla_bulletin *bulletin)
{
    unsigned count = hand_out(topics, bulletin, NULL);

    topics->counters.published++;
    if (topics->relay != NULL)
        topics->counters.unrelayed += cla_relay_send(topics->relay, bulletin);
    return count;
}

static void on_letter(void *arg, struct cla_letter *letter)
{
    (void)hand_out(arg, letter->bulletin, letter);
}

/* --- Room. --- */

struct cla_topic *cla_topics_queue(struct cla_topics *topics, const struct cla_bulletin *bulletin)
{
    struct cla_topic *topic =
        bulletin->broadcast ? &topics->everyone : find_name(topics, bulletin->name);

    return topic != NULL ? topic : &topics->elsewhere;
}

void cla_topics_room(struct cla_subscription *subscription)
{
    if (subscription->topic->blocked == subscription)
        cla_publisher_call_first(subscription->topic);
}

static void on_room(void *arg)
{
    struct cla_topics *topics = arg;
    struct cla_link list, *link;

    cla_list_init(&list);
    cla_list_move(&list, &topics->abroad);
    while ((link = cla_list_pop(&list)) != NULL)
        cla_publisher_call_first(topic_of(link));
}

static const struct cla_relay_events relay_events = {on_letter, on_room};

void cla_topics_join(struct cla_topics *topics, struct cla_relay *relay)
{
    topics->relay = relay;
    cla_relay_set_events(relay, &relay_events, topics);
}
