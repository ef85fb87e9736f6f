/* Intrusive list whose head is one pointer: for what most structs could have, and few do.
 *
 * Any thread, one at a time. Depends on: base/check. Links go in at the front and out anywhere. All
 * zeros is an empty one, and a link in none; unlinking twice is harmless. */
#ifndef CLA_BASE_STACK_H
#define CLA_BASE_STACK_H

#include <stdbool.h>
#include <stddef.h>

#include "base/check.h"

struct cla_stack_link {
    struct cla_stack_link *next; /* NULL: the last */
    struct cla_stack_link **at;  /* what points at it; NULL: it is in no stack */
};

struct cla_stack {
    struct cla_stack_link *first; /* NULL: it is empty */
};

/* True if the stack holds nothing. */
static inline bool cla_stack_empty(const struct cla_stack *stack)
{
    return stack->first == NULL;
}

/* True if 'link' is in a stack. */
static inline bool cla_stack_holds(const struct cla_stack_link *link)
{
    return link->at != NULL;
}

/* Puts 'link' at the front. It must be in no stack. */
static inline void cla_stack_push(struct cla_stack *stack, struct cla_stack_link *link)
{
    link->next = stack->first;
    link->at = &stack->first;
    if (link->next != NULL)
        link->next->at = &link->next;
    stack->first = link;
}

/* Takes 'link' out of its stack, if it is in one. */
static inline void cla_stack_remove(struct cla_stack_link *link)
{
    if (link->at == NULL)
        return;
    *link->at = link->next;
    if (link->next != NULL)
        link->next->at = link->at;
    link->next = NULL;
    link->at = NULL;
}

/* Takes out and returns the first link, or NULL. */
static inline struct cla_stack_link *cla_stack_pop(struct cla_stack *stack)
{
    struct cla_stack_link *first = stack->first;

    if (first != NULL)
        cla_stack_remove(first);
    return first;
}

/* Walks a stack from its front; 'link' may be removed in the body. */
#define CLA_STACK_EACH(link, stack)                                             \
    for (struct cla_stack_link *link = (stack)->first,                          \
                               *link##_next = link != NULL ? link->next : NULL; \
         link != NULL; link = link##_next, link##_next = link != NULL ? link->next : NULL)

#endif
