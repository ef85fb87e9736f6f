/* Prometheus' text format, version 0.0.4: families of samples.
 *
 * Any thread. Depends on: base. The first failure is kept, and all that follows does nothing. */
#ifndef CLA_GATEWAY_METRICS_TEXT_H
#define CLA_GATEWAY_METRICS_TEXT_H

#include "base/buf.h"

#define CLA_METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

struct cla_metrics_text {
    struct cla_buf *to;
    const char *family; /* the metric that samples are of */
    bool labelled;      /* the sample under way has a label */
    int rc;             /* 0 or -CLA_ENOMEM */
};

/* Begins a metric: its HELP (one line) and TYPE ("counter", "gauge" or "histogram"). */
void cla_metrics_text_family(struct cla_metrics_text *text, const char *name, const char *type,
                             const char *help);

/* Begins a sample of it; 'suffix' is "" or what its type adds to the name: "_bucket". */
void cla_metrics_text_sample(struct cla_metrics_text *text, const char *suffix);

/* Adds a label; the value is escaped, and what of it is not UTF-8 shows as '?'. */
void cla_metrics_text_label(struct cla_metrics_text *text, const char *key, struct cla_slice value);

/* The same, with a number. */
void cla_metrics_text_label_number(struct cla_metrics_text *text, const char *key, uint64_t value);

/* The same, with a duration in seconds. */
void cla_metrics_text_label_seconds(struct cla_metrics_text *text, const char *key, uint64_t ns);

/* Ends the sample with its value. */
void cla_metrics_text_value(struct cla_metrics_text *text, uint64_t value);

/* The same, for a duration in seconds. */
void cla_metrics_text_seconds(struct cla_metrics_text *text, uint64_t ns);

/* A metric of one sample without labels. */
void cla_metrics_text_single(struct cla_metrics_text *text, const char *name, const char *type,
                             const char *help, uint64_t value);

#endif
