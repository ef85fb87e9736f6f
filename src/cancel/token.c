#include "cancel/token.h"

void cla_token_init(struct cla_token *token, struct cla_token *parent, uint64_t deadline_ns)
{
    *token =
        (struct cla_token){.parent = parent, .own_ns = deadline_ns, .deadline_ns = deadline_ns};
    if (parent == NULL)
        return;
    cla_stack_push(&parent->children, &token->sibling);
    if (parent->deadline_ns < deadline_ns)
        token->deadline_ns = parent->deadline_ns;
    if (cla_token_cancelled(parent))
        token->reason = cla_reason_share(&parent->reason);
}

static uint64_t min_ns(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* The least of its own deadline, its ancestors' and those of their sources. */
static uint64_t effective_ns(const struct cla_token *token)
{
    uint64_t least = CLA_NEVER;

    for (; token != NULL; token = token->parent) {
        least = min_ns(least, token->own_ns);
        for (const struct cla_token_link *link = token->sources; link != NULL; link = link->next)
            least = min_ns(least, link->source->deadline_ns);
    }
    return least;
}

static void unlink_one(struct cla_token_link *link)
{
    struct cla_token_link **at = &link->target->sources;

    while (*at != link)
        at = &(*at)->next;
    *at = link->next;
    cla_stack_remove(&link->of_source);
    cla_list_remove(&link->following);
}

static void unlink_all(struct cla_token *token)
{
    CLA_STACK_EACH (link, &token->links) {
        unlink_one(CLA_CONTAINER(link, struct cla_token_link, of_source));
    }
    while (token->sources != NULL)
        unlink_one(token->sources);
}

void cla_token_link(struct cla_token *source, struct cla_token *target, struct cla_token_link *link)
{
    CLA_PRE(cla_stack_empty(&target->children));
    *link = (struct cla_token_link){.source = source, .target = target};
    cla_list_init(&link->following);
    target->deadline_ns = min_ns(target->deadline_ns, source->deadline_ns);
    if (cla_token_cancelled(target))
        return;
    if (cla_token_cancelled(source)) {
        target->reason = cla_reason_share(&source->reason);
        return;
    }
    cla_stack_push(&source->links, &link->of_source);
    link->next = target->sources;
    target->sources = link;
}

void cla_token_end(struct cla_token *token)
{
    struct cla_stack_link *link;

    unlink_all(token);
    while ((link = cla_stack_pop(&token->children)) != NULL)
        CLA_CONTAINER(link, struct cla_token, sibling)->parent = NULL;
    while (cla_token_take(token) != NULL)
        continue;
    cla_stack_remove(&token->sibling);
    token->parent = NULL;
}

static struct cla_token *first_leaf(struct cla_token *token)
{
    while (!cla_stack_empty(&token->children))
        token = CLA_CONTAINER(token->children.first, struct cla_token, sibling);
    return token;
}

struct cla_token *cla_token_next(struct cla_token *root, struct cla_token *last)
{
    if (last == NULL)
        return first_leaf(root);
    if (last == root)
        return NULL;
    if (last->sibling.next != NULL)
        return first_leaf(CLA_CONTAINER(last->sibling.next, struct cla_token, sibling));
    return last->parent;
}

/* Puts what is linked to 'token', if it is neither marked nor listed yet, at the end of 'list',
 * what was linked last at the very end. */
static void list_targets(const struct cla_token *token, struct cla_link *list)
{
    struct cla_link *end = list->prev;

    CLA_STACK_EACH (link, &token->links) {
        struct cla_token *target = CLA_CONTAINER(link, struct cla_token_link, of_source)->target;

        if (!cla_token_cancelled(target) && cla_list_empty(&target->sources->following))
            cla_list_push_front(end, &target->sources->following);
    }
}

/* Marks the subtree of 'top', and puts what is linked to it at the end of 'followers'. */
static void mark(struct cla_token *top, const struct cla_reason *reason, struct cla_link *followers)
{
    struct cla_token *t = NULL;

    while ((t = cla_token_next(top, t)) != NULL) {
        if (cla_token_cancelled(t))
            continue;
        t->reason = cla_reason_share(reason);
        list_targets(t, followers);
    }
}

/* The same for all that follows. */
static void mark_all(struct cla_token *root, const struct cla_reason *reason,
                     struct cla_link *followers)
{
    CLA_PRE(cla_list_empty(followers));
    mark(root, reason, followers);
    for (struct cla_link *link = followers->next; link != followers; link = link->next)
        mark(cla_token_follower(link), reason, followers); /* may add more */
}

/* Computes the deadlines of the subtree of 'top' again. Puts what is linked to those that have
 * changed at the end of 'list'. */
static void refresh(struct cla_token *top, struct cla_link *list)
{
    struct cla_token *t = NULL;

    while ((t = cla_token_next(top, t)) != NULL) {
        uint64_t before = t->deadline_ns;

        t->deadline_ns = effective_ns(t);
        if (t->deadline_ns != before)
            list_targets(t, list);
    }
}

/* Computes the deadlines of the subtree again, and of what is linked to it. */
static void refresh_all(struct cla_token *token)
{
    struct cla_link linked, *link;

    cla_list_init(&linked);
    refresh(token, &linked);
    while ((link = cla_list_pop(&linked)) != NULL)
        refresh(cla_token_follower(link), &linked);
}

void cla_token_set_deadline(struct cla_token *token, uint64_t deadline_ns)
{
    token->own_ns = deadline_ns;
    refresh_all(token);
}

bool cla_token_move(struct cla_token *token, struct cla_token *parent, struct cla_link *followers)
{
    cla_stack_remove(&token->sibling);
    token->parent = parent;
    if (parent != NULL)
        cla_stack_push(&parent->children, &token->sibling);
    refresh_all(token);
    if (parent == NULL || !cla_token_cancelled(parent) || cla_token_cancelled(token))
        return false;
    mark_all(token, &parent->reason, followers);
    return true;
}

struct cla_token *cla_token_take_follower(struct cla_link *followers)
{
    struct cla_link *last = followers->prev;

    if (last == followers)
        return NULL;
    cla_list_remove(last);
    return cla_token_follower(last);
}

bool cla_token_cancel(struct cla_token *token, enum cla_cancel_kind kind, uint64_t now_ns,
                      struct cla_slice message, struct cla_link *followers)
{
    struct cla_reason reason;

    CLA_PRE(kind != CLA_CANCEL_NONE);
    if (cla_token_cancelled(token))
        return false;
    if (now_ns >= token->deadline_ns)
        kind = CLA_CANCEL_TIMEOUT;
    reason = cla_reason_make(kind, now_ns, message);
    mark_all(token, &reason, followers);
    cla_reason_fini(&reason);
    return true;
}

uint64_t cla_token_remaining_ns(const struct cla_token *token, uint64_t now_ns)
{
    if (cla_token_cancelled(token))
        return 0;
    if (token->deadline_ns == CLA_NEVER)
        return CLA_NEVER;
    return token->deadline_ns > now_ns ? token->deadline_ns - now_ns : 0;
}

/* The newest registration; NULL: there is none. */
static struct cla_registration *newest(const struct cla_token *token)
{
    return cla_stack_empty(&token->registrations)
               ? NULL
               : CLA_CONTAINER(token->registrations.first, struct cla_registration, link);
}

int cla_token_register(struct cla_token *token, struct cla_registration *registration)
{
    unsigned count = newest(token) != NULL ? newest(token)->count : 0;

    if (count >= CLA_TOKEN_REGISTRATIONS_MAX)
        return -CLA_ELIMIT;
    *registration = (struct cla_registration){.token = token, .count = count + 1};
    cla_stack_push(&token->registrations, &registration->link);
    return 0;
}

bool cla_registration_remove(struct cla_registration *registration)
{
    const struct cla_token *token = registration->token;
    unsigned count;

    if (token == NULL)
        return false;
    count = newest(token)->count;
    registration->token = NULL;
    cla_stack_remove(&registration->link);
    cla_stack_remove(&registration->made);
    if (newest(token) != NULL)
        newest(token)->count = count - 1;
    return true;
}

struct cla_registration *cla_token_take(struct cla_token *token)
{
    struct cla_registration *registration = newest(token);

    if (registration != NULL)
        cla_registration_remove(registration);
    return registration;
}
