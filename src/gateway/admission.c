#include "gateway/admission.h"

#include "base/mem.h"

#define FIRST_SLOTS 64

struct cla_admission_address {
    atomic_uint open;
    struct cla_ip ip;
};

void cla_admission_init(struct cla_admission *admission, unsigned max_connections,
                        unsigned per_address)
{
    *admission =
        (struct cla_admission){.max_connections = max_connections, .per_address = per_address};
}

/* The address that is counted. */
static struct cla_ip counted(const struct cla_ip *ip)
{
    struct cla_ip first = *ip;

    if (!cla_ip_is_v4(ip))
        memset(first.bytes + 8, 0, 8);
    return first;
}

static size_t hash(const struct cla_ip *ip)
{
    uint64_t h = UINT64_C(14695981039346656037); /* FNV-1a */

    for (size_t i = 0; i < sizeof ip->bytes; i++)
        h = (h ^ ip->bytes[i]) * UINT64_C(1099511628211);
    return (size_t)(h ^ h >> 32);
}

static struct cla_admission_address **slot_of(const struct cla_admission *admission,
                                              const struct cla_ip *ip)
{
    size_t at = hash(ip) & admission->mask;

    while (admission->slots[at] != NULL && memcmp(&admission->slots[at]->ip, ip, sizeof *ip) != 0)
        at = (at + 1) & admission->mask;
    return &admission->slots[at];
}

/* Acquire: whoever counted the last one out is done with it. */
static bool is_gone(struct cla_admission_address *address)
{
    return atomic_load_explicit(&address->open, memory_order_acquire) == 0;
}

/* Moves the addresses that are still there to a table with room for twice as many. */
static int rebuild(struct cla_admission *admission)
{
    struct cla_admission_address **old = admission->slots;
    size_t old_slots = old != NULL ? admission->mask + 1 : 0, live = 0, slots = FIRST_SLOTS;

    for (size_t i = 0; i < old_slots; i++)
        live += old[i] != NULL && !is_gone(old[i]);
    while (slots < live * 4)
        slots *= 2;
    admission->slots = cla_mem_zalloc(slots * sizeof(void *));
    if (admission->slots == NULL) {
        admission->slots = old;
        return -1;
    }
    admission->mask = slots - 1;
    admission->used = 0;
    for (size_t i = 0; i < old_slots; i++) {
        if (old[i] == NULL)
            continue;
        if (is_gone(old[i])) {
            cla_mem_free(old[i]);
            continue;
        }
        *slot_of(admission, &old[i]->ip) = old[i];
        admission->used++;
    }
    cla_mem_free(old);
    return 0;
}

/* NULL: out of memory. */
static struct cla_admission_address *find(struct cla_admission *admission, const struct cla_ip *ip)
{
    const struct cla_ip key = counted(ip);
    struct cla_admission_address **slot;
    size_t slots = admission->slots != NULL ? admission->mask + 1 : 0;

    if (admission->used * 2 >= slots && rebuild(admission) != 0 && admission->used + 1 >= slots)
        return NULL; /* a table needs one free slot */
    slot = slot_of(admission, &key);
    if (*slot != NULL)
        return *slot;
    *slot = cla_mem_zalloc(sizeof **slot);
    if (*slot == NULL)
        return NULL;
    (*slot)->ip = key;
    admission->used++;
    return *slot;
}

const char *cla_admission_judge(struct cla_admission *admission, unsigned open,
                                const struct cla_ip *ip, atomic_uint **of_address)
{
    struct cla_admission_address *address;

    *of_address = NULL;
    if (open >= admission->max_connections)
        return "too many connections (max_connections)";
    if (ip == NULL)
        return NULL;
    address = find(admission, ip);
    if (address == NULL)
        return "out of memory";
    if (atomic_load_explicit(&address->open, memory_order_relaxed) >= admission->per_address)
        return "too many connections from this address (connections_per_address)";
    atomic_fetch_add_explicit(&address->open, 1, memory_order_relaxed);
    *of_address = &address->open;
    return NULL;
}

void cla_admission_leave(atomic_uint *of_address)
{
    if (of_address != NULL)
        atomic_fetch_sub_explicit(of_address, 1, memory_order_release);
}

void cla_admission_fini(struct cla_admission *admission)
{
    for (size_t i = 0; admission->slots != NULL && i <= admission->mask; i++)
        cla_mem_free(admission->slots[i]);
    cla_mem_free(admission->slots);
    admission->slots = NULL;
}
