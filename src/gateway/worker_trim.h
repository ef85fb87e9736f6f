/* What a worker keeps for the calls to come, and gives back after a burst.
 *
 * Worker thread. Depends on: gateway/worker, gateway/trim, base/mem_trim. */
#ifndef CLA_GATEWAY_WORKER_TRIM_H
#define CLA_GATEWAY_WORKER_TRIM_H

#include "gateway/worker.h"

/* Begins to watch the load. */
void cla_worker_trim_init(struct cla_worker *worker);

/* A turn of the worker begins. */
void cla_worker_trim_turn_begins(struct cla_worker *worker);

/* A turn has ended; 'idle': it has nothing more to do. Returns true if the next should not wait. */
bool cla_worker_trim_turn_ends(struct cla_worker *worker, bool idle);

/* Frees all that is kept. */
void cla_worker_trim_fini(struct cla_worker *worker);

#endif
