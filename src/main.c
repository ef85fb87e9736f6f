/* Finds the command and runs it. */
#include <stdio.h>
#include <string.h>

#include "base/suggest.h"
#include "cli/admin.h"
#include "cli/call.h"
#include "cli/cli.h"
#include "cli/listen.h"

struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
};

static const struct command commands[] = {
    {"run", cla_cli_run, "serve a script"},
    {"check", cla_cli_check, "load a script and list its procedures"},
    {"test", cla_cli_test, "run specs with busted, in the runtime, on a virtual clock"},
    {"call", cla_cli_call, "call a procedure; Ctrl-C cancels it"},
    {"status", cla_cli_status, "what a running gateway is and does"},
    {"ps", cla_cli_ps, "the calls in flight, and where each is"},
    {"kill", cla_cli_kill, "cancel one of them"},
    {"reload", cla_cli_reload, "load the script again, without dropping a call"},
    {"drain", cla_cli_drain, "end a gateway when its calls have ended"},
    {"log-level", cla_cli_log_level, "set what a gateway logs"},
    {"listen", cla_cli_listen, "print the events that a gateway sends; Ctrl-C ends it"},
    {"config", cla_cli_config, "print the settings"},
};

static void print_help(FILE *to)
{
    fprintf(to, "usage: cancela COMMAND …\n\n");
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].summary);
    fprintf(to, "\n'cancela COMMAND --help' says more; 'cancela --version' prints the version.\n");
}

static int unknown(const char *name)
{
    struct cla_suggest suggest;

    cla_suggest_init(&suggest, cla_slice_str(name));
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        cla_suggest_offer(&suggest, cla_slice_str(commands[i].name));
    fprintf(stderr, "cancela: unknown command '%s'", name);
    if (suggest.best.n > 0)
        fprintf(stderr, "; did you mean '%.*s'?", (int)suggest.best.n, suggest.best.p);
    fprintf(stderr, "%s See 'cancela --help'\n", suggest.best.n > 0 ? "" : ".");
    return CLA_EXIT_USAGE;
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "--help";

    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(name, commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    }
    if (strcmp(name, "--version") == 0) {
        printf("cancela %s\n", CLA_VERSION);
        return CLA_EXIT_OK;
    }
    if (strcmp(name, "--help") != 0 && strcmp(name, "-h") != 0 && strcmp(name, "help") != 0)
        return unknown(name);
    print_help(argc > 1 ? stdout : stderr);
    return argc > 1 ? CLA_EXIT_OK : CLA_EXIT_USAGE;
}
