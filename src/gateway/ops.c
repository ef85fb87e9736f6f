/* Happy path: a path that is known is answered at once, or, /metrics, when the workers have said
 * what they counted. Who asks for that meanwhile waits for the same survey.
 * Failure modes: a worker that does not answer in time is told of as such; without memory the
 * answer is 503.
 * On close: connections go; answers that come late belong to their survey. */
#include "gateway/ops.h"

#include <stdio.h>

#include "base/error.h"
#include "base/mem.h"
#include "gateway/metrics_text.h"

static const char plain[] = "text/plain; charset=utf-8";

/* 'fields': more header lines, or "". */
static struct cla_ops_answer say(int status, const char *fields, const char *text)
{
    return (struct cla_ops_answer){.status = status,
                                   .type = plain,
                                   .fields = cla_slice_str(fields),
                                   .body = cla_slice_str(text)};
}

/* --- The metrics. --- */

/* Keeps what the workers have answered. */
static void take_samples(struct cla_ops *ops)
{
    for (unsigned i = 0; i < ops->worker_count; i++) {
        struct cla_metrics_worker *worker = &ops->workers[i];
        struct cla_survey_answer *answer = &ops->survey->answers[i];

        worker->up = answer->given && answer->metrics != NULL;
        if (!worker->up)
            continue; /* it may be writing to it just now */
        cla_mem_free(worker->last);
        worker->last = answer->metrics;
        answer->metrics = NULL;
    }
}

static int write_metrics(struct cla_ops *ops, struct cla_buf *to)
{
    struct cla_metrics metrics = {.workers = ops->workers,
                                  .worker_count = ops->worker_count,
                                  .names = &ops->names,
                                  .began_wall_ns = ops->began_wall_ns,
                                  .version = CLA_VERSION};

    cla_process_stats_read(&metrics.process);
    ops->events->describe(ops->arg, &metrics);
    return cla_metrics_write(&metrics, to);
}

static void end_survey(struct cla_ops *ops)
{
    if (ops->survey == NULL)
        return;
    cla_timer_stop(&ops->loop->timers, &ops->timer);
    cla_survey_release(ops->survey);
    ops->survey = NULL;
}

static void answer_survey(struct cla_ops *ops)
{
    struct cla_buf text = {0};
    struct cla_ops_answer answer = {.status = 200, .type = CLA_METRICS_TYPE};

    take_samples(ops);
    end_survey(ops);
    if (write_metrics(ops, &text) == 0)
        answer.body = cla_buf_slice(&text);
    else
        answer = say(503, "", "out of memory\n");
    cla_ops_http_answer_all(&ops->http, &answer);
    cla_buf_fini(&text);
}

static void on_timer(struct cla_timer *timer)
{
    answer_survey(CLA_CONTAINER(timer, struct cla_ops, timer));
}

void cla_ops_surveyed(struct cla_ops *ops, struct cla_survey *survey)
{
    if (survey == ops->survey && survey->given == survey->count)
        answer_survey(ops);
}

static void ask_workers(struct cla_ops *ops, struct cla_ops_conn *conn)
{
    const struct cla_ops_answer no_memory = say(503, "", "out of memory\n");

    if (ops->survey != NULL)
        return; /* its answer is this one's too */
    ops->survey = cla_survey_new(CLA_SURVEY_METRICS, ops->worker_count);
    if (ops->survey == NULL) {
        cla_ops_http_answer(conn, &no_memory);
        return;
    }
    cla_timer_start(&ops->loop->timers, &ops->timer,
                    cla_clock_add(cla_loop_now_ns(ops->loop), CLA_SURVEY_NS));
    ops->events->ask(ops->arg, ops->survey);
}

/* --- Requests. --- */

static void tell_health(struct cla_ops *ops, struct cla_ops_conn *conn)
{
    const struct cla_ops_answer ok = say(200, "", "ok\n");

    (void)ops;
    cla_ops_http_answer(conn, &ok);
}

static void tell_readiness(struct cla_ops *ops, struct cla_ops_conn *conn)
{
    const char *why = ops->events->unready(ops->arg);
    char line[256];
    struct cla_ops_answer answer;

    snprintf(line, sizeof line, "%s\n", why != NULL ? why : "ready");
    answer = say(why != NULL ? 503 : 200, "", line);
    cla_ops_http_answer(conn, &answer);
}

static const struct {
    struct cla_slice path;
    void (*run)(struct cla_ops *ops, struct cla_ops_conn *conn);
} pages[] = {
    {{"/healthz", 8}, tell_health},
    {{"/readyz", 7}, tell_readiness},
    {{"/metrics", 8}, ask_workers},
};

/* The number of the page, or -1 with what is wrong with the request. */
static int find_page(const struct cla_ops *ops, const struct cla_ops_request *request,
                     struct cla_ops_answer *wrong)
{
    int at = 0;

    while (at < (int)CLA_ARRAY_LEN(pages) && !cla_slice_eq(pages[at].path, request->path))
        at++;
    if (ops->http.listener.loopback && !cla_route_host_allowed(request->host, &ops->rules))
        *wrong = say(403, "", "Host is not a loopback name: list it in the setting 'hosts'\n");
    else if (at == (int)CLA_ARRAY_LEN(pages))
        *wrong = say(404, "", "there are /healthz, /readyz and /metrics\n");
    else if (request->method != CLA_HTTP_GET && request->method != CLA_HTTP_HEAD)
        *wrong = say(405, "Allow: GET, HEAD\r\n", "use GET or HEAD\n");
    else if (request->has_body)
        *wrong = say(413, "", "send no body\n");
    else
        return at;
    return -1;
}

static void on_request(void *arg, struct cla_ops_conn *conn, const struct cla_ops_request *request)
{
    struct cla_ops *ops = arg;
    struct cla_ops_answer wrong;
    int at = find_page(ops, request, &wrong);

    if (at < 0)
        cla_ops_http_answer(conn, &wrong);
    else
        pages[at].run(ops, conn);
}

/* --- Opening. --- */

int cla_ops_open(struct cla_ops *ops, struct cla_loop *loop, const struct cla_config *config,
                 unsigned workers, const struct cla_ops_events *events, void *arg,
                 struct cla_config_error *error)
{
    int rc;

    *ops = (struct cla_ops){
        .loop = loop,
        .events = events,
        .arg = arg,
        .rules = {.hosts = config->hosts.items, .host_count = config->hosts.count},
        .worker_count = workers,
        .began_wall_ns = cla_clock_wall_ns(),
    };
    cla_timer_init(&ops->timer, on_timer);
    if (strcmp(config->metrics_listen, "off") == 0)
        return 0;
    snprintf(error->text, sizeof error->text, "%s", cla_error_text(-CLA_ENOMEM));
    rc = cla_counts_names_init(&ops->names);
    if (rc != 0)
        return rc;
    ops->workers = cla_mem_zalloc(workers * sizeof *ops->workers);
    rc = ops->workers == NULL ? -CLA_ENOMEM
                              : cla_ops_http_open(&ops->http, loop, "metrics_listen",
                                                  config->metrics_listen, on_request, ops, error);
    ops->on = true;
    if (rc != 0)
        cla_ops_fini(ops);
    return rc;
}

void cla_ops_close(struct cla_ops *ops)
{
    cla_ops_http_close(&ops->http);
    end_survey(ops);
}

void cla_ops_fini(struct cla_ops *ops)
{
    if (!ops->on)
        return;
    ops->on = false;
    for (unsigned i = 0; ops->workers != NULL && i < ops->worker_count; i++)
        cla_mem_free(ops->workers[i].last);
    cla_mem_free(ops->workers);
    cla_counts_names_fini(&ops->names);
}
