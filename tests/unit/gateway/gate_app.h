/* The fake app of the gateway's fixture: procedures in C, and what was asked of it.
 *
 *     echo   answers its params at once       hold   answers when the test says so
 *     fail   ends in not_found                full   is refused for want of memory
 *     look   echo, and may be called by GET   brief  hold, with a timeout of 50 ms
 *     feed   hold, and streams; may be called by GET */
#ifndef CLA_TEST_GATE_APP_H
#define CLA_TEST_GATE_APP_H

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "gateway/socket_out.h"
#include "gateway/worker.h"

#define GATE_CALLS_MAX 256

enum gate_procedure {
    GATE_ECHO,
    GATE_HOLD,
    GATE_FAIL,
    GATE_FULL,
    GATE_LOOK,
    GATE_BRIEF,
    GATE_FEED,
    GATE_PROCEDURES
};

struct gate_app {
    struct cla_app base;
    struct cla_call *queued[GATE_CALLS_MAX]; /* started, not yet run */
    struct cla_call *held[GATE_CALLS_MAX];
    struct cla_call *over[GATE_CALLS_MAX]; /* cancelled: to be released by the next run */
    unsigned queued_n, held_n, over_n;
    unsigned started, cancels, tidied, trims;
    enum cla_cancel_kind kind; /* of the last cancel */
    uint64_t grace_ns;         /* as set */
    bool slow_cleanup;         /* cancelled calls are not released */
    uint64_t run_ns;           /* real time that each call takes */
    bool waits;                /* calls do not begin */
    bool asks;                 /* on_connect waits for the test … */
    struct cla_socket *asked;  /* … which decides about this one */
    struct cla_socket *opened; /* of the handler, last */
    unsigned readable, stops, overs, handler_overs;
    unsigned over_code; /* of the socket that was over last */
    enum cla_cancel_kind over_kind;
    bool over_clean;
};

/* --- The app. --- */

static const struct cla_procedure gate_procedures[GATE_PROCEDURES] = {
    [GATE_ECHO] = {.name = {"echo", 4}},
    [GATE_HOLD] = {.name = {"hold", 4}},
    [GATE_FAIL] = {.name = {"fail", 4}},
    [GATE_FULL] = {.name = {"full", 4}},
    [GATE_LOOK] = {.name = {"look.at", 7}, .read_only = true},
    [GATE_BRIEF] = {.name = {"brief", 5}, .timeout_ns = 50 * CLA_NS_PER_MS},
    [GATE_FEED] = {.name = {"feed", 4}, .stream = true, .read_only = true},
};

static inline struct gate_app *gate_app_of(struct cla_app *app)
{
    return CLA_CONTAINER(app, struct gate_app, base);
}

static inline const struct cla_procedure *gate_find(struct cla_app *app, struct cla_slice name)
{
    for (size_t i = 0; i < GATE_PROCEDURES; i++) {
        if (cla_slice_eq(gate_procedures[i].name, name))
            return &gate_procedures[i];
    }
    return NULL;
}

static inline void gate_remove(struct cla_call **list, unsigned *n, const struct cla_call *call)
{
    for (unsigned i = 0; i < *n; i++) {
        if (list[i] == call) {
            memmove(list + i, list + i + 1, (--*n - i) * sizeof *list);
            return;
        }
    }
}

static inline int gate_start(struct cla_app *base, struct cla_call *call)
{
    struct gate_app *app = gate_app_of(base);

    if (call->procedure == &gate_procedures[GATE_FULL])
        return -CLA_ENOMEM;
    assert_true(app->queued_n < GATE_CALLS_MAX);
    app->queued[app->queued_n++] = call;
    app->started++;
    return 0;
}

/* Ends a call with 'text' as its result, and its work. */
static inline void gate_complete(struct cla_call *call, struct cla_slice text)
{
    struct cla_buf *buf = cla_call_result_begin(call);
    struct cla_rpc_error error = {.code = CLA_CODE_UNAVAILABLE};

    if (buf != NULL && cla_buf_add(buf, text) != 0)
        cla_call_fail(call, &error);
    else
        cla_call_result_end(call);
    cla_call_release(call);
}

static inline void gate_run_call(struct gate_app *app, struct cla_call *call)
{
    struct cla_rpc_error error = {.code = CLA_CODE_NOT_FOUND, .message = CLA_LIT("none")};

    uint64_t until = cla_clock_monotonic_ns() + app->run_ns;

    while (app->run_ns > 0 && cla_clock_monotonic_ns() < until)
        continue;
    call->begun = true;
    if (call->procedure == &gate_procedures[GATE_HOLD] ||
        call->procedure == &gate_procedures[GATE_BRIEF] ||
        call->procedure == &gate_procedures[GATE_FEED]) {
        cla_call_params_taken(call);
        app->held[app->held_n++] = call;
    } else if (call->procedure == &gate_procedures[GATE_FAIL]) {
        cla_call_fail(call, &error);
        cla_call_release(call);
    } else {
        gate_complete(call, call->params.n > 0 ? call->params : CLA_LIT("null"));
    }
}

static inline enum cla_app_left gate_run(struct cla_app *base)
{
    struct gate_app *app = gate_app_of(base);

    while (app->over_n > 0 && !app->slow_cleanup)
        cla_call_release(app->over[--app->over_n]);
    while (app->queued_n > 0 && !app->waits) {
        struct cla_call *call = app->queued[0];

        gate_remove(app->queued, &app->queued_n, call);
        gate_run_call(app, call);
    }
    return CLA_APP_NOTHING;
}

static inline void gate_cancel(struct cla_app *base, struct cla_call *call,
                               enum cla_cancel_kind kind, struct cla_slice message)
{
    struct gate_app *app = gate_app_of(base);
    struct cla_reason reason = cla_reason_make(kind, 1, message);

    app->cancels++;
    if (call->state == CLA_CALL_CANCELLED) {
        cla_reason_fini(&reason);
        return;
    }
    app->kind = kind;
    gate_remove(app->queued, &app->queued_n, call);
    gate_remove(app->held, &app->held_n, call);
    app->over[app->over_n++] = call;
    cla_call_cancelled(call, &reason);
    cla_reason_fini(&reason);
}

static inline void gate_view(struct cla_app *base, const struct cla_call *call,
                             struct cla_app_view *view)
{
    *view =
        (struct cla_app_view){CLA_APP_WAITING, 3 * CLA_NS_PER_MS, call->deadline_ns, 1, "test:1"};
}

static inline uint64_t gate_memory(struct cla_app *base)
{
    return 4096;
}

static inline bool gate_ready(struct cla_app *base)
{
    const struct gate_app *app = gate_app_of(base);

    return app->queued_n > 0 || (app->over_n > 0 && !app->slow_cleanup);
}

static inline void gate_tidy(struct cla_app *app)
{
    gate_app_of(app)->tidied++;
}

static inline void gate_set_grace(struct cla_app *app, uint64_t grace_ns)
{
    gate_app_of(app)->grace_ns = grace_ns;
}

static inline unsigned gate_abandon(struct cla_app *base)
{
    struct gate_app *app = gate_app_of(base);
    unsigned n = app->over_n + app->held_n;

    while (app->held_n > 0)
        gate_cancel(base, app->held[0], CLA_CANCEL_SHUTDOWN, cla_slice(NULL, 0));
    while (app->over_n > 0)
        cla_call_release(app->over[--app->over_n]);
    return n;
}

/* A trimming takes three slices. */
static inline bool gate_trim(struct cla_app *app)
{
    return ++gate_app_of(app)->trims % 3 != 0;
}

/* --- Its WebSocket handler at /feed, driven by the test; on_connect admits, or waits for it. ---
 */

static const struct cla_socket_route gate_feed = {
    .path = {"/feed", 5}, .message_bytes = 1000, .fragments = 4, .streams = true};

static inline const struct cla_socket_route *gate_find_socket(struct cla_app *app,
                                                              struct cla_slice path)
{
    return cla_slice_eq(path, gate_feed.path) ? &gate_feed : NULL;
}

static inline int gate_connect(struct cla_app *base, struct cla_socket *socket)
{
    struct gate_app *app = gate_app_of(base);

    if (!app->asks)
        return 0;
    app->asked = socket;
    cla_socket_job_begins(socket, base);
    return 1;
}

static inline int gate_open_socket(struct cla_app *base, struct cla_socket *socket)
{
    gate_app_of(base)->opened = socket;
    return 0;
}

static inline void gate_readable(struct cla_app *base, struct cla_socket *socket)
{
    gate_app_of(base)->readable++;
}

static inline bool gate_idle(struct cla_app *base, struct cla_socket *socket)
{
    return true;
}

static inline void gate_stop(struct cla_app *base, struct cla_socket *socket,
                             enum cla_cancel_kind kind, struct cla_slice message)
{
    gate_app_of(base)->stops++;
    gate_app_of(base)->kind = kind;
}

static inline void gate_over(struct cla_app *base, struct cla_socket *socket)
{
    struct gate_app *app = gate_app_of(base);

    app->overs++;
    app->over_code = socket->code;
    app->over_kind = socket->cause.kind;
    app->over_clean = socket->clean;
}

static inline void gate_handler_over(struct cla_app *base, struct cla_socket *socket)
{
    gate_app_of(base)->handler_overs++;
}

static inline void gate_stop_jobs(struct cla_app *base, enum cla_cancel_kind kind)
{
    gate_app_of(base)->stops++;
}

static const struct cla_app_ops gate_app_ops = {
    .find = gate_find,
    .start = gate_start,
    .cancel = gate_cancel,
    .view = gate_view,
    .memory = gate_memory,
    .find_socket = gate_find_socket,
    .connect = gate_connect,
    .open = gate_open_socket,
    .readable = gate_readable,
    .idle = gate_idle,
    .stop = gate_stop,
    .over = gate_handler_over,
    .disconnected = gate_over,
    .stop_jobs = gate_stop_jobs,
    .run = gate_run,
    .ready = gate_ready,
    .tidy = gate_tidy,
    .set_grace = gate_set_grace,
    .abandon = gate_abandon,
    .trim = gate_trim,
};

#endif
