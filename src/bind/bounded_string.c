#include "bind/bounded_string.h"

#include <lauxlib.h>
#include <limits.h>
#include <lualib.h>

#include "bind/bounded_match.h"

/* Bytes that memcpy, memchr and memcmp deal with in a step. */
#define COPIED 16
/* Bytes that they are given at a time. */
#define WINDOW 65536

#define SPECIAL_CHARACTERS "^$*+?.([%-"

static struct cla_slice check_slice(lua_State *L, int arg)
{
    struct cla_slice s;

    s.p = luaL_checklstring(L, arg, &s.n);
    return s;
}

/* --- rep --- */

/* Repeats the first 'unit' bytes at 'to' until there are 'bytes'. */
static void fill(struct cla_interrupt *interrupt, char *to, size_t unit, size_t bytes)
{
    size_t done = unit;

    while (done < bytes) {
        size_t from = done % unit, n = done - from;

        if (n > WINDOW)
            n = WINDOW;
        if (n > bytes - done)
            n = bytes - done;
        memcpy(to + done, to + from, n);
        done += n;
        cla_interrupt_step(interrupt, n / COPIED);
    }
}

static void repeat(lua_State *L, struct cla_slice s, struct cla_slice separator, size_t times)
{
    struct cla_interrupt interrupt = cla_interrupt_start(L);
    size_t unit = s.n + separator.n, bytes = unit * times - separator.n;
    luaL_Buffer b;
    char *to = luaL_buffinitsize(L, &b, bytes);

    memcpy(to, s.p, s.n);
    if (times > 1) {
        memcpy(to + s.n, separator.p, separator.n);
        fill(&interrupt, to, unit, bytes);
    }
    luaL_pushresultsize(&b, bytes);
}

/* rep(s, n, sep). Upvalue: Lua's own, for results that it says are too large. */
static int l_rep(lua_State *L)
{
    struct cla_slice s = check_slice(L, 1), separator;
    lua_Integer n = luaL_checkinteger(L, 2);
    size_t unit;

    separator.p = luaL_optlstring(L, 3, "", &separator.n);
    unit = s.n + separator.n;
    if (n <= 0 || unit == 0)
        lua_pushliteral(L, "");
    else if (unit > (size_t)INT_MAX / (lua_Unsigned)n)
        return lua_tocfunction(L, lua_upvalueindex(1))(L);
    else
        repeat(L, s, separator, (size_t)n);
    return 1;
}

/* --- find, match --- */

/* The offset, from 0, that the argument 'arg' means: a position from 1, or from the end if it is
 * negative; the first if there is none. May be behind the end. */
static size_t start_offset(lua_State *L, int arg, size_t n)
{
    lua_Integer at = luaL_optinteger(L, arg, 1);

    if (at > 0)
        return (size_t)at - 1;
    if (at == 0 || at < -(lua_Integer)n)
        return 0;
    return n - (size_t)-at;
}

static bool is_plain(struct cla_slice pattern)
{
    const char *end = pattern.p + pattern.n;

    for (const char *p = pattern.p; p <= end; p += strlen(p) + 1) {
        if (strpbrk(p, SPECIAL_CHARACTERS) != NULL)
            return false;
    }
    return true;
}

/* Where 'what', which is not empty, first is in 'text'; NULL: nowhere. */
static const char *find_bytes(lua_State *L, struct cla_slice text, struct cla_slice what)
{
    struct cla_interrupt interrupt = cla_interrupt_start(L);
    const char *at = text.p, *last;

    if (what.n > text.n)
        return NULL;
    last = text.p + (text.n - what.n);
    while (at <= last) {
        size_t left = (size_t)(last - at) + 1, n = left < WINDOW ? left : WINDOW;
        const char *found = memchr(at, what.p[0], n);

        if (found == NULL) {
            cla_interrupt_step(&interrupt, n / COPIED);
            at += n;
            continue;
        }
        if (memcmp(found, what.p, what.n) == 0)
            return found;
        cla_interrupt_step(&interrupt, ((size_t)(found - at) + what.n) / COPIED + 1);
        at = found + 1;
    }
    return NULL;
}

static int find_plain(lua_State *L, struct cla_slice text, struct cla_slice what, size_t offset)
{
    const char *found = text.p + offset;

    if (what.n > 0)
        found = find_bytes(L, cla_slice(text.p + offset, text.n - offset), what);
    if (found == NULL) {
        luaL_pushfail(L);
        return 1;
    }
    lua_pushinteger(L, found - text.p + 1);
    lua_pushinteger(L, found - text.p + (lua_Integer)what.n);
    return 2;
}

/* The first match from *at on; *at is then where it starts. NULL: there is none. */
static const char *search(struct cla_bounded_match *m, const char **at, const char *pattern)
{
    const char *end;

    if (*pattern == '^')
        return cla_bounded_match_at(m, *at, pattern + 1);
    for (; *at <= m->subject_end; ++*at) {
        end = cla_bounded_match_at(m, *at, pattern);
        if (end != NULL)
            return end;
    }
    return NULL;
}

/* find(s, pattern, init, plain) */
static int l_find(lua_State *L)
{
    struct cla_slice s = check_slice(L, 1), pattern = check_slice(L, 2);
    size_t offset = start_offset(L, 3, s.n);
    struct cla_bounded_match m;
    const char *at, *end;

    if (offset > s.n) {
        luaL_pushfail(L);
        return 1;
    }
    if (lua_toboolean(L, 4) || is_plain(pattern))
        return find_plain(L, s, pattern, offset);
    cla_bounded_match_init(&m, L, s, pattern);
    at = s.p + offset;
    end = search(&m, &at, pattern.p);
    if (end == NULL) {
        luaL_pushfail(L);
        return 1;
    }
    lua_pushinteger(L, at - s.p + 1);
    lua_pushinteger(L, end - s.p);
    return 2 + cla_bounded_match_push(&m, NULL, NULL);
}

/* match(s, pattern, init) */
static int l_match(lua_State *L)
{
    struct cla_slice s = check_slice(L, 1), pattern = check_slice(L, 2);
    size_t offset = start_offset(L, 3, s.n);
    struct cla_bounded_match m;
    const char *at = NULL, *end = NULL;

    if (offset <= s.n) {
        cla_bounded_match_init(&m, L, s, pattern);
        at = s.p + offset;
        end = search(&m, &at, pattern.p);
    }
    if (end != NULL)
        return cla_bounded_match_push(&m, at, end);
    luaL_pushfail(L);
    return 1;
}

/* --- gmatch --- */

struct iteration {
    const char *next, *pattern;
    const char *last; /* end of the match before: an empty one there does not count */
    struct cla_bounded_match m;
};

/* Upvalues: the subject and the pattern, kept alive; the iteration. */
static int l_gmatch_next(lua_State *L)
{
    struct iteration *it = lua_touserdata(L, lua_upvalueindex(3));

    it->m.interrupt.L = L;
    for (; it->next <= it->m.subject_end; it->next++) {
        const char *start = it->next, *end = cla_bounded_match_at(&it->m, start, it->pattern);

        if (end != NULL && end != it->last) {
            it->next = it->last = end;
            return cla_bounded_match_push(&it->m, start, end);
        }
    }
    return 0;
}

/* gmatch(s, pattern, init) */
static int l_gmatch(lua_State *L)
{
    struct cla_slice s = check_slice(L, 1), pattern = check_slice(L, 2);
    size_t offset = start_offset(L, 3, s.n);
    struct iteration *it;

    lua_settop(L, 2);
    it = lua_newuserdatauv(L, sizeof *it, 0);
    cla_bounded_match_init(&it->m, L, s, pattern);
    it->next = s.p + (offset > s.n ? s.n + 1 : offset);
    it->pattern = pattern.p;
    it->last = NULL;
    lua_pushcclosure(L, l_gmatch_next, 3);
    return 1;
}

/* --- gsub --- */

struct substitution {
    struct cla_bounded_match m;
    luaL_Buffer b;
    int type;                /* of the replacement, argument 3 */
    struct cla_slice with;   /* the replacement, if it is a string */
    const char *start, *end; /* of the match */
    const char *rest;        /* of the subject, not in the buffer yet */
    bool changed;            /* the buffer differs from the subject */
};

/* What '%' and this character mean in a replacement. */
static void add_escape(lua_State *L, struct substitution *sub, int c)
{
    struct cla_slice text;

    if (c == '%') {
        luaL_addchar(&sub->b, '%');
    } else if (c == '0') {
        luaL_addlstring(&sub->b, sub->start, (size_t)(sub->end - sub->start));
    } else if (c >= '1' && c <= '9') {
        text = cla_bounded_match_text(&sub->m, c - '1', sub->start, sub->end);
        if (text.p == NULL)
            luaL_addvalue(&sub->b);
        else
            luaL_addlstring(&sub->b, text.p, text.n);
    } else {
        luaL_error(L, "invalid use of '%c' in replacement string", '%');
    }
}

static void add_string(lua_State *L, struct substitution *sub)
{
    const char *p = sub->with.p, *end = p + sub->with.n, *escape;

    while ((escape = memchr(p, '%', (size_t)(end - p))) != NULL) {
        luaL_addlstring(&sub->b, p, (size_t)(escape - p));
        add_escape(L, sub, (unsigned char)escape[1]);
        cla_interrupt_step(&sub->m.interrupt, 1);
        p = escape + 2;
    }
    luaL_addlstring(&sub->b, p, (size_t)(end - p));
    cla_interrupt_step(&sub->m.interrupt, sub->with.n / COPIED);
}

/* Pushes what the table or function has for the match. */
static void push_replacement(lua_State *L, struct substitution *sub)
{
    int n;

    cla_interrupt_step(&sub->m.interrupt, CLA_INTERRUPT_CALL);
    if (sub->type == LUA_TTABLE) {
        cla_bounded_match_push_one(&sub->m, 0, sub->start, sub->end);
        lua_gettable(L, 3);
    } else {
        lua_pushvalue(L, 3);
        n = cla_bounded_match_push(&sub->m, sub->start, sub->end);
        lua_call(L, n, 1);
    }
}

/* Appends what replaces the match; false: that is the match itself. */
static bool add_replacement(lua_State *L, struct substitution *sub)
{
    if (sub->type != LUA_TTABLE && sub->type != LUA_TFUNCTION) {
        add_string(L, sub);
        return true;
    }
    push_replacement(L, sub);
    if (!lua_toboolean(L, -1)) {
        lua_pop(L, 1);
        luaL_addlstring(&sub->b, sub->start, (size_t)(sub->end - sub->start));
        return false;
    }
    if (!lua_isstring(L, -1))
        luaL_error(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
    luaL_addvalue(&sub->b);
    return true;
}

/* Replaces at most 'max' matches; returns how many there were. */
static lua_Integer substitute(lua_State *L, struct substitution *sub, const char *pattern,
                              lua_Integer max)
{
    const char *at = sub->m.subject, *last = NULL;
    bool anchored = *pattern == '^';
    lua_Integer n = 0;

    pattern += anchored;
    while (n < max) {
        const char *end = cla_bounded_match_at(&sub->m, at, pattern);

        if (end != NULL && end != last) {
            n++;
            sub->start = at;
            sub->end = at = last = end;
            sub->changed |= add_replacement(L, sub);
        } else if (at < sub->m.subject_end) {
            luaL_addchar(&sub->b, *at++);
        } else {
            break;
        }
        if (anchored)
            break;
    }
    sub->rest = at;
    return n;
}

/* gsub(s, pattern, replacement, max) */
static int l_gsub(lua_State *L)
{
    struct cla_slice s = check_slice(L, 1), pattern = check_slice(L, 2);
    lua_Integer max, n;
    struct substitution sub;

    sub.type = lua_type(L, 3);
    sub.changed = false;
    max = luaL_optinteger(L, 4, (lua_Integer)s.n + 1);
    luaL_argexpected(L,
                     sub.type == LUA_TNUMBER || sub.type == LUA_TSTRING ||
                         sub.type == LUA_TFUNCTION || sub.type == LUA_TTABLE,
                     3, "string/function/table");
    if (sub.type == LUA_TNUMBER || sub.type == LUA_TSTRING)
        sub.with.p = lua_tolstring(L, 3, &sub.with.n);
    cla_bounded_match_init(&sub.m, L, s, pattern);
    luaL_buffinit(L, &sub.b);
    n = substitute(L, &sub, pattern.p, max);
    if (sub.changed) {
        luaL_addlstring(&sub.b, sub.rest, (size_t)(sub.m.subject_end - sub.rest));
        luaL_pushresult(&sub.b);
    } else {
        lua_pushvalue(L, 1);
    }
    lua_pushinteger(L, n);
    return 2;
}

static const luaL_Reg functions[] = {
    {"find", l_find}, {"match", l_match}, {"gmatch", l_gmatch}, {"gsub", l_gsub}, {NULL, NULL},
};

void cla_bounded_string_open(lua_State *L)
{
    lua_getglobal(L, LUA_STRLIBNAME);
    luaL_setfuncs(L, functions, 0);
    lua_getfield(L, -1, "rep");
    lua_pushcclosure(L, l_rep, 1);
    lua_setfield(L, -2, "rep");
    lua_pop(L, 1);
}
