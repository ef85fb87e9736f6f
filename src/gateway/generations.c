/* Happy path: a new generation becomes current between two turns; the one before it ends its calls
 * and is let go of at the end of a turn.
 * Failure modes: calls that outlast reload_drain are cancelled, and given up after their grace.
 * On close: the worker's thread leaves them; the control thread frees them (gateway/reload). */
#include "gateway/generations.h"

#include "gateway/socket.h"

/* Calls that end at the deadline of their grace get this long to be noticed. */
#define ABANDON_MARGIN_NS (200 * CLA_NS_PER_MS)

static struct cla_app *app_at(const struct cla_link *link)
{
    return CLA_CONTAINER(link, struct cla_app, link);
}

/* --- The end of a generation. --- */

static void close_handlers(struct cla_worker *worker, const struct cla_app *app)
{
    CLA_LIST_EACH (link, &worker->conns) {
        struct cla_socket *socket = CLA_CONTAINER(link, struct cla_conn, link)->socket;

        if (socket != NULL && socket->app == app)
            cla_socket_close(socket, CLA_WS_RESTART, CLA_LIT("the handler's code was replaced"),
                             CLA_CANCEL_RELOAD);
    }
}

static void cancel_calls(struct cla_worker *worker, const struct cla_app *app)
{
    CLA_LIST_EACH (link, &worker->exchanges) {
        struct cla_exchange *exchange = CLA_CONTAINER(link, struct cla_exchange, link);

        if (cla_exchange_app(exchange) != app)
            continue;
        CLA_EXCHANGE_EACH_CALL (call, exchange)
            cla_call_cancel(call, CLA_CANCEL_RELOAD, cla_slice(NULL, 0));
    }
}

static unsigned abandon(struct cla_app *app)
{
    app->stage = CLA_APP_ABANDONED;
    return app->ops->abandon(app);
}

static void on_drain(struct cla_timer *timer)
{
    struct cla_app *app = CLA_CONTAINER(timer, struct cla_app, drain);
    struct cla_worker *worker = app->worker;

    if (app->stage != CLA_APP_RETIRED) {
        (void)abandon(app);
        return;
    }
    app->stage = CLA_APP_CANCELLED;
    cla_log_line(worker->env.log, CLA_LOG_WARN,
                 "generation %llu still had work after reload_drain: it is cancelled",
                 (unsigned long long)app->generation);
    app->ops->stop_jobs(app, CLA_CANCEL_RELOAD); /* first: what the ends of sockets begin may run */
    cancel_calls(worker, app);
    close_handlers(worker, app);
    cla_timer_start(&worker->loop->timers, &app->drain,
                    cla_clock_add(cla_loop_now_ns(worker->loop),
                                  cla_clock_add(worker->grace_ns, ABANDON_MARGIN_NS)));
}

/* True if nothing of it is left: its last job is on_unload. */
static bool unload(struct cla_app *app)
{
    if (app->jobs == 0 && app->stage != CLA_APP_ABANDONED && app->ops->unload != NULL)
        app->ops->unload(app);
    return app->jobs == 0;
}

static void add_counts(struct cla_app *app, struct cla_app_counts *sum)
{
    if (app->ops->counts != NULL)
        app->ops->counts(app, sum);
}

static void leave(struct cla_app *app)
{
    if (app->ops->leave != NULL)
        app->ops->leave(app);
    app->topics = NULL;
    app->look_outside = NULL;
}

/* Nothing of it is left: back to the control thread. */
static void let_go(struct cla_worker *worker, struct cla_app *app)
{
    cla_timer_stop(&worker->loop->timers, &app->drain);
    cla_list_remove(&app->link);
    add_counts(app, &worker->gone);
    leave(app);
    worker->events->left(worker->arg, app->adoption);
}

/* --- The beginning of one. --- */

/* Of the generations that were here before. */
static void count_calls(struct cla_worker *worker)
{
    worker->env.app->adoption->calls = 0;
    CLA_LIST_EACH (link, &worker->older) {
        app_at(link)->adoption->calls = 0;
    }
    CLA_LIST_EACH (link, &worker->exchanges) {
        struct cla_exchange *exchange = CLA_CONTAINER(link, struct cla_exchange, link);

        CLA_EXCHANGE_EACH_CALL (call, exchange)
            call->app->adoption->calls++;
    }
}

/* Handlers that are between two events belong to the new code at once. */
static void renew_sockets(struct cla_worker *worker, struct cla_adoption *adoption)
{
    CLA_LIST_EACH (link, &worker->conns) {
        struct cla_socket *socket = CLA_CONTAINER(link, struct cla_conn, link)->socket;

        if (socket == NULL)
            continue;
        adoption->sockets++;
        cla_socket_renew(socket);
    }
}

static void retire(struct cla_worker *worker, struct cla_app *app)
{
    app->stage = CLA_APP_RETIRED;
    if (app->ops->retire != NULL)
        app->ops->retire(app, CLA_CANCEL_RELOAD);
    cla_timer_init(&app->drain, on_drain);
    cla_list_push(&worker->older, &app->link);
    cla_timer_start(&worker->loop->timers, &app->drain,
                    cla_clock_add(cla_loop_now_ns(worker->loop), worker->reload_drain_ns));
}

void cla_generations_begin(struct cla_worker *worker)
{
    struct cla_app *app = worker->env.app;
    unsigned others = 0;

    CLA_LIST_EACH (link, &worker->older) {
        others += app_at(link)->background;
    }
    worker->waits_to_begin = others > 0;
    if (others == 0 && app->ops->begin != NULL)
        app->ops->begin(app, worker->first);
}

void cla_generations_adopt(struct cla_worker *worker, struct cla_adoption *adoption)
{
    struct cla_app *old = worker->env.app, *app = adoption->app;
    uint64_t began_ns = cla_clock_monotonic_ns();

    count_calls(worker);
    app->adoption = adoption;
    app->look_outside = old->look_outside;
    app->outside = old->outside;
    cla_worker_seat(worker, app);
    retire(worker, old);
    renew_sockets(worker, adoption);
    cla_generations_begin(worker);
    adoption->stall_ns = cla_clock_monotonic_ns() - began_ns;
    worker->events->adopted(worker->arg, adoption);
}

/* --- All of them. --- */

enum cla_app_left cla_generations_run(struct cla_worker *worker)
{
    struct cla_app *current = worker->env.app;
    enum cla_app_left left = current->ops->run(current);

    CLA_LIST_EACH (link, &worker->older) {
        struct cla_app *app = app_at(link);
        enum cla_app_left its = app->ops->run(app);

        if (its > left)
            left = its;
    }
    return left;
}

bool cla_generations_ready(const struct cla_worker *worker)
{
    struct cla_app *current = worker->env.app;
    bool ready = current->ops->ready(current);

    CLA_LIST_EACH (link, &worker->older) {
        ready |= app_at(link)->ops->ready(app_at(link));
    }
    return ready;
}

/* Older ones are gone soon. */
bool cla_generations_trim(struct cla_worker *worker)
{
    struct cla_app *app = worker->env.app;

    return app->ops->trim(app);
}

void cla_generations_tidy(struct cla_worker *worker)
{
    struct cla_app *current = worker->env.app;

    current->ops->tidy(current);
    CLA_LIST_EACH (link, &worker->older) {
        struct cla_app *app = app_at(link);

        app->ops->tidy(app);
        if (app->pins == 0 && unload(app))
            let_go(worker, app);
    }
    if (worker->waits_to_begin)
        cla_generations_begin(worker);
}

/* True if nothing of it is left. Its background tasks are the last that end, but for on_unload. */
static bool end(const struct cla_worker *worker, struct cla_app *app, uint64_t grace_ns)
{
    if (app->jobs > app->background)
        return false;
    if (worker->stopped)
        return app->jobs == 0;
    app->ops->set_grace(app, grace_ns);
    if (app->ops->retire != NULL)
        app->ops->retire(app, CLA_CANCEL_SHUTDOWN);
    return unload(app);
}

bool cla_generations_end(struct cla_worker *worker, uint64_t grace_ns)
{
    bool ended = end(worker, worker->env.app, grace_ns);

    CLA_LIST_EACH (link, &worker->older) {
        ended &= end(worker, app_at(link), grace_ns);
    }
    return ended;
}

static void stop_jobs(struct cla_app *app, uint64_t grace_ns)
{
    app->ops->set_grace(app, grace_ns);
    app->ops->stop_jobs(app, CLA_CANCEL_SHUTDOWN);
    if (app->ops->retire != NULL)
        app->ops->retire(app, CLA_CANCEL_SHUTDOWN);
}

void cla_generations_stop_jobs(struct cla_worker *worker, uint64_t grace_ns)
{
    stop_jobs(worker->env.app, grace_ns);
    CLA_LIST_EACH (link, &worker->older) {
        stop_jobs(app_at(link), grace_ns);
    }
}

unsigned cla_generations_abandon(struct cla_worker *worker)
{
    unsigned abandoned = abandon(worker->env.app);

    CLA_LIST_EACH (link, &worker->older) {
        abandoned += abandon(app_at(link));
    }
    return abandoned;
}

uint64_t cla_generations_memory(const struct cla_worker *worker)
{
    struct cla_app *current = worker->env.app;
    uint64_t bytes = current->ops->memory(current);

    CLA_LIST_EACH (link, &worker->older) {
        bytes += app_at(link)->ops->memory(app_at(link));
    }
    return bytes;
}

void cla_generations_counts(const struct cla_worker *worker, struct cla_app_counts *sum)
{
    *sum = worker->gone;
    add_counts(worker->env.app, sum);
    CLA_LIST_EACH (link, &worker->older) {
        add_counts(app_at(link), sum);
    }
}

void cla_generations_leave(struct cla_worker *worker)
{
    leave(worker->env.app);
    CLA_LIST_EACH (link, &worker->older) {
        cla_timer_stop(&worker->loop->timers, &app_at(link)->drain);
        leave(app_at(link));
    }
}
