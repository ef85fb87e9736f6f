/* An index read or written may run a metamethod, so it counts as a call. Lengths may lie (__len),
 * so none of these loops trusts its own to be short. */
#include "bind/bounded_table.h"

#include <lauxlib.h>
#include <limits.h>
#include <lualib.h>

#include "task/interrupt.h"

/* Bytes copied in a step. */
#define COPIED 16
/* Slots of the stack that raising may need. */
#define RAISE_SLOTS 8
/* Elements that Lua's own sort orders in a few milliseconds at most. */
#define SORT_MAX 16384

/* What an argument that is no table must be able to do. */
enum { READ = 1, WRITE = 2, LENGTH = 4 };

/* Whether the metatable on top has the field. */
static bool has_field(lua_State *L, const char *name)
{
    bool has;

    lua_pushstring(L, name);
    has = lua_rawget(L, -2) != LUA_TNIL;
    lua_pop(L, 1);
    return has;
}

static bool can(lua_State *L, int arg, int abilities)
{
    bool has;

    if (!lua_getmetatable(L, arg))
        return false;
    has = (!(abilities & READ) || has_field(L, "__index")) &&
          (!(abilities & WRITE) || has_field(L, "__newindex")) &&
          (!(abilities & LENGTH) || has_field(L, "__len"));
    lua_pop(L, 1);
    return has;
}

static void check_table(lua_State *L, int arg, int abilities)
{
    if (lua_type(L, arg) != LUA_TTABLE && !can(L, arg, abilities))
        luaL_checktype(L, arg, LUA_TTABLE);
}

static lua_Integer check_length(lua_State *L, int arg, int abilities)
{
    check_table(L, arg, abilities | LENGTH);
    return luaL_len(L, arg);
}

/* Sums as Lua's: they wrap around. */
static lua_Integer plus(lua_Integer a, lua_Integer b)
{
    return (lua_Integer)((lua_Unsigned)a + (lua_Unsigned)b);
}

/* From 'a' up to 'b'. */
static lua_Unsigned distance(lua_Integer a, lua_Integer b)
{
    return (lua_Unsigned)b - (lua_Unsigned)a;
}

/* Sets to[at_to + i] = from[at_from + i], 'from' and 'to' being stack indices, for n values of i
 * from 0 up, or from n - 1 down. */
static void copy(lua_State *L, int from, lua_Integer at_from, int to, lua_Integer at_to,
                 lua_Unsigned n, bool up)
{
    struct cla_interrupt interrupt = cla_interrupt_start(L);

    for (lua_Unsigned left = n; left > 0; left--) {
        lua_Integer i = (lua_Integer)(up ? n - left : left - 1);

        cla_interrupt_step(&interrupt, CLA_INTERRUPT_CALL);
        lua_geti(L, from, plus(at_from, i));
        lua_seti(L, to, plus(at_to, i));
    }
}

/* insert(t, value) or insert(t, at, value) */
static int l_insert(lua_State *L)
{
    lua_Integer end = plus(check_length(L, 1, READ | WRITE), 1), at = end;

    switch (lua_gettop(L)) {
    case 2:
        break;
    case 3:
        at = luaL_checkinteger(L, 2);
        luaL_argcheck(L, (lua_Unsigned)at - 1 < (lua_Unsigned)end, 2, "position out of bounds");
        if (at < end) /* a length can be so long that adding 1 makes it negative */
            copy(L, 1, at, 1, plus(at, 1), distance(at, end), false);
        break;
    default:
        return luaL_error(L, "wrong number of arguments to 'insert'");
    }
    lua_seti(L, 1, at);
    return 0;
}

/* remove(t, at). Upvalue: the argument that a position out of bounds is blamed on. */
static int l_remove(lua_State *L)
{
    lua_Integer n = check_length(L, 1, READ | WRITE), at = luaL_optinteger(L, 2, n);

    if (at != n && (lua_Unsigned)at - 1 > (lua_Unsigned)n)
        return luaL_argerror(L, (int)lua_tointeger(L, lua_upvalueindex(1)),
                             "position out of bounds");
    lua_geti(L, 1, at);
    if (at < n) {
        copy(L, 1, plus(at, 1), 1, at, distance(at, n), true);
        at = n;
    }
    lua_pushnil(L);
    lua_seti(L, 1, at);
    return 1;
}

/* move(from, first, last, at, to) */
static int l_move(lua_State *L)
{
    lua_Integer first = luaL_checkinteger(L, 2), last = luaL_checkinteger(L, 3), n;
    lua_Integer at = luaL_checkinteger(L, 4);
    int to = lua_isnoneornil(L, 5) ? 1 : 5;
    bool up;

    check_table(L, 1, READ);
    check_table(L, to, WRITE);
    if (last >= first) {
        luaL_argcheck(L, first > 0 || last < LUA_MAXINTEGER + first, 3,
                      "too many elements to move");
        n = last - first + 1;
        luaL_argcheck(L, at <= LUA_MAXINTEGER - n + 1, 4, "destination wrap around");
        up = at > last || at <= first || (to != 1 && !lua_compare(L, 1, to, LUA_OPEQ));
        copy(L, 1, first, to, at, (lua_Unsigned)n, up);
    }
    lua_pushvalue(L, to);
    return 1;
}

static void add_element(lua_State *L, luaL_Buffer *b, lua_Integer i)
{
    lua_geti(L, 1, i);
    if (!lua_isstring(L, -1))
        luaL_error(L, "invalid value (%s) at index %I in table for 'concat'", luaL_typename(L, -1),
                   (LUAI_UACINT)i);
    luaL_addvalue(b);
}

/* concat(t, separator, first, last) */
static int l_concat(lua_State *L)
{
    lua_Integer n = check_length(L, 1, READ), i, last;
    struct cla_interrupt interrupt = cla_interrupt_start(L);
    struct cla_slice separator;
    luaL_Buffer b;

    separator.p = luaL_optlstring(L, 2, "", &separator.n);
    i = luaL_optinteger(L, 3, 1);
    last = luaL_optinteger(L, 4, n);
    luaL_buffinit(L, &b);
    for (; i < last; i++) {
        size_t before = luaL_bufflen(&b);

        add_element(L, &b, i);
        luaL_addlstring(&b, separator.p, separator.n);
        cla_interrupt_step(&interrupt, CLA_INTERRUPT_CALL + (luaL_bufflen(&b) - before) / COPIED);
    }
    if (i == last)
        add_element(L, &b, i);
    luaL_pushresult(&b);
    return 1;
}

/* unpack(list, first, last) */
static int l_unpack(lua_State *L)
{
    struct cla_interrupt interrupt = cla_interrupt_start(L);
    lua_Integer first = luaL_optinteger(L, 2, 1);
    lua_Integer last = lua_isnoneornil(L, 3) ? luaL_len(L, 1) : luaL_checkinteger(L, 3);
    lua_Unsigned n;

    if (first > last)
        return 0;
    n = distance(first, last);
    if (n >= INT_MAX || !lua_checkstack(L, (int)n + 1))
        return luaL_error(L, "too many results to unpack");
    for (lua_Unsigned i = 0; i <= n; i++) {
        if (n - i >= RAISE_SLOTS)
            cla_interrupt_step(&interrupt, CLA_INTERRUPT_CALL);
        lua_geti(L, 1, plus(first, (lua_Integer)i));
    }
    return (int)n + 1;
}

/* --- sort. Which of two equal elements comes first, and when an order is said to be invalid,
 * depends on each step of the algorithm; so it stays Lua's own, and what can be long counts in a
 * comparison function. --- */

/* Upvalue: the counter. */
static int l_less(lua_State *L)
{
    cla_interrupt_step(lua_touserdata(L, lua_upvalueindex(1)), CLA_INTERRUPT_CALL);
    lua_pushboolean(L, lua_compare(L, 1, 2, LUA_OPLT));
    return 1;
}

/* Upvalues: the counter; a comparison written in C. */
static int l_compare(lua_State *L)
{
    cla_interrupt_step(lua_touserdata(L, lua_upvalueindex(1)), CLA_INTERRUPT_CALL);
    lua_pushvalue(L, lua_upvalueindex(2));
    lua_insert(L, 1);
    lua_call(L, 2, 1);
    return 1;
}

/* True if Lua's own sort is soon done with argument 1, or fails, as far as C goes. */
static bool sorts_soon(lua_State *L)
{
    if (!lua_isnoneornil(L, 2) && !lua_iscfunction(L, 2))
        return true; /* every comparison runs Lua */
    if (lua_type(L, 1) != LUA_TTABLE)
        return false;
    if (luaL_getmetafield(L, 1, "__len") != LUA_TNIL) {
        lua_pop(L, 1);
        return false;
    }
    return lua_rawlen(L, 1) <= SORT_MAX;
}

/* sort(t, less). Upvalue: Lua's own. */
static int l_sort(lua_State *L)
{
    struct cla_interrupt *interrupt;

    if (!sorts_soon(L)) {
        lua_settop(L, 2);
        interrupt = lua_newuserdatauv(L, sizeof *interrupt, 0);
        *interrupt = cla_interrupt_start(L);
        lua_insert(L, 2);
        if (lua_isnil(L, 3)) {
            lua_settop(L, 2);
            lua_pushcclosure(L, l_less, 1);
        } else {
            lua_pushcclosure(L, l_compare, 2);
        }
    }
    return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

/* Pushes the argument that Lua's own remove, of the table on top, blames: its versions differ. */
static void push_blamed(lua_State *L)
{
    lua_getfield(L, -1, "remove");
    lua_newtable(L);
    lua_pushinteger(L, 2);
    lua_pcall(L, 2, 0, 0);
    lua_pushinteger(L, strstr(lua_tostring(L, -1), "#1") != NULL ? 1 : 2);
    lua_remove(L, -2);
}

static const luaL_Reg functions[] = {
    {"insert", l_insert}, {"move", l_move}, {"concat", l_concat},
    {"unpack", l_unpack}, {NULL, NULL},
};

void cla_bounded_table_open(lua_State *L)
{
    lua_getglobal(L, LUA_TABLIBNAME);
    luaL_setfuncs(L, functions, 0);
    push_blamed(L);
    lua_pushcclosure(L, l_remove, 1);
    lua_setfield(L, -2, "remove");
    lua_getfield(L, -1, "sort");
    lua_pushcclosure(L, l_sort, 1);
    lua_setfield(L, -2, "sort");
    lua_pop(L, 1);
}
