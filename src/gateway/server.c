/* Happy path: connections go to the worker that has the fewest; the first signal closes the
 * listeners and tells every worker to drain; the last worker that has ended stops the loop.
 * Failure modes: a thread that cannot be started ends those that were; a connection that cannot be
 * handed over for want of memory is closed.
 * On close: threads have been joined; then mailboxes, signals and workers go. */
#include "gateway/server.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "gateway/worker_survey.h"

/* How much longer than they should workers may take to end. */
#define OVERDUE_MARGIN_NS (2 * CLA_NS_PER_S)

static unsigned connections_of(struct cla_server *server, unsigned at)
{
    return cla_worker_connections(&server->workers[at].worker);
}

static unsigned count(void *arg)
{
    struct cla_server *server = arg;
    unsigned sum = 0;

    for (unsigned i = 0; i < server->worker_count; i++)
        sum += connections_of(server, i);
    return sum;
}

/* The worker with the fewest connections; of several, the next in turn. */
static struct cla_server_worker *pick(struct cla_server *server)
{
    unsigned best = 0, least = UINT_MAX;

    for (unsigned i = 1; i <= server->worker_count; i++) {
        unsigned at = (server->last + i) % server->worker_count;
        unsigned connections = connections_of(server, at);

        if (connections < least) {
            best = at;
            least = connections;
        }
    }
    server->last = best;
    return &server->workers[best];
}

static void on_arrival(void *arg, const struct cla_arrival *arrival)
{
    struct cla_server_worker *to = pick(arg);
    const struct cla_message message = {.kind = CLA_MESSAGE_CONNECTION, .arrival = *arrival};

    cla_worker_expect(&to->worker, arrival);
    if (cla_mailbox_post(&to->outbox, &message) == 0)
        return;
    cla_arrival_drop(arrival);
    cla_worker_forget(&to->worker, arrival);
}

static const struct cla_entrance_events entrance_events = {count, on_arrival};

static void post_all(struct cla_server *server, const struct cla_message *message)
{
    for (unsigned i = 0; i < server->worker_count; i++) {
        if (cla_mailbox_post(&server->workers[i].outbox, message) != 0)
            cla_log_line(server->log, CLA_LOG_ERROR, "no memory to tell a worker what to do");
    }
}

static void on_overdue(struct cla_timer *timer)
{
    struct cla_server *server = CLA_CONTAINER(timer, struct cla_server, overdue);

    cla_log_line(server->log, CLA_LOG_ERROR,
                 "%u of %u workers do not end: nothing can interrupt what they compute; stopping "
                 "without them",
                 server->running, server->worker_count);
    server->stuck = true;
    cla_loop_stop(&server->loop);
}

/* The workers have that long to end by themselves. */
static void expect_end(struct cla_server *server, uint64_t ns)
{
    uint64_t due = cla_clock_add(cla_loop_now_ns(&server->loop), ns);

    cla_timer_start(&server->loop.timers, &server->overdue, cla_clock_add(due, OVERDUE_MARGIN_NS));
}

static void drain(struct cla_server *server)
{
    server->draining = true;
    cla_entrance_close(&server->entrance);
    post_all(server, &(struct cla_message){.kind = CLA_MESSAGE_DRAIN});
    expect_end(server, cla_clock_add(server->drain_timeout_ns, server->shutdown_grace_ns));
}

/* Without waiting for anything. */
static void stop(struct cla_server *server)
{
    post_all(server, &(struct cla_message){.kind = CLA_MESSAGE_STOP});
    expect_end(server, 0);
}

static void on_signal(uv_signal_t *handle, int signal)
{
    struct cla_server *server = handle->data;

    if (signal == SIGHUP)
        cla_entrance_reload(&server->entrance);
    else if (!server->draining)
        drain(server);
    else if (signal == SIGINT)
        stop(server);
}

/* From a worker: it has answered, or ended. */
static void on_message(void *arg, struct cla_message *message)
{
    struct cla_server *server = arg;
    struct cla_survey *survey = message->survey;

    if (message->kind == CLA_MESSAGE_SURVEYED) {
        survey->answers[message->count].given = true;
        survey->given++;
        cla_admin_surveyed(&server->admin, survey);
        cla_ops_surveyed(&server->ops, survey);
        cla_survey_release(survey);
    } else if (message->kind == CLA_MESSAGE_DRAINED) {
        server->abandoned += message->count;
        if (--server->running == 0)
            cla_loop_stop(&server->loop);
    }
}

/* To a worker, on its thread. */
static void on_worker_message(void *arg, struct cla_message *message)
{
    struct cla_server_worker *self = arg;
    struct cla_message answer = {.kind = CLA_MESSAGE_SURVEYED, .survey = message->survey};

    if (message->kind != CLA_MESSAGE_SURVEY) {
        cla_worker_on_message(&self->worker, message);
        return;
    }
    answer.count = (unsigned)(self - self->server->workers);
    cla_worker_survey(&self->worker, message->survey, answer.count);
    if (cla_mailbox_post(&self->server->inbox, &answer) != 0)
        cla_survey_release(message->survey); /* as if it computed for long */
}

/* --- The operator. --- */

static void ask(void *arg, struct cla_survey *survey)
{
    struct cla_server *server = arg;
    const struct cla_message message = {.kind = CLA_MESSAGE_SURVEY, .survey = survey};

    for (unsigned i = 0; i < server->worker_count; i++) {
        cla_survey_hold(survey);
        if (cla_mailbox_post(&server->workers[i].outbox, &message) != 0)
            cla_survey_release(survey);
    }
}

static void on_drain_asked(void *arg)
{
    struct cla_server *server = arg;

    if (!server->draining)
        drain(server);
}

static void set_log_level(void *arg, enum cla_log_level level)
{
    struct cla_server *server = arg;

    server->log->level = level;
    post_all(server, &(struct cla_message){.kind = CLA_MESSAGE_LOG_LEVEL, .count = level});
}

static void describe(void *arg, struct cla_admin_status *status)
{
    struct cla_server *server = arg;

    status->version = CLA_VERSION;
    status->pid = (int)getpid();
    status->uptime_ms = (cla_loop_now_ns(&server->loop) - server->began_ns) / CLA_NS_PER_MS;
    status->draining = server->draining;
    status->log_level = cla_log_level_name(server->log->level);
    status->addresses = server->addresses;
    status->address_count = server->entrance.count;
}

static const struct cla_admin_events admin_events = {ask, on_drain_asked, set_log_level, describe};

/* Returns 0, or -CLA_E* with 'error'. */
static int open_admin(struct cla_server *server, const struct cla_config *config,
                      struct cla_config_error *error)
{
    server->addresses = cla_mem_zalloc(server->entrance.count * sizeof *server->addresses);
    if (server->addresses == NULL) {
        snprintf(error->text, sizeof error->text, "%s", cla_error_text(-CLA_ENOMEM));
        return -CLA_ENOMEM;
    }
    for (size_t i = 0; i < server->entrance.count; i++)
        server->addresses[i] = server->entrance.gates[i].listener.address;
    return cla_admin_open(&server->admin, &server->loop, config->admin, server->worker_count,
                          server->log, &admin_events, server, error);
}

static const char *unready(void *arg)
{
    const struct cla_server *server = arg;

    return server->draining ? "draining" : server->unready;
}

static void describe_metrics(void *arg, struct cla_metrics *metrics)
{
    metrics->reloads = ((const struct cla_server *)arg)->reloads;
}

static const struct cla_ops_events ops_events = {ask, unready, describe_metrics};

/* Returns 0, or -CLA_E* with 'error'. */
static int open_ops(struct cla_server *server, const struct cla_config *config,
                    struct cla_config_error *error)
{
    int rc = cla_ops_open(&server->ops, &server->loop, config, server->worker_count, &ops_events,
                          server, error);

    for (unsigned i = 0; rc == 0 && server->ops.on && i < server->worker_count; i++)
        rc = cla_worker_count_calls(&server->workers[i].worker, &server->ops.names);
    if (rc == 0 && server->ops.on)
        cla_log_line(server->log, CLA_LOG_INFO, "metrics address=%s",
                     server->ops.http.listener.address);
    return rc;
}

static void worker_main(void *arg)
{
    struct cla_server_worker *self = arg;
    struct cla_message message = {.kind = CLA_MESSAGE_DRAINED};
    struct cla_app *app = self->worker.env.app;

    if (app->ops->enter != NULL)
        app->ops->enter(app);
    cla_loop_run(self->worker.loop);
    if (app->ops->leave != NULL)
        app->ops->leave(app);
    cla_relay_deafen(self->worker.topics.relay);
    message.count = self->worker.abandoned;
    while (cla_mailbox_post(&self->server->inbox, &message) != 0)
        uv_sleep(10); /* the control thread must learn of it: wait for memory */
}

/* --- Opening. --- */

static void watch_signal(struct cla_server *server, uv_signal_t *handle, int signal)
{
    uv_signal_init(&server->loop.uv, handle);
    handle->data = server;
    uv_signal_start(handle, on_signal, signal);
}

static void look_outside(void *outside)
{
    cla_mailbox_receive(outside, CLA_MESSAGE_SURVEY);
}

static int open_worker(struct cla_server *server, const struct cla_server_seat *seat,
                       const struct cla_config *config, unsigned total)
{
    unsigned at = server->worker_count;
    struct cla_server_worker *self = &server->workers[at];
    int rc = cla_mailbox_open(&self->outbox, seat->loop, on_worker_message, self);

    if (rc != 0)
        return rc;
    rc =
        cla_relay_open(&server->relays[at], seat->loop, server->relays, total, config->relay_bytes);
    if (rc != 0) {
        cla_mailbox_close(&self->outbox);
        return rc;
    }
    self->server = server;
    seat->app->look_outside = look_outside;
    seat->app->outside = &self->outbox;
    cla_worker_init(&self->worker, seat->loop, seat->app, config, seat->log);
    cla_topics_join(&self->worker.topics, &server->relays[at]);
    if (total > 1)
        cla_call_env_share(&self->worker.env, &server->in_flight, at, total);
    server->worker_count++;
    return 0;
}

/* Frees the workers that were opened; their threads have ended, or never ran. */
static void close_workers(struct cla_server *server)
{
    for (unsigned i = 0; i < server->worker_count; i++) {
        struct cla_server_worker *self = &server->workers[i];

        cla_mailbox_close(&self->outbox);
        cla_relay_close(&server->relays[i]);
        uv_run(&self->worker.loop->uv, UV_RUN_NOWAIT); /* runs the last callbacks of streams */
        cla_worker_fini(&self->worker);
    }
    cla_mem_free(server->workers);
    cla_mem_free(server->relays);
}

static int open_workers(struct cla_server *server, const struct cla_server_seat *seats,
                        unsigned total, const struct cla_config *config)
{
    int rc = -CLA_ENOMEM;

    server->workers = cla_mem_zalloc(total * sizeof *server->workers);
    server->relays = cla_mem_zalloc(total * sizeof *server->relays);
    if (server->workers == NULL || server->relays == NULL) {
        close_workers(server);
        return rc;
    }
    for (unsigned i = 0; i < total; i++) {
        rc = open_worker(server, &seats[i], config, total);
        if (rc != 0) {
            close_workers(server);
            return rc;
        }
    }
    return 0;
}

int cla_server_open(struct cla_server *server, const struct cla_server_seat *seats, unsigned count,
                    const struct cla_config *config, struct cla_log *log,
                    struct cla_config_error *error)
{
    int rc;

    *server = (struct cla_server){
        .log = log,
        .last = count - 1,
        .drain_timeout_ns = config->drain_timeout_ns,
        .shutdown_grace_ns = config->shutdown_grace_ns,
    };
    cla_timer_init(&server->overdue, on_overdue);
    rc = cla_loop_init(&server->loop);
    if (rc != 0)
        goto explain;
    rc = cla_mailbox_open(&server->inbox, &server->loop, on_message, server);
    if (rc != 0)
        goto fini_loop;
    rc = open_workers(server, seats, count, config);
    if (rc != 0)
        goto close_inbox;
    rc = cla_entrance_open(&server->entrance, &server->loop, config, log, &entrance_events, server,
                           error);
    if (rc != 0)
        goto close_workers;
    rc = open_admin(server, config, error);
    if (rc == 0)
        rc = open_ops(server, config, error);
    if (rc != 0)
        goto close_entrance;
    server->began_ns = cla_loop_now_ns(&server->loop);
    watch_signal(server, &server->on_term, SIGTERM);
    watch_signal(server, &server->on_int, SIGINT);
    watch_signal(server, &server->on_hup, SIGHUP);
    return 0;
close_entrance:
    cla_entrance_close(&server->entrance);
    cla_admin_close(&server->admin);
    cla_ops_close(&server->ops);
    uv_run(&server->loop.uv, UV_RUN_NOWAIT); /* runs the last callbacks of the listeners */
    cla_entrance_fini(&server->entrance);
    cla_mem_free(server->addresses);
close_workers:
    close_workers(server);
    cla_ops_fini(&server->ops);
    cla_mailbox_close(&server->inbox);
    cla_loop_fini(&server->loop);
    return rc;
close_inbox:
    cla_mailbox_close(&server->inbox);
fini_loop:
    cla_loop_fini(&server->loop);
explain:
    snprintf(error->text, sizeof error->text, "%s", cla_error_text(rc));
    return rc;
}

/* --- Running. --- */

static int start_threads(struct cla_server *server)
{
    for (unsigned i = 0; i < server->worker_count; i++) {
        if (uv_thread_create(&server->workers[i].thread, worker_main, &server->workers[i]) != 0)
            return -CLA_EIO;
        server->running++;
    }
    return 0;
}

int cla_server_run(struct cla_server *server)
{
    int rc = start_threads(server);
    unsigned started = server->running;

    if (rc != 0) {
        cla_log_line(server->log, CLA_LOG_ERROR,
                     "cannot start thread %u of %u: set 'workers' lower, or raise the limit of "
                     "processes (ulimit -u)",
                     started + 1, server->worker_count);
        drain(server);
    }
    if (started > 0)
        cla_loop_run(&server->loop);
    if (server->stuck)
        return 0;
    cla_timer_stop(&server->loop.timers, &server->overdue);
    for (unsigned i = 0; i < started; i++)
        uv_thread_join(&server->workers[i].thread);
    return rc;
}

void cla_server_fini(struct cla_server *server)
{
    cla_entrance_close(&server->entrance);
    cla_admin_close(&server->admin);
    cla_ops_close(&server->ops);
    cla_mailbox_close(&server->inbox);
    uv_close((uv_handle_t *)&server->on_term, NULL);
    uv_close((uv_handle_t *)&server->on_int, NULL);
    uv_close((uv_handle_t *)&server->on_hup, NULL);
    close_workers(server);
    uv_run(&server->loop.uv, UV_RUN_NOWAIT); /* runs the last callbacks of the listeners */
    cla_entrance_fini(&server->entrance);
    cla_ops_fini(&server->ops);
    cla_mem_free(server->addresses);
    cla_loop_fini(&server->loop);
}
