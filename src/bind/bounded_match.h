/* Lua patterns (reference manual, 6.4.1), matched so that the match can be interrupted.
 *
 * VM thread. Depends on: task/interrupt, lua. Results, limits and messages are those of Lua's own
 * string library; so is the moment at which a mistake in the pattern is noticed: when the match
 * gets there. */
#ifndef CLA_BIND_BOUNDED_MATCH_H
#define CLA_BIND_BOUNDED_MATCH_H

#include "base/slice.h"
#include "task/interrupt.h"

/* Captures of one pattern. */
#define CLA_BOUNDED_MATCH_CAPTURES 32

struct cla_bounded_match {
    struct cla_interrupt interrupt;
    const char *subject;     /* both are followed by a NUL, as Lua's strings are */
    const char *subject_end; /* its NUL */
    const char *pattern_end; /* the pattern's NUL */
    int depth;               /* levels of recursion that are left */
    int captures;            /* begun so far */
    struct {
        const char *at;
        ptrdiff_t bytes; /* or what else it is */
    } capture[CLA_BOUNDED_MATCH_CAPTURES];
};

/* Makes 'm' ready for matches in 'subject'. Both are strings on L's stack, or kept otherwise. */
void cla_bounded_match_init(struct cla_bounded_match *m, lua_State *L, struct cla_slice subject,
                            struct cla_slice pattern);

/* Matches from 'at', in the subject, against the pattern from 'pattern' on. Returns the end of the
 * match, or NULL if there is none. May raise. */
const char *cla_bounded_match_at(struct cla_bounded_match *m, const char *at, const char *pattern);

/* Pushes the captures of the last match, or if there are none and 'start' is not NULL the match,
 * from 'start' to 'end'. Returns how many. May raise. */
int cla_bounded_match_push(struct cla_bounded_match *m, const char *start, const char *end);

/* Pushes the capture with this index, from 0; the match if it is 0 and there are none. May raise.
 */
void cla_bounded_match_push_one(struct cla_bounded_match *m, int index, const char *start,
                                const char *end);

/* The same as text, without pushing; or, if it is a position, pushes that and returns one whose p
 * is NULL. */
struct cla_slice cla_bounded_match_text(struct cla_bounded_match *m, int index, const char *start,
                                        const char *end);

#endif
