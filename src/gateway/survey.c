#include "gateway/survey.h"

#include "base/mem.h"

struct cla_survey *cla_survey_new(enum cla_survey_kind kind, unsigned count)
{
    struct cla_survey *survey = cla_mem_zalloc(sizeof *survey + count * sizeof survey->answers[0]);

    if (survey == NULL)
        return NULL;
    atomic_init(&survey->refs, 1);
    survey->kind = kind;
    survey->count = count;
    return survey;
}

struct cla_survey *cla_survey_hold(struct cla_survey *survey)
{
    atomic_fetch_add_explicit(&survey->refs, 1, memory_order_relaxed);
    return survey;
}

void cla_survey_release(struct cla_survey *survey)
{
    if (atomic_fetch_sub_explicit(&survey->refs, 1, memory_order_acq_rel) > 1)
        return;
    for (unsigned i = 0; i < survey->count; i++) {
        cla_buf_fini(&survey->answers[i].texts);
        cla_mem_free(survey->answers[i].metrics);
    }
    cla_mem_free(survey);
}
