/* /healthz, /readyz and /metrics: what orchestrators and Prometheus ask.
 *
 * Control thread, so that they answer while workers compute. Depends on: gateway/ops_http,
 * gateway/metrics, gateway/survey.
 *
 *   /healthz --> 200
 *   /readyz  --> 200, or 503 and why
 *   /metrics --> a survey goes to the workers --> all have answered, --> all who wait are answered
 *                                              or CLA_SURVEY_NS is over
 *
 * Of a worker that does not answer is told what it said last: counters never go back. */
#ifndef CLA_GATEWAY_OPS_H
#define CLA_GATEWAY_OPS_H

#include "gateway/metrics.h"
#include "gateway/ops_http.h"
#include "gateway/route.h"
#include "gateway/survey.h"

struct cla_ops_events {
    /* Asks all workers; each answer is cla_ops_surveyed(). */
    void (*ask)(void *arg, struct cla_survey *survey);
    /* Why no connections are to be sent here, one line; NULL: it serves. */
    const char *(*unready)(void *arg);
    /* Fills in what is known without the workers. */
    void (*describe)(void *arg, struct cla_metrics *metrics);
};

struct cla_ops {
    struct cla_ops_http http;
    struct cla_loop *loop;
    const struct cla_ops_events *events;
    void *arg;
    struct cla_route_rules rules;       /* the names that it answers to */
    struct cla_counts_names names;      /* of procedures */
    struct cla_metrics_worker *workers; /* owned */
    unsigned worker_count;
    struct cla_survey *survey; /* NULL: none is under way */
    struct cla_timer timer;    /* of the survey */
    uint64_t began_wall_ns;
    bool on; /* the setting is not "off" */
};

/* Listens where the setting metrics_listen says. 'config' must outlive it. Returns 0, or -CLA_E*
 * with 'error'. */
int cla_ops_open(struct cla_ops *ops, struct cla_loop *loop, const struct cla_config *config,
                 unsigned workers, const struct cla_ops_events *events, void *arg,
                 struct cla_config_error *error);

/* A worker has answered. */
void cla_ops_surveyed(struct cla_ops *ops, struct cla_survey *survey);

/* Stops listening, closes all connections and lets go of a survey. Idempotent. */
void cla_ops_close(struct cla_ops *ops);

/* Frees what is left, once closed and once the loop has run. No worker may count any more. */
void cla_ops_fini(struct cla_ops *ops);

#endif
