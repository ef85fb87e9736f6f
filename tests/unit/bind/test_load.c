/* Loading script files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/error.h"
#include "bind/load.h"
#include "mem_fault.h"

struct fixture {
    struct cla_loop loop;
    struct cla_log log;
    struct cla_script_options options;
    struct cla_script *script;
    struct cla_buf error;
    char folder[32];
    char file[64];   /* app.lua in it */
    char module[64]; /* mine.lua in it */
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    strcpy(f->folder, "/tmp/cancela-load-XXXXXX");
    if (mkdtemp(f->folder) == NULL || cla_loop_init(&f->loop) != 0)
        return -1;
    snprintf(f->file, sizeof f->file, "%s/app.lua", f->folder);
    snprintf(f->module, sizeof f->module, "%s/mine.lua", f->folder);
    f->log = (struct cla_log){.fd = STDERR_FILENO, .level = CLA_LOG_OFF};
    f->options = (struct cla_script_options){
        .loop = &f->loop,
        .log = &f->log,
        .vm_memory = 64 << 20,
        .grace_ns = CLA_NS_PER_S,
        .load_timeout_ns = 10 * CLA_NS_PER_S,
        .json_depth = 16,
        .version = "0",
    };
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    cla_script_free(f->script);
    cla_buf_fini(&f->error);
    cla_loop_fini(&f->loop);
    unlink(f->file);
    unlink(f->module);
    rmdir(f->folder);
    free(f);
    return 0;
}

static void write_file(const char *path, const char *text, size_t n)
{
    FILE *file = fopen(path, "wb");

    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, n, file), n);
    fclose(file);
}

/* Loads 'source' as app.lua into a new VM. */
static int load(struct fixture *f, const char *source)
{
    int rc;

    cla_script_free(f->script);
    f->script = NULL;
    f->error.n = 0;
    write_file(f->file, source, strlen(source));
    rc = cla_script_new(&f->script, &f->options);
    return rc != 0 ? rc : cla_load_script(f->script, &f->options, f->file, &f->error);
}

static const char *error_of(struct fixture *f)
{
    assert_int_equal(cla_buf_push(&f->error, '\0'), 0);
    return f->error.p;
}

/* The message after the folder's name and a slash. */
static void assert_error(struct fixture *f, const char *expected)
{
    const char *error = error_of(f), *in_folder = strstr(error, f->folder);

    if (in_folder != NULL)
        error = in_folder + strlen(f->folder) + 1;
    if (strncmp(error, expected, strlen(expected)) != 0)
        fail_msg("expected '%s', got '%s'", expected, error);
}

/* Calls the only procedure and returns the integer it returns. */
static lua_Integer call(struct fixture *f)
{
    lua_State *L = f->script->vm->L;
    lua_Integer result;

    assert_int_equal(f->script->procedure_count, 1);
    lua_rawgeti(L, LUA_REGISTRYINDEX, f->script->procedures[0].fn);
    if (lua_pcall(L, 0, 1, 0) != LUA_OK)
        fail_msg("%s", lua_tostring(L, -1));
    result = lua_tointeger(L, -1);
    lua_settop(L, 0);
    return result;
}

static void procedures_are_taken_in_order(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(load(f,
                          "local c = require 'cancela' return c.app {procedures = {"
                          "b = function() end, a = {z = c.procedure {timeout = 2, read_only = true,"
                          "summary = 's', run = function(p, call) end}}}}"),
                     0);
    assert_int_equal(f->script->procedure_count, 2);
    assert_true(cla_slice_eq(f->script->procedures[0].base.name, CLA_LIT("a.z")));
    assert_string_equal(f->script->procedures[0].summary, "s");
    assert_true(f->script->procedures[0].wants_call);
    assert_true(f->script->procedures[0].base.read_only);
    assert_int_equal(f->script->procedures[0].base.timeout_ns, 2 * CLA_NS_PER_S);
    assert_true(cla_slice_eq(f->script->procedures[1].base.name, CLA_LIT("b")));
    assert_false(f->script->procedures[1].wants_call);
    assert_ptr_equal(cla_script_find(f->script, CLA_LIT("b")), &f->script->procedures[1].base);
    assert_null(cla_script_find(f->script, CLA_LIT("a")));
}

static void mistake_is_named_with_its_line(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *source, *error;
    } cases[] = {
        {"return {\n f = 1 2 }", "app.lua:2: '}' expected"},
        {"\nerror 'broken'", "app.lua:2: broken\nstack traceback:"},
        {"\nlocal x = nil + 1", "app.lua:2: attempt to perform arithmetic on a nil value"},
        {"\nreturn 1", "app.lua:2: the script must return cancela.app{…} or a table of"},
        {"\nreturn require 'cancela'.app {\n}", "app.lua:2: cancela.app: procedures is missing"},
        {"\nrequire 'cancela'.sleep(1)", "app.lua:2: cannot await while the script loads"},
        {"\nrequire 'cancela'.timeout(1, print)", "app.lua:2: cannot use cancela.timeout while"},
        {"\nrequire 'cancela'.token()", "app.lua:2: cannot read cancela.token() while the script"},
        {"\nreturn {['rpc.x'] = print}", "app.lua:2: procedure 'rpc.x': names that begin with"},
        {"\nrequire 'no_such_module'", "app.lua:2: module 'no_such_module' not found"},
        {"\033Lua", "app.lua: bad binary format"},
    };

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        assert_int_equal(load(f, cases[i].source), -CLA_ESCRIPT);
        if (cases[i].source[0] == '\033')
            assert_non_null(strstr(error_of(f), "attempt to load a binary chunk"));
        else
            assert_error(f, cases[i].error);
        assert_int_equal(f->script->procedure_count, 0);
    }
}

static void on_load_is_told_what_it_replaces(void **state)
{
    struct fixture *f = *state;
    static const struct {
        uint64_t previous;
        lua_Integer expected;
    } cases[] = {{0, -1}, {4, 4}};

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        f->options.previous = cases[i].previous;
        f->options.generation = cases[i].previous + 1;
        assert_int_equal(load(f, "local seen return require 'cancela'.app {"
                                 "on_load = function(previous) seen = previous or -1 end,"
                                 "procedures = {seen = function() return seen end}}"),
                         0);
        assert_int_equal(call(f), cases[i].expected);
        assert_int_equal(f->script->app.generation, cases[i].previous + 1);
    }
}

static void error_of_on_load_has_its_line_and_a_traceback(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *body, *error;
    } cases[] = {
        {"error 'broken'", "app.lua:2: broken\nstack traceback:"},
        {"error('broken', 0)", "app.lua:2: broken\nstack traceback:"},
        {"error {}", "app.lua:2: table: "},
        {"c.error {code = 'unavailable', message = 'no database'}",
         "app.lua:2: unavailable: no database\nstack traceback:"},
        {"c.sleep(1)",
         "app.lua:2: cannot await while the script loads: do it in a procedure, or in a "
         "function of app.background\nstack traceback:"},
        {"while true do end", "app.lua:2: the script took too long to load (load_timeout)\nstack"},
    };

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        char source[512];

        snprintf(source, sizeof source,
                 "local c = require 'cancela' return c.app {procedures = {}, on_load = function()\n"
                 "%s\nend}",
                 cases[i].body);
        f->options.load_timeout_ns = 100 * CLA_NS_PER_MS;
        assert_int_equal(load(f, source), -CLA_ESCRIPT);
        assert_error(f, cases[i].error);
        assert_non_null(strstr(f->error.p, "stack traceback:"));
    }
}

static void on_load_comes_after_all_that_is_declared(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(load(f, "return require 'cancela'.app {procedures = {a = 1},"
                             "on_load = function() error 'called' end}"),
                     -CLA_ESCRIPT);
    assert_error(f, "app.lua:1: procedure 'a' must be a function");
}

/* All that a script can call where it is no task; it may be on another thread than the loop. */
static void loading_leaves_the_loop_alone(void **state)
{
    struct fixture *f = *state;
    static const char top[] =
        "local c = require 'cancela'\n"
        "local refused = function(f, ...)\n"
        "  local ok, e = pcall(f, ...)\n"
        "  assert(not ok and e:find('while the script loads', 1, true), e)\n"
        "end\n"
        "local run = function()\n"
        "  c.interval(1) c.channel(1):close() c.sleep_op(1) c.now() c.stats() c.is_cancel(1)\n"
        "  c.log.info 'x' c.json.encode {} c.json.decode '1' c.channel():recv_op()\n"
        "  c.interval(1):tick_op() c.semaphore(1):acquire_op() c.mutex():lock_op()\n"
        "  do local _ <close> = c.defer(function() end) end\n"
        "  local co = coroutine.wrap(function() coroutine.yield() end) co() co()\n"
        "  refused(c.sleep, 1) refused(c.checkpoint) refused(c.token) refused(c.timeout, 1, "
        "print)\n"
        "  refused(c.fail_after, 1, print) refused(c.shield, 1, print) refused(c.group, print)\n"
        "  refused(c.all, print) refused(c.race, print) refused(c.select, {c.sleep_op(1)})\n"
        "  refused(c.linked_token) refused(c.detach, print, {timeout = 1})\n"
        "  refused(c.publish, 't') refused(c.publish_op, 't') refused(c.broadcast, 'e')\n"
        "  refused(c.broadcast_op, 'e') refused(c.channel().recv, c.channel())\n"
        "  local m, i, s = c.mutex(), c.interval(1), c.semaphore(1)\n"
        "  refused(m.lock, m) refused(i.tick, i) refused(s.acquire, s)\n"
        "  refused(coroutine.wrap(function() c.sleep(0) end))\n"
        "end\n"
        "run()\n"
        "return c.app {procedures = {}, on_load = run, background = {run}, on_unload = run}\n";

    if (load(f, top) != 0)
        fail_msg("%s", error_of(f));
    assert_int_equal(f->loop.timers.started, 0);
    assert_int_equal(f->loop.timers.active, 0);
    assert_int_equal(f->loop.pending, 0);
    assert_int_equal(f->loop.alarm_ns, CLA_NEVER);
    assert_false(uv_loop_alive(&f->loop.uv));
    assert_int_equal(f->script->vm->sched.live, 0);
}

static void missing_file_is_named(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(cla_script_new(&f->script, &f->options), 0);
    assert_int_equal(cla_load_script(f->script, &f->options, "/nonexistent/app.lua", &f->error),
                     -CLA_ESCRIPT);
    assert_non_null(strstr(error_of(f), "/nonexistent/app.lua"));
}

static void modules_beside_the_script_are_found(void **state)
{
    struct fixture *f = *state;
    const char *module = "return {seven = function() return 7 end}";

    write_file(f->module, module, strlen(module));
    assert_int_equal(load(f, "return require 'mine'"), 0);
    assert_int_equal(call(f), 7);
}

static void mistake_in_a_module_is_named_with_its_file(void **state)
{
    struct fixture *f = *state;

    write_file(f->module, "\nerror 'broken'", 15);
    assert_int_equal(load(f, "return require 'mine'"), -CLA_ESCRIPT);
    assert_error(f, "mine.lua:2: broken");
}

static void script_that_never_ends_is_stopped(void **state)
{
    struct fixture *f = *state;
    static const char *const sources[] = {
        "while true do end",
        "while true do pcall(function() while true do end end) end",
        "coroutine.wrap(function() while true do pcall(function() while true do end end) end "
        "end)()",
        "string.find(('a'):rep(40), ('a-'):rep(30) .. 'b')",
        "while true do pcall(table.move, {}, 1, 1 << 40, 2) end",
        "coroutine.wrap(function() table.move({}, 1, 1 << 40, 2) end)()",
    };

    f->options.load_timeout_ns = 0;
    for (size_t i = 0; i < CLA_ARRAY_LEN(sources); i++) {
        assert_int_equal(load(f, sources[i]), -CLA_ESCRIPT);
        assert_non_null(strstr(error_of(f), "app.lua:1: the script took too long to load"));
    }
}

static void load_ends_when_it_is_to_stop(void **state)
{
    struct fixture *f = *state;
    const atomic_bool stop = true;

    f->options.stop = &stop;
    assert_int_equal(load(f, "local function f() while true do end end\nf()"), -CLA_ESCRIPT);
    assert_error(f, "app.lua:1: loading was stopped\nstack traceback:");
    assert_non_null(strstr(error_of(f), "app.lua:2: in main chunk"));
}

static void binary_chunk_is_named(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(load(f, "\x1bLua"), -CLA_ESCRIPT);
    assert_non_null(strstr(error_of(f), "app.lua: attempt to load a binary chunk"));
}

static void coroutine_made_while_loading_runs_later(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(load(f, "local next = coroutine.wrap(function()\n"
                             "  local n = 0\n"
                             "  while true do\n"
                             "    for i = 1, 20000 do n = n + 1 end\n"
                             "    coroutine.yield(n)\n"
                             "  end\n"
                             "end)\n"
                             "return {count = function() return next() end}"),
                     0);
    assert_int_equal(call(f), 20000);
    assert_int_equal(call(f), 40000);
}

static void failing_memory_is_an_error(void **state)
{
    struct fixture *f = *state;
    int rc = -1;

    for (long n = 0; rc != 0; n++) {
        assert_true(n < 100);
        mem_fault_after(n);
        rc = load(f, "local c = require 'cancela' return c.app {procedures = {b = print, c = {d = "
                     "c.procedure {summary = 's', run = print}}}, background = {print, {run = "
                     "print, name = 'n'}}, on_unload = print, on_load = function() end}");
        mem_fault_after(LONG_MAX);
        if (rc == 0 || f->script == NULL)
            continue;
        assert_int_equal(rc, -CLA_ESCRIPT);
        assert_int_equal(load(f, "return {seven = function() return 7 end}"), 0);
        assert_int_equal(call(f), 7);
    }
    assert_int_equal(f->script->procedure_count, 2);
    assert_int_equal(f->script->background_count, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(procedures_are_taken_in_order),
        TEST(mistake_is_named_with_its_line),
        TEST(on_load_is_told_what_it_replaces),
        TEST(error_of_on_load_has_its_line_and_a_traceback),
        TEST(on_load_comes_after_all_that_is_declared),
        TEST(loading_leaves_the_loop_alone),
        TEST(missing_file_is_named),
        TEST(modules_beside_the_script_are_found),
        TEST(mistake_in_a_module_is_named_with_its_file),
        TEST(script_that_never_ends_is_stopped),
        TEST(load_ends_when_it_is_to_stop),
        TEST(binary_chunk_is_named),
        TEST(coroutine_made_while_loading_runs_later),
        TEST(failing_memory_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
