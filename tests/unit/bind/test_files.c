/* Which files a script is found to read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <lauxlib.h>
#include <lualib.h>
#include <string.h>

#include "base/check.h"
#include "base/error.h"
#include "bind/load.h"
#include "file_fixture.h"
#include "io/file_set.h"

struct fixture {
    struct cla_loop loop;
    struct cla_log log;
    struct cla_script_options options;
    struct cla_script *script;
    struct cla_buf error;
    struct cla_file_list list; /* what was noted */
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    if (file_fixture_set_up() != 0 || cla_loop_init(&f->loop) != 0)
        return -1;
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
    return cla_file_set_new(&f->options.files);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    cla_script_free(f->script);
    cla_file_set_put(f->options.files);
    cla_file_list_fini(&f->list);
    cla_buf_fini(&f->error);
    cla_loop_fini(&f->loop);
    free(f);
    return file_fixture_tear_down();
}

static void take_up(struct fixture *f)
{
    size_t seen = f->list.paths.count;

    cla_file_set_copy(f->options.files, &f->list, &seen);
}

/* Loads app/main.lua, which is 'text'. */
static int load(struct fixture *f, const char *text)
{
    int rc;

    if (access("app", F_OK) != 0)
        make_folder("app");
    write_file("app/main.lua", text);
    rc = cla_script_new(&f->script, &f->options);
    if (rc == 0)
        rc = cla_load_script(f->script, &f->options, "app/main.lua", &f->error);
    take_up(f);
    return rc;
}

static bool noted(const struct fixture *f, const char *path)
{
    return cla_file_list_find(&f->list, path) != NULL;
}

/* The error of require 'name', on top of the stack. */
static const char *require_error(lua_State *L, const char *name)
{
    lua_getglobal(L, "require");
    lua_pushstring(L, name);
    assert_int_not_equal(lua_pcall(L, 1, 0, 0), LUA_OK);
    return luaL_tolstring(L, -1, NULL);
}

static void what_is_required_is_noted_before_it_is_read(void **state)
{
    struct fixture *f = *state;

    make_folder("app");
    write_file("app/a.lua", "return 1");
    make_folder("app/b");
    write_file("app/b/init.lua", "return require 'b.c'");
    write_file("app/b/c.lua", "io.open('app/b/c.lua', 'w'):write('more'):close() return 1");
    assert_int_equal(load(f, "require 'a' require 'b' require 'a' return {}"), 0);
    assert_true(noted(f, "app/main.lua"));
    assert_true(noted(f, "app/a.lua"));
    assert_true(noted(f, "app/b/init.lua"));
    assert_true(noted(f, "app/b/c.lua"));
    assert_true(noted(f, "app/b.lua")); /* would be found first */
    assert_false(noted(f, "app/a/init.lua"));
    assert_int_equal(f->list.paths.count, 5);
    assert_string_equal(cla_file_list_compare(&f->list), "app/b/c.lua");
}

static void a_module_that_is_missing_is_noted_where_it_could_be(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(load(f, "package.cpath = 'app/?.so;/nowhere/?.so'\n"
                             "require 'x.y'"),
                     -CLA_ESCRIPT);
    assert_true(noted(f, "app/main.lua"));
    assert_true(noted(f, "app/x/y.lua"));
    assert_true(noted(f, "app/x/y/init.lua"));
    assert_true(noted(f, "app/x/y.so"));
    assert_true(noted(f, "app/x.so"));
    assert_int_equal(f->list.paths.count, 5); /* none outside of the script's folder */
}

static void a_module_elsewhere_is_noted_and_where_it_would_be_found_first(void **state)
{
    struct fixture *f = *state;

    make_folder("lib");
    write_file("lib/a.lua", "return 1");
    assert_int_equal(load(f, "package.path = package.path .. ';lib/?.lua' require 'a' return {}"),
                     0);
    assert_true(noted(f, "lib/a.lua"));
    assert_true(noted(f, "app/a.lua"));
    assert_true(noted(f, "app/a/init.lua"));
}

static void a_load_that_fails_has_noted_what_it_read(void **state)
{
    static const char *const broken[] = {
        "return = 1",
        "error 'broken'",
        "return {",
    };
    struct fixture *f = *state;

    make_folder("app");
    for (size_t i = 0; i < CLA_ARRAY_LEN(broken); i++) {
        cla_file_list_fini(&f->list);
        write_file("app/a.lua", broken[i]);
        assert_int_equal(load(f, "require 'a' require 'b'"), -CLA_ESCRIPT);
        assert_true(noted(f, "app/a.lua"));
        assert_false(noted(f, "app/b.lua"));
        cla_script_free(f->script);
        f->script = NULL;
    }
    cla_file_list_fini(&f->list);
    assert_int_equal(load(f, "return = 1"), -CLA_ESCRIPT);
    assert_true(noted(f, "app/main.lua"));
}

static void files_that_are_run_are_noted(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(load(f, "loadfile 'app/l.lua' pcall(dofile, 'app/d.lua') return {}"), 0);
    assert_true(noted(f, "app/l.lua"));
    assert_true(noted(f, "app/d.lua"));
}

static void a_module_required_later_is_noted_then(void **state)
{
    struct fixture *f = *state;
    lua_State *L;

    assert_int_equal(load(f, "return {}"), 0);
    L = f->script->vm->L;
    (void)require_error(L, "late");
    take_up(f);
    assert_true(noted(f, "app/late.lua"));
    lua_settop(L, 0);
}

static void what_the_app_lists_is_noted_with_what_is_beneath(void **state)
{
    struct fixture *f = *state;
    char text[256], *root = realpath(".", NULL);

    make_folder("app");
    make_folder("app/templates");
    make_folder("app/templates/a");
    make_folder("app/public");
    write_file("app/templates/a/b.html", "");
    write_file("outside", "");
    snprintf(text, sizeof text,
             "return require 'cancela'.app {procedures = {}, static = 'public',\n"
             "watch = {'data.json', 'templates/', '../above', '%s/outside'}}",
             root);
    assert_int_equal(load(f, text), 0);
    assert_true(noted(f, "app/data.json"));
    assert_true(noted(f, "app/templates"));
    assert_true(noted(f, "app/templates/a/b.html"));
    assert_true(noted(f, "app/../above"));
    snprintf(text, sizeof text, "%s/outside", root);
    assert_true(noted(f, text));
    assert_false(noted(f, "app/public"));
    free(root);
}

static void what_the_app_lists_is_noted_though_it_does_not_load(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(load(f, "return require 'cancela'.app {procedures = {}, static = 'nowhere',\n"
                             "watch = {'data.json'}}"),
                     -CLA_ESCRIPT);
    assert_true(noted(f, "app/data.json"));
}

static void nothing_is_noted_where_nobody_watches(void **state)
{
    struct fixture *f = *state;
    struct cla_file_set *set = f->options.files;

    f->options.files = NULL;
    make_folder("app");
    write_file("app/main.lua", "require 'cancela' pcall(require, 'b')\n"
                               "return require 'cancela'.app {procedures = {}, watch = {'a'}}");
    assert_int_equal(cla_script_new(&f->script, &f->options), 0);
    assert_int_equal(cla_load_script(f->script, &f->options, "app/main.lua", &f->error), 0);
    f->options.files = set;
    take_up(f);
    assert_int_equal(f->list.paths.count, 0);
}

/* --- The errors of require are Lua's own. --- */

static void set_paths(lua_State *L, const char *path, const char *cpath)
{
    lua_getglobal(L, "package");
    lua_pushstring(L, path);
    lua_setfield(L, -2, "path");
    lua_pushstring(L, cpath);
    lua_setfield(L, -2, "cpath");
    lua_pop(L, 1);
}

static void the_errors_of_require_are_those_of_lua(void **state)
{
    static const struct {
        const char *path, *cpath;
    } paths[] = {
        {"app/?.lua;app/?/init.lua", "app/?.so"},
        {"", ""},
        {";;app/?.lua; ;x", "app/?.so;app/loadall.so"},
        {NULL, "app/?.so"},
        {"app/?.lua", NULL},
    };
    static const char *const names[] = {
        "missing", "missing.below", "syntax", "raises", "broken", "broken.sub", "",
        ".",       "a-b",           "%s?"};
    struct fixture *f = *state;
    lua_State *own, *other = luaL_newstate();

    assert_non_null(other);
    luaL_openlibs(other);
    assert_int_equal(load(f, "return {}"), 0);
    own = f->script->vm->L;
    write_file("app/syntax.lua", "return = 1");
    write_file("app/raises.lua", "error 'no'");
    write_file("app/broken.so", "this is no library");
    for (size_t i = 0; i < CLA_ARRAY_LEN(paths); i++) {
        set_paths(own, paths[i].path, paths[i].cpath);
        set_paths(other, paths[i].path, paths[i].cpath);
        for (size_t k = 0; k < CLA_ARRAY_LEN(names); k++)
            assert_string_equal(require_error(own, names[k]), require_error(other, names[k]));
        lua_settop(own, 0);
        lua_settop(other, 0);
    }
    lua_close(other);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_is_required_is_noted_before_it_is_read),
        TEST(a_module_that_is_missing_is_noted_where_it_could_be),
        TEST(a_module_elsewhere_is_noted_and_where_it_would_be_found_first),
        TEST(a_load_that_fails_has_noted_what_it_read),
        TEST(files_that_are_run_are_noted),
        TEST(a_module_required_later_is_noted_then),
        TEST(what_the_app_lists_is_noted_with_what_is_beneath),
        TEST(what_the_app_lists_is_noted_though_it_does_not_load),
        TEST(nothing_is_noted_where_nobody_watches),
        TEST(the_errors_of_require_are_those_of_lua),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
