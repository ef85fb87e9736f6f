#include "gateway/call_index.h"

#include "base/error.h"
#include "base/mem.h"

#define LEAST_SLOTS 8
/* More than these are not kept when the last call has gone. */
#define KEEP_SLOTS 64

static uint32_t hash(struct cla_slice id)
{
    uint32_t h = UINT32_C(2166136261); /* FNV-1a */

    for (size_t i = 0; i < id.n; i++)
        h = (h ^ (unsigned char)id.p[i]) * UINT32_C(16777619);
    return h ^ h >> 15;
}

static struct cla_call **slot_of(const struct cla_call_index *index, struct cla_slice id)
{
    return &index->slots[hash(id) & index->mask].first;
}

static void push(struct cla_call_index *index, struct cla_call *call)
{
    struct cla_call **slot = slot_of(index, cla_call_client_id(call));

    call->index_next = *slot;
    *slot = call;
}

/* Moves all calls to 'slots' chains. Returns 0 or -CLA_ENOMEM. */
static int resize(struct cla_call_index *index, unsigned slots)
{
    struct cla_call_index larger = *index;

    larger.mask = slots - 1;
    larger.slots = cla_mem_zalloc(slots * sizeof *larger.slots);
    if (larger.slots == NULL)
        return -CLA_ENOMEM;
    for (unsigned i = 0; index->slots != NULL && i <= index->mask; i++) {
        struct cla_call *call = index->slots[i].first, *next;

        for (; call != NULL; call = next) {
            next = call->index_next;
            push(&larger, call);
        }
    }
    cla_mem_free(index->slots);
    *index = larger;
    return 0;
}

int cla_call_index_add(struct cla_call_index *index, struct cla_call *call)
{
    if (index->closed)
        return 0;
    if (index->slots == NULL && resize(index, LEAST_SLOTS) != 0)
        return -CLA_ENOMEM;
    if (index->count > index->mask)
        (void)resize(index, (index->mask + 1) * 2); /* else its chains are longer */
    push(index, call);
    index->count++;
    return 0;
}

static struct cla_call *find(const struct cla_call_index *index, struct cla_slice id, bool open)
{
    struct cla_call *call = index->count > 0 ? *slot_of(index, id) : NULL;

    while (call != NULL &&
           ((call->state == CLA_CALL_OPEN) != open || !cla_slice_eq(cla_call_client_id(call), id)))
        call = call->index_next;
    return call;
}

struct cla_call *cla_call_index_find(const struct cla_call_index *index, struct cla_slice id)
{
    return find(index, id, true);
}

struct cla_call *cla_call_index_find_ended(const struct cla_call_index *index, struct cla_slice id)
{
    return find(index, id, false);
}

bool cla_call_index_answered(const struct cla_call_index *index, struct cla_slice id)
{
    uint32_t h = hash(id);

    for (unsigned i = 0; i < CLA_CALL_INDEX_ANSWERED && i < index->answered_n; i++) {
        if (index->answered[i] == h)
            return true;
    }
    return false;
}

static void free_slots(struct cla_call_index *index)
{
    cla_mem_free(index->slots);
    index->slots = NULL;
    index->mask = 0;
}

void cla_call_index_remove(struct cla_call_index *index, struct cla_call *call)
{
    uint32_t h = hash(cla_call_client_id(call));
    struct cla_call **at;

    if (index->closed)
        return;
    at = &index->slots[h & index->mask].first;
    while (*at != call)
        at = &(*at)->index_next;
    *at = call->index_next;
    if (call->state == CLA_CALL_COMPLETED)
        index->answered[index->answered_n++ % CLA_CALL_INDEX_ANSWERED] = h;
    if (--index->count == 0 && index->mask >= KEEP_SLOTS)
        free_slots(index);
}

void cla_call_index_close(struct cla_call_index *index)
{
    free_slots(index);
    index->count = 0;
    index->closed = true;
}
