#include "cli/options.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "bind/load.h"
#include "cli/cli.h"

#define CONFIG_FILE "cancela.lua"

static int fail(const char *text)
{
    fprintf(stderr, "cancela: %s\n", text);
    return CLA_EXIT_USAGE;
}

/* The value of --config, wherever it stands: the file is read before the other flags. */
static const char *config_flag(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--config=", 9) == 0)
            return argv[i] + 9;
        if (strcmp(argv[i], "--config") == 0 && i + 1 < argc)
            return argv[i + 1];
    }
    return NULL;
}

static int read_file(struct cla_options *options, int argc, char **argv)
{
    const char *path = config_flag(argc, argv);
    struct cla_config_error error;

    if (path == NULL && access(CONFIG_FILE, F_OK) != 0)
        return 0;
    if (cla_options_read_file(&options->config, path != NULL ? path : CONFIG_FILE, &error) != 0)
        return fail(error.text);
    return 0;
}

static int take_argument(struct cla_options *options, const char *argument, const char *what)
{
    char text[256];

    if (what != NULL && options->path == NULL) {
        options->path = argument;
        return 0;
    }
    snprintf(text, sizeof text, "unexpected argument '%s'; see --help", argument);
    return fail(text);
}

/* Reads argv[*i], and the value behind it if it has one. */
static int take_flag(struct cla_options *options, int argc, char **argv, int *i)
{
    struct cla_config_error error;
    const char *next = *i + 1 < argc ? argv[*i + 1] : NULL;
    bool used_next = false;
    char text[256];

    if (strcmp(argv[*i], "--help") == 0 || strcmp(argv[*i], "-h") == 0) {
        options->help = true;
        return 0;
    }
    if (strncmp(argv[*i], "--config=", 9) == 0)
        return 0;
    if (strcmp(argv[*i], "--config") == 0) {
        ++*i;
        return next != NULL ? 0 : fail("--config needs a file: --config cancela.lua");
    }
    if (argv[*i][1] != '-') {
        snprintf(text, sizeof text, "unknown flag '%.200s'; flags begin with '--'", argv[*i]);
        return fail(text);
    }
    if (cla_config_set_flag(&options->config, argv[*i], next, &used_next, &error) != 0)
        return fail(error.text);
    *i += used_next;
    return 0;
}

static int read_arguments(struct cla_options *options, int argc, char **argv, const char *what)
{
    bool flags = true;

    for (int i = 1; i < argc; i++) {
        int rc;

        if (flags && strcmp(argv[i], "--") == 0) {
            flags = false;
            continue;
        }
        if (flags && argv[i][0] == '-' && argv[i][1] != '\0')
            rc = take_flag(options, argc, argv, &i);
        else
            rc = take_argument(options, argv[i], what);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int read_environment(struct cla_options *options)
{
    struct cla_config_error error;

    if (cla_config_set_environment(&options->config, environ, &error) != 0)
        return fail(error.text);
    return 0;
}

int cla_options_read(struct cla_options *options, int argc, char **argv, const char *what)
{
    int rc;

    *options = (struct cla_options){0};
    if (cla_config_init(&options->config) != 0)
        return fail("out of memory");
    rc = read_file(options, argc, argv);
    if (rc == 0)
        rc = read_environment(options);
    if (rc == 0)
        rc = read_arguments(options, argc, argv, what);
    if (rc == 0 && cla_store_new(&options->store, options->config.shared_memory) != 0)
        rc = fail("out of memory");
    if (rc == 0 && what != NULL && options->path == NULL && !options->help) {
        fprintf(stderr, "cancela: %s is missing: cancela %s %s\n", what, argv[0], what);
        rc = CLA_EXIT_USAGE;
    }
    if (rc != 0)
        cla_options_fini(options);
    return rc;
}

void cla_options_fini(struct cla_options *options)
{
    cla_store_free(options->store);
    cla_config_fini(&options->config);
}

struct cla_script_options cla_options_script(const struct cla_config *config,
                                             struct cla_store *store, struct cla_loop *loop,
                                             struct cla_log *log)
{
    return (struct cla_script_options){
        .loop = loop,
        .log = log,
        .vm_memory = config->vm_memory,
        .grace_ns = config->grace_ns,
        .load_timeout_ns = config->load_timeout_ns,
        .hold_limit_ns = config->hold_limit_ns,
        .cpu_limit_ns = config->cpu_limit_ns,
        .json_depth = (unsigned)config->json_depth,
        .max_detached = (unsigned)config->max_detached,
        .expose_errors = config->expose_errors,
        .store = store,
        .discover = config->discover,
        .call_timeout_ns = config->call_timeout_ns,
        .max_call_timeout_ns = config->max_call_timeout_ns,
        .stream_idle_timeout_ns = config->stream_idle_timeout_ns,
        .version = CLA_VERSION,
        .generation = 1,
    };
}

int cla_options_load(const struct cla_options *options, struct cla_loop *loop, struct cla_log *log,
                     struct cla_file_set *files, struct cla_script **out)
{
    struct cla_script_options script_options =
        cla_options_script(&options->config, options->store, loop, log);
    struct cla_buf error = {0};

    script_options.files = files;
    if (cla_script_new(out, &script_options) != 0) {
        fprintf(stderr, "cancela: out of memory\n");
        return CLA_EXIT_FAILED;
    }
    if (cla_load_script(*out, &script_options, options->path, &error) == 0)
        return 0;
    fprintf(stderr, "cancela: %.*s\n", (int)error.n, error.p);
    cla_buf_fini(&error);
    cla_script_free(*out);
    return CLA_EXIT_FAILED;
}
