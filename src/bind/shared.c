/* What is kept is bytes (bind/plain.h), written before the store is asked and read after it has
 * answered, so that nothing raises while it is locked. */
#include "bind/shared.h"

#include <lauxlib.h>
#include <math.h>
#include <stdio.h>

#include "base/error.h"
#include "base/store.h"
#include "bind/error.h"
#include "bind/plain.h"
#include "bind/script.h"

/* Longest time to live that can be asked for, in seconds: ten years. */
#define TTL_MAX_S 315360000

/* What a change wants, and what came of it. */
struct change {
    struct cla_slice value; /* plain bytes; of incr() those of 'sum' */
    uint64_t expires_ns;
    bool keeps_ttl;   /* the time to live of what is there stays */
    uint64_t version; /* only if it has this one; 0: only if there is none */
    struct cla_plain_number by, initial, sum;
    char sum_bytes[CLA_PLAIN_NUMBER_BYTES];
    const char *wrong; /* why it cannot be */
    bool done;
};

static struct cla_store *store_of(lua_State *L)
{
    struct cla_store *store = cla_script_of(L)->store;

    if (store == NULL)
        luaL_error(L, "there is nothing to share here");
    return store;
}

static uint64_t now_ns(lua_State *L)
{
    return cla_sched_now_ns(cla_sched_of(L));
}

static struct cla_slice check_key(lua_State *L)
{
    struct cla_slice key;

    if (lua_type(L, 1) != LUA_TSTRING)
        luaL_typeerror(L, 1, "string");
    key.p = lua_tolstring(L, 1, &key.n);
    if (key.n == 0 || key.n > CLA_STORE_KEY_MAX)
        luaL_error(L, "bad argument #1 (a key has 1 to %d bytes, this one %d)", CLA_STORE_KEY_MAX,
                   (int)key.n);
    return key;
}

/* The plain bytes of the value at 'index', in the script's scratch buffer. */
static struct cla_slice check_value(lua_State *L, int index)
{
    struct cla_buf *scratch = &cla_script_of(L)->scratch;
    const char *why;

    luaL_checkany(L, index);
    scratch->n = 0;
    switch (cla_plain_write(L, index, scratch, &why)) {
    case 0:
        break;
    case -CLA_EINVAL:
        luaL_error(L, "bad argument #%d (not plain data: %s)", index, why);
        break;
    default:
        luaL_error(L, "not enough memory");
    }
    return cla_buf_slice(scratch);
}

/* When what is written now expires, by the options at 'index': ttl, and 'other' is allowed. */
static uint64_t check_ttl(lua_State *L, int index, const char *other, bool *given)
{
    lua_Number seconds;

    *given = false;
    if (lua_isnoneornil(L, index))
        return CLA_NEVER;
    luaL_checktype(L, index, LUA_TTABLE);
    for (lua_pushnil(L); lua_next(L, index) != 0; lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING ||
            (strcmp(lua_tostring(L, -2), "ttl") != 0 && strcmp(lua_tostring(L, -2), other) != 0))
            luaL_error(L, "bad argument #%d (there is no option %s)", index,
                       luaL_tolstring(L, -2, NULL));
    }
    if (lua_getfield(L, index, "ttl") == LUA_TNIL)
        return CLA_NEVER;
    seconds = lua_tonumber(L, -1);
    if (lua_type(L, -1) != LUA_TNUMBER || !(seconds > 0 && seconds <= TTL_MAX_S))
        luaL_error(L, "bad argument #%d (ttl must be above 0 and at most %d seconds)", index,
                   TTL_MAX_S);
    lua_pop(L, 1);
    *given = true;
    return cla_clock_add(now_ns(L), cla_clock_from_seconds(seconds));
}

static void change(lua_State *L, struct cla_slice key, cla_store_fn *decide, struct change *c)
{
    switch (cla_store_update(store_of(L), key, now_ns(L), decide, c)) {
    case 0:
        break;
    case -CLA_ELIMIT:
        (void)cla_error_raise(L, CLA_CODE_RESOURCE_EXHAUSTED,
                              "cancela.shared is full (shared_memory)");
        break;
    default:
        luaL_error(L, "not enough memory");
    }
    if (c->wrong != NULL)
        luaL_error(L, "%s", c->wrong);
}

/* --- get, ttl --- */

/* get(key) -> value, version; nil if there is none. */
static int l_get(lua_State *L)
{
    struct cla_buf *scratch = &cla_script_of(L)->scratch;
    struct cla_slice key = check_key(L);
    struct cla_store_item item;
    int rc;

    scratch->n = 0;
    rc = cla_store_get(store_of(L), key, now_ns(L), scratch, &item);
    if (rc < 0)
        return luaL_error(L, "not enough memory");
    if (rc == 0) {
        lua_pushnil(L);
        lua_pushinteger(L, 0);
        return 2;
    }
    cla_plain_push(L, cla_buf_slice(scratch));
    lua_pushinteger(L, (lua_Integer)item.version);
    return 2;
}

static enum cla_store_verdict look(void *arg, const struct cla_store_item *old,
                                   struct cla_store_item *fresh)
{
    struct change *c = arg;

    (void)fresh;
    c->done = old != NULL;
    c->expires_ns = old != NULL ? old->expires_ns : 0;
    return CLA_STORE_KEEP;
}

/* ttl(key) -> seconds that are left, math.huge if it does not expire, nil if there is none. */
static int l_ttl(lua_State *L)
{
    struct change c = {0};

    change(L, check_key(L), look, &c);
    if (!c.done)
        lua_pushnil(L);
    else if (c.expires_ns == CLA_NEVER)
        lua_pushnumber(L, HUGE_VAL);
    else
        lua_pushnumber(L, (lua_Number)(c.expires_ns - now_ns(L)) / 1e9);
    return 1;
}

/* --- set, add, compare_and_set, delete --- */

static enum cla_store_verdict put(const struct change *c, const struct cla_store_item *old,
                                  struct cla_store_item *fresh)
{
    fresh->value = c->value;
    fresh->expires_ns = c->keeps_ttl && old != NULL ? old->expires_ns : c->expires_ns;
    return CLA_STORE_PUT;
}

static enum cla_store_verdict set(void *arg, const struct cla_store_item *old,
                                  struct cla_store_item *fresh)
{
    return put(arg, old, fresh);
}

/* set(key, value, {ttl =}) */
static int l_set(lua_State *L)
{
    struct cla_slice key = check_key(L);
    struct change c = {0};
    bool given;

    if (lua_isnil(L, 2))
        return luaL_error(L, "bad argument #2 (nil is not kept: use delete)");
    c.expires_ns = check_ttl(L, 3, "ttl", &given);
    c.value = check_value(L, 2);
    change(L, key, set, &c);
    return 0;
}

static enum cla_store_verdict set_if(void *arg, const struct cla_store_item *old,
                                     struct cla_store_item *fresh)
{
    struct change *c = arg;

    c->done = (old != NULL ? old->version : 0) == c->version;
    return c->done ? put(c, old, fresh) : CLA_STORE_KEEP;
}

static int set_if_version(lua_State *L, struct change *c, int value_at)
{
    struct cla_slice key = check_key(L);
    bool given;

    if (lua_isnil(L, value_at))
        return luaL_error(L, "bad argument #%d (nil is not kept: use delete)", value_at);
    c->expires_ns = check_ttl(L, value_at + 1, "ttl", &given);
    c->value = check_value(L, value_at);
    change(L, key, set_if, c);
    lua_pushboolean(L, c->done);
    return 1;
}

/* add(key, value, {ttl =}) -> true; false if there is one already. */
static int l_add(lua_State *L)
{
    struct change c = {0};

    return set_if_version(L, &c, 2);
}

/* compare_and_set(key, version, value, {ttl =}) -> true; false if it has another version by now. */
static int l_compare_and_set(lua_State *L)
{
    struct change c = {.version = (uint64_t)luaL_checkinteger(L, 2)};

    return set_if_version(L, &c, 3);
}

static enum cla_store_verdict erase(void *arg, const struct cla_store_item *old,
                                    struct cla_store_item *fresh)
{
    (void)fresh;
    ((struct change *)arg)->done = old != NULL;
    return CLA_STORE_DELETE;
}

/* delete(key) -> whether there was one. */
static int l_delete(lua_State *L)
{
    struct change c = {0};

    change(L, check_key(L), erase, &c);
    lua_pushboolean(L, c.done);
    return 1;
}

/* --- incr --- */

static lua_Number as_float(const struct cla_plain_number *n)
{
    return n->is_integer ? (lua_Number)n->integer : n->number;
}

static bool add_numbers(struct change *c, const struct cla_plain_number *to)
{
    c->sum.is_integer = to->is_integer && c->by.is_integer;
    if (!c->sum.is_integer)
        c->sum.number = as_float(to) + as_float(&c->by);
    else if (__builtin_add_overflow(to->integer, c->by.integer, &c->sum.integer))
        return false;
    return true;
}

static enum cla_store_verdict add_to(void *arg, const struct cla_store_item *old,
                                     struct cla_store_item *fresh)
{
    struct change *c = arg;
    struct cla_plain_number number = c->initial;

    c->wrong = NULL;
    if (old != NULL && !cla_plain_read_number(old->value, &number)) {
        c->wrong = "cannot increment a value that is not a number";
        return CLA_STORE_KEEP;
    }
    if (!add_numbers(c, &number)) {
        c->wrong = "cannot increment: the sum is not a 64-bit integer";
        return CLA_STORE_KEEP;
    }
    cla_plain_write_number(&c->sum, c->sum_bytes);
    c->value = cla_slice(c->sum_bytes, sizeof c->sum_bytes);
    return put(c, old, fresh);
}

static struct cla_plain_number check_number(lua_State *L, int index)
{
    struct cla_plain_number n = {.is_integer = lua_isinteger(L, index) != 0};

    if (lua_type(L, index) != LUA_TNUMBER)
        luaL_typeerror(L, index, "number");
    n.integer = lua_tointeger(L, index);
    n.number = lua_tonumber(L, index);
    return n;
}

/* incr(key, by, {initial =, ttl =}) -> the sum. */
static int l_incr(lua_State *L)
{
    struct cla_slice key = check_key(L);
    struct change c = {.by = {.is_integer = true, .integer = 1},
                       .initial = {.is_integer = true, .integer = 0}};
    bool given;

    if (!lua_isnoneornil(L, 2))
        c.by = check_number(L, 2);
    c.expires_ns = check_ttl(L, 3, "initial", &given);
    c.keeps_ttl = !given;
    if (lua_istable(L, 3) && lua_getfield(L, 3, "initial") != LUA_TNIL)
        c.initial = check_number(L, -1);
    change(L, key, add_to, &c);
    if (c.sum.is_integer)
        lua_pushinteger(L, c.sum.integer);
    else
        lua_pushnumber(L, c.sum.number);
    return 1;
}

static const luaL_Reg functions[] = {
    {"get", l_get},
    {"ttl", l_ttl},
    {"set", l_set},
    {"add", l_add},
    {"compare_and_set", l_compare_and_set},
    {"delete", l_delete},
    {"incr", l_incr},
    {NULL, NULL},
};

void cla_shared_functions(lua_State *L)
{
    luaL_newlib(L, functions);
    lua_setfield(L, -2, "shared");
}
