/* What the operator, orchestrators and Prometheus ask, and whom the server has answer. */
#include "gateway/server_operator.h"

#include <stdio.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"

void cla_server_ask(void *arg, struct cla_survey *survey)
{
    struct cla_server *server = arg;
    const struct cla_message message = {.kind = CLA_MESSAGE_SURVEY, .survey = survey};

    for (unsigned i = 0; i < server->worker_count; i++) {
        if (server->workers[i].ended) { /* it has nothing any more */
            survey->answers[i].given = true;
            survey->given++;
            continue;
        }
        cla_survey_hold(survey);
        if (cla_mailbox_post(&server->workers[i].outbox, &message) != 0)
            cla_survey_release(survey);
    }
}

static void on_drain_asked(void *arg)
{
    struct cla_server *server = arg;

    if (!server->draining)
        cla_server_drain(server);
}

static uint64_t on_reload_asked(void *arg)
{
    struct cla_server *server = arg;

    return cla_reload_request(&server->reload);
}

static void set_log_level(void *arg, enum cla_log_level level)
{
    struct cla_server *server = arg;

    server->log->level = level;
    cla_server_post_all(server,
                        &(struct cla_message){.kind = CLA_MESSAGE_LOG_LEVEL, .count = level});
}

static void describe(void *arg, struct cla_admin_status *status)
{
    struct cla_server *server = arg;

    status->version = CLA_VERSION;
    status->pid = (int)getpid();
    status->uptime_ms = (cla_loop_now_ns(&server->loop) - server->began_ns) / CLA_NS_PER_MS;
    status->draining = server->draining;
    status->generation = server->reload.current;
    status->reloads = server->reload.done;
    status->reloads_failed = server->reload.failed;
    status->reload_error = server->reload.error.n > 0 ? server->reload.error.p : NULL;
    status->log_level = cla_log_level_name(server->log->level);
    status->addresses = server->addresses;
    status->address_count = server->entrance.count;
}

static bool tell_stuck(void *arg, unsigned worker, struct cla_admin_stuck *stuck)
{
    struct cla_server *server = arg;
    const struct cla_server_host *host = server->host;

    stuck->worker = worker;
    return host->stuck != NULL && host->stuck(host->arg, server->workers[worker].thread, stuck);
}

static const struct cla_admin_events admin_events = {
    cla_server_ask, on_drain_asked, on_reload_asked, set_log_level, describe, tell_stuck};

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

    return server->draining ? "draining" : NULL;
}

static void describe_metrics(void *arg, struct cla_metrics *metrics)
{
    const struct cla_server *server = arg;

    metrics->reloads = (struct cla_metrics_reloads){server->reload.done, server->reload.failed};
}

static const struct cla_ops_events ops_events = {cla_server_ask, unready, describe_metrics};

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

int cla_server_open_operator(struct cla_server *server, const struct cla_config *config,
                             struct cla_config_error *error)
{
    int rc = open_admin(server, config, error);

    return rc == 0 ? open_ops(server, config, error) : rc;
}

void cla_server_close_operator(struct cla_server *server)
{
    cla_admin_close(&server->admin);
    cla_ops_close(&server->ops);
}
