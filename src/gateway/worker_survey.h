/* A worker's answer to a survey.
 *
 * Worker thread. Depends on: gateway/worker, gateway/survey, rpc/admin. */
#ifndef CLA_GATEWAY_WORKER_SURVEY_H
#define CLA_GATEWAY_WORKER_SURVEY_H

#include "gateway/survey.h"
#include "gateway/worker.h"

/* Writes the answer of the worker at 'at' to the survey. Also while its script computes. */
void cla_worker_survey(struct cla_worker *worker, struct cla_survey *survey, unsigned at);

#endif
