/* The functions of string and table that can be interrupted, beside Lua's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <lauxlib.h>
#include <lualib.h>

#include "bind/bounded_string.h"
#include "bind/bounded_table.h"
#include "seed.h"
#include "task/sched.h"

#define CASES TEST_FOLDER "/unit/bind/bounded_cases.lua"

struct fixture {
    struct cla_sched sched;
    lua_State *own, *bounded; /* Lua's own functions; ours */
};

static int l_below(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)seed_below((uint64_t)luaL_checkinteger(L, 1)));
    return 1;
}

/* A state with the table of cases on its stack. */
static lua_State *new_state(struct fixture *f, bool bounded)
{
    lua_State *L = luaL_newstate();

    assert_non_null(L);
    cla_sched_init(&f->sched, L, NULL, NULL, NULL);
    luaL_openlibs(L);
    if (bounded) {
        cla_bounded_string_open(L);
        cla_bounded_table_open(L);
    }
    if (luaL_loadfile(L, CASES) != LUA_OK)
        fail_msg("%s", lua_tostring(L, -1));
    lua_pushcfunction(L, l_below);
    if (lua_pcall(L, 1, 1, 0) != LUA_OK)
        fail_msg("%s", lua_tostring(L, -1));
    return L;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    setenv("CANCELA_SEED", "20260729", 0); /* the same cases every time, unless told otherwise */
    seed_init();
    f->own = new_state(f, false);
    f->bounded = new_state(f, true);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    lua_close(f->own);
    lua_close(f->bounded);
    free(f);
    return 0;
}

/* What the case returns, left on the stack. */
static const char *run(lua_State *L, const char *name, int i, uint64_t seed)
{
    seed_state = seed;
    lua_getfield(L, 1, name);
    lua_pushinteger(L, i);
    if (lua_pcall(L, 1, 1, 0) != LUA_OK)
        fail_msg("case '%s' %d: %s", name, i, lua_tostring(L, -1));
    return lua_tostring(L, -1);
}

static void compare(struct fixture *f, const char *name, int n)
{
    uint64_t base = seed_state;

    for (int i = 1; i <= n; i++) {
        uint64_t seed = base + (uint64_t)i * 1000003;
        const char *own = run(f->own, name, i, seed), *bounded = run(f->bounded, name, i, seed);

        if (strcmp(own, bounded) != 0)
            fail_msg("case '%s' %d\n  Lua's: %s\n  ours:  %s", name, i, own, bounded);
        lua_settop(f->own, 1);
        lua_settop(f->bounded, 1);
    }
    seed_state = base;
}

static void patterns_match_as_lua_s_own(void **state)
{
    compare(*state, "string", 20000);
}

static void edges_of_patterns_are_as_lua_s_own(void **state)
{
    struct fixture *f = *state;

    lua_getfield(f->own, 1, "edges");
    compare(f, "edge", (int)lua_tointeger(f->own, -1));
}

static void rep_is_as_lua_s_own(void **state)
{
    compare(*state, "rep", 2000);
}

static void tables_are_used_step_by_step_as_lua_s_own_do(void **state)
{
    compare(*state, "table", 15000);
}

static void long_sorts_are_as_lua_s_own(void **state)
{
    compare(*state, "long_sort", 6);
}

/* Returns of hostile(), which must not run for long, 'expected'. */
static void assert_result(struct fixture *f, const char *source, const char *expected)
{
    lua_State *L = f->bounded;

    if (luaL_dostring(L, source) != LUA_OK)
        fail_msg("%s", lua_tostring(L, -1));
    assert_string_equal(lua_tostring(L, -1), expected);
    lua_settop(L, 1);
}

static void nothing_repeated_any_number_of_times_is_nothing(void **state)
{
    assert_result(*state, "return string.rep('', 1 << 62)", "");
    assert_result(*state, "return (''):rep(math.maxinteger, '')", "");
}

static void methods_of_strings_are_the_bounded_ones(void **state)
{
    assert_result(*state, "return tostring((''):rep(1 << 62) == '' and ('').find == string.find)",
                  "true");
}

static int count_and_raise(lua_State *L)
{
    (*(int *)cla_sched_of(L)->owner)++;
    return luaL_error(L, "enough");
}

/* Each of these would take from minutes to centuries. */
static void each_ends_when_it_is_told_to(void **state)
{
    static const char *const hostile[] = {
        "string.rep('x', 1 << 28)",
        "string.find(('a'):rep(40), ('a-'):rep(30) .. 'b')",
        "string.match(('a'):rep(40), ('a-'):rep(30) .. 'b')",
        "string.gmatch(('a'):rep(40), ('a-'):rep(30) .. 'b')()",
        "string.gsub(('a'):rep(40), ('a-'):rep(30) .. 'b', '')",
        "string.gsub(('a'):rep(40), ('a?'):rep(30) .. ('a*'):rep(30) .. 'b', '')",
        "string.find(('a'):rep(1e7), ('a'):rep(1e5) .. 'b', 1, true)",
        "string.find(('a'):rep(1e7), ('a'):rep(1e5) .. 'b')",
        "string.find(('a'):rep(1e7), '^.*$b')",
        "string.find(('a'):rep(1e6), '[' .. ('b'):rep(1e5) .. ']')",
        "string.find(('a'):rep(1e6), '^[' .. ('b'):rep(1e5) .. 'a]*')",
        "string.find(('a'):rep(1e6), '^[' .. ('b'):rep(1e5) .. 'a]-b')",
        "string.find(('a'):rep(1e6), '^(.*)%1b')",
        "string.find(('('):rep(1e6), '%b()')",
        "string.find(('('):rep(1e6), '%f[' .. ('b'):rep(1e5) .. ']')",
        "string.gsub(('a'):rep(1e6), 'a', ('%0'):rep(1e5))",
        "string.gsub(('a'):rep(1e6), 'a', setmetatable({}, {__index = rawequal}))",
        "string.gsub(('a'):rep(1e6), 'a', rawlen)",
        "table.move({}, 1, 1 << 40, 2)",
        "table.move({}, 1, 1 << 40, 1, {})",
        "table.insert(long, 1, 1)",
        "table.remove(long, 1)",
        "table.concat(long)",
        "table.concat(long, '', 1, 1 << 62)",
        "table.unpack(long, 1, 900000)",
        "table.sort(long)",
        "table.sort(long, rawequal)",
        "local t = {} for i = 1, 1e6 do t[i] = i end table.sort(t, math.ult)",
    };
    struct fixture *f = *state;
    lua_State *L = f->bounded;

    f->sched.interrupt = count_and_raise;
    if (luaL_dostring(L, "long = setmetatable({}, {__len = function() return 1 << 30 end, "
                         "__index = function() return '' end, __newindex = rawequal})") != LUA_OK)
        fail_msg("%s", lua_tostring(L, -1));
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
        int polls = 0;

        f->sched.owner = &polls;
        if (luaL_dostring(L, hostile[i]) == LUA_OK || polls != 1)
            fail_msg("%s: polled %d times, %s", hostile[i], polls, lua_tostring(L, -1));
        lua_settop(L, 1);
    }
    f->sched.interrupt = NULL;
}

/* Of a loop over what is long, one that takes its result must not be the last look. */
static void short_calls_never_look(void **state)
{
    struct fixture *f = *state;
    int polls = 0;

    f->sched.owner = &polls;
    f->sched.interrupt = count_and_raise;
    if (luaL_dostring(f->bounded,
                      "local s = ('word '):rep(100) for i = 1, 100 do s:gsub('%w+', '%0') "
                      "s:find('d$') s:match('(w)(o)') table.concat({1, 2, 3}) "
                      "table.insert({1, 2, 3}, 1, 0) table.unpack {1, 2, 3} table.sort {3, 2, 1} "
                      "for w in s:gmatch '%w+' do end end") != LUA_OK)
        fail_msg("%s", lua_tostring(f->bounded, -1));
    assert_int_equal(polls, 0);
    f->sched.interrupt = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(patterns_match_as_lua_s_own, setup, teardown),
        cmocka_unit_test_setup_teardown(edges_of_patterns_are_as_lua_s_own, setup, teardown),
        cmocka_unit_test_setup_teardown(rep_is_as_lua_s_own, setup, teardown),
        cmocka_unit_test_setup_teardown(tables_are_used_step_by_step_as_lua_s_own_do, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(long_sorts_are_as_lua_s_own, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_repeated_any_number_of_times_is_nothing, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(methods_of_strings_are_the_bounded_ones, setup, teardown),
        cmocka_unit_test_setup_teardown(each_ends_when_it_is_told_to, setup, teardown),
        cmocka_unit_test_setup_teardown(short_calls_never_look, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
