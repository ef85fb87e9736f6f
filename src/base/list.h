/* Intrusive doubly linked list.
 *
 * Any thread, one at a time. Depends on: base/check. The list is a ring through its head;
 * a link that is in no list points at itself, so unlinking twice is harmless. */
#ifndef CLA_BASE_LIST_H
#define CLA_BASE_LIST_H

#include <stdbool.h>

#include "base/check.h"

struct cla_link {
    struct cla_link *prev, *next;
};

/* Makes 'link' an empty list, or a link in no list. */
static inline void cla_list_init(struct cla_link *link)
{
    link->prev = link->next = link;
}

/* True if the list (or the ring of this link) holds nothing else. */
static inline bool cla_list_empty(const struct cla_link *list)
{
    return list->next == list;
}

/* Puts 'link' at the end. It must be in no list. */
static inline void cla_list_push(struct cla_link *list, struct cla_link *link)
{
    link->prev = list->prev;
    link->next = list;
    list->prev->next = link;
    list->prev = link;
}

/* Puts 'link' at the front. It must be in no list. */
static inline void cla_list_push_front(struct cla_link *list, struct cla_link *link)
{
    cla_list_push(list->next, link);
}

/* Takes 'link' out of its list, if it is in one. */
static inline void cla_list_remove(struct cla_link *link)
{
    link->prev->next = link->next;
    link->next->prev = link->prev;
    cla_list_init(link);
}

/* Takes out and returns the first link, or NULL. */
static inline struct cla_link *cla_list_pop(struct cla_link *list)
{
    struct cla_link *first = list->next;

    if (first == list)
        return NULL;
    cla_list_remove(first);
    return first;
}

/* Moves all links of 'from' to the end of 'to'. */
static inline void cla_list_move(struct cla_link *to, struct cla_link *from)
{
    if (cla_list_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    cla_list_init(from);
}

/* Walks a list; 'link' may be removed in the body. */
#define CLA_LIST_EACH(link, list)                                                         \
    for (struct cla_link *link = (list)->next, *link##_next = link->next; link != (list); \
         link = link##_next, link##_next = link->next)

#endif
