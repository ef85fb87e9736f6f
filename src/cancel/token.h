/* The tree of cancellation tokens: pure state.
 *
 * One thread. Depends on: base, cancel/reason. No I/O, no Lua; time is a parameter.
 *
 * A token is cancelled once; the first reason wins. Cancelling marks the whole subtree before
 * anything else happens (the first of the two phases); the caller then visits it with
 * cla_token_next() to run what was registered and wake what waits. Tokens are in their owner's
 * storage; a parent outlives its children or detaches them.
 *
 * A token may also be linked to others, its sources: it is marked with the first of them, in the
 * same phase. It is then a follower of the token that was cancelled, and the roots of what is to be
 * visited are that and its followers, which whoever cancels has a list for. */
#ifndef CLA_CANCEL_TOKEN_H
#define CLA_CANCEL_TOKEN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/stack.h"
#include "cancel/reason.h"

/* Most registrations that one token takes. */
#define CLA_TOKEN_REGISTRATIONS_MAX 1024

struct cla_token {
    struct cla_token *parent;       /* NULL: a root */
    struct cla_stack children;      /* newest first */
    struct cla_stack_link sibling;  /* in parent->children */
    struct cla_stack registrations; /* newest first */
    struct cla_reason reason;       /* kind NONE: not cancelled */
    uint64_t own_ns;                /* its own deadline */
    uint64_t deadline_ns;           /* the least of its own, its ancestors' and its sources' */
    struct cla_stack links;         /* to tokens that are marked with it */
    struct cla_token_link *sources; /* from tokens that it is marked with; NULL: none */
};

/* From a source to the token that is linked to it; in the storage of who owns that token. */
struct cla_token_link {
    struct cla_stack_link of_source; /* in source->links */
    struct cla_token_link *next;     /* of target->sources */
    struct cla_token *source, *target;
    struct cla_link following; /* the first of target->sources: in the followers of the token that
                                  was cancelled, or in no list */
};

/* Something to be done when a token is cancelled; embedded in its owner's struct. */
struct cla_registration {
    struct cla_stack_link link; /* in token->registrations, or in none */
    struct cla_stack_link made; /* in that of a maker that may end before the token, or in none */
    struct cla_token *token;    /* NULL once taken, removed or dropped */
    unsigned count;             /* of the newest of a token: how many that has */
};

/* Makes a token under 'parent' (NULL: a root); born cancelled if the parent is. */
void cla_token_init(struct cla_token *token, struct cla_token *parent, uint64_t deadline_ns);

/* Puts the token, and what is inside it, under 'parent' (NULL: a root), which is not inside it;
 * deadlines follow, through links too. If the parent was cancelled and the token was not, marks the
 * subtree and what is linked to it with the parent's reason, puts the followers in the empty list
 * 'followers', and returns true. What is marked stays so when it is moved away again. Not while
 * followers are being visited. */
bool cla_token_move(struct cla_token *token, struct cla_token *parent, struct cla_link *followers);

/* Takes the token out of the tree and undoes its links, both ways. Children become roots;
 * registrations are dropped. Its reason stays readable until cla_reason_fini(&token->reason). Not
 * while followers are being visited. */
void cla_token_end(struct cla_token *token);

/* True once it was cancelled. */
static inline bool cla_token_cancelled(const struct cla_token *token)
{
    return token->reason.kind != CLA_CANCEL_NONE;
}

/* Gives the token another deadline of its own, earlier or later. */
void cla_token_set_deadline(struct cla_token *token, uint64_t deadline_ns);

/* Links 'target', which has no children yet and to which nothing is linked yet, to 'source': marked
 * with it from now on, or at once if that is cancelled, when nothing is linked. Its deadline is at
 * most that of the source. */
void cla_token_link(struct cla_token *source, struct cla_token *target,
                    struct cla_token_link *link);

/* Marks the token and every descendant that was not yet cancelled, and what is linked to them: its
 * followers, which it puts in the empty list 'followers'. If now_ns is at or past the token's
 * deadline the kind becomes TIMEOUT whoever asked. 'message' as in cla_reason_make(). Returns
 * false, and changes nothing, if it was cancelled already. */
bool cla_token_cancel(struct cla_token *token, enum cla_cancel_kind kind, uint64_t now_ns,
                      struct cla_slice message, struct cla_link *followers);

/* Walks the subtree of 'root', children before parents: pass NULL first; NULL ends it.
 * 'last' must still be in the tree: take the next token before ending the one at hand. */
struct cla_token *cla_token_next(struct cla_token *root, struct cla_token *last);

/* The follower in a list of them. */
static inline struct cla_token *cla_token_follower(struct cla_link *link)
{
    return CLA_CONTAINER(link, struct cla_token_link, following)->target;
}

/* Takes a follower off the list, those that were marked last first; NULL: there are no more. All
 * must be taken. */
struct cla_token *cla_token_take_follower(struct cla_link *followers);

/* Nanoseconds until the deadline: 0 if past or cancelled, CLA_NEVER if there is none. */
uint64_t cla_token_remaining_ns(const struct cla_token *token, uint64_t now_ns);

/* Registers. Returns 0, or -CLA_ELIMIT at CLA_TOKEN_REGISTRATIONS_MAX. Also on a cancelled token:
 * the caller then takes it at once. */
int cla_token_register(struct cla_token *token, struct cla_registration *registration);

/* Withdraws. True iff it was still registered: it will then never be taken. */
bool cla_registration_remove(struct cla_registration *registration);

/* Takes the newest registration off a token, or returns NULL. */
struct cla_registration *cla_token_take(struct cla_token *token);

#endif
