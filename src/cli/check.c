#include <stdio.h>
#include <unistd.h>

#include "bind/script.h"
#include "cli/cli.h"
#include "cli/options.h"
#include "gateway/tls_files.h"

static const char help[] = "usage: cancela check APP\n"
                           "\n"
                           "Loads the Lua script APP and lists its procedures, or says what is "
                           "wrong, with file and line.\n"
                           "\n"
                           "Exit codes: 0 it loads · 1 it does not · 2 bad flag or setting\n";

static void print_procedure(const struct cla_script_procedure *p)
{
    printf("%.*s", (int)p->base.name.n, p->base.name.p);
    if (p->base.read_only)
        printf("  [read_only]");
    if (p->base.timeout_ns > 0)
        printf("  [timeout %gs]", (double)p->base.timeout_ns / 1e9);
    if (p->summary != NULL)
        printf("  %s", p->summary);
    printf("\n");
}

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

static int check(const struct cla_options *options, struct cla_loop *loop, struct cla_log *log)
{
    struct cla_script *script;
    int rc = check_tls(&options->config);

    if (rc == 0)
        rc = cla_options_load(options, loop, log, &script);
    if (rc != 0)
        return rc;
    for (size_t i = 0; i < script->procedure_count; i++)
        print_procedure(&script->procedures[i]);
    cla_script_free(script);
    return CLA_EXIT_OK;
}

int cla_cli_check(int argc, char **argv)
{
    struct cla_options options;
    struct cla_loop loop;
    struct cla_log log = {.fd = STDERR_FILENO, .level = CLA_LOG_WARN};
    int rc = cla_options_read(&options, argc, argv, "APP");

    if (rc != 0)
        return rc;
    if (options.help) {
        fputs(help, stdout);
    } else if (cla_loop_init(&loop) == 0) {
        rc = check(&options, &loop, &log);
        cla_loop_fini(&loop);
    }
    cla_options_fini(&options);
    return rc;
}
