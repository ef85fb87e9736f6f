/* Background tasks and on_unload, as the worker begins and ends them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bind/client.h"
#include "bind/load.h"

struct fixture {
    struct cla_loop loop;
    struct cla_log log;
    struct cla_script *script;
    char file[32];
    int lines[2]; /* pipe of the log */
    uint64_t cpu_limit_ns;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    int fd;

    strcpy(f->file, "/tmp/cancela-back-XXXXXX");
    fd = mkstemp(f->file);
    if (fd < 0 || cla_loop_init(&f->loop) != 0 || pipe(f->lines) != 0)
        return -1;
    close(fd);
    cla_loop_use_virtual_time(&f->loop);
    f->log = (struct cla_log){.fd = f->lines[1], .level = CLA_LOG_INFO};
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    if (f->script != NULL)
        (void)f->script->app.ops->abandon(&f->script->app); /* what a test that failed has left */
    cla_script_free(f->script);
    cla_loop_fini(&f->loop);
    close(f->lines[0]);
    close(f->lines[1]);
    unlink(f->file);
    free(f);
    return 0;
}

static bool turn(void *arg)
{
    struct cla_script *script = arg;

    return cla_sched_run(&script->vm->sched) != CLA_SCHED_NOTHING;
}

/* Loads an app with the fields 'source'; 'log' is cancela.log.info. Returns what the worker sees.
 */
static struct cla_app *load(struct fixture *f, const char *source)
{
    const struct cla_script_options options = {
        .loop = &f->loop,
        .log = &f->log,
        .vm_memory = 64 << 20,
        .grace_ns = 500 * CLA_NS_PER_MS,
        .load_timeout_ns = 10 * CLA_NS_PER_S,
        .cpu_limit_ns = f->cpu_limit_ns,
        .json_depth = 16,
        .max_detached = 1,
        .version = "0",
        .generation = 1,
    };
    FILE *file = fopen(f->file, "wb");
    struct cla_buf error = {0};

    assert_non_null(file);
    fprintf(file,
            "local cancela = require 'cancela' local log = cancela.log.info "
            "return cancela.app {procedures = {}, %s}",
            source);
    fclose(file);
    assert_int_equal(cla_script_new(&f->script, &options), 0);
    if (cla_load_script(f->script, &options, f->file, &error) != 0)
        fail_msg("%.*s", (int)error.n, error.p);
    cla_loop_on_turn(&f->loop, turn, f->script);
    return &f->script->app;
}

/* Lets what is ready run. */
static void run_ready(struct fixture *f)
{
    while (cla_loop_step(&f->loop, false)) {
    }
}

/* Runs until so many jobs are left. */
static void run_until(struct fixture *f, unsigned jobs)
{
    run_ready(f);
    while (f->script->app.jobs > jobs) {
        assert_true(f->loop.timers.active > 0);
        (void)cla_loop_step(&f->loop, true);
        run_ready(f);
    }
}

/* What was logged since the last time, after the times, "INFO  a\nERROR b\n". */
static const char *logged(struct fixture *f)
{
    static char text[4096], lines[4096];
    ssize_t n;

    lines[0] = '\0';
    assert_int_equal(write(f->lines[1], "\n", 1), 1);
    n = read(f->lines[0], text, sizeof text - 1);
    assert_true(n > 0);
    text[n - 1] = '\0';
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        strcat(lines, strlen(line) > 25 ? line + 25 : line);
        strcat(lines, "\n");
    }
    return lines;
}

static const char trio[] = "background = {"
                           "function() log 'each' cancela.sleep(9) end,"
                           "{once = true, name = 'one', run = function() log 'once' end},"
                           "function() log 'also' cancela.sleep(math.huge) end},";

static void first_worker_runs_those_with_once_too(void **state)
{
    struct fixture *f = *state;
    struct cla_app *app = load(f, trio);

    app->ops->begin(app, true);
    assert_int_equal(app->background, 3);
    assert_int_equal(app->jobs, 3);
    run_ready(f);
    assert_string_equal(logged(f), "INFO  each\nINFO  once\nINFO  also\n");
    assert_int_equal(app->background, 2);
    app->ops->retire(app, CLA_CANCEL_RELOAD);
    run_until(f, 0);
    assert_int_equal(app->background, 0);
}

static void other_workers_do_not(void **state)
{
    struct fixture *f = *state;
    struct cla_app *app = load(f, trio);

    app->ops->begin(app, false);
    assert_int_equal(app->background, 2);
    run_ready(f);
    assert_string_equal(logged(f), "INFO  each\nINFO  also\n");
    app->ops->retire(app, CLA_CANCEL_RELOAD);
    run_until(f, 0);
}

static void each_step_is_taken_once(void **state)
{
    struct fixture *f = *state;
    struct cla_app *app =
        load(f, "background = {function() log 'begun' cancela.sleep(math.huge) end},"
                "on_unload = function() log 'unloaded' end");

    app->ops->begin(app, true);
    app->ops->begin(app, true);
    run_ready(f);
    app->ops->retire(app, CLA_CANCEL_SHUTDOWN);
    app->ops->retire(app, CLA_CANCEL_RELOAD);
    run_until(f, 0);
    app->ops->begin(app, true);
    app->ops->unload(app);
    app->ops->unload(app);
    assert_int_equal(app->jobs, 1);
    assert_int_equal(app->background, 0);
    run_until(f, 0);
    app->ops->unload(app);
    assert_int_equal(app->jobs, 0);
    assert_string_equal(logged(f), "INFO  begun\nINFO  unloaded\n");
}

/* The next generation came before the background of the one before had ended. */
static void what_was_retired_never_begins(void **state)
{
    struct fixture *f = *state;
    struct cla_app *app = load(f, "background = {function() log 'begun' end},"
                                  "on_unload = function() log 'unloaded' end");

    app->ops->retire(app, CLA_CANCEL_RELOAD);
    app->ops->begin(app, true);
    assert_int_equal(app->jobs, 0);
    app->ops->unload(app);
    run_until(f, 0);
    assert_string_equal(logged(f), "INFO  unloaded\n");
}

static void app_without_any_has_nothing_to_wait_for(void **state)
{
    struct fixture *f = *state;
    struct cla_app *app = load(f, "");

    app->ops->begin(app, true);
    app->ops->retire(app, CLA_CANCEL_RELOAD);
    app->ops->unload(app);
    assert_int_equal(app->jobs, 0);
}

static void limit_of_processor_time_is_not_theirs(void **state)
{
    struct fixture *f = *state;
    struct cla_app *app;

    f->cpu_limit_ns = 1;
    app =
        load(f, "background = {function() for _ = 1, 9 do cancela.sleep(1) end log 'went on' end}");
    app->ops->begin(app, true);
    run_until(f, 0);
    assert_string_equal(logged(f), "INFO  went on\n");
}

static void memory_is_taken_from_others_first(void **state)
{
    struct fixture *f = *state;
    struct cla_app *app =
        load(f, "background = {function() local kept = {}"
                " for i = 1, 600 do kept[i] = ('x'):rep(1 << 16) .. i end "
                "cancela.detach(function() local more = {}"
                " for i = 1, 240 do more[i] = ('y'):rep(1 << 16) .. i end "
                "local _ <close> = cancela.defer(function() more = nil log 'the other' end) "
                "cancela.sleep(9) end, {timeout = 99}) cancela.sleep(math.huge) return kept end}");

    app->ops->begin(app, true);
    run_ready(f);
    assert_int_equal(app->jobs, 2);
    app->ops->tidy(app);
    run_until(f, 1);
    assert_non_null(strstr(logged(f), "INFO  the other\n"));
    assert_int_equal(app->background, 1);
    app->ops->retire(app, CLA_CANCEL_RELOAD);
    run_until(f, 0);
    assert_string_equal(logged(f), "");
}

static void memory_is_taken_from_them_when_there_is_nobody_else(void **state)
{
    struct fixture *f = *state;
    struct cla_app *app = load(f, "background = {{name = 'big', run = function() local kept = {}"
                                  " for i = 1, 840 do kept[i] = ('x'):rep(1 << 16) .. i end "
                                  "cancela.sleep(math.huge) return kept end}}");

    app->ops->begin(app, true);
    run_ready(f);
    app->ops->tidy(app);
    run_until(f, 0);
    assert_non_null(strstr(logged(f), "ERROR cancelled background task big: limit: the VM's"));
}

static void clean_up_that_does_not_end_is_given_up(void **state)
{
    struct fixture *f = *state;
    struct cla_app *app =
        load(f, "background = {{name = 'stuck', run = function() "
                "local _ <close> = cancela.defer(function() while true do "
                "pcall(cancela.sleep, 1) end end) cancela.sleep(math.huge) end}}");

    app->ops->begin(app, true);
    run_ready(f);
    app->ops->retire(app, CLA_CANCEL_RELOAD);
    run_ready(f);
    assert_int_equal(app->ops->abandon(app), 1);
    assert_int_equal(app->jobs, 0);
    assert_non_null(strstr(logged(f), "ERROR abandoned background task stuck: stack traceback:"));
}

static void one_that_cannot_begin_is_logged(void **state)
{
    struct fixture *f = *state;
    struct cla_app *app = load(f, "background = {{name = 'a', run = function() log 'a' end},"
                                  "{name = 'b', run = function() log 'b' end}}");

    lua_gc(f->script->vm->L, LUA_GCCOLLECT);
    lua_gc(f->script->vm->L, LUA_GCCOLLECT);
    f->script->vm->cap = f->script->vm->used;
    app->ops->begin(app, true);
    f->script->vm->cap = 64 << 20;
    assert_int_equal(app->jobs, 0);
    assert_int_equal(app->background, 0);
    assert_string_equal(logged(f),
                        "ERROR cannot start background task a: not enough memory (vm_memory)\n"
                        "ERROR cannot start background task b: not enough memory (vm_memory)\n");
}

/* The VM may be freed on another thread then, while the sockets go on. */
static void unloaded_script_holds_no_socket(void **state)
{
    struct fixture *f = *state;
    struct cla_socket socket = {.refs = 1};
    struct cla_app *app =
        load(f, "on_unload = function() cancela.detach(function() cancela.sleep(1) "
                "log(type(kept.id)) end, {timeout = 9}) "
                "setmetatable({}, {__gc = function() log 'hidden' "
                "cancela.log.warn(select(2, pcall(function() return kept.id end))) end}) end");

    cla_client_push(f->script->vm->L, &socket);
    lua_setglobal(f->script->vm->L, "kept");
    assert_int_equal(socket.refs, 2);
    app->ops->unload(app);
    run_until(f, 1);
    assert_int_equal(socket.refs, 2);
    run_until(f, 0);
    f->log.level = CLA_LOG_WARN;
    app->ops->leave(app);
    assert_int_equal(socket.refs, 1);
    assert_string_equal(logged(f), "INFO  number\n");
    cla_script_free(f->script);
    f->script = NULL;
    assert_int_equal(socket.refs, 1);
    assert_non_null(strstr(logged(f), "the client is gone: this generation of the code is over"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(first_worker_runs_those_with_once_too),
        TEST(other_workers_do_not),
        TEST(each_step_is_taken_once),
        TEST(what_was_retired_never_begins),
        TEST(app_without_any_has_nothing_to_wait_for),
        TEST(limit_of_processor_time_is_not_theirs),
        TEST(memory_is_taken_from_others_first),
        TEST(memory_is_taken_from_them_when_there_is_nobody_else),
        TEST(clean_up_that_does_not_end_is_given_up),
        TEST(one_that_cannot_begin_is_logged),
        TEST(unloaded_script_holds_no_socket),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
