#include "gateway/worker_survey.h"

#include "gateway/generations.h"
#include "gateway/metrics.h"
#include "rpc/admin.h"

static const char *const phases[] = {
    [CLA_APP_QUEUED] = "queued",
    [CLA_APP_WAITING] = "waiting",
    [CLA_APP_READY] = "ready",
    [CLA_APP_COMPUTING] = "computing",
    [CLA_APP_CLEANING_UP] = "cleaning up",
};

static uint64_t since_ms(uint64_t from_ns, uint64_t to_ns)
{
    return to_ns > from_ns ? (to_ns - from_ns) / CLA_NS_PER_MS : 0;
}

static uint64_t remaining_ms(uint64_t deadline_ns, uint64_t now_ns)
{
    return deadline_ns == CLA_NEVER ? UINT64_MAX : since_ms(now_ns, deadline_ns);
}

static void tell_call(const struct cla_worker *worker, const struct cla_call *call, unsigned at,
                      struct cla_survey_answer *answer)
{
    struct cla_app *app = call->app;
    uint64_t now = cla_loop_now_ns(worker->loop);
    struct cla_app_view view;

    if (call->id == 0)
        return; /* it waits for another with its id */
    app->ops->view(app, call, &view);
    (void)cla_admin_write_call(&answer->texts,
                               &(struct cla_admin_call){
                                   .id = call->id,
                                   .generation = view.generation,
                                   .worker = at,
                                   .procedure = call->procedure->name,
                                   .protocol = cla_slice_str(call->request->protocol->name),
                                   .peer = call->request->peer,
                                   .phase = phases[view.phase],
                                   .where = view.where,
                                   .age_ms = since_ms(call->received_ns, now),
                                   .cpu_ms = view.cpu_ns / CLA_NS_PER_MS,
                                   .remaining_ms = remaining_ms(view.deadline_ns, now),
                               });
}

static void tell_calls(struct cla_worker *worker, unsigned at, struct cla_survey_answer *answer)
{
    CLA_LIST_EACH (link, &worker->exchanges) {
        struct cla_exchange *exchange = CLA_CONTAINER(link, struct cla_exchange, link);

        CLA_EXCHANGE_EACH_CALL (call, exchange)
            tell_call(worker, call, at, answer);
    }
}

static void tell_metrics(struct cla_worker *worker, struct cla_survey_answer *answer)
{
    struct cla_metrics_sample *sample;

    cla_counts_settle(&worker->counts);
    sample = cla_metrics_sample_new(&worker->counts);
    answer->metrics = sample;
    if (sample == NULL)
        return;
    cla_generations_counts(worker, &sample->app);
    sample->topics = worker->topics.counters;
    sample->slow_consumers = worker->slow_consumers;
    sample->generation = worker->env.app->generation;
    sample->vm_bytes = answer->vm_bytes;
    sample->connections = answer->connections;
    sample->websockets = worker->websockets;
    sample->calls = answer->calls;
}

void cla_worker_survey(struct cla_worker *worker, struct cla_survey *survey, unsigned at)
{
    struct cla_survey_answer *answer = &survey->answers[at];

    answer->connections = cla_worker_connections(worker);
    answer->calls = worker->env.in_flight;
    answer->vm_bytes = cla_generations_memory(worker);
    if (survey->kind == CLA_SURVEY_CALLS)
        tell_calls(worker, at, answer);
    else if (survey->kind == CLA_SURVEY_KILL)
        answer->found = cla_worker_kill(worker, survey->call, survey->now);
    else if (survey->kind == CLA_SURVEY_METRICS)
        tell_metrics(worker, answer);
}
