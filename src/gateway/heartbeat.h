/* Tells the service manager that the gateway lives, while each of its workers does.
 *
 * Control thread. Depends on: gateway/service, gateway/survey.
 *
 *   every quarter of the manager's interval: all workers are asked
 *          |-- all have answered --> a sign of life
 *          |-- one has not --> none: in the end the manager takes the gateway for dead
 *
 * A worker that computes answers at the end of a slice, so what does not answer is one that nothing
 * can interrupt, or whose thread hangs. */
#ifndef CLA_GATEWAY_HEARTBEAT_H
#define CLA_GATEWAY_HEARTBEAT_H

#include "gateway/service.h"
#include "gateway/survey.h"
#include "io/loop.h"

struct cla_heartbeat {
    struct cla_service *service;
    struct cla_loop *loop;
    struct cla_timer timer;
    struct cla_survey *survey; /* that is not answered; NULL: none */
    bool missed;               /* one before was not, and that was logged */
    uint64_t told_ns;          /* when the manager was told last, or this began */
    unsigned workers;
    void (*ask)(void *arg, struct cla_survey *survey);
    void *arg;
};

/* Begins, if the service manager expects signs of life. 'ask' asks all workers; each answer is
 * cla_heartbeat_surveyed(). */
void cla_heartbeat_start(struct cla_heartbeat *heartbeat, struct cla_service *service,
                         struct cla_loop *loop, unsigned workers,
                         void (*ask)(void *arg, struct cla_survey *survey), void *arg);

/* A worker has answered 'survey', which may be anybody's. */
void cla_heartbeat_surveyed(struct cla_heartbeat *heartbeat, const struct cla_survey *survey);

/* Ends. Idempotent; also of one that was never started, but zeroed. */
void cla_heartbeat_stop(struct cla_heartbeat *heartbeat);

#endif
