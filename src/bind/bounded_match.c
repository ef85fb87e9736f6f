/* A pattern is a row of items: single characters ('a', '.', '%d', '[set]'), each perhaps with a
 * quantifier, and the special ones ('(', ')', '%b', '%f', '%1', '$' at the end). The matcher walks
 * the row beside the subject, and calls itself where it may have to come back: for the rest of the
 * pattern behind a quantified item, and inside a capture. So many calls of itself are its limit,
 * and each counts as a step; runs of characters count their length. */
#include "bind/bounded_match.h"

#include <ctype.h>
#include <lauxlib.h>

/* Calls of itself inside one another. */
#define DEPTH 200
/* Bytes that memcmp looks at in a step. */
#define COMPARED 16
/* Steps of a run of characters between two counts. */
#define RUN_STEPS 4096

#define UNFINISHED (-1)
#define POSITION (-2)

enum special {
    IS_SINGLE, /* no special item */
    MATCHES,
    FAILS,
};

static const char *match(struct cla_bounded_match *m, const char *s, const char *p);

static int byte_at(const char *p)
{
    return (unsigned char)*p;
}

static _Noreturn void fail(struct cla_bounded_match *m, const char *message)
{
    luaL_error(m->interrupt.L, message);
    __builtin_unreachable();
}

/* --- Single characters. --- */

static const char *set_end(struct cla_bounded_match *m, const char *p)
{
    p += p[1] == '^' ? 2 : 1;
    for (bool first = true; first || *p != ']'; first = false) {
        if (p == m->pattern_end)
            fail(m, "malformed pattern (missing ']')");
        p += *p == '%' && p + 1 < m->pattern_end ? 2 : 1;
    }
    return p + 1;
}

/* The end of the single item at p: where its quantifier would be. */
static const char *item_end(struct cla_bounded_match *m, const char *p)
{
    switch (*p) {
    case '%':
        if (p + 1 == m->pattern_end)
            fail(m, "malformed pattern (ends with '%%')");
        return p + 2;
    case '[':
        return set_end(m, p);
    default:
        return p + 1;
    }
}

/* Whether 'c' is of the class that the lower-case letter means; *known: it means one. */
static bool in_lower_class(int c, int letter, bool *known)
{
    switch (letter) {
    case 'a':
        return isalpha(c);
    case 'c':
        return iscntrl(c);
    case 'd':
        return isdigit(c);
    case 'g':
        return isgraph(c);
    case 'l':
        return islower(c);
    case 'p':
        return ispunct(c);
    case 's':
        return isspace(c);
    case 'u':
        return isupper(c);
    case 'w':
        return isalnum(c);
    case 'x':
        return isxdigit(c);
    case 'z': /* from before patterns could hold a NUL */
        return c == 0;
    default:
        *known = false;
        return false;
    }
}

/* '%' and 'letter'. */
static bool in_class(int c, int letter)
{
    bool known = true, in = in_lower_class(c, tolower(letter), &known);

    if (!known)
        return c == letter;
    return isupper(letter) ? !in : in;
}

/* 'last' is the ']' of the set at p. */
static bool in_set(int c, const char *p, const char *last)
{
    bool listed = p[1] != '^'; /* the answer for what the set lists */

    for (p += listed ? 1 : 2; p < last; p++) {
        if (*p == '%') {
            if (in_class(c, byte_at(++p)))
                return listed;
        } else if (p[1] == '-' && p + 2 < last) {
            if (byte_at(p) <= c && c <= byte_at(p + 2))
                return listed;
            p += 2;
        } else if (byte_at(p) == c) {
            return listed;
        }
    }
    return !listed;
}

/* Whether 'c' matches the single item from p to 'end'. */
static bool is_single(int c, const char *p, const char *end)
{
    switch (*p) {
    case '.':
        return true;
    case '%':
        return in_class(c, byte_at(p + 1));
    case '[':
        return in_set(c, p, end - 1);
    default:
        return byte_at(p) == c;
    }
}

/* The end of the characters from s on, before 'stop', that match the single item. */
static const char *short_run(const char *s, const char *stop, const char *p, const char *end)
{
    if (*p == '.')
        return stop;
    if (*p != '%' && *p != '[') {
        while (s < stop && *s == *p)
            s++;
        return s;
    }
    while (s < stop && is_single(byte_at(s), p, end))
        s++;
    return s;
}

/* The same, before the end of the subject. */
static const char *run_end(struct cla_bounded_match *m, const char *s, const char *p,
                           const char *end)
{
    size_t each = (size_t)(end - p), window = each < RUN_STEPS ? RUN_STEPS / each : 1;

    for (;;) {
        bool is_last = (size_t)(m->subject_end - s) <= window;
        const char *stop = is_last ? m->subject_end : s + window;
        const char *reached = short_run(s, stop, p, end);

        cla_interrupt_step(&m->interrupt, (size_t)(reached - s) * each);
        s = reached;
        if (is_last || s < stop)
            return s;
    }
}

/* --- Quantifiers. --- */

/* As many as there are, then fewer, but not fewer than up to 'least'. */
static const char *match_most(struct cla_bounded_match *m, const char *s, const char *least,
                              const char *p, const char *end)
{
    const char *found;

    for (s = run_end(m, s, p, end); s >= least; s--) {
        found = match(m, s, end + 1);
        if (found != NULL)
            return found;
    }
    return NULL;
}

/* None, then more. */
static const char *match_least(struct cla_bounded_match *m, const char *s, const char *p,
                               const char *end)
{
    for (;;) {
        const char *found = match(m, s, end + 1);

        if (found != NULL)
            return found;
        cla_interrupt_step(&m->interrupt, (size_t)(end - p));
        if (s == m->subject_end || !is_single(byte_at(s), p, end))
            return NULL;
        s++;
    }
}

/* --- Captures. --- */

static const char *open_capture(struct cla_bounded_match *m, const char *s, const char *p)
{
    bool is_position = p[1] == ')';
    const char *end;

    if (m->captures == CLA_BOUNDED_MATCH_CAPTURES)
        fail(m, "too many captures");
    m->capture[m->captures].at = s;
    m->capture[m->captures].bytes = is_position ? POSITION : UNFINISHED;
    m->captures++;
    end = match(m, s, p + (is_position ? 2 : 1));
    if (end == NULL)
        m->captures--;
    return end;
}

static const char *close_capture(struct cla_bounded_match *m, const char *s, const char *p)
{
    int i = m->captures - 1;
    const char *end;

    while (i >= 0 && m->capture[i].bytes != UNFINISHED)
        i--;
    if (i < 0)
        fail(m, "invalid pattern capture");
    m->capture[i].bytes = s - m->capture[i].at;
    end = match(m, s, p + 1);
    if (end == NULL)
        m->capture[i].bytes = UNFINISHED;
    return end;
}

static _Noreturn void fail_index(struct cla_bounded_match *m, int index)
{
    luaL_error(m->interrupt.L, "invalid capture index %%%d", index + 1);
    __builtin_unreachable();
}

/* --- Special items. Each returns where the subject goes on, or NULL. --- */

static const char *match_back(struct cla_bounded_match *m, const char *s, int digit)
{
    int i = digit - '1';
    size_t n;

    if (i < 0 || i >= m->captures || m->capture[i].bytes == UNFINISHED)
        fail_index(m, i);
    if (m->capture[i].bytes == POSITION)
        return NULL;
    n = (size_t)m->capture[i].bytes;
    if (n > (size_t)(m->subject_end - s))
        return NULL;
    cla_interrupt_step(&m->interrupt, n / COMPARED);
    return memcmp(m->capture[i].at, s, n) == 0 ? s + n : NULL;
}

/* '%b' with the two characters at p. */
static const char *match_balance(struct cla_bounded_match *m, const char *s, const char *p)
{
    size_t open = 1;

    if (m->pattern_end - p < 2)
        fail(m, "malformed pattern (missing arguments to '%%b')");
    if (*s != p[0])
        return NULL;
    for (s++; s < m->subject_end; s++) {
        cla_interrupt_step(&m->interrupt, 1);
        if (*s == p[1]) {
            if (--open == 0)
                return s + 1;
        } else if (*s == p[0]) {
            open++;
        }
    }
    return NULL;
}

/* '%f' with the set at p, which ends at 'end'. */
static bool is_frontier(const struct cla_bounded_match *m, const char *s, const char *p,
                        const char *end)
{
    int before = s == m->subject ? '\0' : byte_at(s - 1);

    return !in_set(before, p, end - 1) && in_set(byte_at(s), p, end - 1);
}

static enum special match_frontier(struct cla_bounded_match *m, const char *s, const char **p)
{
    const char *set = *p + 2;

    if (*set != '[')
        fail(m, "missing '[' after '%%f' in pattern");
    *p = item_end(m, set);
    cla_interrupt_step(&m->interrupt, (size_t)(*p - set));
    return is_frontier(m, s, set, *p) ? MATCHES : FAILS;
}

/* The item at *p, which begins with '%', if it is a special one; then moves *s and *p behind it. */
static enum special match_special(struct cla_bounded_match *m, const char **s, const char **p)
{
    int letter = byte_at(*p + 1);

    if (letter == 'f')
        return match_frontier(m, *s, p);
    if (letter == 'b') {
        *s = match_balance(m, *s, *p + 2);
        *p += 4;
    } else if (isdigit(letter)) {
        *s = match_back(m, *s, letter);
        *p += 2;
    } else {
        return IS_SINGLE;
    }
    return *s != NULL ? MATCHES : FAILS;
}

/* --- The row. --- */

/* Moves *s and *p behind the single item at *p, with its quantifier, and returns false; or returns
 * true: the match ended there, at *s or, if that is NULL, in failure. */
static bool match_single(struct cla_bounded_match *m, const char **s, const char **p)
{
    const char *at = *s, *item = *p, *end = item_end(m, item);
    bool is = at < m->subject_end && is_single(byte_at(at), item, end);

    if (end - item > 2)
        cla_interrupt_step(&m->interrupt, (size_t)(end - item));
    switch (*end) {
    case '?':
        *p = end + 1;
        if (!is || (at = match(m, at + 1, end + 1)) == NULL)
            return false;
        *s = at;
        return true;
    case '*':
        *p = end + 1;
        if (is)
            *s = match_most(m, at + 1, at, item, end);
        return is;
    case '-':
        *p = end + 1;
        if (is)
            *s = match_least(m, at, item, end);
        return is;
    case '+':
        *s = is ? match_most(m, at + 1, at + 1, item, end) : NULL;
        return true;
    default:
        *p = end;
        *s = is ? at + 1 : NULL;
        return !is;
    }
}

/* Matches the rest of the pattern. */
static const char *match_rest(struct cla_bounded_match *m, const char *s, const char *p)
{
    while (p != m->pattern_end) {
        enum special special = IS_SINGLE;

        switch (*p) {
        case '(':
            return open_capture(m, s, p);
        case ')':
            return close_capture(m, s, p);
        case '$':
            if (p + 1 == m->pattern_end)
                return s == m->subject_end ? s : NULL;
            break;
        case '%':
            special = match_special(m, &s, &p);
            break;
        default:
            break;
        }
        if (special == FAILS)
            return NULL;
        if (special == IS_SINGLE && match_single(m, &s, &p))
            return s;
    }
    return s;
}

static const char *match(struct cla_bounded_match *m, const char *s, const char *p)
{
    const char *end;

    cla_interrupt_step(&m->interrupt, 1);
    if (m->depth == 0)
        fail(m, "pattern too complex");
    m->depth--;
    end = match_rest(m, s, p);
    m->depth++;
    return end;
}

void cla_bounded_match_init(struct cla_bounded_match *m, lua_State *L, struct cla_slice subject,
                            struct cla_slice pattern)
{
    m->interrupt = cla_interrupt_start(L);
    m->subject = subject.p;
    m->subject_end = subject.p + subject.n;
    m->pattern_end = pattern.p + pattern.n;
}

const char *cla_bounded_match_at(struct cla_bounded_match *m, const char *at, const char *pattern)
{
    m->captures = 0;
    m->depth = DEPTH;
    return match(m, at, pattern);
}

struct cla_slice cla_bounded_match_text(struct cla_bounded_match *m, int index, const char *start,
                                        const char *end)
{
    if (index >= m->captures) {
        if (index > 0)
            fail_index(m, index);
        return cla_slice(start, (size_t)(end - start));
    }
    if (m->capture[index].bytes == UNFINISHED)
        fail(m, "unfinished capture");
    if (m->capture[index].bytes == POSITION) {
        lua_pushinteger(m->interrupt.L, m->capture[index].at - m->subject + 1);
        return cla_slice(NULL, 0);
    }
    return cla_slice(m->capture[index].at, (size_t)m->capture[index].bytes);
}

void cla_bounded_match_push_one(struct cla_bounded_match *m, int index, const char *start,
                                const char *end)
{
    struct cla_slice text = cla_bounded_match_text(m, index, start, end);

    if (text.p != NULL)
        lua_pushlstring(m->interrupt.L, text.p, text.n);
}

int cla_bounded_match_push(struct cla_bounded_match *m, const char *start, const char *end)
{
    int n = m->captures == 0 && start != NULL ? 1 : m->captures;

    luaL_checkstack(m->interrupt.L, n, "too many captures");
    for (int i = 0; i < n; i++)
        cla_bounded_match_push_one(m, i, start, end);
    return n;
}
