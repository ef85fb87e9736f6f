/* The known name that a mistyped one was probably meant to be.
 *
 * Any thread, one at a time. Depends on: base/slice. No allocation. Case is ignored, and '-' is
 * '_', so that flags, settings and environment variables can be compared with one another. */
#ifndef CLA_BASE_SUGGEST_H
#define CLA_BASE_SUGGEST_H

#include "base/slice.h"

/* Longer names are never compared: the work for one pair is at most the square of this. */
#define CLA_SUGGEST_NAME_MAX 64

struct cla_suggest {
    struct cla_slice name; /* as typed; borrowed */
    struct cla_slice best; /* nearest offered so far; empty: none is near enough */
    unsigned distance;     /* of 'best'; before there is one, the first that is too far */
};

/* Starts looking for the nearest to 'name': at most one edit for each three bytes of it (but one
 * at least, and never more than three). */
void cla_suggest_init(struct cla_suggest *suggest, struct cla_slice name);

/* Considers 'known' (borrowed until the end). Among equally near ones the first offered wins. */
void cla_suggest_offer(struct cla_suggest *suggest, struct cla_slice known);

/* How many insertions, deletions, replacements and swaps of neighbours make 'b' of 'a' (no byte is
 * edited twice); 'limit' if that many or more, or if either is beyond CLA_SUGGEST_NAME_MAX. */
unsigned cla_suggest_distance(struct cla_slice a, struct cla_slice b, unsigned limit);

#endif
