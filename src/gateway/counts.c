/* Happy path: an ended call is counted in the entry of its procedure, which is noted there from its
 * first call on; how long it took when the turn ends.
 * Failure modes: without memory for its name, or for its counts, it is counted among the others,
 * and the next call tries again.
 * On close: the counts, then the names. */
#include "gateway/counts.h"

#include "base/error.h"
#include "base/mem.h"

#define MS CLA_NS_PER_MS

/* Each is at least twice the one before, so that no two lie between the same powers of two. */
static const uint64_t bounds[CLA_COUNTS_BOUNDS + 1] = {
    1 * MS,   5 * MS / 2, 5 * MS,    10 * MS,   25 * MS,    50 * MS,    100 * MS,  250 * MS,
    500 * MS, 1000 * MS,  2500 * MS, 5000 * MS, 10000 * MS, 30000 * MS, UINT64_MAX};

/* The first bound that is at least 2^n ns: what takes up to twice as long is counted there, or one
 * further. */
static const uint8_t first_bound[64] = {
    0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  1,  1,
    2,  3,  4,  5,  6,  7,  8,  9,  10, 10, 11, 12, 13, 14, 14, 14, 14, 14, 14, 14, 14, 14,
    14, 14, 14, 14, 14, 14, 14, 14, 14, 14, 14, 14, 14, 14, 14, 14, 14, 14, 14, 14};

uint64_t cla_counts_bound_ns(int at)
{
    CLA_PRE(at >= 0 && at < CLA_COUNTS_BOUNDS);
    return bounds[at];
}

static int bucket(uint64_t ns)
{
    int at = first_bound[63 - __builtin_clzll(ns | 1)];

    return at + (ns > bounds[at]);
}

int cla_counts_bucket(uint64_t ns)
{
    return bucket(ns);
}

/* --- Names. --- */

int cla_counts_names_init(struct cla_counts_names *names)
{
    *names = (struct cla_counts_names){
        .names =
            {[CLA_COUNTS_UNKNOWN] = CLA_LIT("(unknown)"), [CLA_COUNTS_OTHER] = CLA_LIT("(other)")},
        .count = CLA_COUNTS_FIRST,
    };
    return uv_mutex_init(&names->mutex) == 0 ? 0 : -CLA_ENOMEM;
}

void cla_counts_names_fini(struct cla_counts_names *names)
{
    for (unsigned at = CLA_COUNTS_FIRST; at < names->count; at++)
        cla_mem_free((char *)names->names[at].p);
    uv_mutex_destroy(&names->mutex);
}

static unsigned add_name(struct cla_counts_names *names, struct cla_slice name)
{
    char *copy;

    if (names->count == CLA_COUNTS_PLACES)
        return CLA_COUNTS_OTHER;
    copy = cla_mem_strndup(name.p, name.n);
    if (copy == NULL)
        return 0;
    names->names[names->count] = cla_slice(copy, name.n);
    return names->count++;
}

unsigned cla_counts_names_place(struct cla_counts_names *names, struct cla_slice name)
{
    unsigned at = CLA_COUNTS_FIRST;

    uv_mutex_lock(&names->mutex);
    while (at < names->count && !cla_slice_eq(names->names[at], name))
        at++;
    if (at == names->count)
        at = add_name(names, name);
    uv_mutex_unlock(&names->mutex);
    return at;
}

/* --- Counts. --- */

/* The entry at a place; NULL: out of memory. */
static struct cla_counts_entry *entry_at(struct cla_counts *counts, unsigned place)
{
    if (counts->entries[place] == NULL)
        counts->entries[place] = cla_mem_zalloc(sizeof *counts->entries[place]);
    return counts->entries[place];
}

int cla_counts_init(struct cla_counts *counts, struct cla_counts_names *names,
                    struct cla_loop *loop)
{
    *counts = (struct cla_counts){.names = names, .loop = loop};
    if (entry_at(counts, CLA_COUNTS_UNKNOWN) != NULL && entry_at(counts, CLA_COUNTS_OTHER) != NULL)
        return 0;
    cla_counts_fini(counts);
    return -CLA_ENOMEM;
}

void cla_counts_fini(struct cla_counts *counts)
{
    for (unsigned place = 0; place < CLA_COUNTS_PLACES; place++)
        cla_mem_free(counts->entries[place]);
    *counts = (struct cla_counts){.names = NULL};
}

/* Once for each procedure of a generation; so the note is the one thing that we change of it. */
static struct cla_counts_entry *find_entry(struct cla_counts *counts,
                                           const struct cla_procedure *procedure)
{
    unsigned place = cla_counts_names_place(counts->names, procedure->name);
    struct cla_counts_entry *entry = place != 0 ? entry_at(counts, place) : NULL;

    if (entry == NULL)
        return counts->entries[CLA_COUNTS_OTHER];
    ((struct cla_procedure *)procedure)->counts = entry;
    return entry;
}

static inline struct cla_counts_entry *entry_of(struct cla_counts *counts,
                                                const struct cla_procedure *procedure)
{
    if (procedure->unknown)
        return counts->entries[CLA_COUNTS_UNKNOWN];
    return procedure->counts != NULL ? procedure->counts : find_entry(counts, procedure);
}

void cla_counts_call(struct cla_counts *counts, const struct cla_call *call, enum cla_code code,
                     enum cla_cancel_kind kind)
{
    struct cla_counts_entry *entry = entry_of(counts, call->procedure);
    struct cla_counts_pending *pending = &counts->pending[counts->pending_count++];

    entry->ended[call->request->protocol->family][code]++;
    counts->cancelled[kind]++;
    pending->entry = entry;
    pending->received_ns = call->received_ns;
    if (counts->pending_count == CLA_COUNTS_PENDING)
        cla_counts_settle(counts);
}

void cla_counts_settle(struct cla_counts *counts)
{
    uint64_t now_ns;

    if (counts->pending_count == 0)
        return;
    now_ns = cla_loop_now_ns(counts->loop);
    for (unsigned i = 0; i < counts->pending_count; i++) {
        const struct cla_counts_pending *pending = &counts->pending[i];
        uint64_t ns = now_ns - pending->received_ns;

        pending->entry->took[bucket(ns)]++;
        pending->entry->took_ns += ns;
    }
    counts->pending_count = 0;
}
