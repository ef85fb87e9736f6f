#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <lauxlib.h>
#include <lualib.h>

#include "base/error.h"
#include "bind/json_codec.h"
#include "bind/plain.h"
#include "mem_fault.h"

static lua_State *L;
static struct cla_buf bytes;

/* Lua's same(a, b): equal in depth, types of numbers and marks of tables included. */
static const char same[] =
    "function same(a, b)\n"
    "  if type(a) ~= 'table' then return a == b and math.type(a) == math.type(b) or a ~= a and b "
    "~= b end\n"
    "  if type(b) ~= 'table' or getmetatable(a) ~= getmetatable(b) then return false end\n"
    "  for k, v in pairs(a) do if not same(v, b[k]) then return false end end\n"
    "  for k in pairs(b) do if a[k] == nil then return false end end\n"
    "  return true\n"
    "end";

static int set_up(void **state)
{
    L = luaL_newstate();
    luaL_openlibs(L);
    luaL_requiref(L, "json", cla_json_codec_luaopen, 1);
    if (luaL_dostring(L, same) != LUA_OK)
        fail_msg("%s", lua_tostring(L, -1));
    lua_settop(L, 0);
    return 0;
}

static int tear_down(void **state)
{
    cla_buf_fini(&bytes);
    lua_close(L);
    assert_int_equal(mem_fault.live, 0);
    return 0;
}

/* Leaves the value of an expression on the stack, alone. */
static void push(const char *expression)
{
    lua_settop(L, 0);
    lua_pushfstring(L, "return %s", expression);
    if (luaL_dostring(L, lua_tostring(L, 1)) != LUA_OK)
        fail_msg("%s", lua_tostring(L, -1));
    lua_remove(L, 1);
}

static void values_come_back_as_they_were(void **state)
{
    static const char *const values[] = {
        "nil",
        "true",
        "false",
        "0",
        "-1",
        "math.maxinteger",
        "math.mininteger",
        "0.0",
        "1.5",
        "math.huge",
        "0/0",
        "''",
        "'\\0\\xff'",
        "('x'):rep(70000)",
        "json.null",
        "{}",
        "{1, 2, 3}",
        "{a = 1, [2] = 'b', [1.5] = true, [false] = {}}",
        "json.array{}",
        "json.object{}",
        "{json.array{json.null}, {deep = {er = json.array{1}}}}",
    };
    const char *why;

    for (size_t i = 0; i < CLA_ARRAY_LEN(values); i++) {
        push(values[i]);
        bytes.n = 0;
        assert_int_equal(cla_plain_write(L, 1, &bytes, &why), 0);
        assert_int_equal(lua_gettop(L), 1);
        lua_getglobal(L, "same");
        lua_insert(L, 1);
        cla_plain_push(L, cla_buf_slice(&bytes));
        lua_call(L, 2, 1);
        if (!lua_toboolean(L, -1))
            fail_msg("%s did not come back", values[i]);
    }
}

static void what_is_not_plain_is_named_and_leaves_nothing(void **state)
{
    static const struct {
        const char *value, *why;
    } cases[] = {
        {"print", "function"},         {"coroutine.create(print)", "thread"},
        {"io.stdout", "userdata"},     {"{1, {2, {print}}}", "function"},
        {"{[print] = 1}", "function"},
    };
    const char *why;

    assert_int_equal(cla_buf_push(&bytes, 'x'), 0);
    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        push(cases[i].value);
        assert_int_equal(cla_plain_write(L, 1, &bytes, &why), -CLA_EINVAL);
        assert_string_equal(why, cases[i].why);
        assert_int_equal(bytes.n, 1);
        assert_int_equal(lua_gettop(L), 1);
    }
}

static void nest(int depth)
{
    lua_settop(L, 0);
    lua_newtable(L);
    for (int i = 1; i < depth; i++) {
        lua_newtable(L);
        lua_insert(L, 1);
        lua_rawseti(L, 1, 1);
    }
}

static void tables_nest_to_the_limit(void **state)
{
    const char *why;

    nest(CLA_PLAIN_DEPTH_MAX);
    assert_int_equal(cla_plain_write(L, 1, &bytes, &why), 0);
    nest(CLA_PLAIN_DEPTH_MAX + 1);
    assert_int_equal(cla_plain_write(L, 1, &bytes, &why), -CLA_EINVAL);
    push("(function() local t = {} t[1] = t return t end)()");
    assert_int_equal(cla_plain_write(L, 1, &bytes, &why), -CLA_EINVAL);
}

static void each_allocation_may_fail(void **state)
{
    const char *why;
    int rc;

    push("{a = ('x'):rep(1000), {1, 2, ('y'):rep(5000)}}");
    for (long n = 0;; n++) {
        cla_buf_fini(&bytes);
        mem_fault_after(n);
        rc = cla_plain_write(L, 1, &bytes, &why);
        mem_fault_off();
        if (rc == 0)
            break;
        assert_int_equal(rc, -CLA_ENOMEM);
        assert_int_equal(bytes.n, 0);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(values_come_back_as_they_were),
        TEST(what_is_not_plain_is_named_and_leaves_nothing),
        TEST(tables_nest_to_the_limit),
        TEST(each_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
