/* The calls of a WebSocket by their request ids.
 *
 * Worker thread. Depends on: gateway/call. A client may have a thousand calls in flight, and each
 * of its messages must be told whether its id is one of them. */
#ifndef CLA_GATEWAY_CALL_INDEX_H
#define CLA_GATEWAY_CALL_INDEX_H

#include "gateway/call.h"

struct cla_call_chain {
    struct cla_call *first; /* and on through call->index_next */
};

/* So many ids of calls that are gone are remembered, by their hashes: enough to count resets that
 * cross a result on the wire. */
#define CLA_CALL_INDEX_ANSWERED 16

/* All zeros is an empty one. */
struct cla_call_index {
    struct cla_call_chain *slots; /* by hash; NULL while there are none */
    unsigned mask;                /* slots - 1 */
    unsigned count;
    bool closed;
    unsigned answered_n;                        /* ever; the last of them are in … */
    uint32_t answered[CLA_CALL_INDEX_ANSWERED]; /* … this ring */
};

/* Adds a call, whose client_id is set; several may have the same. Returns 0 or -CLA_ENOMEM. */
int cla_call_index_add(struct cla_call_index *index, struct cla_call *call);

/* The OPEN call with this id, or NULL. */
struct cla_call *cla_call_index_find(const struct cla_call_index *index, struct cla_slice id);

/* A call with this id that has ended but is not gone, or NULL. */
struct cla_call *cla_call_index_find_ended(const struct cla_call_index *index, struct cla_slice id);

/* True if a call with this id was among the last to be taken out that had COMPLETED. (Of four
 * thousand million wrong answers one may be true.) */
bool cla_call_index_answered(const struct cla_call_index *index, struct cla_slice id);

/* Takes a call out that was added. */
void cla_call_index_remove(struct cla_call_index *index, struct cla_call *call);

/* Nothing is looked for any more: frees the slots, and does not look at the calls. To add one or to
 * take one out does nothing from now on. */
void cla_call_index_close(struct cla_call_index *index);

#endif
