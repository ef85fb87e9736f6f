#include "cli/admin.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "rpc/jsonrpc.h"
#include "json/scan.h"

struct args {
    const char *path; /* of the socket; NULL: that of the one that runs */
    const char *what; /* the one argument that is no flag; NULL: none */
    bool json, now;
};

/* A command: its help, what it needs, and how its answer is printed; NULL: with nothing. */
struct command {
    const char *name;
    const char *method;
    const char *help;
    const char *what; /* its argument; NULL: none */
    bool takes_now;
    int (*print)(struct cla_slice result);
};

#define FLAGS                                                                                     \
    "  --admin PATH   its admin socket (CANCELA_ADMIN); default that of the one gateway of this " \
    "user\n"                                                                                      \
    "                 that runs\n"                                                                \
    "  --json         print the answer as JSON\n"

#define EXITS \
    "\n"      \
    "Exit codes: 0 done · 1 refused · 2 bad flag or argument · 3 no gateway\n"

static int usage(const struct command *command, const char *problem, const char *text)
{
    fprintf(stderr, "cancela: %s '%s'; see 'cancela %s --help'\n", problem, text, command->name);
    return CLA_EXIT_USAGE;
}

/* Reads one argument, and the value behind it if it has one. Returns 0 or an exit code. */
static int read_one(const struct command *command, struct args *args, int argc, char **argv, int *i)
{
    const char *arg = argv[*i];

    if (strcmp(arg, "--json") == 0) {
        args->json = true;
    } else if (strcmp(arg, "--now") == 0 && command->takes_now) {
        args->now = true;
    } else if (strncmp(arg, "--admin=", 8) == 0) {
        args->path = arg + 8;
    } else if (strcmp(arg, "--admin") == 0) {
        if (++*i == argc)
            return usage(command, "a path is missing behind", arg);
        args->path = argv[*i];
    } else if (arg[0] == '-') {
        return usage(command, "there is no flag", arg);
    } else if (command->what == NULL || args->what != NULL) {
        return usage(command, "this is an argument too many:", arg);
    } else {
        args->what = arg;
    }
    return 0;
}

static int read_args(const struct command *command, struct args *args, int argc, char **argv)
{
    int rc = 0;

    *args = (struct args){.path = getenv("CANCELA_ADMIN")};
    if (args->path != NULL && strcmp(args->path, "auto") == 0)
        args->path = NULL;
    for (int i = 1; rc == 0 && i < argc; i++)
        rc = read_one(command, args, argc, argv, &i);
    if (rc == 0 && command->what != NULL && args->what == NULL)
        return usage(command, "an argument is missing:", command->what);
    return rc;
}

/* --- The question. --- */

/* Appends the params. Returns 0, or an exit code after a message. */
static int add_params(const struct command *command, const struct args *args, struct cla_buf *to)
{
    enum cla_log_level level;
    char *end;
    uint64_t id;
    int rc;

    if (command->what == NULL)
        return 0;
    if (!command->takes_now) {
        if (!cla_log_level_by_name(cla_slice_str(args->what), &level))
            return usage(command, "the levels are debug, info, warn, error and off; this is none:",
                         args->what);
        rc = cla_buf_printf(to, "{\"level\":\"%s\"}", args->what);
        return rc == 0 ? 0 : CLA_EXIT_FAILED;
    }
    id = strtoull(args->what, &end, 10);
    if (args->what[0] < '1' || args->what[0] > '9' || *end != '\0' || id > INT64_MAX)
        return usage(command,
                     "the id of a call is a number, as ps tells it; this is none:", args->what);
    rc = cla_buf_printf(to, "{\"id\":%" PRIu64 ",\"now\":%s}", id, args->now ? "true" : "false");
    return rc == 0 ? 0 : CLA_EXIT_FAILED;
}

static int make_line(const struct command *command, const struct args *args, struct cla_buf *line)
{
    struct cla_buf params = {0};
    int rc = add_params(command, args, &params);

    if (rc == 0 && (cla_jsonrpc_request(line, CLA_LIT("1"), cla_slice_str(command->method),
                                        cla_buf_slice(&params)) != 0 ||
                    cla_buf_push(line, '\n') != 0))
        rc = CLA_EXIT_FAILED;
    cla_buf_fini(&params);
    return rc;
}

/* --- The answer. --- */

/* 'message' is a JSON string, with its quotes. */
static void print_error(struct cla_slice message)
{
    char *text = cla_mem_alloc(message.n + 1);
    size_t n = 0;

    if (text != NULL && message.n >= 2)
        n = cla_json_unescape(cla_slice(message.p + 1, message.n - 2), text);
    fprintf(stderr, "cancela: %.*s\n", (int)n, text != NULL ? text : "");
    cla_mem_free(text);
}

static int print(const struct command *command, const struct args *args, struct cla_slice line)
{
    struct cla_rpc_response response;

    if (cla_jsonrpc_response_read(line, &response) != 0) {
        fputs("cancela: the gateway's answer is no JSON-RPC\n", stderr);
        return CLA_EXIT_FAILED;
    }
    if (response.code != CLA_CODE_OK) {
        print_error(response.message);
        return CLA_EXIT_FAILED;
    }
    if (args->json)
        printf("%.*s\n", (int)response.result.n, response.result.p);
    else if (command->print != NULL && command->print(response.result) != 0)
        return CLA_EXIT_FAILED;
    return CLA_EXIT_OK;
}

static int run(const struct command *command, int argc, char **argv)
{
    struct cla_buf line = {0}, answer = {0};
    struct args args;
    int rc;

    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        fputs(command->help, stdout);
        return CLA_EXIT_OK;
    }
    rc = read_args(command, &args, argc, argv);
    if (rc == 0)
        rc = make_line(command, &args, &line);
    if (rc == 0)
        rc = cla_admin_ask(args.path, cla_buf_slice(&line), &answer);
    if (rc == 0)
        rc = print(command, &args, cla_buf_slice(&answer));
    cla_buf_fini(&line);
    cla_buf_fini(&answer);
    return rc;
}

/* --- The commands. --- */

int cla_cli_status(int argc, char **argv)
{
    static const struct command command = {
        .name = "status",
        .method = "status",
        .help = "usage: cancela status [--admin PATH] [--json]\n"
                "\n"
                "Says what a gateway is and does: version, addresses, workers, calls.\n"
                "\n" FLAGS EXITS,
        .print = cla_admin_print_status,
    };

    return run(&command, argc, argv);
}

int cla_cli_ps(int argc, char **argv)
{
    static const struct command command = {
        .name = "ps",
        .method = "ps",
        .help = "usage: cancela ps [--admin PATH] [--json]\n"
                "\n"
                "Lists the calls in flight, and where in the script each is.\n"
                "\n" FLAGS EXITS,
        .print = cla_admin_print_calls,
    };

    return run(&command, argc, argv);
}

int cla_cli_kill(int argc, char **argv)
{
    static const struct command command = {
        .name = "kill",
        .method = "kill",
        .help = "usage: cancela kill ID [--now] [--admin PATH] [--json]\n"
                "\n"
                "Cancels the call with that id, as ps tells it: its client gets 'aborted'.\n"
                "\n"
                "  --now          its clean-up may no longer await\n" FLAGS EXITS,
        .what = "ID",
        .takes_now = true,
    };

    return run(&command, argc, argv);
}

int cla_cli_reload(int argc, char **argv)
{
    static const struct command command = {
        .name = "reload",
        .method = "reload",
        .help = "usage: cancela reload [--admin PATH] [--json]\n"
                "\n"
                "Has a gateway load its script again. When it returns new calls run the new code; "
                "calls\n"
                "that run end on theirs, and no connection is closed. If the script does not load, "
                "it says\n"
                "why, and nothing has changed.\n"
                "\n" FLAGS EXITS,
        .print = cla_admin_print_reload,
    };

    return run(&command, argc, argv);
}

int cla_cli_drain(int argc, char **argv)
{
    static const struct command command = {
        .name = "drain",
        .method = "drain",
        .help = "usage: cancela drain [--admin PATH] [--json]\n"
                "\n"
                "Has a gateway end as SIGTERM does: it takes no new connections, and ends with "
                "the last call.\n"
                "\n" FLAGS EXITS,
    };

    return run(&command, argc, argv);
}

int cla_cli_log_level(int argc, char **argv)
{
    static const struct command command = {
        .name = "log-level",
        .method = "log-level",
        .help = "usage: cancela log-level LEVEL [--admin PATH] [--json]\n"
                "\n"
                "Sets from which level on a gateway logs: debug, info, warn, error or off.\n"
                "\n" FLAGS EXITS,
        .what = "LEVEL",
    };

    return run(&command, argc, argv);
}
