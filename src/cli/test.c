#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bind/testing.h"
#include "cli/cli.h"
#include "cli/options.h"
#include "task/watchdog.h"

static const char help[] =
    "usage: cancela test [busted arguments] [FILE or FOLDER …]\n"
    "\n"
    "Runs busted specs (files named *_spec.lua) inside the runtime: the bodies of 'it' may await,\n"
    "and time is virtual, so that a sleep of a minute takes no time. 'require "
    "\"cancela.testing\"'\n"
    "calls an app's procedures as a client would.\n"
    "\n"
    "  cancela test examples/hello\n"
    "  cancela test --filter 'rolls back' tests/spec\n"
    "\n"
    "Takes the arguments of busted ('busted --help'), and settings from the environment. Exit "
    "codes: 0 all passed · 1 not\n";

static int run_specs(int argc, char **argv, const struct cla_config *config,
                     struct cla_store *store, struct cla_loop *loop, struct cla_log *log)
{
    const struct cla_script_options options = cla_options_script(config, store, loop, log);
    struct cla_script *script;
    int rc = CLA_EXIT_FAILED;

    cla_loop_use_virtual_time(loop);
    if (cla_script_new(&script, &options) != 0) {
        fprintf(stderr, "cancela: out of memory\n");
        return CLA_EXIT_FAILED;
    }
    if (cla_watchdog_start(&script->watchdog, log) == 0)
        rc = cla_testing_run(script, argc, argv);
    else
        fprintf(stderr, "cancela: cannot start a thread (ulimit -u)\n");
    cla_watchdog_stop(script->watchdog);
    cla_script_free(script);
    return rc;
}

int cla_cli_test(int argc, char **argv)
{
    struct cla_log log = {.fd = STDERR_FILENO, .level = CLA_LOG_INFO};
    struct cla_config config;
    struct cla_config_error error;
    struct cla_store *store = NULL;
    struct cla_loop loop;
    int rc = CLA_EXIT_FAILED;

    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        fputs(help, stdout);
        return CLA_EXIT_OK;
    }
    if (cla_config_init(&config) != 0)
        return CLA_EXIT_FAILED;
    if (cla_config_set_environment(&config, environ, &error) != 0) {
        fprintf(stderr, "cancela: %s\n", error.text);
        cla_config_fini(&config);
        return CLA_EXIT_USAGE;
    }
    if (cla_store_new(&store, config.shared_memory) == 0 && cla_loop_init(&loop) == 0) {
        rc = run_specs(argc, argv, &config, store, &loop, &log);
        cla_loop_fini(&loop);
    }
    cla_store_free(store);
    cla_config_fini(&config);
    return rc;
}
