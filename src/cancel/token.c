#include "cancel/token.h"

void cla_token_init(struct cla_token *token, struct cla_token *parent, uint64_t deadline_ns)
{
    *token =
        (struct cla_token){.parent = parent, .own_ns = deadline_ns, .deadline_ns = deadline_ns};
    cla_list_init(&token->children);
    cla_list_init(&token->sibling);
    cla_list_init(&token->registrations);
    cla_list_init(&token->links);
    cla_list_init(&token->followers);
    cla_list_init(&token->following);
    if (parent == NULL)
        return;
    cla_list_push_front(&parent->children, &token->sibling);
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
    cla_list_remove(&link->of_source);
}

static void unlink_all(struct cla_token *token)
{
    CLA_LIST_EACH (link, &token->links) {
        unlink_one(CLA_CONTAINER(link, struct cla_token_link, of_source));
    }
    while (token->sources != NULL)
        unlink_one(token->sources);
}

void cla_token_link(struct cla_token *source, struct cla_token *target, struct cla_token_link *link)
{
    CLA_PRE(cla_list_empty(&target->children));
    *link = (struct cla_token_link){.source = source, .target = target};
    cla_list_init(&link->of_source);
    target->deadline_ns = min_ns(target->deadline_ns, source->deadline_ns);
    if (cla_token_cancelled(target))
        return;
    if (cla_token_cancelled(source)) {
        target->reason = cla_reason_share(&source->reason);
        return;
    }
    cla_list_push(&source->links, &link->of_source);
    link->next = target->sources;
    target->sources = link;
}

void cla_token_end(struct cla_token *token)
{
    struct cla_link *link;

    unlink_all(token);
    cla_list_remove(&token->following);
    while (cla_token_take_follower(token) != NULL)
        continue;
    while ((link = cla_list_pop(&token->children)) != NULL)
        CLA_CONTAINER(link, struct cla_token, sibling)->parent = NULL;
    while (cla_token_take(token) != NULL)
        continue;
    cla_list_remove(&token->sibling);
    token->parent = NULL;
}

static struct cla_token *first_leaf(struct cla_token *token)
{
    while (!cla_list_empty(&token->children))
        token = CLA_CONTAINER(token->children.next, struct cla_token, sibling);
    return token;
}

struct cla_token *cla_token_next(struct cla_token *root, struct cla_token *last)
{
    if (last == NULL)
        return first_leaf(root);
    if (last == root)
        return NULL;
    if (last->sibling.next != &last->parent->children)
        return first_leaf(CLA_CONTAINER(last->sibling.next, struct cla_token, sibling));
    return last->parent;
}

/* Puts what is linked to 'token', if it is neither marked nor listed yet, at the end of 'list'. */
static void list_targets(const struct cla_token *token, struct cla_link *list)
{
    CLA_LIST_EACH (link, &token->links) {
        struct cla_token *target = CLA_CONTAINER(link, struct cla_token_link, of_source)->target;

        if (!cla_token_cancelled(target) && cla_list_empty(&target->following))
            cla_list_push(list, &target->following);
    }
}

/* Marks the subtree of 'top', and puts what is linked to it behind the followers of 'root'. */
static void mark(struct cla_token *root, struct cla_token *top, const struct cla_reason *reason)
{
    struct cla_token *t = NULL;

    while ((t = cla_token_next(top, t)) != NULL) {
        if (cla_token_cancelled(t))
            continue;
        t->reason = cla_reason_share(reason);
        list_targets(t, &root->followers);
    }
}

/* The same for all that follows. */
static void mark_all(struct cla_token *root, const struct cla_reason *reason)
{
    mark(root, root, reason);
    for (struct cla_link *link = root->followers.next; link != &root->followers; link = link->next)
        mark(root, CLA_CONTAINER(link, struct cla_token, following), reason); /* may add more */
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
        refresh(CLA_CONTAINER(link, struct cla_token, following), &linked);
}

void cla_token_set_deadline(struct cla_token *token, uint64_t deadline_ns)
{
    token->own_ns = deadline_ns;
    refresh_all(token);
}

bool cla_token_move(struct cla_token *token, struct cla_token *parent)
{
    cla_list_remove(&token->sibling);
    token->parent = parent;
    if (parent != NULL)
        cla_list_push_front(&parent->children, &token->sibling);
    refresh_all(token);
    if (parent == NULL || !cla_token_cancelled(parent) || cla_token_cancelled(token))
        return false;
    mark_all(token, &parent->reason);
    return true;
}

struct cla_token *cla_token_take_follower(struct cla_token *token)
{
    struct cla_link *last = token->followers.prev;

    if (last == &token->followers)
        return NULL;
    cla_list_remove(last);
    return CLA_CONTAINER(last, struct cla_token, following);
}

bool cla_token_cancel(struct cla_token *token, enum cla_cancel_kind kind, uint64_t now_ns,
                      struct cla_slice message)
{
    struct cla_reason reason;

    CLA_PRE(kind != CLA_CANCEL_NONE);
    if (cla_token_cancelled(token))
        return false;
    if (now_ns >= token->deadline_ns)
        kind = CLA_CANCEL_TIMEOUT;
    reason = cla_reason_make(kind, now_ns, message);
    mark_all(token, &reason);
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

int cla_token_register(struct cla_token *token, struct cla_registration *registration)
{
    if (token->registration_count >= CLA_TOKEN_REGISTRATIONS_MAX)
        return -CLA_ELIMIT;
    registration->token = token;
    cla_list_init(&registration->made);
    cla_list_init(&registration->link);
    cla_list_push_front(&token->registrations, &registration->link);
    token->registration_count++;
    return 0;
}

bool cla_registration_remove(struct cla_registration *registration)
{
    if (registration->token == NULL)
        return false;
    registration->token->registration_count--;
    registration->token = NULL;
    cla_list_remove(&registration->link);
    cla_list_remove(&registration->made);
    return true;
}

struct cla_registration *cla_token_take(struct cla_token *token)
{
    struct cla_registration *registration;

    if (cla_list_empty(&token->registrations))
        return NULL;
    registration = CLA_CONTAINER(token->registrations.next, struct cla_registration, link);
    cla_registration_remove(registration);
    return registration;
}
