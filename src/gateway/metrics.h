/* What the server has counted, as Prometheus wants it.
 *
 * Any thread. Depends on: gateway/counts, gateway/topics, gateway/process_stats. Each worker gives
 * a copy of its counts away; the control thread adds them up and writes them. */
#ifndef CLA_GATEWAY_METRICS_H
#define CLA_GATEWAY_METRICS_H

#include "gateway/counts.h"
#include "gateway/process_stats.h"
#include "gateway/topics.h"

/* What one worker has counted. */
struct cla_metrics_sample {
    struct cla_app_counts app; /* of all generations */
    struct cla_topics_counters topics;
    uint64_t slow_consumers;
    uint64_t cancelled[CLA_CANCEL_KINDS];
    uint64_t generation, vm_bytes;
    unsigned connections, websockets, calls;
    unsigned entry_count;
    struct cla_counts_entry entries[]; /* by place */
};

/* Reloads of the script that were asked for. */
struct cla_metrics_reloads {
    uint64_t done, failed;
};

struct cla_metrics_worker {
    struct cla_metrics_sample *last; /* owned; NULL: it has never answered */
    bool up;                         /* it has answered this time */
};

/* What is written. */
struct cla_metrics {
    const struct cla_metrics_worker *workers;
    unsigned worker_count;
    const struct cla_counts_names *names;
    struct cla_metrics_reloads reloads;
    struct cla_process_stats process;
    uint64_t began_wall_ns; /* since 1970 */
    const char *version;
};

/* A copy of a worker's counts, for the caller to fill in the rest. NULL: out of memory. Free with
 * cla_mem_free(). */
struct cla_metrics_sample *cla_metrics_sample_new(const struct cla_counts *counts);

/* Appends all of it. Returns 0 or -CLA_ENOMEM. */
int cla_metrics_write(const struct cla_metrics *metrics, struct cla_buf *to);

#endif
