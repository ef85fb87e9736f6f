#include "io/file_set.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"

struct cla_file_set {
    atomic_uint refs;
    pthread_mutex_t lock; /* of all below */
    struct cla_file_list list;
    uint64_t began_ns; /* when it was made, by the clock that stamps files */
    cla_file_set_added_cb *on_added;
    void *arg;
};

static uint64_t stamp_of_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    return (uint64_t)now.tv_sec * CLA_NS_PER_S + (uint64_t)now.tv_nsec;
}

int cla_file_set_new(struct cla_file_set **out)
{
    struct cla_file_set *set = cla_mem_zalloc(sizeof *set);

    if (set == NULL)
        return -CLA_ENOMEM;
    atomic_init(&set->refs, 1);
    pthread_mutex_init(&set->lock, NULL);
    set->began_ns = stamp_of_now();
    *out = set;
    return 0;
}

struct cla_file_set *cla_file_set_ref(struct cla_file_set *set)
{
    if (set != NULL)
        atomic_fetch_add_explicit(&set->refs, 1, memory_order_relaxed);
    return set;
}

void cla_file_set_put(struct cla_file_set *set)
{
    if (set == NULL || atomic_fetch_sub_explicit(&set->refs, 1, memory_order_acq_rel) != 1)
        return;
    cla_file_list_fini(&set->list);
    pthread_mutex_destroy(&set->lock);
    cla_mem_free(set);
}

static void note(struct cla_file_set *set, const char *path, bool deep, uint64_t since_ns)
{
    if (set == NULL)
        return;
    pthread_mutex_lock(&set->lock);
    if (cla_file_list_add(&set->list, path, deep, since_ns) && set->on_added != NULL)
        set->on_added(set->arg);
    pthread_mutex_unlock(&set->lock);
}

void cla_file_set_note(struct cla_file_set *set, const char *path)
{
    note(set, path, false, 0);
}

void cla_file_set_note_deep(struct cla_file_set *set, const char *path)
{
    note(set, path, true, set != NULL ? set->began_ns : 0);
}

void cla_file_set_listen(struct cla_file_set *set, cla_file_set_added_cb *on_added, void *arg)
{
    pthread_mutex_lock(&set->lock);
    set->on_added = on_added;
    set->arg = arg;
    pthread_mutex_unlock(&set->lock);
}

void cla_file_set_copy(struct cla_file_set *set, struct cla_file_list *to, size_t *from)
{
    pthread_mutex_lock(&set->lock);
    cla_file_list_merge(to, &set->list, *from);
    *from = set->list.paths.count;
    pthread_mutex_unlock(&set->lock);
}
