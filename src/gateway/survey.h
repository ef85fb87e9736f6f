/* One question to all workers, and what they have answered.
 *
 * Depends on: base, rpc/admin. It is made and freed by the control thread; each worker writes to
 * its own answer, and then says so in a message, which is when the control thread may read it. Each
 * message on its way holds a reference. */
#ifndef CLA_GATEWAY_SURVEY_H
#define CLA_GATEWAY_SURVEY_H

#include <stdatomic.h>

#include "base/buf.h"
#include "base/clock.h"

struct cla_metrics_sample;

/* How long the workers have to answer. One whose script computes does at the end of a slice. */
#define CLA_SURVEY_NS (250 * CLA_NS_PER_MS)

enum cla_survey_kind {
    CLA_SURVEY_COUNT,   /* connections, calls, memory */
    CLA_SURVEY_CALLS,   /* and what each call is at */
    CLA_SURVEY_KILL,    /* cancels one call (killed) */
    CLA_SURVEY_METRICS, /* and all that is counted */
};

struct cla_survey_answer {
    bool given; /* the control thread's: the message has come */
    unsigned connections, calls;
    uint64_t vm_bytes;
    bool found;                         /* KILL */
    struct cla_metrics_sample *metrics; /* METRICS; owned; NULL: it was out of memory */
    struct cla_buf texts;               /* CALLS: objects of rpc/admin.h with commas between them */
};

struct cla_survey {
    atomic_uint refs;
    enum cla_survey_kind kind;
    uint64_t call; /* KILL … */
    bool now;      /* … without grace */
    unsigned count, given;
    struct cla_survey_answer answers[]; /* one a worker */
};

/* A question to 'count' workers, with one reference. NULL: out of memory. */
struct cla_survey *cla_survey_new(enum cla_survey_kind kind, unsigned count);

/* Another reference. Any thread. */
struct cla_survey *cla_survey_hold(struct cla_survey *survey);

/* Drops a reference; the last one frees. Any thread. */
void cla_survey_release(struct cla_survey *survey);

#endif
