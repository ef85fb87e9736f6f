#include "io/timer.h"

#include "base/check.h"

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

void cla_timer_stop(struct cla_timers *timers, struct cla_timer *timer)
{
    struct cla_timer *heap;

    if (!cla_timer_active(timer))
        return;
    timer->order = 0;
    heap = meld_siblings(timer->child);
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

void cla_timer_start(struct cla_timers *timers, struct cla_timer *timer, uint64_t due_ns)
{
    cla_timer_stop(timers, timer);
    if (due_ns == CLA_NEVER)
        return;
    timer->due_ns = due_ns > timers->firing_ns ? due_ns : timers->firing_ns;
    timer->order = ++timers->started;
    timers->root = meld(timers->root, timer);
}

void cla_timers_fire(struct cla_timers *timers, uint64_t now_ns)
{
    uint64_t until = timers->started;

    timers->firing_ns = now_ns; /* so that what a callback starts comes behind all that is due */
    while (timers->root != NULL && timers->root->due_ns <= now_ns && timers->root->order <= until) {
        struct cla_timer *timer = timers->root;

        cla_timer_stop(timers, timer);
        timer->fire(timer);
    }
    timers->firing_ns = 0;
}
