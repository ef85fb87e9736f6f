/* Happy path: the pool loads one app for each worker; each gets its own in a message that was made
 * before, so that from here on nothing can fail; the last answer ends the reload.
 * Failure modes: an app that does not load: those that did are freed, the error is kept for the
 * operator, and the old generation serves on; a worker that does not answer, for it computes what
 * nothing can interrupt, holds up the end of the reload, and the next.
 * On close: fini() waits for the pool. */
#include "gateway/reload.h"

#include <stdatomic.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/mem_trim.h"

struct cla_generation {
    struct cla_link link;
    struct cla_reload *reload;
    uint64_t number, previous, began_ns;
    enum cla_log_level level; /* when loading began */
    uv_work_t load;
    int rc;               /* of loading */
    struct cla_buf error; /* likewise */
    unsigned count, adopted;
    unsigned apps;       /* not yet freed, as the control thread knows … */
    atomic_uint unfreed; /* … and as the pool does */
    struct cla_generation_seat {
        struct cla_adoption adoption;
        uv_work_t close;
    } seats[]; /* one a worker */
};

static struct cla_generation *new_generation(struct cla_reload *reload, uint64_t number)
{
    struct cla_generation *g = cla_mem_zalloc(sizeof *g + reload->workers * sizeof g->seats[0]);

    if (g == NULL)
        return NULL;
    cla_list_init(&g->link);
    cla_list_push(&reload->generations, &g->link);
    g->reload = reload;
    g->number = number;
    g->previous = reload->current;
    g->count = reload->workers;
    atomic_init(&g->unfreed, g->count);
    for (unsigned i = 0; i < g->count; i++) {
        struct cla_adoption *adoption = &g->seats[i].adoption;

        adoption->of = g;
        adoption->worker = i;
        adoption->there = (struct cla_message){.kind = CLA_MESSAGE_ADOPT, .adoption = adoption};
        adoption->back = (struct cla_message){.kind = CLA_MESSAGE_ADOPTED, .adoption = adoption};
    }
    reload->live++;
    return g;
}

static void free_app(struct cla_adoption *adoption)
{
    if (adoption->app != NULL && adoption->app->ops->free != NULL)
        adoption->app->ops->free(adoption->app);
    adoption->app = NULL;
}

static void free_generation(struct cla_generation *g)
{
    for (unsigned i = 0; i < g->count; i++)
        free_app(&g->seats[i].adoption);
    g->reload->live--;
    cla_list_remove(&g->link);
    cla_buf_fini(&g->error);
    cla_mem_free(g);
}

static void begin_if_asked(struct cla_reload *reload);

/* --- Freeing. --- */

/* What is freed lies amid what lives: without a trimming the process would keep most of it. */
static void close_app(uv_work_t *work)
{
    struct cla_adoption *adoption = work->data;

    free_app(adoption);
    if (atomic_fetch_sub(&adoption->of->unfreed, 1) == 1)
        cla_mem_trim();
}

static void on_app_closed(uv_work_t *work, int status)
{
    struct cla_adoption *adoption = work->data;
    struct cla_generation *g = adoption->of;
    struct cla_reload *reload = g->reload;

    (void)status;
    reload->works--;
    if (--g->apps > 0)
        return;
    cla_log_line(reload->log, CLA_LOG_DEBUG, "generation %llu is gone",
                 (unsigned long long)g->number);
    free_generation(g);
    begin_if_asked(reload);
}

void cla_reload_left(struct cla_reload *reload, struct cla_adoption *adoption)
{
    struct cla_generation_seat *seat =
        CLA_CONTAINER(adoption, struct cla_generation_seat, adoption);

    adoption->calls = 0;
    seat->close.data = adoption;
    reload->works++;
    (void)uv_queue_work(&reload->loop->uv, &seat->close, close_app, on_app_closed);
}

/* --- Loading. --- */

static void load_apps(uv_work_t *work)
{
    struct cla_generation *g = work->data;
    const struct cla_server_loader *loader = g->reload->loader;

    for (; g->rc == 0 && g->apps < g->count; g->apps++)
        g->rc = loader->load(loader->arg, g->number, g->previous, g->level,
                             &g->seats[g->apps].adoption.app, &g->error);
}

static void tell_end(struct cla_reload *reload, struct cla_reload_outcome *outcome)
{
    outcome->ticket = reload->ticket;
    outcome->generation = reload->current;
    reload->events->ended(reload->arg, outcome);
}

static void fail(struct cla_reload *reload, const char *error)
{
    struct cla_reload_outcome outcome = {.error = error};

    reload->failed++;
    reload->error_wall_ns = cla_clock_wall_ns();
    cla_log_line(reload->log, CLA_LOG_ERROR, "reload failed, generation %llu serves on: %s",
                 (unsigned long long)reload->current, error);
    tell_end(reload, &outcome);
    begin_if_asked(reload);
}

/* The error's text becomes the reload's, to be told of later, too. */
static void fail_to_load(struct cla_reload *reload, struct cla_generation *g)
{
    reload->next = NULL;
    cla_buf_fini(&reload->error);
    reload->error = cla_buf_take(&g->error);
    free_generation(g);
    if (reload->error.n == 0 || cla_buf_push(&reload->error, '\0') != 0)
        cla_buf_fini(&reload->error);
    fail(reload, reload->error.n > 0 ? reload->error.p : "out of memory");
}

static void on_loaded(uv_work_t *work, int status)
{
    struct cla_generation *g = work->data;
    struct cla_reload *reload = g->reload;

    (void)status;
    reload->works--;
    if (reload->stopping)
        return; /* fini() frees it */
    if (reload->loader->ended != NULL)
        reload->loader->ended(reload->loader->arg, g->rc == 0);
    if (g->rc != 0) {
        fail_to_load(reload, g);
        return;
    }
    for (unsigned i = 0; i < g->count; i++)
        reload->events->adopt(reload->arg, &g->seats[i].adoption);
}

static void begin(struct cla_reload *reload)
{
    struct cla_generation *g = new_generation(reload, reload->current + 1);

    reload->asked = false;
    reload->ticket++;
    if (g == NULL) {
        fail(reload, "out of memory");
        return;
    }
    reload->next = g;
    reload->works++;
    reload->events->begins(reload->arg);
    if (reload->loader->begins != NULL)
        reload->loader->begins(reload->loader->arg);
    g->began_ns = cla_loop_now_ns(reload->loop);
    g->level = reload->log->level;
    g->load.data = g;
    (void)uv_queue_work(&reload->loop->uv, &g->load, load_apps, on_loaded);
}

static void begin_if_asked(struct cla_reload *reload)
{
    if (reload->asked && !reload->stopping && reload->next == NULL && reload->live < reload->most)
        begin(reload);
}

uint64_t cla_reload_request(struct cla_reload *reload)
{
    uint64_t ticket = reload->ticket + 1;

    if (reload->stopping || reload->loader == NULL)
        return 0;
    if (!reload->asked && reload->next == NULL && reload->live >= reload->most)
        cla_log_line(reload->log, CLA_LOG_INFO,
                     "reload waits: calls of %u generations still run (max_generations)",
                     reload->live);
    reload->asked = true;
    begin_if_asked(reload);
    return reload->ticket == ticket && reload->next == NULL ? 0 : ticket; /* has it failed? */
}

/* --- Taking up. --- */

/* In flight when workers took up the current one, but for those of workers that have left it. */
static unsigned calls_of(const struct cla_generation *g)
{
    unsigned calls = 0;

    for (unsigned i = 0; i < g->count; i++)
        calls += g->seats[i].adoption.calls;
    return calls;
}

static const struct cla_generation *generation_at(const struct cla_link *link)
{
    return CLA_CONTAINER(link, struct cla_generation, link);
}

static void add_up(const struct cla_generation *g, struct cla_reload_outcome *outcome)
{
    CLA_LIST_EACH (link, &g->reload->generations) {
        outcome->older_calls += calls_of(generation_at(link));
    }
    for (unsigned i = 0; i < g->count; i++) {
        const struct cla_adoption *adoption = &g->seats[i].adoption;

        outcome->sockets += adoption->sockets;
        if (adoption->stall_ns > outcome->stall_ns)
            outcome->stall_ns = adoption->stall_ns;
    }
}

static const char *plural(unsigned n)
{
    return n == 1 ? "" : "s";
}

/* "; 4 calls still on gens 1, 3 and 4" */
static void add_calls(struct cla_buf *text, const struct cla_reload *reload, unsigned calls)
{
    unsigned count = 0, at = 0;

    CLA_LIST_EACH (link, &reload->generations) {
        count += calls_of(generation_at(link)) > 0;
    }
    (void)cla_buf_printf(text, "; %u call%s still on gen%s ", calls, plural(calls), plural(count));
    CLA_LIST_EACH (link, &reload->generations) {
        if (calls_of(generation_at(link)) == 0)
            continue;
        if (at++ > 0)
            (void)cla_buf_add(text, at < count ? CLA_LIT(", ") : CLA_LIT(" and "));
        (void)cla_buf_add_number(text, generation_at(link)->number);
    }
}

static void log_done(const struct cla_reload *reload, const struct cla_reload_outcome *outcome)
{
    struct cla_buf calls = {0};

    if (outcome->older_calls > 0)
        add_calls(&calls, reload, outcome->older_calls);
    cla_log_line(reload->log, CLA_LOG_INFO, "reload gen %llu in %llu ms%.*s; %u WebSocket%s kept",
                 (unsigned long long)reload->current,
                 (unsigned long long)(outcome->took_ns / CLA_NS_PER_MS), (int)calls.n,
                 calls.n > 0 ? calls.p : "", outcome->sockets, plural(outcome->sockets));
    cla_buf_fini(&calls);
}

void cla_reload_adopted(struct cla_reload *reload, struct cla_adoption *adoption)
{
    struct cla_generation *g = adoption->of;
    struct cla_reload_outcome outcome = {0};

    if (++g->adopted < g->count)
        return;
    reload->next = NULL;
    reload->current = g->number;
    reload->done++;
    cla_buf_fini(&reload->error);
    outcome.took_ns = cla_loop_now_ns(reload->loop) - g->began_ns;
    add_up(g, &outcome);
    log_done(reload, &outcome);
    tell_end(reload, &outcome);
    begin_if_asked(reload);
}

/* --- Life. --- */

int cla_reload_open(struct cla_reload *reload, const struct cla_reload_setup *setup)
{
    struct cla_generation *g;

    *reload = (struct cla_reload){.loop = setup->loop,
                                  .log = setup->log,
                                  .loader = setup->loader,
                                  .events = setup->events,
                                  .arg = setup->arg,
                                  .workers = setup->workers,
                                  .most = setup->most};
    cla_list_init(&reload->generations);
    g = new_generation(reload, 1);
    if (g == NULL)
        return -CLA_ENOMEM;
    g->apps = g->adopted = setup->workers;
    reload->current = 1;
    return 0;
}

void cla_reload_own(struct cla_reload *reload, unsigned worker, struct cla_app *app)
{
    struct cla_generation *g = CLA_CONTAINER(reload->generations.next, struct cla_generation, link);
    struct cla_adoption *adoption = &g->seats[worker].adoption;

    adoption->app = app;
    app->adoption = adoption;
}

void cla_reload_stop(struct cla_reload *reload)
{
    struct cla_reload_outcome outcome = {.error = "the server is shutting down"};
    bool waits = reload->asked;

    reload->stopping = true;
    reload->asked = false;
    if (reload->loader != NULL)
        reload->loader->stop(reload->loader->arg);
    if (reload->next != NULL)
        tell_end(reload, &outcome);
    if (!waits)
        return;
    reload->ticket++;
    tell_end(reload, &outcome);
}

void cla_reload_fini(struct cla_reload *reload)
{
    reload->stopping = true;
    while (reload->works > 0)
        (void)uv_run(&reload->loop->uv, UV_RUN_ONCE);
    while (!cla_list_empty(&reload->generations))
        free_generation(CLA_CONTAINER(reload->generations.next, struct cla_generation, link));
    cla_buf_fini(&reload->error);
}
