/* Happy path: ask, be answered by all, tell; again.
 * Failure modes: a question that is not answered by the next time, or cannot be put for want of
 * memory, is dropped, and another put; an answer to an old one means nothing.
 * On close: the question under way is let go of. */
#include "gateway/heartbeat.h"

/* So many questions in the time in which the manager expects a sign of life: a worker that is
 * stuck for three quarters of it is let off, one that is for all of it is not. */
#define QUESTIONS 4
/* However short that time is. */
#define LEAST_NS CLA_NS_PER_MS

static void drop(struct cla_heartbeat *heartbeat)
{
    if (heartbeat->survey != NULL)
        cla_survey_release(heartbeat->survey);
    heartbeat->survey = NULL;
}

static void miss(struct cla_heartbeat *heartbeat, uint64_t now)
{
    uint64_t end = cla_clock_add(heartbeat->told_ns, heartbeat->service->watchdog_ns);

    if (!heartbeat->missed)
        cla_log_line(heartbeat->service->log, CLA_LOG_WARN,
                     "a worker does not answer: the service manager is not told that the gateway "
                     "lives, and ends it in %.1f s unless that changes (WatchdogSec)",
                     end > now ? (double)(end - now) / 1e9 : 0.0);
    heartbeat->missed = true;
}

static void ask(struct cla_heartbeat *heartbeat)
{
    uint64_t now = cla_loop_now_ns(heartbeat->loop);
    uint64_t pause = heartbeat->service->watchdog_ns / QUESTIONS;

    cla_timer_start(&heartbeat->loop->timers, &heartbeat->timer,
                    cla_clock_add(now, pause > LEAST_NS ? pause : LEAST_NS));
    if (heartbeat->survey != NULL)
        miss(heartbeat, now);
    drop(heartbeat);
    heartbeat->survey = cla_survey_new(CLA_SURVEY_COUNT, heartbeat->workers);
    if (heartbeat->survey != NULL)
        heartbeat->ask(heartbeat->arg, heartbeat->survey);
}

static void on_timer(struct cla_timer *timer)
{
    ask(CLA_CONTAINER(timer, struct cla_heartbeat, timer));
}

void cla_heartbeat_start(struct cla_heartbeat *heartbeat, struct cla_service *service,
                         struct cla_loop *loop, unsigned workers,
                         void (*ask_all)(void *arg, struct cla_survey *survey), void *arg)
{
    *heartbeat = (struct cla_heartbeat){
        .service = service, .loop = loop, .workers = workers, .ask = ask_all, .arg = arg};
    heartbeat->told_ns = cla_loop_now_ns(loop);
    cla_timer_init(&heartbeat->timer, on_timer);
    if (service->watchdog_ns > 0)
        ask(heartbeat);
}

void cla_heartbeat_surveyed(struct cla_heartbeat *heartbeat, const struct cla_survey *survey)
{
    if (survey != heartbeat->survey || survey->given < survey->count)
        return;
    heartbeat->missed = false;
    heartbeat->told_ns = cla_loop_now_ns(heartbeat->loop);
    drop(heartbeat);
    cla_service_alive(heartbeat->service);
}

void cla_heartbeat_stop(struct cla_heartbeat *heartbeat)
{
    if (heartbeat->loop == NULL)
        return;
    cla_timer_stop(&heartbeat->loop->timers, &heartbeat->timer);
    drop(heartbeat);
}
