#include "io/timer.h"

#include "base/check.h"

/* Timers that are due so close together are taken to be of one duration. */
#define JUST_BEFORE_NS (CLA_NS_PER_MS / 10)

static bool earlier(const struct cla_timer *a, const struct cla_timer *b)
{
    return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->order < b->order;
}

/* Joins two heaps whose roots have no siblings. */
static struct cla_timer *meld(struct cla_timer *a, struct cla_timer *b)
{
    struct cla_timer *root = a, *under = b;

    if (a == NULL)
        return b;
    if (b == NULL)
        return a;
    if (earlier(b, a)) {
        root = b;
        under = a;
    }
    under->next = root->child;
    if (root->child != NULL)
        root->child->prev = under;
    under->prev = root;
    root->child = under;
    return root;
}

static struct cla_timer *cut(struct cla_timer *timer)
{
    struct cla_timer *next = timer->next;

    timer->next = timer->prev = NULL;
    return next;
}

/* Melds a list of siblings in pairs, left to right, then the pairs right to left. */
static struct cla_timer *meld_siblings(struct cla_timer *first)
{
    struct cla_timer *pairs = NULL, *root = NULL;

    while (first != NULL) {
        struct cla_timer *a = first, *b = cut(a), *rest = b != NULL ? cut(b) : NULL;

        a = meld(a, b);
        a->next = pairs;
        pairs = a;
        first = rest;
    }
    while (pairs != NULL) {
        struct cla_timer *rest = cut(pairs);

        root = meld(root, pairs);
        pairs = rest;
    }
    return root;
}

static void remove_from_heap(struct cla_timers *timers, struct cla_timer *timer)
{
    struct cla_timer *heap = meld_siblings(timer->child);

    timer->child = NULL;
    if (timers->root == timer) {
        timers->root = heap;
        return;
    }
    if (timer->prev->child == timer)
        timer->prev->child = timer->next;
    else
        timer->prev->next = timer->next;
    if (timer->next != NULL)
        timer->next->prev = timer->prev;
    timer->next = timer->prev = NULL;
    timers->root = meld(timers->root, heap);
}

/* --- The lists. --- */

/* Told by where it lies: a timer that is only a neighbour need not be looked at. */
static bool is_list(const struct cla_timers *timers, const struct cla_timer *timer)
{
    return (uintptr_t)timer - (uintptr_t)timers->lists < sizeof timers->lists;
}

static bool is_empty(const struct cla_timer *list)
{
    return list->next == NULL || list->next == list;
}

/* The list that a timer is to be at the end of: one whose last is due just before it, being of the
 * same duration, or that with the latest which is not due later, so that those of shorter durations
 * stay free for others. NULL: there is none. */
static struct cla_timer *list_for(struct cla_timers *timers, uint64_t due_ns)
{
    struct cla_timer *best = NULL;

    if (timers->recent != NULL && due_ns - timers->recent->due_ns < JUST_BEFORE_NS)
        return timers->recent; /* as what is started in a row most often is */
    for (unsigned i = 0; i < CLA_TIMERS_LISTS; i++) {
        struct cla_timer *list = &timers->lists[i];

        if (list->due_ns > due_ns)
            continue;
        if (due_ns - list->due_ns < JUST_BEFORE_NS)
            return list;
        if (best == NULL || list->due_ns > best->due_ns)
            best = list;
    }
    return best;
}

static void add_to_list(struct cla_timer *list, struct cla_timer *timer)
{
    if (list->next == NULL)
        list->next = list->prev = list;
    timer->child = timer;
    timer->next = list;
    timer->prev = list->prev;
    list->prev->next = timer;
    list->prev = timer;
    list->due_ns = timer->due_ns;
}

static void remove_from_list(const struct cla_timers *timers, struct cla_timer *timer)
{
    struct cla_timer *next = timer->next, *prev = timer->prev;

    next->prev = prev;
    prev->next = next;
    if (is_list(timers, next))
        next->due_ns = is_list(timers, prev) ? 0 : prev->due_ns;
    timer->child = timer->next = timer->prev = NULL;
}

/* The earliest of all, or NULL. */
static struct cla_timer *earliest(const struct cla_timers *timers)
{
    struct cla_timer *first = timers->root;

    for (unsigned i = 0; i < CLA_TIMERS_LISTS; i++) {
        const struct cla_timer *list = &timers->lists[i];

        if (!is_empty(list) && (first == NULL || earlier(list->next, first)))
            first = list->next;
    }
    return first;
}

/* --- Timers. --- */

void cla_timer_stop(struct cla_timers *timers, struct cla_timer *timer)
{
    if (!cla_timer_active(timer))
        return;
    timer->order = 0;
    timers->active--;
    if (timer->child == timer)
        remove_from_list(timers, timer);
    else
        remove_from_heap(timers, timer);
}

void cla_timer_start(struct cla_timers *timers, struct cla_timer *timer, uint64_t due_ns)
{
    struct cla_timer *list;

    cla_timer_stop(timers, timer);
    if (due_ns == CLA_NEVER)
        return;
    timer->due_ns = due_ns > timers->firing_ns ? due_ns : timers->firing_ns;
    timer->order = ++timers->started;
    timers->active++;
    list = list_for(timers, timer->due_ns);
    timers->recent = list;
    if (list != NULL)
        add_to_list(list, timer);
    else
        timers->root = meld(timers->root, timer);
}

uint64_t cla_timers_next_ns(const struct cla_timers *timers)
{
    const struct cla_timer *first = earliest(timers);

    return first != NULL ? first->due_ns : CLA_NEVER;
}

void cla_timers_fire(struct cla_timers *timers, uint64_t now_ns)
{
    uint64_t until = timers->started;
    struct cla_timer *timer;

    timers->firing_ns = now_ns; /* so that what a callback starts comes behind all that is due */
    while ((timer = earliest(timers)) != NULL && timer->due_ns <= now_ns && timer->order <= until) {
        cla_timer_stop(timers, timer);
        timer->fire(timer);
    }
    timers->firing_ns = 0;
}
