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
#include "gateway/generations.h"
#include "gateway/server_operator.h"
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

void cla_server_post_all(struct cla_server *server, const struct cla_message *message)
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

void cla_server_drain(struct cla_server *server)
{
    server->draining = true;
    cla_reload_stop(&server->reload);
    cla_service_stopping(
        server->host->service,
        cla_clock_add(cla_clock_add(server->drain_timeout_ns, server->shutdown_grace_ns),
                      2 * OVERDUE_MARGIN_NS));
    cla_entrance_close(&server->entrance);
    cla_server_post_all(server, &(struct cla_message){.kind = CLA_MESSAGE_DRAIN});
    expect_end(server, cla_clock_add(server->drain_timeout_ns, server->shutdown_grace_ns));
}

/* Without waiting for anything. */
static void stop(struct cla_server *server)
{
    cla_server_post_all(server, &(struct cla_message){.kind = CLA_MESSAGE_STOP});
    expect_end(server, 0);
}

/* That it serves: at start, or again. */
static void tell_ready(struct cla_server *server)
{
    struct cla_service *service = server->host->service;

    server->told_reloading = false;
    service->serving.generation = server->reload.current;
    if (server->stale_certificates)
        cla_service_ready(service, "certificates not reloaded: see the log");
    else if (server->reload.error.n > 0)
        cla_service_ready(service, "the script did not load: see the log");
    else
        cla_service_ready(service, NULL);
}

static void tell_reloading(struct cla_server *server)
{
    if (!server->told_reloading)
        cla_service_reloading(server->host->service);
    server->told_reloading = true;
}

/* Scripts are loaded after it: the end of that ends this, too. */
static void read_again(struct cla_server *server)
{
    if (server->draining)
        return;
    tell_reloading(server);
    server->stale_certificates = cla_entrance_reload(&server->entrance) != 0;
    if (cla_reload_request(&server->reload) == 0)
        tell_ready(server);
}

static void on_signal(uv_signal_t *handle, int signal)
{
    struct cla_server *server = handle->data;

    if (signal == SIGHUP)
        read_again(server);
    else if (!server->draining)
        cla_server_drain(server);
    else if (signal == SIGINT)
        stop(server);
}

static void take_answer(struct cla_server *server, struct cla_survey *survey, unsigned worker)
{
    survey->answers[worker].given = true;
    survey->given++;
    cla_admin_surveyed(&server->admin, survey);
    cla_heartbeat_surveyed(&server->heartbeat, survey);
    cla_ops_surveyed(&server->ops, survey);
    cla_survey_release(survey);
}

/* From a worker. */
static void on_message(void *arg, struct cla_message *message)
{
    struct cla_server *server = arg;

    switch (message->kind) {
    case CLA_MESSAGE_SURVEYED:
        take_answer(server, message->survey, message->from);
        break;
    case CLA_MESSAGE_ADOPTED:
        cla_reload_adopted(&server->reload, message->adoption);
        break;
    case CLA_MESSAGE_LEFT:
        cla_reload_left(&server->reload, message->adoption);
        break;
    case CLA_MESSAGE_DRAINED:
        server->abandoned += message->count;
        server->workers[message->from].ended = true;
        if (--server->running == 0)
            cla_loop_stop(&server->loop);
        break;
    default: /* for workers */
        break;
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
    answer.from = (unsigned)(self - self->server->workers);
    cla_worker_survey(&self->worker, message->survey, answer.from);
    if (cla_mailbox_post(&self->server->inbox, &answer) != 0)
        cla_survey_release(message->survey); /* as if it computed for long */
}

/* --- Reload. --- */

static void adopt(void *arg, struct cla_adoption *adoption)
{
    struct cla_server *server = arg;

    cla_mailbox_lend(&server->workers[adoption->worker].outbox, &adoption->there);
}

static void on_reload_ended(void *arg, const struct cla_reload_outcome *outcome)
{
    struct cla_server *server = arg;

    cla_admin_reloaded(&server->admin, outcome);
    if (!server->draining)
        tell_ready(server);
}

static void on_reload_begins(void *arg)
{
    tell_reloading(arg);
}

static const struct cla_reload_events reload_events = {on_reload_begins, adopt, on_reload_ended};

/* On the worker's thread, as is the next. */
static void on_adopted(void *arg, struct cla_adoption *adoption)
{
    struct cla_server_worker *self = arg;

    adoption->back.kind = CLA_MESSAGE_ADOPTED;
    cla_mailbox_lend(&self->server->inbox, &adoption->back);
}

static void on_left(void *arg, struct cla_adoption *adoption)
{
    struct cla_server_worker *self = arg;

    adoption->back.kind = CLA_MESSAGE_LEFT;
    cla_mailbox_lend(&self->server->inbox, &adoption->back);
}

static const struct cla_worker_events worker_events = {on_adopted, on_left};

static void worker_main(void *arg)
{
    struct cla_server_worker *self = arg;
    struct cla_message message = {.kind = CLA_MESSAGE_DRAINED,
                                  .from = (unsigned)(self - self->server->workers)};

    cla_worker_enter(&self->worker);
    cla_loop_run(self->worker.loop);
    cla_generations_leave(&self->worker);
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

static void watch_signals(struct cla_server *server)
{
    watch_signal(server, &server->on_term, SIGTERM);
    watch_signal(server, &server->on_int, SIGINT);
    watch_signal(server, &server->on_hup, SIGHUP);
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
    self->worker.events = &worker_events;
    self->worker.arg = self;
    self->worker.first = at == 0;
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

/* Last: from here on the apps are the server's. */
static int open_reload(struct cla_server *server, const struct cla_config *config,
                       struct cla_config_error *error)
{
    const struct cla_reload_setup setup = {
        .loop = &server->loop,
        .log = server->log,
        .loader = server->host->loader,
        .workers = server->worker_count,
        .most = (unsigned)config->max_generations,
        .events = &reload_events,
        .arg = server,
    };
    int rc = cla_reload_open(&server->reload, &setup);

    for (unsigned i = 0; rc == 0 && i < server->worker_count; i++)
        cla_reload_own(&server->reload, i, server->workers[i].worker.env.app);
    if (rc != 0)
        snprintf(error->text, sizeof error->text, "%s", cla_error_text(rc));
    return rc;
}

int cla_server_open(struct cla_server *server, const struct cla_server_seat *seats, unsigned count,
                    const struct cla_server_host *host, const struct cla_config *config,
                    struct cla_log *log, struct cla_config_error *error)
{
    int rc;

    *server = (struct cla_server){
        .log = log,
        .host = host,
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
    rc = cla_entrance_open(&server->entrance, &server->loop, config, &host->service->passed, log,
                           &entrance_events, server, error);
    if (rc != 0)
        goto close_workers;
    rc = cla_server_open_operator(server, config, error);
    if (rc == 0)
        rc = open_reload(server, config, error);
    if (rc != 0)
        goto close_operator;
    server->began_ns = cla_loop_now_ns(&server->loop);
    watch_signals(server);
    return 0;
close_operator:
    cla_server_close_operator(server);
    cla_entrance_close(&server->entrance);
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

void cla_server_reload(struct cla_server *server)
{
    (void)cla_reload_request(&server->reload);
}

static int start_threads(struct cla_server *server)
{
    for (unsigned i = 0; i < server->worker_count; i++) {
        if (uv_thread_create(&server->workers[i].thread, worker_main, &server->workers[i]) != 0)
            return -CLA_EIO;
        server->running++;
    }
    return 0;
}

static void tell_start(struct cla_server *server)
{
    struct cla_service *service = server->host->service;

    service->serving.address = server->addresses[0];
    service->serving.addresses = server->entrance.count;
    tell_ready(server);
    cla_heartbeat_start(&server->heartbeat, service, &server->loop, server->worker_count,
                        cla_server_ask, server);
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
        cla_server_drain(server);
    } else {
        tell_start(server);
    }
    if (started > 0)
        cla_loop_run(&server->loop);
    cla_heartbeat_stop(&server->heartbeat);
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
    cla_server_close_operator(server);
    cla_mailbox_close(&server->inbox);
    uv_close((uv_handle_t *)&server->on_term, NULL);
    uv_close((uv_handle_t *)&server->on_int, NULL);
    uv_close((uv_handle_t *)&server->on_hup, NULL);
    close_workers(server);
    cla_reload_fini(&server->reload);
    uv_run(&server->loop.uv, UV_RUN_NOWAIT); /* runs the last callbacks of the listeners */
    cla_entrance_fini(&server->entrance);
    cla_ops_fini(&server->ops);
    cla_mem_free(server->addresses);
    cla_loop_fini(&server->loop);
}
