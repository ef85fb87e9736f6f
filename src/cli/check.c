#include <stdio.h>
#include <unistd.h>

#include "bind/script.h"
#include "cli/check_table.h"
#include "cli/cli.h"
#include "cli/options.h"
#include "gateway/tls_files.h"

static const char help[] =
    "usage: cancela check APP [--json]\n"
    "\n"
    "Loads the Lua script APP and lists its procedures, or says what is wrong, with file and "
    "line.\n"
    "--json prints the OpenRPC document that rpc.discover answers with.\n"
    "\n"
    "Exit codes: 0 it loads · 1 it does not, or output failed · 2 bad flag or setting\n";

/* What 'run' would find wrong with certificates and keys. */
static int check_tls(const struct cla_config *config)
{
    struct cla_config_error error;
    struct cla_tls_context *tls;

    if (!cla_tls_files_wanted(config))
        return 0;
    if (cla_tls_files_load(config, &tls, &error) != 0) {
        fprintf(stderr, "cancela: %s\n", error.text);
        return CLA_EXIT_USAGE;
    }
    cla_tls_context_put(tls);
    return 0;
}

static int print(const struct cla_script *script, bool json)
{
    struct cla_buf out = {0};
    int rc = 0;

    if (json) {
        rc = cla_buf_add(&out, cla_buf_slice(&script->document));
        if (rc == 0)
            rc = cla_buf_push(&out, '\n');
    } else {
        rc = cla_check_table_write(script, &out);
    }
    if (rc != 0)
        fprintf(stderr, "cancela: out of memory\n");
    else if (out.n > 0 && (fwrite(out.p, 1, out.n, stdout) != out.n || fflush(stdout) != 0))
        rc = -1;
    cla_buf_fini(&out);
    return rc == 0 ? CLA_EXIT_OK : CLA_EXIT_FAILED;
}

static int check(const struct cla_options *options, bool json, struct cla_loop *loop,
                 struct cla_log *log)
{
    struct cla_script *script;
    int rc = check_tls(&options->config);

    if (rc == 0)
        rc = cla_options_load(options, loop, log, NULL, &script);
    if (rc != 0)
        return rc;
    rc = print(script, json);
    cla_script_free(script);
    return rc;
}

/* Takes the flag --json out of the arguments; true if it was there. */
static bool take_json(int *argc, char **argv)
{
    for (int i = 1; i < *argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--json") != 0)
            continue;
        for (--*argc; i < *argc; i++)
            argv[i] = argv[i + 1];
        return true;
    }
    return false;
}

int cla_cli_check(int argc, char **argv)
{
    struct cla_options options;
    struct cla_loop loop;
    struct cla_log log = {.fd = STDERR_FILENO, .level = CLA_LOG_WARN};
    bool json = take_json(&argc, argv);
    int rc = cla_options_read(&options, argc, argv, "APP");

    if (rc != 0)
        return rc;
    options.config.discover = true; /* who has the script may see what is in it */
    if (options.help) {
        fputs(help, stdout);
    } else if (cla_loop_init(&loop) == 0) {
        rc = check(&options, json, &loop, &log);
        cla_loop_fini(&loop);
    }
    cla_options_fini(&options);
    return rc;
}
