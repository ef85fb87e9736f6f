#include "cancel/token.h"

void cla_token_init(struct cla_token *token, struct cla_token *parent, uint64_t deadline_ns)
{
    *token =
        (struct cla_token){.parent = parent, .own_ns = deadline_ns, .deadline_ns = deadline_ns};
    cla_list_init(&token->children);
    cla_list_init(&token->sibling);
    cla_list_init(&token->registrations);
    if (parent == NULL)
        return;
    cla_list_push_front(&parent->children, &token->sibling);
    if (parent->deadline_ns < deadline_ns)
        token->deadline_ns = parent->deadline_ns;
    if (cla_token_cancelled(parent))
        token->reason = cla_reason_share(&parent->reason);
}

static uint64_t effective_ns(const struct cla_token *token)
{
    uint64_t least = CLA_NEVER;

    for (; token != NULL; token = token->parent)
        least = token->own_ns < least ? token->own_ns : least;
    return least;
}

bool cla_token_move(struct cla_token *token, struct cla_token *parent)
{
    const struct cla_reason *mark =
        parent != NULL && cla_token_cancelled(parent) ? &parent->reason : NULL;
    bool fresh = mark != NULL && !cla_token_cancelled(token);
    struct cla_token *t = NULL;

    cla_list_remove(&token->sibling);
    token->parent = parent;
    if (parent != NULL)
        cla_list_push_front(&parent->children, &token->sibling);
    while ((t = cla_token_next(token, t)) != NULL) {
        t->deadline_ns = effective_ns(t);
        if (mark != NULL && !cla_token_cancelled(t))
            t->reason = cla_reason_share(mark);
    }
    return fresh;
}

void cla_token_end(struct cla_token *token)
{
    struct cla_link *link;

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

bool cla_token_cancel(struct cla_token *token, enum cla_cancel_kind kind, uint64_t now_ns,
                      struct cla_slice message)
{
    struct cla_token *t = NULL;
    struct cla_reason reason;

    CLA_PRE(kind != CLA_CANCEL_NONE);
    if (cla_token_cancelled(token))
        return false;
    if (now_ns >= token->deadline_ns)
        kind = CLA_CANCEL_TIMEOUT;
    reason = cla_reason_make(kind, now_ns, message);
    while ((t = cla_token_next(token, t)) != NULL) {
        if (!cla_token_cancelled(t))
            t->reason = cla_reason_share(&reason);
    }
    cla_reason_fini(&reason);
    return true;
}

uint64_t cla_token_remaining_ns(const struct cla_token *token, uint64_t now_ns)
{
    if (token->deadline_ns == CLA_NEVER)
        return CLA_NEVER;
    return token->deadline_ns > now_ns ? token->deadline_ns - now_ns : 0;
}

int cla_token_register(struct cla_token *token, struct cla_registration *registration)
{
    if (token->registration_count >= CLA_TOKEN_REGISTRATIONS_MAX)
        return -CLA_ELIMIT;
    registration->token = token;
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
