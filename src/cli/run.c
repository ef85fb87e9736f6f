#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/mem_trim.h"
#include "bind/load.h"
#include "bind/script.h"
#include "cli/cli.h"
#include "cli/options.h"
#include "cli/run_watch.h"
#include "gateway/server.h"
#include "task/watchdog.h"

static const char help[] =
    "usage: cancela run APP [--NAME VALUE …]\n"
    "\n"
    "Serves the Lua script APP over HTTP until SIGTERM or SIGINT, then lets running calls end.\n"
    "\n"
    "  --listen ADDRESS:PORT   default 127.0.0.1:3000; may be repeated; unix:PATH for a socket "
    "file\n"
    "  --workers N             threads that run scripts (default 1), or auto: one per processor\n"
    "  --access-log WHAT       calls to log: all, failed (the default) or off\n"
    "  --config FILE           settings as a Lua table; default ./cancela.lua if there is one\n"
    "  --NAME VALUE            any other setting: 'cancela config' lists them\n"
    "\n"
    "Exit codes: 0 ended well · 1 the script does not load · 2 bad flag or setting ·\n"
    "3 cannot listen · 5 calls had to be abandoned at shutdown\n";

/* What a worker works with. */
struct crew_member {
    struct cla_loop loop;
    struct cla_log log;
};

struct crew {
    const struct cla_options *options;
    struct crew_member *members; /* owned */
    struct cla_server_seat *seats;
    unsigned count;     /* of those that are set up */
    struct cla_log log; /* of what scripts say while they load */
    struct cla_service *service;
    struct cla_watchdog *watchdog;
    struct cla_server server;
    struct cla_run_watch watch;
    size_t procedures; /* of the app */
    atomic_bool stop;  /* no script is to be loaded any more */
    bool served;       /* the apps are the server's */
};

static void log_listening(const struct cla_server *server, const struct crew *crew,
                          struct cla_log *log)
{
    char workers[32] = "";

    if (crew->count > 1)
        snprintf(workers, sizeof workers, " workers=%u", crew->count);
    for (size_t i = 0; i < server->entrance.count; i++)
        cla_log_line(log, CLA_LOG_INFO, "listening address=%s procedures=%zu%s%s",
                     server->entrance.gates[i].listener.address, crew->procedures, workers,
                     server->entrance.gates[i].via.tls ? " tls=true" : "");
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

/* --- Serving. --- */

static int load(void *arg, uint64_t number, uint64_t previous, enum cla_log_level level,
                struct cla_app **out, struct cla_buf *error);

/* A struct cla_server_loader's; on the control thread. */
static void stop_loading(void *arg)
{
    struct crew *crew = arg;

    atomic_store_explicit(&crew->stop, true, memory_order_relaxed);
}

static void on_load_begins(void *arg)
{
    struct crew *crew = arg;

    cla_run_watch_note(&crew->watch);
}

static void on_loaded(void *arg, bool loaded)
{
    struct crew *crew = arg;

    if (loaded)
        crew->service->serving.procedures = crew->procedures;
    cla_run_watch_loaded(&crew->watch, loaded);
}

static bool tell_stuck(void *arg, uv_thread_t thread, struct cla_admin_stuck *stuck)
{
    const struct crew *crew = arg;
    struct cla_watchdog_answer answer;
    uint64_t ns;

    if (!cla_watchdog_stuck(crew->watchdog, thread, &answer, &ns))
        return false;
    stuck->call = answer.call;
    stuck->ms = ns / CLA_NS_PER_MS;
    snprintf(stuck->procedure, sizeof stuck->procedure, "%s", answer.name);
    snprintf(stuck->where, sizeof stuck->where, "%s", answer.where);
    return true;
}

static int run_watched(struct crew *crew, struct cla_log *log)
{
    int rc = cla_run_watch_open(&crew->watch, log);

    if (rc != 0)
        return rc;
    rc = cla_server_run(&crew->server);
    cla_run_watch_close(&crew->watch);
    return rc;
}

static int serve(struct crew *crew, const struct cla_config *config, struct cla_log *log)
{
    const struct cla_server_loader loader = {load, stop_loading, on_load_begins, on_loaded, crew};
    const struct cla_server_host host = {crew->service, tell_stuck, crew, &loader};
    struct cla_server *server = &crew->server;
    struct cla_config_error error;
    unsigned abandoned;
    int rc;

    rc = cla_server_open(server, crew->seats, crew->count, &host, config, log, &error);
    if (rc != 0) {
        fprintf(stderr, "cancela: %s\n", error.text);
        return rc == -CLA_EINVAL ? CLA_EXIT_USAGE : CLA_EXIT_NETWORK;
    }
    crew->served = true;
    log_listening(server, crew, log);
    if (run_watched(crew, log) != 0) {
        cla_server_fini(server);
        return CLA_EXIT_FAILED;
    }
    ignore_signals();
    if (server->stuck)
        _exit(CLA_EXIT_ABANDONED);
    abandoned = server->abandoned;
    cla_server_fini(server);
    cla_log_line(log, CLA_LOG_INFO, "stopped abandoned=%u", abandoned);
    return abandoned > 0 ? CLA_EXIT_ABANDONED : CLA_EXIT_OK;
}

/* --- The crew. --- */

/* A struct cla_server_loader's: on whatever thread, so nothing of a worker's is touched, but for
 * the clock of a loop. */
static int load(void *arg, uint64_t number, uint64_t previous, enum cla_log_level level,
                struct cla_app **out, struct cla_buf *error)
{
    struct crew *crew = arg;
    const struct cla_options *options = crew->options;
    struct cla_script_options of =
        cla_options_script(&options->config, options->store, &crew->members[0].loop, &crew->log);
    struct cla_script *script;
    int rc;

    crew->log.level = level;
    of.files = crew->watch.files;
    of.stop = &crew->stop;
    of.generation = number;
    of.previous = previous;
    rc = cla_script_new(&script, &of);
    if (rc != 0) {
        (void)cla_buf_add(error, CLA_LIT("out of memory"));
        return rc;
    }
    rc = cla_load_script(script, &of, options->path, error);
    if (rc != 0) {
        cla_script_free(script);
        return rc;
    }
    script->watchdog = crew->watchdog;
    crew->procedures = script->procedure_count;
    *out = &script->app;
    return 0;
}

static void fini_crew(struct crew *crew)
{
    while (crew->count > 0) {
        struct cla_server_seat *seat = &crew->seats[--crew->count];

        if (!crew->served && seat->app != NULL)
            seat->app->ops->free(seat->app);
        cla_loop_fini(seat->loop);
    }
    cla_mem_free(crew->members);
    cla_mem_free(crew->seats);
}

/* Sets up one more: its loop, its log, the script in a VM of its own. */
static int add_member(struct crew *crew, const struct cla_log *log)
{
    struct crew_member *member = &crew->members[crew->count];
    struct cla_server_seat *seat = &crew->seats[crew->count];
    struct cla_buf error = {0};
    int rc;

    member->log = *log;
    if (cla_loop_init(&member->loop) != 0)
        return CLA_EXIT_FAILED;
    *seat = (struct cla_server_seat){.loop = &member->loop, .log = &member->log};
    crew->count++;
    rc = load(crew, 1, 0, log->level, &seat->app, &error);
    if (rc != 0)
        fprintf(stderr, "cancela: %.*s\n", (int)error.n, error.p);
    cla_buf_fini(&error);
    return rc == 0 ? 0 : CLA_EXIT_FAILED;
}

/* With the watchdog of all workers, which is theirs while they run. */
static int load_and_serve_watched(struct crew *crew, unsigned count, struct cla_log *log)
{
    struct cla_log own = *log;
    int rc = 0;

    if (cla_watchdog_start(&crew->watchdog, &own) != 0) {
        fputs("cancela: cannot start a thread: raise the limit of processes (ulimit -u)\n", stderr);
        return CLA_EXIT_FAILED;
    }
    cla_run_watch_init(&crew->watch, &crew->server, crew->options->config.watch);
    cla_run_watch_note(&crew->watch);
    while (rc == 0 && crew->count < count)
        rc = add_member(crew, log);
    crew->service->serving.procedures = crew->procedures;
    if (rc == 0)
        rc = serve(crew, &crew->options->config, log);
    cla_run_watch_fini(&crew->watch);
    cla_watchdog_stop(crew->watchdog);
    return rc;
}

/* The setting, where 0 means one for each processor. */
static unsigned worker_count(const struct cla_config *config)
{
    return config->workers > 0 ? (unsigned)config->workers : uv_available_parallelism();
}

static int load_and_serve(const struct cla_options *options, struct cla_service *service,
                          struct cla_log *log)
{
    unsigned count = worker_count(&options->config);
    struct crew crew = {
        .options = options,
        .members = cla_mem_zalloc(count * sizeof *crew.members),
        .seats = cla_mem_zalloc(count * sizeof *crew.seats),
        .service = service,
        .log = *log,
    };
    int rc = CLA_EXIT_FAILED;

    /* Those that load scripts share the workers': what they leave would add up with each reload. */
    cla_mem_limit_heaps(count == 1 ? 1 : count + 1);
    if (crew.members != NULL && crew.seats != NULL)
        rc = load_and_serve_watched(&crew, count, log);
    fini_crew(&crew);
    return rc;
}

/* Connections are descriptors: as many as the system allows. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

int cla_cli_run(int argc, char **argv)
{
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    struct cla_log log = {.fd = STDERR_FILENO, .lock = &lock};
    struct cla_service service;
    struct cla_options options;
    int rc = cla_options_read(&options, argc, argv, "APP");

    if (rc != 0)
        return rc;
    if (options.help) {
        fputs(help, stdout);
        cla_options_fini(&options);
        return CLA_EXIT_OK;
    }
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN); /* until the server watches for it */
    raise_descriptor_limit();
    log.level = (enum cla_log_level)options.config.log_level;
    rc = cla_service_init(&service, &log) == 0 ? 0 : CLA_EXIT_FAILED;
    if (rc == 0)
        rc = load_and_serve(&options, &service, &log);
    cla_service_fini(&service);
    cla_options_fini(&options);
    return rc;
}
