/* Published messages on their way between the workers of a server.
 *
 * Depends on: gateway/bulletin, io/loop. The functions say which thread may call them.
 *
 * One relay belongs to each worker; all lie in one array. What is sent to a worker counts there
 * against relay_bytes: if its publisher waits for slow subscribers, until the last of them has it
 * in its connection's output; else until the worker takes it up. One message always finds room. */
#ifndef CLA_GATEWAY_RELAY_H
#define CLA_GATEWAY_RELAY_H

#include "base/list.h"
#include "gateway/bulletin.h"
#include "io/loop.h"

struct cla_relay;

/* One message at one worker. Its counts are that worker's. */
struct cla_letter {
    struct cla_link link;
    struct cla_bulletin *bulletin; /* a reference of its own */
    struct cla_relay *to;
    unsigned uses; /* subscribers that still wait for it, and whoever hands it out */
};

struct cla_relay_events {
    /* A message has come; hold it with 'uses' for longer. */
    void (*on_letter)(void *arg, struct cla_letter *letter);
    /* Since cla_relay_want() there may have become room at other workers. */
    void (*on_room)(void *arg);
};

struct cla_relay {
    uv_async_t async;
    uv_mutex_t mutex;        /* guards the next two */
    struct cla_link letters; /* not yet taken up */
    bool deaf;               /* its worker has ended */
    atomic_bool wanting;     /* its worker waits for room at another */
    atomic_size_t passing;   /* bytes of messages not taken up that nobody waits with */
    atomic_size_t held;      /* bytes of messages, of publishers that wait, not yet delivered */
    atomic_uint listeners;   /* subscriptions of its worker's clients … */
    atomic_uint clients[CLA_LANGUAGES]; /* … and those that make calls, by language */
    struct cla_relay *all;              /* the server's */
    unsigned count;                     /* of them */
    size_t bytes;                       /* relay_bytes */
    const struct cla_relay_events *events;
    void *arg;
};

/* Opens the relay of one worker, on its loop; all[0..count) are the server's. Returns 0 or
 * -CLA_EIO. */
int cla_relay_open(struct cla_relay *relay, struct cla_loop *loop, struct cla_relay *all,
                   unsigned count, size_t bytes);

/* Whom it tells. Before the threads run. */
void cla_relay_set_events(struct cla_relay *relay, const struct cla_relay_events *events,
                          void *arg);

/* True if some worker has clients of that language, and for them a message is to be encoded. */
bool cla_relay_speaks(const struct cla_relay *relay, enum cla_language language);

/* True if every other worker that has somebody to read it has room for the bulletin. Worker thread.
 */
bool cla_relay_has_room(const struct cla_relay *relay, const struct cla_bulletin *bulletin);

/* Sends it to every other worker that has somebody to read it; without room, only if its publisher
 * waits with it. Returns how many it did not go to for want of room or memory. Worker thread. */
unsigned cla_relay_send(struct cla_relay *relay, struct cla_bulletin *bulletin);

/* on_room is to be called when another worker has made room. Look once more afterwards: it may have
 * done so before. Worker thread. */
void cla_relay_want(struct cla_relay *relay);

/* Ends a use; the last one frees. Thread of the worker it came to. */
void cla_letter_put(struct cla_letter *letter);

/* The worker has ended: drops what waits, and takes nothing more. Its thread, at its end. */
void cla_relay_deafen(struct cla_relay *relay);

/* Closes; the threads have ended, and no letter is left. The struct may be freed once the loop has
 * run. */
void cla_relay_close(struct cla_relay *relay);

#endif
