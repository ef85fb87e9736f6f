/* One published message: what every subscriber gets, in each language that somebody speaks, and how
 * slow subscribers are dealt with. Never changes.
 *
 * Any thread; counted by atomic references. Depends on: base, ws/frame. */
#ifndef CLA_GATEWAY_BULLETIN_H
#define CLA_GATEWAY_BULLETIN_H

#include <stdatomic.h>

#include "base/slice.h"

/* Longest name of a topic or event: what fits into a binary frame. */
#define CLA_TOPIC_NAME_MAX 255

enum cla_language { CLA_LANGUAGE_JSONRPC, CLA_LANGUAGE_FRAMES, CLA_LANGUAGES };

/* What becomes of a message for which a subscriber has no room. */
enum cla_slow {
    CLA_SLOW_DROP,    /* it takes the place of the oldest that wait there */
    CLA_SLOW_SUSPEND, /* its publisher waits */
    CLA_SLOW_CLOSE,   /* the subscriber is closed with 1013 */
};

struct cla_topic_rules {
    enum cla_slow slow;
    size_t queue_bytes; /* most that may wait for a subscriber, or one message */
};

struct cla_bulletin {
    atomic_uint refs;
    bool broadcast;        /* to every client that makes calls, subscribed or not */
    struct cla_slice name; /* of the topic or event */
    struct cla_topic_rules rules;
    struct cla_slice frames[CLA_LANGUAGES];   /* whole, of a server; empty: for nobody */
    struct cla_slice messages[CLA_LANGUAGES]; /* their payloads */
    size_t n;                                 /* of the largest frame, bytes */
    char bytes[];
};

/* Makes one with one reference, from texts that are copied; an empty one is for nobody. Returns 0
 * or -CLA_ENOMEM. */
int cla_bulletin_new(struct cla_bulletin **out, struct cla_slice name, bool broadcast,
                     const struct cla_topic_rules *rules,
                     const struct cla_slice messages[CLA_LANGUAGES]);

/* Another reference. */
struct cla_bulletin *cla_bulletin_ref(struct cla_bulletin *bulletin);

/* Drops a reference; the last one frees. NULL is fine. */
void cla_bulletin_put(struct cla_bulletin *bulletin);

#endif
