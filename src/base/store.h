/* A key-value store that threads share: bytes, with versions and times to live, within so many
 * bytes of memory.
 *
 * Any thread. Depends on: base/buf, base/mem. Time is given by the caller, on one clock for all.
 * What has expired is as if it were not there; its memory is taken back bit by bit, as items are
 * written, and all of it when room is needed. Nothing else is ever dropped. */
#ifndef CLA_BASE_STORE_H
#define CLA_BASE_STORE_H

#include "base/buf.h"

/* Longest key. */
#define CLA_STORE_KEY_MAX 1024

struct cla_store;

struct cla_store_item {
    struct cla_slice value;
    uint64_t version;    /* of no other item, and of no other state of this one; never 0 */
    uint64_t expires_ns; /* CLA_NEVER: it does not */
};

enum cla_store_verdict {
    CLA_STORE_KEEP,   /* as it is */
    CLA_STORE_PUT,    /* what 'fresh' says; its version is given then */
    CLA_STORE_DELETE, /* so that there is none */
};

/* Decides what becomes of an item; 'old' is NULL if there is none. Runs under a lock, and may run
 * twice: it must be quick, and must not call the store. */
typedef enum cla_store_verdict cla_store_fn(void *arg, const struct cla_store_item *old,
                                            struct cla_store_item *fresh);

/* Makes an empty store for so many bytes, keys and 48 bytes for each item included, but not the
 * tables that find them (8 to 16 bytes an item). Returns 0 or -CLA_ENOMEM. */
int cla_store_new(struct cla_store **out, size_t bytes);

/* Frees all. NULL is fine. */
void cla_store_free(struct cla_store *store);

/* Appends the value of 'key' to 'value', and fills in 'item' but for its value. Returns 1; 0: there
 * is none; or -CLA_ENOMEM. */
int cla_store_get(struct cla_store *store, struct cla_slice key, uint64_t now_ns,
                  struct cla_buf *value, struct cla_store_item *item);

/* Changes the item of 'key' (at most CLA_STORE_KEY_MAX bytes) as 'decide' says, atomically. Returns
 * 0, -CLA_ENOMEM, or -CLA_ELIMIT: there is no room; then nothing has changed. */
int cla_store_update(struct cla_store *store, struct cla_slice key, uint64_t now_ns,
                     cla_store_fn *decide, void *arg);

/* Bytes in use, of what has expired also those not yet taken back. */
size_t cla_store_used(struct cla_store *store);

#endif
