/* Happy path: the hash of a key chooses one of a few tables, each with a lock of its own; an item
 * is one block, found in a chain, replaced as a whole. Failure modes: no room: everything that has
 * expired goes, and it is tried once more; no memory for a larger table: the chains grow longer. */
#include "base/store.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/mem.h"

#define SHARDS 16
#define SLOTS_AT_FIRST 16

struct entry {
    struct entry *next;
    uint64_t hash, version, expires_ns;
    size_t key_n, value_n;
    char bytes[]; /* of the key, then of the value */
};

struct slot {
    struct entry *first;
};

struct shard {
    pthread_mutex_t lock;
    struct slot *slots; /* NULL: none yet */
    size_t count, slot_count;
    size_t swept; /* the slot that was looked at last for what has expired */
};

struct cla_store {
    struct shard shards[SHARDS];
    size_t bytes;
    atomic_size_t used;
    atomic_uint_fast64_t version;
    uint64_t seed; /* keys may come from clients, who are not to choose where they collide */
};

int cla_store_new(struct cla_store **out, size_t bytes)
{
    struct cla_store *store = cla_mem_zalloc(sizeof *store);

    if (store == NULL)
        return -CLA_ENOMEM;
    store->bytes = bytes;
    store->seed = cla_hash_seed();
    for (size_t i = 0; i < SHARDS; i++)
        pthread_mutex_init(&store->shards[i].lock, NULL);
    *out = store;
    return 0;
}

static size_t bytes_of(const struct entry *entry)
{
    return sizeof *entry + entry->key_n + entry->value_n;
}

static void free_entry(struct cla_store *store, struct entry *entry)
{
    atomic_fetch_sub(&store->used, bytes_of(entry));
    cla_mem_free(entry);
}

/* Takes out what 'at' points to. */
static void drop(struct cla_store *store, struct shard *shard, struct entry **at)
{
    struct entry *entry = *at;

    *at = entry->next;
    shard->count--;
    free_entry(store, entry);
}

static void sweep_slot(struct cla_store *store, struct shard *shard, size_t slot, uint64_t now_ns)
{
    struct entry **at = &shard->slots[slot].first;

    while (*at != NULL) {
        if ((*at)->expires_ns <= now_ns)
            drop(store, shard, at);
        else
            at = &(*at)->next;
    }
}

static void sweep_all(struct cla_store *store, uint64_t now_ns)
{
    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *shard = &store->shards[i];

        pthread_mutex_lock(&shard->lock);
        for (size_t slot = 0; slot < shard->slot_count; slot++)
            sweep_slot(store, shard, slot, now_ns);
        pthread_mutex_unlock(&shard->lock);
    }
}

/* --- Finding. --- */

/* Where the item of 'key' is, or would be; the shard has slots. */
static struct entry **find(const struct shard *shard, struct cla_slice key, uint64_t h)
{
    struct entry **at = &shard->slots[h / SHARDS & (shard->slot_count - 1)].first;

    while (*at != NULL &&
           ((*at)->hash != h || !cla_slice_eq(cla_slice((*at)->bytes, (*at)->key_n), key)))
        at = &(*at)->next;
    return at;
}

static void read_item(const struct entry *entry, struct cla_store_item *item)
{
    item->value = cla_slice(entry->bytes + entry->key_n, entry->value_n);
    item->version = entry->version;
    item->expires_ns = entry->expires_ns;
}

int cla_store_get(struct cla_store *store, struct cla_slice key, uint64_t now_ns,
                  struct cla_buf *value, struct cla_store_item *item)
{
    uint64_t h = cla_hash(store->seed, key);
    struct shard *shard = &store->shards[h % SHARDS];
    const struct entry *entry = NULL;
    int rc = 0;

    pthread_mutex_lock(&shard->lock);
    if (shard->slots != NULL)
        entry = *find(shard, key, h);
    if (entry != NULL && entry->expires_ns > now_ns) {
        read_item(entry, item);
        rc = cla_buf_add(value, item->value) == 0 ? 1 : -CLA_ENOMEM;
    }
    pthread_mutex_unlock(&shard->lock);
    return rc;
}

/* --- Changing. --- */

/* Doubles the slots when there are as many items; without memory for that, they stay as they are.
 */
static void make_room(struct shard *shard)
{
    size_t count = shard->slot_count > 0 ? 2 * shard->slot_count : SLOTS_AT_FIRST;
    struct slot *slots;

    if (shard->slots != NULL && shard->count < shard->slot_count)
        return;
    slots = cla_mem_zalloc(count * sizeof *slots);
    if (slots == NULL)
        return;
    for (size_t i = 0; shard->slots != NULL && i < shard->slot_count; i++) {
        struct entry *entry, *next;

        for (entry = shard->slots[i].first; entry != NULL; entry = next) {
            size_t to = entry->hash / SHARDS & (count - 1);

            next = entry->next;
            entry->next = slots[to].first;
            slots[to].first = entry;
        }
    }
    cla_mem_free(shard->slots);
    shard->slots = slots;
    shard->slot_count = count;
}

/* Counts 'bytes' as used, or returns false. */
static bool reserve(struct cla_store *store, size_t bytes)
{
    if (bytes <= store->bytes && atomic_fetch_add(&store->used, bytes) <= store->bytes - bytes)
        return true;
    if (bytes > store->bytes)
        return false;
    atomic_fetch_sub(&store->used, bytes);
    return false;
}

static void write_item(struct cla_store *store, struct entry *entry,
                       const struct cla_store_item *item)
{
    entry->version = atomic_fetch_add(&store->version, 1) + 1;
    entry->expires_ns = item->expires_ns;
    entry->value_n = item->value.n;
    if (item->value.n > 0)
        memcpy(entry->bytes + entry->key_n, item->value.p, item->value.n);
}

/* Room for a value of 'value_n' bytes, where 'at' points to the item so far, or to NULL. What was
 * there goes, unless there is no room for more. */
static int make_entry(struct cla_store *store, struct shard *shard, struct entry **at, size_t key_n,
                      size_t value_n)
{
    size_t bytes = sizeof(struct entry) + key_n + value_n, had = *at != NULL ? bytes_of(*at) : 0;
    struct entry *entry;

    if (bytes > had && !reserve(store, bytes - had))
        return -CLA_ELIMIT;
    entry = cla_mem_realloc(*at, bytes);
    if (entry == NULL) {
        if (bytes > had)
            atomic_fetch_sub(&store->used, bytes - had);
        return -CLA_ENOMEM;
    }
    if (bytes < had)
        atomic_fetch_sub(&store->used, had - bytes);
    if (had == 0) {
        *entry = (struct entry){.key_n = key_n};
        shard->count++;
    }
    *at = entry;
    return 0;
}

static int put(struct cla_store *store, struct shard *shard, struct entry **at, uint64_t h,
               struct cla_slice key, const struct cla_store_item *item)
{
    int rc = 0;

    if (*at == NULL || (*at)->value_n != item->value.n)
        rc = make_entry(store, shard, at, key.n, item->value.n);
    if (rc != 0)
        return rc;
    (*at)->hash = h;
    memcpy((*at)->bytes, key.p, key.n);
    write_item(store, *at, item);
    return 0;
}

static int update_in(struct cla_store *store, struct shard *shard, uint64_t h, struct cla_slice key,
                     cla_store_fn *decide, void *arg)
{
    struct cla_store_item old, fresh = {.expires_ns = CLA_NEVER};
    struct entry **at = find(shard, key, h);
    bool found = *at != NULL;

    if (found)
        read_item(*at, &old);
    switch (decide(arg, found ? &old : NULL, &fresh)) {
    case CLA_STORE_KEEP:
        break;
    case CLA_STORE_PUT:
        return put(store, shard, at, h, key, &fresh);
    case CLA_STORE_DELETE:
        if (found)
            drop(store, shard, at);
        break;
    }
    return 0;
}

static int update(struct cla_store *store, struct cla_slice key, uint64_t now_ns,
                  cla_store_fn *decide, void *arg)
{
    uint64_t h = cla_hash(store->seed, key);
    struct shard *shard = &store->shards[h % SHARDS];
    int rc = -CLA_ENOMEM;

    pthread_mutex_lock(&shard->lock);
    make_room(shard);
    if (shard->slots != NULL) {
        sweep_slot(store, shard, h / SHARDS & (shard->slot_count - 1), now_ns);
        shard->swept = (shard->swept + 1) & (shard->slot_count - 1);
        sweep_slot(store, shard, shard->swept, now_ns);
        rc = update_in(store, shard, h, key, decide, arg);
    }
    pthread_mutex_unlock(&shard->lock);
    return rc;
}

int cla_store_update(struct cla_store *store, struct cla_slice key, uint64_t now_ns,
                     cla_store_fn *decide, void *arg)
{
    int rc;

    CLA_PRE(key.n <= CLA_STORE_KEY_MAX);
    rc = update(store, key, now_ns, decide, arg);
    if (rc != -CLA_ELIMIT)
        return rc;
    sweep_all(store, now_ns);
    return update(store, key, now_ns, decide, arg);
}

size_t cla_store_used(struct cla_store *store)
{
    return atomic_load(&store->used);
}

void cla_store_free(struct cla_store *store)
{
    if (store == NULL)
        return;
    sweep_all(store, CLA_NEVER);
    for (size_t i = 0; i < SHARDS; i++) {
        cla_mem_free(store->shards[i].slots);
        pthread_mutex_destroy(&store->shards[i].lock);
    }
    cla_mem_free(store);
}
