/* Generations of the fake app (gate_app.h) on the worker of the gateway's fixture, and what each
 * was asked to do.
 *
 * A generation has one background task and one on_unload, which end when the test says so, or at
 * once. */
#ifndef CLA_TEST_GENERATION_FIXTURE_H
#define CLA_TEST_GENERATION_FIXTURE_H

#include "gateway/generations.h"
#include "gateway/socket.h"
#include "gateway_fixture.h"

#define GENERATIONS_MAX 8

struct generation {
    struct gate_app app;
    struct cla_adoption adoption;
    char story[256];      /* what was done with it, a word each */
    bool slow_background; /* its clean-up waits for the test */
    bool slow_unload;     /* likewise */
    bool began, retired, unloaded;
    bool adopted, left;
};

static struct gate gate;
static struct generation generations[GENERATIONS_MAX]; /* [0] is the first */
static struct cla_socket_route events_route = {
    .path = {"/feed", 5}, .message_bytes = 1000, .fragments = 4};

static inline struct generation *generation_of(struct cla_app *app)
{
    return CLA_CONTAINER(gate_app_of(app), struct generation, app);
}

static inline void note(struct generation *g, const char *word)
{
    size_t n = strlen(g->story);

    snprintf(g->story + n, sizeof g->story - n, "%s%s", n > 0 ? " " : "", word);
}

static inline void generation_enter(struct cla_app *app, struct cla_loop *loop, struct cla_log *log)
{
    assert_ptr_equal(loop, &gate.loop);
    note(generation_of(app), "enter");
}

static inline void generation_leave(struct cla_app *app)
{
    note(generation_of(app), "leave");
}

static inline void end_background(struct generation *g)
{
    g->app.base.background--;
    g->app.base.jobs--;
    note(g, "cleaned");
}

static inline void end_unload(struct generation *g)
{
    g->app.base.jobs--;
    note(g, "unloaded");
}

static inline void generation_begin(struct cla_app *app, bool first)
{
    struct generation *g = generation_of(app);

    if (g->began || g->retired)
        return;
    g->began = true;
    app->background++;
    app->jobs++;
    note(g, first ? "begin-first" : "begin");
}

static inline void generation_retire(struct cla_app *app, enum cla_cancel_kind kind)
{
    struct generation *g = generation_of(app);

    if (g->retired)
        return;
    g->retired = true;
    note(g, kind == CLA_CANCEL_RELOAD ? "retire" : "retire-shutdown");
    if (g->began && !g->slow_background)
        end_background(g);
}

static inline void generation_unload(struct cla_app *app)
{
    struct generation *g = generation_of(app);

    if (g->unloaded)
        return;
    g->unloaded = true;
    app->jobs++;
    note(g, "unload");
    if (!g->slow_unload)
        end_unload(g);
}

static inline void generation_stop_jobs(struct cla_app *app, enum cla_cancel_kind kind)
{
    note(generation_of(app), kind == CLA_CANCEL_RELOAD ? "stop" : "stop-shutdown");
}

static inline unsigned generation_abandon(struct cla_app *app)
{
    struct generation *g = generation_of(app);

    note(g, "abandon");
    if (app->background > 0)
        end_background(g);
    return gate_abandon(app);
}

static inline void generation_free(struct cla_app *app)
{
    note(generation_of(app), "free");
}

static inline void on_adopted(void *arg, struct cla_adoption *adoption)
{
    generation_of(adoption->app)->adopted = true;
}

static inline void on_left(void *arg, struct cla_adoption *adoption)
{
    generation_of(adoption->app)->left = true;
}

static const struct cla_worker_events generation_events = {on_adopted, on_left};
static struct cla_app_ops generation_ops;

static inline void generation_init(unsigned n)
{
    struct generation *g = &generations[n];

    *g = (struct generation){.app.base.ops = &generation_ops, .app.base.generation = n + 1};
    g->adoption.app = &g->app.base;
    g->app.base.adoption = &g->adoption;
}

/* Sets the worker up with the first generation; 'drain' is reload_drain. */
static inline void generations_open(const char *drain)
{
    gate_init(&gate);
    generation_ops = gate_app_ops;
    generation_ops.enter = generation_enter;
    generation_ops.leave = generation_leave;
    generation_ops.free = generation_free;
    generation_ops.begin = generation_begin;
    generation_ops.retire = generation_retire;
    generation_ops.unload = generation_unload;
    generation_ops.stop_jobs = generation_stop_jobs;
    generation_ops.abandon = generation_abandon;
    for (unsigned i = 0; i < GENERATIONS_MAX; i++)
        generation_init(i);
    gate_set(&gate, "reload_drain", drain);
    gate_set(&gate, "grace", "1s");
    cla_worker_init(&gate.worker, &gate.loop, &generations[0].app.base, &gate.config, &gate.log);
    gate.via = (struct cla_via){.loopback = true};
    gate.worker.events = &generation_events;
    cla_worker_enter(&gate.worker);
}

/* Has the worker take up generation n (from 1 on: the second). */
static inline void adopt(unsigned n)
{
    struct cla_message message = {.kind = CLA_MESSAGE_ADOPT, .adoption = &generations[n].adoption};

    cla_worker_on_message(&gate.worker, &message);
    assert_true(generations[n].adopted);
    assert_ptr_equal(gate.worker.env.app, &generations[n].app.base);
    gate_turns(&gate);
}

static inline void require_story(unsigned n, const char *story)
{
    assert_string_equal(generations[n].story, story);
}

/* Answers the held call of generation n. */
static inline void answer(unsigned n)
{
    struct gate_app *app = &generations[n].app;
    struct cla_call *call = app->held[0];

    gate_remove(app->held, &app->held_n, call);
    gate_complete(call, CLA_LIT("\"held\""));
    gate_turns(&gate);
}

#endif
