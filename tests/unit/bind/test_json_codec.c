/* JSON text <-> Lua values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdlib.h>

#include "base/error.h"
#include "bind/json_codec.h"
#include "mem_fault.h"

#define DEPTH 32

static int setup(void **state)
{
    lua_State *L = luaL_newstate();

    luaL_openlibs(L);
    luaL_requiref(L, "json", cla_json_codec_luaopen, 1);
    lua_settop(L, 0);
    *state = L;
    return 0;
}

static int teardown(void **state)
{
    lua_close(*state);
    return 0;
}

/* Runs a chunk and leaves what it returns. */
static void run(lua_State *L, const char *chunk)
{
    lua_settop(L, 0);
    if (luaL_dostring(L, chunk) != LUA_OK)
        fail_msg("%s", lua_tostring(L, -1));
}

static void assert_text(lua_State *L, int index, const char *expected)
{
    assert_int_equal(lua_type(L, index), LUA_TSTRING);
    assert_string_equal(lua_tostring(L, index), expected);
}

static int decode(lua_State *L, const char *text, struct cla_json_decode_opts opts)
{
    struct cla_json_decode_fault fault;

    opts.max_depth = DEPTH;
    return cla_json_codec_push(L, cla_slice_str(text), &opts, &fault);
}

/* Encodes the value on top; returns the text, or the message of the refusal. */
static const char *encode(lua_State *L, bool top_array, char *to, size_t size)
{
    struct cla_json_encode_opts opts = {DEPTH, top_array, "result"};
    struct cla_json_encode_fault fault;
    struct cla_buf buf = {0};
    int top = lua_gettop(L);

    if (cla_json_codec_write(L, -1, &buf, &opts, &fault) == 0) {
        assert_true(buf.n < size);
        memcpy(to, buf.p, buf.n);
        to[buf.n] = '\0';
    } else {
        assert_int_equal(buf.n, 0);
        strncpy(to, fault.message, size);
    }
    assert_int_equal(lua_gettop(L), top);
    cla_buf_fini(&buf);
    return to;
}

static void values_decode_to_their_lua_kin(void **state)
{
    static const char *const checks[] = {
        "assert(json.decode('1') == 1 and math.type(json.decode('1')) == 'integer')",
        "assert(math.type(json.decode('1.0')) == 'float')",
        "assert(json.decode('9223372036854775807') == math.maxinteger)",
        "assert(json.decode('9223372036854775808') == 2^63)",
        "assert(json.decode('true') == true and json.decode('false') == false)",
        "assert(json.decode('null') == json.null)",
        "assert(json.decode('\"a\\\\u00e4\\\\n\"') == 'a\\u{e4}\\n')",
        "assert(json.decode('[1,null,3]')[2] == json.null)",
        "assert(#json.decode('[1,2,[3]]') == 3)",
        "assert(next(json.decode('{}')) == nil)",
        "assert(json.decode('{\"a\":{\"b\":[true]}}').a.b[1] == true)",
        "assert(json.decode('{\"a\":null}').a == nil)",
        "assert(json.decode('{\"a\":1,\"a\":2}').a == 2)",
        "assert(json.decode('{\"a\":1,\"a\":null}').a == nil)",
        "assert(json.decode('{\"a\":null}', {nulls = 'keep'}).a == json.null)",
        "assert(json.decode('{\"\":1}')[''] == 1)",
        "assert(getmetatable(json.decode('[]')) == getmetatable(json.array {}))",
        "assert(getmetatable(json.decode('{}')) == nil)",
    };

    for (size_t i = 0; i < CLA_ARRAY_LEN(checks); i++)
        run(*state, checks[i]);
}

static void values_encode_to_their_text(void **state)
{
    static const struct {
        const char *value, *json;
    } cases[] = {
        {"nil", "null"},
        {"json.null", "null"},
        {"true", "true"},
        {"false", "false"},
        {"-5", "-5"},
        {"math.mininteger", "-9223372036854775808"},
        {"3.0", "3.0"},
        {"0.1", "0.1"},
        {"2^53", "9007199254740992.0"},
        {"'a\\n\"'", "\"a\\n\\\"\""},
        {"{}", "{}"},
        {"json.array{}", "[]"},
        {"json.array()", "[]"},
        {"json.object{}", "{}"},
        {"json.object()", "{}"},
        {"{1, 2, 3}", "[1,2,3]"},
        {"{[2] = 'b', [1] = 'a'}", "[\"a\",\"b\"]"},
        {"{[1.0] = 'a'}", "[\"a\"]"},
        {"{a = 1}", "{\"a\":1}"},
        {"{['1'] = 1}", "{\"1\":1}"},
        {"{{}, {{}}, {a = {}}}", "[{},[{}],{\"a\":{}}]"},
        {"{json.null, json.null}", "[null,null]"},
        {"setmetatable({1}, {__index = {2, 3}, __len = function() return 3 end})", "[1]"},
        {"setmetatable({a = 1}, {__pairs = error})", "{\"a\":1}"},
        {"json.decode '[[],{},[{}]]'", "[[],{},[{}]]"},
    };
    lua_State *L = *state;
    char text[256];

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        lua_pushfstring(L, "return %s", cases[i].value);
        run(L, lua_tostring(L, -1));
        lua_settop(L, 1);
        assert_string_equal(encode(L, false, text, sizeof text), cases[i].json);
    }
}

static void what_cannot_be_encoded_is_named_by_its_path(void **state)
{
    static const struct {
        const char *value, *message;
    } cases[] = {
        {"print", "result: cannot encode a function"},
        {"coroutine.create(print)", "result: cannot encode a thread"},
        {"io.stdout", "result: cannot encode a userdata"},
        {"{items = {1, 2, {x = print}}}", "result.items[3].x: cannot encode a function"},
        {"{['a b'] = {print}}", "result[\"a b\"][1]: cannot encode a function"},
        {"{['\\27[1m'] = print}", "result[\"?[1m\"]: cannot encode a function"},
        {"{{0/0}}", "result[1][1]: cannot encode nan"},
        {"{x = -1/0}", "result.x: cannot encode an infinite number"},
        {"{x = '\\xff'}", "result.x: cannot encode a string that is not UTF-8"},
        {"{['\\xff'] = 1}", "result[\"?\"]: cannot encode a name that is not UTF-8"},
        {"{[1] = 1, [3] = 3}", "result: cannot encode an array with holes (json.null fills them)"},
        {"{a = {[5] = 1}}", "result.a: cannot encode an array with holes (json.null fills them)"},
        {"{1, 2, x = 3}", "result: cannot encode an array with keys that are not its elements"},
        {"{[0] = 1}", "result: cannot encode an array with keys that are not its elements"},
        {"{[1.5] = 1}", "result: cannot encode an array with keys that are not its elements"},
        {"{a = {[true] = 1}}", "result.a: cannot encode an object with a key that is not a string"},
        {"json.array{x = 1}", "result: cannot encode an array with keys that are not its elements"},
        {"json.array{[2] = 1}", "result: cannot encode an array with holes (json.null fills them)"},
        {"{a = json.object{1}}", "result.a: cannot encode an object with a key that is a number"},
    };
    lua_State *L = *state;
    char text[256];

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        lua_pushfstring(L, "return %s", cases[i].value);
        run(L, lua_tostring(L, -1));
        assert_string_equal(encode(L, false, text, sizeof text), cases[i].message);
    }
}

static void a_cycle_is_refused_with_a_path_that_fits(void **state)
{
    lua_State *L = *state;
    char text[256];

    run(L, "local t = {} t.a_rather_long_name_that_fills_the_path = t return t");
    encode(L, false, text, sizeof text);
    assert_true(strncmp(text, "result.a_rather_long_name_", 26) == 0);
    assert_non_null(strstr(text, "...: cannot encode tables nested this deeply (a cycle?)"));
}

static void a_declared_array_may_be_empty(void **state)
{
    lua_State *L = *state;
    char text[64];

    run(L, "return {}");
    assert_string_equal(encode(L, true, text, sizeof text), "[]");
    run(L, "return {{}}");
    assert_string_equal(encode(L, true, text, sizeof text), "[{}]");
    run(L, "return {a = 1}");
    assert_string_equal(encode(L, true, text, sizeof text), "{\"a\":1}");
}

static void meta_is_left_out_at_the_top_only(void **state)
{
    static const struct {
        const char *text, *json;
    } cases[] = {
        {"{\"_meta\":{\"x\":[1,{}]},\"a\":1}", "{\"a\":1}"},
        {"{\"a\":1,\"\\u005fmeta\":2}", "{\"a\":1}"},
        {"{\"_meta\":1,\"_meta\":2}", "{}"},
        {"{\"a\":{\"_meta\":1}}", "{\"a\":{\"_meta\":1}}"},
        {"[{\"_meta\":1}]", "[{\"_meta\":1}]"},
        {"\"_meta\"", "\"_meta\""},
    };
    lua_State *L = *state;
    char text[64];

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        struct cla_json_decode_opts opts = {.skip_meta = true};

        assert_int_equal(decode(L, cases[i].text, opts), 0);
        assert_string_equal(encode(L, false, text, sizeof text), cases[i].json);
    }
    assert_int_equal(
        decode(L, "{\"_meta\":[1,]}", (struct cla_json_decode_opts){.skip_meta = true}),
        -CLA_EJSON);
}

static void a_refused_text_leaves_nothing_on_the_stack(void **state)
{
    static const char *const cases[] = {"",          "[1,[2,{\"a\":[", "{\"a\":1,\"b\":x}",
                                        "[1] [2]",   "{\"a\\x\":1}",   "[1e999]",
                                        "{\"a\":1]", "[[\"\xff\"]]"};
    lua_State *L = *state;

    lua_pushliteral(L, "below");
    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        assert_int_equal(decode(L, cases[i], (struct cla_json_decode_opts){0}), -CLA_EJSON);
        assert_int_equal(lua_gettop(L), 1);
    }
    assert_text(L, 1, "below");
}

static void failures_reach_scripts_as_nil_and_a_message(void **state)
{
    lua_State *L = *state;

    run(L, "return json.decode '[1,]'");
    assert_true(lua_isnil(L, 1));
    assert_text(L, 2, "expected a value at byte 4");
}

static void encode_raises_in_scripts(void **state)
{
    lua_State *L = *state;

    run(L, "return select(2, pcall(json.encode, {a = {print}}))");
    assert_text(L, 1, "value.a[1]: cannot encode a function");
    run(L, "return json.encode {a = 'after a failure'}");
    assert_text(L, 1, "{\"a\":\"after a failure\"}");
}

static void misuse_raises(void **state)
{
    static const char *const calls[] = {"json.decode(5)",
                                        "json.decode()",
                                        "json.decode('1', {nulls = true})",
                                        "json.decode('1', 'x')",
                                        "json.encode()",
                                        "json.array(1)",
                                        "json.object('x')",
                                        "json.decode('1', {nulls = 'drop'})"};
    lua_State *L = *state;

    for (size_t i = 0; i < CLA_ARRAY_LEN(calls); i++) {
        lua_settop(L, 0);
        assert_int_not_equal(luaL_dostring(L, calls[i]), LUA_OK);
    }
}

static void nested(struct cla_buf *text, int depth)
{
    for (int i = 0; i < depth; i++)
        assert_int_equal(cla_buf_add(text, i % 2 == 0 ? CLA_LIT("[") : CLA_LIT("{\"a\":")), 0);
    assert_int_equal(cla_buf_push(text, '1'), 0);
    for (int i = depth - 1; i >= 0; i--)
        assert_int_equal(cla_buf_push(text, i % 2 == 0 ? ']' : '}'), 0);
}

static void depth_limit_refuses_one_more(void **state)
{
    static const unsigned depths[] = {1, 2, 100, CLA_JSON_DEPTH_MAX};
    lua_State *L = *state;

    for (size_t i = 0; i < CLA_ARRAY_LEN(depths); i++) {
        struct cla_json_decode_opts decode_opts = {.max_depth = depths[i]};
        struct cla_json_encode_opts encode_opts = {depths[i], false, "result"};
        struct cla_json_decode_fault decode_fault;
        struct cla_json_encode_fault encode_fault;
        struct cla_buf text = {0}, out = {0};

        nested(&text, (int)depths[i]);
        assert_int_equal(cla_json_codec_push(L, cla_buf_slice(&text), &decode_opts, &decode_fault),
                         0);
        assert_int_equal(cla_json_codec_write(L, -1, &out, &encode_opts, &encode_fault), 0);
        assert_true(cla_slice_eq(cla_buf_slice(&text), cla_buf_slice(&out)));

        lua_createtable(L, 1, 0);
        lua_insert(L, -2);
        lua_rawseti(L, -2, 1);
        assert_int_equal(cla_json_codec_write(L, -1, &out, &encode_opts, &encode_fault),
                         -CLA_EINVAL);
        text.n = 0;
        nested(&text, (int)depths[i] + 1);
        assert_int_equal(cla_json_codec_push(L, cla_buf_slice(&text), &decode_opts, &decode_fault),
                         -CLA_EJSON);
        assert_string_equal(decode_fault.message, "nested too deeply");
        cla_buf_fini(&text);
        cla_buf_fini(&out);
        lua_settop(L, 0);
    }
}

static void a_full_lua_stack_is_an_error_not_a_crash(void **state)
{
    struct cla_json_encode_opts opts = {DEPTH, false, "result"};
    struct cla_json_encode_fault fault;
    struct cla_buf buf = {0};
    lua_State *L = *state;

    run(L, "return {{{{{{{{{{1}}}}}}}}}}");
    while (lua_checkstack(L, 8))
        lua_pushvalue(L, 1);
    assert_int_equal(decode(L, "[[[[[[[[[[1]]]]]]]]]]", (struct cla_json_decode_opts){0}),
                     -CLA_ENOMEM);
    assert_int_equal(cla_json_codec_write(L, 1, &buf, &opts, &fault), -CLA_ENOMEM);
    assert_string_equal(fault.message, "out of memory");
    cla_buf_fini(&buf);
}

/* --- Random values. --- */

static const char generator[] =
    "math.randomseed(1234)\n"
    "local random = math.random\n"
    "local function text()\n"
    "  local t = {}\n"
    "  for i = 1, random(0, 12) do\n"
    "    local c = random(0, random() < .8 and 0x7f or 0x10ffff)\n"
    "    t[i] = utf8.char((c < 0xd800 or c > 0xdfff) and c or 0xfffd)\n"
    "  end\n"
    "  return table.concat(t)\n"
    "end\n"
    "local function value(depth)\n"
    "  local kind = random(depth > 0 and 8 or 6)\n"
    "  if kind == 1 then return json.null end\n"
    "  if kind == 2 then return random() < .5 end\n"
    "  if kind == 3 then return random(0) >> random(0, 63) end\n"
    "  if kind == 4 then return -random(0) end\n"
    "  if kind == 5 then\n"
    "    local x = string.unpack('d', string.pack('j', random(0)))\n"
    "    return (x == x and x - x == 0) and x or random() * 1000\n"
    "  end\n"
    "  if kind == 6 then return text() end\n"
    "  local t = kind == 7 and json.array {} or {}\n"
    "  for i = 1, random(0, 9) do t[kind == 7 and i or text()] = value(depth - 1) end\n"
    "  return t\n"
    "end\n"
    "local function same(a, b)\n"
    "  if type(a) ~= 'table' then return a == b and math.type(a) == math.type(b) end\n"
    "  if getmetatable(a) ~= getmetatable(b) then return false end\n"
    "  for k, v in next, a do if not same(v, b[k]) then return false end end\n"
    "  for k in next, b do if a[k] == nil then return false end end\n"
    "  return true\n"
    "end\n"
    "for i = 1, 3000 do\n"
    "  local v = value(5)\n"
    "  local text = json.encode(v)\n"
    "  assert(same(v, (json.decode(text, {nulls = 'keep'}))), text)\n"
    "end\n";

static void random_values_survive_the_round_trip(void **state)
{
    run(*state, generator);
}

static void large_containers_survive_the_round_trip(void **state)
{
    run(*state, "local a, o = {}, {}\n"
                "for i = 1, 5000 do a[i] = i; o['k' .. i] = i end\n"
                "local t = json.decode(json.encode {a = a, o = o})\n"
                "assert(#t.a == 5000)\n"
                "for i = 1, 5000 do assert(t.a[i] == i and t.o['k' .. i] == i) end\n"
                "local s = ('x\\n'):rep(100000)\n"
                "assert(json.decode(json.encode(s)) == s)\n");
}

/* --- Lua's memory runs out. --- */

struct rationed {
    size_t left;  /* allocations that succeed */
    size_t bytes; /* in use */
};

static void *rationed_alloc(void *ud, void *block, size_t old, size_t size)
{
    struct rationed *r = ud;
    size_t used = block != NULL ? old : 0;
    void *p;

    if (size == 0) {
        free(block);
        r->bytes -= used;
        return NULL;
    }
    if (size > used && r->left-- == 0) {
        r->left = 0;
        return NULL;
    }
    p = realloc(block, size);
    r->bytes += size - used;
    return p;
}

static int l_decode_all(lua_State *L)
{
    static const char text[] = "{\"a long name that is no short string, so it is allocated\":"
                               "[[1,2,3],{\"b\\n\":\"c\\u00e4\"},[],\"d\",1.5],\"e\":{\"f\":[{}]}}";

    return decode(L, text, (struct cla_json_decode_opts){0}) == 0 ? 1 : 0;
}

static void each_failing_allocation_of_lua_is_raised(void **state)
{
    struct rationed ration = {.left = SIZE_MAX};
    size_t failures = 0;

    for (int rc = LUA_ERRMEM; rc != LUA_OK; failures++) {
        lua_State *L;

        ration.left = SIZE_MAX;
        L = lua_newstate(rationed_alloc, &ration);
        assert_non_null(L);
        cla_json_codec_open(L);
        lua_gc(L, LUA_GCSTOP, 0);
        lua_pushcfunction(L, l_decode_all);
        ration.left = failures;
        rc = lua_pcall(L, 0, 1, 0);
        assert_true(rc == LUA_ERRMEM || (rc == LUA_OK && lua_istable(L, -1)));
        ration.left = SIZE_MAX;
        lua_close(L);
        assert_int_equal(ration.bytes, 0);
    }
    assert_true(failures > 10);
}

/* --- The buffer's memory runs out. --- */

static void each_failing_allocation_of_the_buffer_is_reported(void **state)
{
    lua_State *L = *state;
    long n = 0;

    run(L, "local t = {} for i = 1, 100 do t[i] = {a = {'b', i, 1.5, true}} end return t");
    do {
        struct cla_json_encode_opts opts = {DEPTH, false, "result"};
        struct cla_json_encode_fault fault = {""};
        struct cla_buf buf = {0};
        int rc;

        mem_fault_after(n++);
        rc = cla_json_codec_write(L, 1, &buf, &opts, &fault);
        mem_fault_off();
        assert_int_equal(rc, mem_fault.failed ? -CLA_ENOMEM : 0);
        assert_string_equal(fault.message, rc != 0 ? "out of memory" : "");
        assert_true((buf.n == 0) == (rc != 0));
        assert_int_equal(lua_gettop(L), 1);
        cla_buf_fini(&buf);
    } while (mem_fault.failed);
    assert_true(n > 3);
}

static void encode_gives_its_memory_back_with_the_state(void **state)
{
    lua_State *L = *state;

    run(L, "return json.encode {'x'}, pcall(json.encode, {('x'):rep(100), print})");
    assert_int_equal(mem_fault.live, 1);
    run(L, "return json.encode {('x'):rep(100000)}");
    assert_int_equal(mem_fault.live, 0);
    run(L, "return json.encode {'x'}");
    lua_close(L);
    assert_int_equal(mem_fault.live, 0);
    setup(state);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(values_decode_to_their_lua_kin),
        CASE(values_encode_to_their_text),
        CASE(what_cannot_be_encoded_is_named_by_its_path),
        CASE(a_cycle_is_refused_with_a_path_that_fits),
        CASE(a_declared_array_may_be_empty),
        CASE(meta_is_left_out_at_the_top_only),
        CASE(a_refused_text_leaves_nothing_on_the_stack),
        CASE(failures_reach_scripts_as_nil_and_a_message),
        CASE(encode_raises_in_scripts),
        CASE(misuse_raises),
        CASE(depth_limit_refuses_one_more),
        CASE(a_full_lua_stack_is_an_error_not_a_crash),
        CASE(random_values_survive_the_round_trip),
        CASE(large_containers_survive_the_round_trip),
        cmocka_unit_test(each_failing_allocation_of_lua_is_raised),
        CASE(each_failing_allocation_of_the_buffer_is_reported),
        CASE(encode_gives_its_memory_back_with_the_state),
    };
#undef CASE

    return cmocka_run_group_tests(tests, NULL, NULL);
}
