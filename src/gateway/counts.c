/* Happy path: an ended call is counted at the place of its procedure, which the procedure keeps
 * from its first call on.
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

/* Makes room for 'count' entries. Returns 0 or -CLA_ENOMEM. */
static int grow(struct cla_counts *counts, unsigned count)
{
    struct cla_counts_entry *entries =
        cla_mem_realloc(counts->entries, count * sizeof *counts->entries);

    if (entries == NULL)
        return -CLA_ENOMEM;
    memset(entries + counts->count, 0, (count - counts->count) * sizeof *entries);
    counts->entries = entries;
    counts->count = count;
    return 0;
}

int cla_counts_init(struct cla_counts *counts, struct cla_counts_names *names)
{
    *counts = (struct cla_counts){.names = names};
    return grow(counts, CLA_COUNTS_FIRST);
}

void cla_counts_fini(struct cla_counts *counts)
{
    cla_mem_free(counts->entries);
    *counts = (struct cla_counts){0};
}

/* Once for each procedure of a generation; so the note is the one thing that we change of it. */
static unsigned find_place(struct cla_counts *counts, const struct cla_procedure *procedure)
{
    unsigned at = cla_counts_names_place(counts->names, procedure->name);

    if (at == 0 || (at >= counts->count && grow(counts, at + 1) != 0))
        return CLA_COUNTS_OTHER;
    ((struct cla_procedure *)procedure)->place = at;
    return at;
}

void cla_counts_call(struct cla_counts *counts, const struct cla_call *call, enum cla_code code,
                     enum cla_cancel_kind kind)
{
    const struct cla_request *request = call->request;
    const struct cla_procedure *procedure = call->procedure;
    uint64_t ns = cla_loop_now_ns(call->env->loop) - request->received_ns;
    unsigned at = CLA_COUNTS_UNKNOWN;
    struct cla_counts_entry *entry;

    if (procedure != NULL)
        at = procedure->place != 0 ? procedure->place : find_place(counts, procedure);
    entry = &counts->entries[at];
    entry->ended[request->protocol->family][code]++;
    entry->took[bucket(ns)]++;
    entry->took_ns += ns;
    counts->cancelled[kind]++;
}
