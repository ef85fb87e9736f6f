#include "gateway/metrics.h"

#include "base/error.h"
#include "base/mem.h"
#include "gateway/metrics_text.h"

struct cla_metrics_sample *cla_metrics_sample_new(const struct cla_counts *counts)
{
    struct cla_metrics_sample *sample;
    unsigned count = CLA_COUNTS_PLACES;

    while (count > 0 && counts->entries[count - 1] == NULL)
        count--;
    sample = cla_mem_alloc(sizeof *sample + count * sizeof sample->entries[0]);
    if (sample == NULL)
        return NULL;
    *sample = (struct cla_metrics_sample){.entry_count = count};
    memcpy(sample->cancelled, counts->cancelled, sizeof sample->cancelled);
    for (unsigned place = 0; place < count; place++)
        sample->entries[place] = counts->entries[place] != NULL
                                     ? *counts->entries[place]
                                     : (struct cla_counts_entry){.took_ns = 0};
    return sample;
}

/* --- Sums over the workers. --- */

struct totals {
    struct cla_app_counts app;
    struct cla_topics_counters topics;
    uint64_t slow_consumers, generation;
    uint64_t cancelled[CLA_CANCEL_KINDS];
    unsigned places;
};

static void add_sample(struct totals *totals, const struct cla_metrics_sample *sample)
{
#define X(name, metric, help) totals->app.name += sample->app.name;
    CLA_APP_COUNTS(X)
#undef X
#define X(name, doc) totals->topics.name += sample->topics.name;
    CLA_TOPICS_COUNTERS(X)
#undef X
    cla_histogram_merge(&totals->app.cancel_latency, &sample->app.cancel_latency);
    totals->slow_consumers += sample->slow_consumers;
    for (int kind = 0; kind < CLA_CANCEL_KINDS; kind++)
        totals->cancelled[kind] += sample->cancelled[kind];
    if (sample->generation > totals->generation)
        totals->generation = sample->generation;
    if (sample->entry_count > totals->places)
        totals->places = sample->entry_count;
}

static void add_entry(struct cla_counts_entry *sum, const struct cla_counts_entry *entry)
{
    for (int family = 0; family < CLA_RPC_FAMILY_COUNT; family++) {
        for (int code = 0; code < CLA_CODE_COUNT; code++)
            sum->ended[family][code] += entry->ended[family][code];
    }
    for (int at = 0; at <= CLA_COUNTS_BOUNDS; at++)
        sum->took[at] += entry->took[at];
    sum->took_ns += entry->took_ns;
}

/* Returns false if no call has been counted there. */
static bool sum_entries(const struct cla_metrics *metrics, unsigned place,
                        struct cla_counts_entry *sum)
{
    uint64_t all = 0;

    *sum = (struct cla_counts_entry){.took_ns = 0};
    for (unsigned i = 0; i < metrics->worker_count; i++) {
        const struct cla_metrics_sample *sample = metrics->workers[i].last;

        if (sample != NULL && place < sample->entry_count)
            add_entry(sum, &sample->entries[place]);
    }
    for (int at = 0; at <= CLA_COUNTS_BOUNDS; at++)
        all += sum->took[at];
    return all > 0;
}

/* --- Calls. --- */

static void write_ended(struct cla_metrics_text *text, struct cla_slice procedure,
                        const struct cla_counts_entry *entry)
{
    static const char *const families[CLA_RPC_FAMILY_COUNT] = {
#define X(symbol, name) name,
        CLA_RPC_FAMILIES(X)
#undef X
    };

    for (int family = 0; family < CLA_RPC_FAMILY_COUNT; family++) {
        for (int code = 0; code < CLA_CODE_COUNT; code++) {
            if (entry->ended[family][code] == 0)
                continue;
            cla_metrics_text_sample(text, "");
            cla_metrics_text_label(text, "procedure", procedure);
            cla_metrics_text_label(text, "protocol", cla_slice_str(families[family]));
            cla_metrics_text_label(text, "outcome",
                                   cla_slice_str(cla_code_info((enum cla_code)code)->name));
            cla_metrics_text_value(text, entry->ended[family][code]);
        }
    }
}

static void write_calls(struct cla_metrics_text *text, const struct cla_metrics *metrics,
                        unsigned places)
{
    struct cla_counts_entry sum;

    cla_metrics_text_family(text, "cancela_calls_total", "counter",
                            "Calls that have ended, by procedure, protocol and outcome.");
    for (unsigned place = 0; place < places; place++) {
        if (sum_entries(metrics, place, &sum))
            write_ended(text, metrics->names->names[place], &sum);
    }
}

/* --- Histograms. --- */

/* The label that all of a histogram's samples have; key NULL: none. */
struct label {
    const char *key;
    struct cla_slice value;
};

static void begin_sample(struct cla_metrics_text *text, const char *suffix,
                         const struct label *label)
{
    cla_metrics_text_sample(text, suffix);
    if (label->key != NULL)
        cla_metrics_text_label(text, label->key, label->value);
}

static void write_histogram(struct cla_metrics_text *text, const struct label *label,
                            const uint64_t *counts, int bounds, uint64_t (*bound_ns)(int at),
                            uint64_t sum_ns)
{
    uint64_t count = 0;

    for (int at = 0; at < bounds; at++) {
        count += counts[at];
        begin_sample(text, "_bucket", label);
        cla_metrics_text_label_seconds(text, "le", bound_ns(at));
        cla_metrics_text_value(text, count);
    }
    count += counts[bounds];
    begin_sample(text, "_bucket", label);
    cla_metrics_text_label(text, "le", CLA_LIT("+Inf"));
    cla_metrics_text_value(text, count);
    begin_sample(text, "_sum", label);
    cla_metrics_text_seconds(text, sum_ns);
    begin_sample(text, "_count", label);
    cla_metrics_text_value(text, count);
}

static void write_durations(struct cla_metrics_text *text, const struct cla_metrics *metrics,
                            unsigned places)
{
    struct cla_counts_entry sum;

    cla_metrics_text_family(text, "cancela_call_duration_seconds", "histogram",
                            "From the first byte of a call's request until it was answered.");
    for (unsigned place = 0; place < places; place++) {
        const struct label label = {"procedure", metrics->names->names[place]};

        if (sum_entries(metrics, place, &sum))
            write_histogram(text, &label, sum.took, CLA_COUNTS_BOUNDS, cla_counts_bound_ns,
                            sum.took_ns);
    }
}

static void write_cancellations(struct cla_metrics_text *text, const struct totals *totals)
{
    cla_metrics_text_family(text, "cancela_cancellations_total", "counter",
                            "Calls that were cancelled, by reason.");
    for (int at = CLA_CANCEL_NONE + 1; at < CLA_CANCEL_KINDS; at++) {
        enum cla_cancel_kind kind = (enum cla_cancel_kind)at;

        if (cla_cancel_kind_code(kind) == CLA_CODE_OK)
            continue; /* of parts of calls */
        cla_metrics_text_sample(text, "");
        cla_metrics_text_label(text, "reason", cla_slice_str(cla_cancel_kind_name(kind)));
        cla_metrics_text_value(text, totals->cancelled[kind]);
    }
}

static uint64_t latency_bound_ns(int at)
{
    return cla_histogram_bound_ns(at);
}

/* --- What scripts and topics have counted. --- */

static void write_app(struct cla_metrics_text *text, const struct cla_app_counts *app)
{
    const struct label none = {NULL, {NULL, 0}};

    cla_metrics_text_family(text, "cancela_cancel_latency_seconds", "histogram",
                            "From a call's cancellation until all of its work was gone.");
    write_histogram(text, &none, app->cancel_latency.counts, CLA_HISTOGRAM_BOUNDS, latency_bound_ns,
                    app->cancel_latency.sum_ns);
#define X(name, metric, help) \
    cla_metrics_text_single(text, "cancela_" metric "_total", "counter", help, app->name);
    CLA_APP_COUNTS(X)
#undef X
}

static void write_topics(struct cla_metrics_text *text, const struct totals *totals)
{
    const struct cla_topics_counters *topics = &totals->topics;

    cla_metrics_text_single(text, "cancela_messages_published_total", "counter",
                            "Messages published or broadcast.", topics->published);
    cla_metrics_text_single(text, "cancela_messages_delivered_total", "counter",
                            "Published messages handed to the connection of a client.",
                            topics->delivered);
    cla_metrics_text_single(
        text, "cancela_messages_dropped_total", "counter",
        "Published messages that a client does not get, for it reads too slowly.", topics->dropped);
    cla_metrics_text_single(text, "cancela_messages_unrelayed_total", "counter",
                            "Published messages that another worker had no room for (relay_bytes).",
                            topics->unrelayed);
    cla_metrics_text_single(text, "cancela_publishes_suspended_total", "counter",
                            "Publishes that waited for room.", topics->suspended);
    cla_metrics_text_single(text, "cancela_slow_consumers_total", "counter",
                            "Clients closed because they did not read what was sent.",
                            totals->slow_consumers);
}

/* --- Gauges. --- */

static void write_gauge(struct cla_metrics_text *text, const struct cla_metrics *metrics,
                        const char *name, const char *help,
                        uint64_t (*value)(const struct cla_metrics_worker *worker))
{
    cla_metrics_text_family(text, name, "gauge", help);
    for (unsigned i = 0; i < metrics->worker_count; i++) {
        cla_metrics_text_sample(text, "");
        cla_metrics_text_label_number(text, "worker", i);
        cla_metrics_text_value(text, value(&metrics->workers[i]));
    }
}

static uint64_t up(const struct cla_metrics_worker *worker)
{
    return worker->up;
}

static uint64_t calls(const struct cla_metrics_worker *worker)
{
    return worker->last != NULL ? worker->last->calls : 0;
}

static uint64_t connections(const struct cla_metrics_worker *worker)
{
    return worker->last != NULL ? worker->last->connections : 0;
}

static uint64_t websockets(const struct cla_metrics_worker *worker)
{
    return worker->last != NULL ? worker->last->websockets : 0;
}

static uint64_t vm_bytes(const struct cla_metrics_worker *worker)
{
    return worker->last != NULL ? worker->last->vm_bytes : 0;
}

static void write_workers(struct cla_metrics_text *text, const struct cla_metrics *metrics)
{
    write_gauge(text, metrics, "cancela_worker_up",
                "1, or 0 if the worker does not answer: the rest is what it said last.", up);
    write_gauge(text, metrics, "cancela_calls_in_flight", "Calls whose work is not over.", calls);
    write_gauge(text, metrics, "cancela_connections", "Connections of clients.", connections);
    write_gauge(text, metrics, "cancela_websockets", "WebSockets among them that are open.",
                websockets);
    write_gauge(text, metrics, "cancela_vm_memory_bytes", "Memory that scripts use.", vm_bytes);
}

static void write_reloads(struct cla_metrics_text *text, const struct cla_metrics *metrics,
                          uint64_t generation)
{
    cla_metrics_text_single(text, "cancela_generation", "gauge",
                            "Number of the script's generation that new calls run on.", generation);
    cla_metrics_text_family(text, "cancela_reloads_total", "counter",
                            "Reloads of the script, by outcome.");
    cla_metrics_text_sample(text, "");
    cla_metrics_text_label(text, "outcome", CLA_LIT("done"));
    cla_metrics_text_value(text, metrics->reloads.done);
    cla_metrics_text_sample(text, "");
    cla_metrics_text_label(text, "outcome", CLA_LIT("failed"));
    cla_metrics_text_value(text, metrics->reloads.failed);
}

/* --- The process. --- */

static void write_process(struct cla_metrics_text *text, const struct cla_metrics *metrics)
{
    const struct cla_process_stats *process = &metrics->process;

    cla_metrics_text_family(text, "process_start_time_seconds", "gauge",
                            "When the process began to serve, in seconds since 1970.");
    cla_metrics_text_sample(text, "");
    cla_metrics_text_seconds(text, metrics->began_wall_ns);
    cla_metrics_text_family(text, "process_cpu_seconds_total", "counter",
                            "Processor time used, user and system.");
    cla_metrics_text_sample(text, "");
    cla_metrics_text_seconds(text, process->cpu_ns);
    cla_metrics_text_single(text, "process_resident_memory_bytes", "gauge",
                            "Memory that is resident.", process->resident_bytes);
    cla_metrics_text_single(text, "process_virtual_memory_bytes", "gauge",
                            "Addresses that are mapped.", process->virtual_bytes);
    cla_metrics_text_single(text, "process_open_fds", "gauge", "Open file descriptors.",
                            process->open_fds);
    cla_metrics_text_single(text, "process_max_fds", "gauge", "Most that may be open.",
                            process->max_fds);
}

static void write_build(struct cla_metrics_text *text, const struct cla_metrics *metrics)
{
    cla_metrics_text_family(text, "cancela_build_info", "gauge",
                            "Always 1: which version this is.");
    cla_metrics_text_sample(text, "");
    cla_metrics_text_label(text, "version", cla_slice_str(metrics->version));
    cla_metrics_text_value(text, 1);
}

int cla_metrics_write(const struct cla_metrics *metrics, struct cla_buf *to)
{
    struct cla_metrics_text text = {.to = to};
    struct totals totals = {.places = 0};

    for (unsigned i = 0; i < metrics->worker_count; i++) {
        if (metrics->workers[i].last != NULL)
            add_sample(&totals, metrics->workers[i].last);
    }
    write_build(&text, metrics);
    write_workers(&text, metrics);
    write_reloads(&text, metrics, totals.generation);
    write_calls(&text, metrics, totals.places);
    write_durations(&text, metrics, totals.places);
    write_cancellations(&text, &totals);
    write_app(&text, &totals.app);
    write_topics(&text, &totals);
    write_process(&text, metrics);
    return text.rc;
}
