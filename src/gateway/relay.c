/* Happy path: a letter for each worker goes on its list; the worker takes all of them up, hands
 * them out, and when the last subscriber has one its bytes are free again.
 * Failure modes: no room: who would wait has looked before, so what is sent anyway exceeds the
 * limit by a message of each worker at most; others lose it, and it is counted.
 * On close: a worker that has ended is deaf, so that nobody waits for it. */
#include "gateway/relay.h"

#include "base/error.h"
#include "base/mem.h"

static bool waits(const struct cla_bulletin *bulletin)
{
    return bulletin->rules.slow == CLA_SLOW_SUSPEND;
}

static atomic_size_t *account_of(struct cla_relay *relay, const struct cla_bulletin *bulletin)
{
    return waits(bulletin) ? &relay->held : &relay->passing;
}

static size_t cost(const struct cla_bulletin *bulletin)
{
    return sizeof(struct cla_letter) + bulletin->n;
}

static bool is_read(const struct cla_relay *relay, const struct cla_bulletin *bulletin)
{
    return bulletin->broadcast
               ? atomic_load(&relay->clients[0]) > 0 || atomic_load(&relay->clients[1]) > 0
               : atomic_load(&relay->listeners) > 0;
}

bool cla_relay_speaks(const struct cla_relay *relay, enum cla_language language)
{
    for (unsigned i = 0; i < relay->count; i++) {
        if (atomic_load(&relay->all[i].clients[language]) > 0)
            return true;
    }
    return false;
}

static bool has_room(size_t taken, size_t n, const struct cla_relay *relay)
{
    return taken == 0 || taken + n <= relay->bytes;
}

bool cla_relay_has_room(const struct cla_relay *relay, const struct cla_bulletin *bulletin)
{
    for (unsigned i = 0; i < relay->count; i++) {
        struct cla_relay *to = &relay->all[i];

        if (to != relay && is_read(to, bulletin) &&
            !has_room(atomic_load(account_of(to, bulletin)), cost(bulletin), relay))
            return false;
    }
    return true;
}

/* --- Room. --- */

void cla_relay_want(struct cla_relay *relay)
{
    atomic_store(&relay->wanting, true);
}

/* Bytes at 'relay' are free: tells who waits for that. */
static void tell(struct cla_relay *relay)
{
    for (unsigned i = 0; i < relay->count; i++) {
        struct cla_relay *other = &relay->all[i];

        if (other != relay && atomic_exchange(&other->wanting, false))
            uv_async_send(&other->async);
    }
}

static void free_bytes(struct cla_relay *relay, const struct cla_bulletin *bulletin)
{
    atomic_fetch_sub(account_of(relay, bulletin), cost(bulletin));
    if (waits(bulletin))
        tell(relay);
}

static void free_letter(struct cla_letter *letter)
{
    cla_bulletin_put(letter->bulletin);
    cla_mem_free(letter);
}

void cla_letter_put(struct cla_letter *letter)
{
    if (--letter->uses > 0)
        return;
    if (waits(letter->bulletin))
        free_bytes(letter->to, letter->bulletin);
    free_letter(letter);
}

/* --- Sending. --- */

/* Takes the bytes; false if there is no room. */
static bool take_bytes(struct cla_relay *to, const struct cla_bulletin *bulletin)
{
    size_t n = cost(bulletin), before = atomic_fetch_add(account_of(to, bulletin), n);

    if (waits(bulletin) || has_room(before, n, to))
        return true;
    atomic_fetch_sub(account_of(to, bulletin), n);
    return false;
}

static bool post(struct cla_relay *to, struct cla_letter *letter)
{
    bool deaf;

    uv_mutex_lock(&to->mutex);
    deaf = to->deaf;
    if (!deaf) {
        cla_list_push(&to->letters, &letter->link);
        uv_async_send(&to->async);
    }
    uv_mutex_unlock(&to->mutex);
    return !deaf;
}

/* False: for want of room or memory. */
static bool dispatch(struct cla_relay *to, struct cla_bulletin *bulletin)
{
    struct cla_letter *letter;

    if (!take_bytes(to, bulletin))
        return false;
    letter = cla_mem_alloc(sizeof *letter);
    if (letter == NULL) {
        free_bytes(to, bulletin);
        return false;
    }
    *letter = (struct cla_letter){.bulletin = cla_bulletin_ref(bulletin), .to = to, .uses = 1};
    cla_list_init(&letter->link);
    if (!post(to, letter)) {
        free_bytes(to, bulletin);
        free_letter(letter);
    }
    return true;
}

unsigned cla_relay_send(struct cla_relay *relay, struct cla_bulletin *bulletin)
{
    unsigned lost = 0;

    for (unsigned i = 0; i < relay->count; i++) {
        struct cla_relay *to = &relay->all[i];

        if (to != relay && is_read(to, bulletin) && !dispatch(to, bulletin))
            lost++;
    }
    return lost;
}

/* --- Receiving. --- */

static struct cla_letter *take(struct cla_link *letters)
{
    struct cla_link *link = cla_list_pop(letters);

    return link != NULL ? CLA_CONTAINER(link, struct cla_letter, link) : NULL;
}

static void take_all(struct cla_relay *relay, struct cla_link *to, bool deaf)
{
    cla_list_init(to);
    uv_mutex_lock(&relay->mutex);
    cla_list_move(to, &relay->letters);
    relay->deaf = deaf;
    uv_mutex_unlock(&relay->mutex);
}

static void on_async(uv_async_t *async)
{
    struct cla_relay *relay = async->data;
    struct cla_link letters;
    struct cla_letter *letter;

    take_all(relay, &letters, false);
    while ((letter = take(&letters)) != NULL) {
        if (!waits(letter->bulletin))
            free_bytes(relay, letter->bulletin);
        relay->events->on_letter(relay->arg, letter);
        cla_letter_put(letter);
    }
    relay->events->on_room(relay->arg);
}

void cla_relay_deafen(struct cla_relay *relay)
{
    struct cla_link letters;
    struct cla_letter *letter;

    take_all(relay, &letters, true);
    while ((letter = take(&letters)) != NULL) {
        if (!waits(letter->bulletin))
            free_bytes(relay, letter->bulletin);
        cla_letter_put(letter);
    }
    tell(relay);
}

/* --- Opening and closing. --- */

int cla_relay_open(struct cla_relay *relay, struct cla_loop *loop, struct cla_relay *all,
                   unsigned count, size_t bytes)
{
    *relay = (struct cla_relay){.all = all, .count = count, .bytes = bytes};
    cla_list_init(&relay->letters);
    if (uv_mutex_init(&relay->mutex) != 0)
        return -CLA_EIO;
    if (uv_async_init(&loop->uv, &relay->async, on_async) != 0) {
        uv_mutex_destroy(&relay->mutex);
        return -CLA_EIO;
    }
    relay->async.data = relay;
    return 0;
}

void cla_relay_set_events(struct cla_relay *relay, const struct cla_relay_events *events, void *arg)
{
    relay->events = events;
    relay->arg = arg;
}

void cla_relay_close(struct cla_relay *relay)
{
    CLA_PRE(cla_list_empty(&relay->letters));
    uv_close((uv_handle_t *)&relay->async, NULL);
    uv_mutex_destroy(&relay->mutex);
}
