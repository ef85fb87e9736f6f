#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/error.h"
#include "bind/script.h"
#include "cli/cli.h"
#include "cli/options.h"
#include "gateway/server.h"

static const char help[] =
    "usage: cancela run APP [--NAME VALUE …]\n"
    "\n"
    "Serves the Lua script APP over HTTP until SIGTERM or SIGINT, then lets running calls end.\n"
    "\n"
    "  --listen ADDRESS:PORT   default 127.0.0.1:3000\n"
    "  --access-log WHAT       calls to log: all, failed (the default) or off\n"
    "  --config FILE           settings as a Lua table; default ./cancela.lua if there is one\n"
    "  --NAME VALUE            any other setting: 'cancela config' lists them\n"
    "\n"
    "Exit codes: 0 ended well · 1 the script does not load · 2 bad flag or setting ·\n"
    "3 cannot listen · 5 calls had to be abandoned at shutdown\n";

static int listen_failed(const struct cla_config *config, int rc)
{
    const char *host = config->listen.host;
    unsigned port = config->listen.port;

    if (rc == -CLA_EADDRINUSE)
        fprintf(stderr,
                "cancela: port %u is in use on '%s': stop what listens there, or choose another "
                "with --listen %s:%u\n",
                port, host, host, port < 65535 ? port + 1 : 3000);
    else
        fprintf(stderr, "cancela: cannot listen on '%s' port %u: %s\n", host, port,
                rc == -CLA_ENOTFOUND ? "this machine has no such address" : cla_error_text(rc));
    return CLA_EXIT_NETWORK;
}

/* It has ended well: a second signal, which now finds no handler, must not make it look otherwise.
 */
static void ignore_signals(void)
{
    sigset_t signals;

    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
}

static int serve(struct cla_script *script, struct cla_loop *loop, const struct cla_config *config,
                 struct cla_log *log)
{
    struct cla_server server;
    unsigned abandoned;
    int rc = cla_server_open(&server, loop, &script->app, config, log, script->log);

    if (rc != 0)
        return listen_failed(config, rc);
    cla_log_line(log, CLA_LOG_INFO, "listening address=%s procedures=%zu", server.listener.address,
                 script->procedure_count);
    abandoned = cla_server_run(&server);
    ignore_signals();
    cla_server_fini(&server);
    cla_log_line(log, CLA_LOG_INFO, "stopped abandoned=%u", abandoned);
    return abandoned > 0 ? CLA_EXIT_ABANDONED : CLA_EXIT_OK;
}

static int load_and_serve(const struct cla_options *options, struct cla_loop *loop,
                          struct cla_log *log)
{
    struct cla_log worker_log = *log;
    struct cla_script *script;
    int rc = cla_options_load(options, loop, &worker_log, &script);

    if (rc != 0)
        return rc;
    rc = serve(script, loop, &options->config, log);
    cla_script_free(script);
    return rc;
}

int cla_cli_run(int argc, char **argv)
{
    struct cla_options options;
    struct cla_loop loop;
    struct cla_log log = {.fd = STDERR_FILENO};
    int rc = cla_options_read(&options, argc, argv, "APP");

    if (rc != 0)
        return rc;
    if (options.help) {
        fputs(help, stdout);
        cla_options_fini(&options);
        return CLA_EXIT_OK;
    }
    signal(SIGPIPE, SIG_IGN);
    log.level = (enum cla_log_level)options.config.log_level;
    rc = CLA_EXIT_FAILED;
    if (cla_loop_init(&loop) == 0) {
        rc = load_and_serve(&options, &loop, &log);
        cla_loop_fini(&loop);
    }
    cla_options_fini(&options);
    return rc;
}
