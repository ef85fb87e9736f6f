/* What the gateway asks of the script side.
 *
 * Worker thread, but for what says otherwise. Depends on: gateway/call. The gateway knows neither
 * Lua nor tasks: the binding layer gives it this struct of functions. A worker runs several
 * generations of the app at a time: see gateway/generations. */
#ifndef CLA_GATEWAY_APP_H
#define CLA_GATEWAY_APP_H

#include "base/histogram.h"
#include "base/list.h"
#include "base/log.h"
#include "base/slice.h"
#include "cancel/reason.h"
#include "http/parser.h"
#include "io/timer.h"

struct cla_app;
struct cla_adoption;
struct cla_call;
struct cla_counts_entry;
struct cla_folder;
struct cla_loop;
struct cla_socket;
struct cla_topics;
struct cla_worker;

/* What a procedure takes and returns. */
enum cla_payload {
    CLA_PAYLOAD_JSON,
    CLA_PAYLOAD_TEXT,  /* UTF-8; in JSON one positional string */
    CLA_PAYLOAD_BYTES, /* any; in JSON one positional string of base64 */
};

/* What the gateway knows of a procedure; embedded in the app's own struct. */
struct cla_procedure {
    struct cla_slice name; /* dotted: "chat.join" */
    uint64_t timeout_ns;   /* 0: the server's call_timeout */
    bool read_only;        /* may be called by GET */
    bool stream;           /* sends items before its result */
    bool unknown;          /* there is none of this name */
    enum cla_payload payload;
    struct cla_counts_entry *counts; /* noted by gateway/counts; NULL: not yet. Not the app's */
};

/* Where a handler of the script takes WebSockets; embedded in the app's own struct. */
struct cla_socket_route {
    struct cla_slice path;
    size_t message_bytes;              /* 0: the setting */
    unsigned fragments;                /* 0: the setting */
    const struct cla_slice *protocols; /* subprotocols */
    size_t protocol_count;
    bool streams; /* the handler takes its messages itself, rather than being called for each */
};

/* What a run of the app has left. */
enum cla_app_left {
    CLA_APP_NOTHING,
    CLA_APP_MORE,
    CLA_APP_SLICED, /* more, and one call has computed for so long that sockets come first */
};

/* What a call is at. */
enum cla_app_phase {
    CLA_APP_QUEUED,  /* has not begun */
    CLA_APP_WAITING, /* in an await */
    CLA_APP_READY,   /* its await is over */
    CLA_APP_COMPUTING,
    CLA_APP_CLEANING_UP, /* it has its outcome */
};

struct cla_app_view {
    enum cla_app_phase phase;
    uint64_t cpu_ns;      /* processor time, as far as known */
    uint64_t deadline_ns; /* CLA_NEVER: none */
    uint64_t generation;
    char where[128]; /* "file:line", or "?" */
};

/* X(name, of the metric, what it counts): what an app counts, for /metrics. */
#define CLA_APP_COUNTS(X)                                                                          \
    X(preemptions, "preemptions", "slices of code that computes")                                  \
    X(cuts, "cuts", "Cancels raised in code that computes")                                        \
    X(holds, "holds", "calls cancelled for computing too long without an await (hold_limit)")      \
    X(grace_exceeded, "grace_exceeded", "scopes whose clean-up outlived the grace")                \
    X(given_up, "given_up", "tasks given up because clean-up went on after the grace")             \
    X(cleanup_errors, "cleanup_errors", "calls whose clean-up raised an error")                    \
    X(ignored_cancels, "ignored_cancels", "calls that returned a value after they were cancelled") \
    X(late_resets, "late_resets", "cancels of clients that came when the result was there")

struct cla_app_counts {
#define X(name, metric, help) uint64_t name;
    CLA_APP_COUNTS(X)
#undef X
    struct cla_histogram cancel_latency; /* of calls, until their work was gone */
};

struct cla_app_ops {
    /* The calling thread runs the app from now on, on its loop and with its log, and until leave();
     * which lets go of all that is the thread's: by then no call, job or socket of the app is left.
     * May be NULL, both. */
    void (*enter)(struct cla_app *app, struct cla_loop *loop, struct cla_log *log);
    void (*leave)(struct cla_app *app);
    /* Frees the app, which no thread runs. Any thread. */
    void (*free)(struct cla_app *app);
    /* Finds a procedure by its dotted name; NULL: there is none. */
    const struct cla_procedure *(*find)(struct cla_app *app, struct cla_slice name);
    /* Takes on a call; it runs in a later run(). The app ends it with one of cla_call_result_end(),
     * cla_call_fail() or cla_call_cancelled(), and cla_call_release() when its work is gone.
     * Returns 0, -CLA_ENOMEM, or -CLA_ELIMIT while memory is short: then it was not taken. */
    int (*start)(struct cla_app *app, struct cla_call *call);
    /* A call that was started, and not released, is about to be cancelled, after some others: asks
     * for the memory that this will look at. May be NULL. */
    void (*expect_cancel)(struct cla_app *app, const struct cla_call *call);
    /* Cancels a call that was started and not released; a second time only counts. */
    void (*cancel)(struct cla_app *app, struct cla_call *call, enum cla_cancel_kind kind,
                   struct cla_slice message);
    /* The grace of a call that was cancelled and not released is over now. */
    void (*end_grace)(struct cla_app *app, struct cla_call *call);
    /* What a call that was started and not released is at. Also while its code computes. */
    void (*view)(struct cla_app *app, const struct cla_call *call, struct cla_app_view *view);
    /* Bytes that scripts use. */
    uint64_t (*memory)(struct cla_app *app);
    /* Adds what the app has counted to 'sum'. Also while its code computes. */
    void (*counts)(struct cla_app *app, struct cla_app_counts *sum);
    /* The handler's route at 'path'; NULL: there is none. */
    const struct cla_socket_route *(*find_socket)(struct cla_app *app, struct cla_slice path);
    /* The route for that method at 'path', which cla_http_path_problem() has allowed, or NULL; then
     * '*methods' is the set of those that are at that path (gateway/pattern). NULL: it has none. */
    const struct cla_procedure *(*find_route)(struct cla_app *app, enum cla_http_method method,
                                              struct cla_slice path, unsigned *methods);
    /* Asks the script about a socket. Returns 1: on_connect will run and end in cla_socket_admit()
     * or cla_socket_refuse(); 0: there is none; or -CLA_ENOMEM. */
    int (*connect)(struct cla_app *app, struct cla_socket *socket);
    /* The socket of a handler is OPEN: it may begin. Returns 0 or -CLA_ENOMEM. */
    int (*open)(struct cla_app *app, struct cla_socket *socket);
    /* A message was queued for the handler. */
    void (*readable)(struct cla_app *app, struct cla_socket *socket);
    /* True if the handler waits for messages. */
    bool (*idle)(struct cla_app *app, struct cla_socket *socket);
    /* Cancels on_connect or the handler. */
    void (*stop)(struct cla_app *app, struct cla_socket *socket, enum cla_cancel_kind kind,
                 struct cla_slice message);
    /* The socket of a handler is OVER (its code and cause say how): the handler is stopped, unless
     * it has messages to read. */
    void (*over)(struct cla_app *app, struct cla_socket *socket);
    /* A socket is OVER: on_disconnect begins. For the current generation, whoever's it was. */
    void (*disconnected)(struct cla_app *app, struct cla_socket *socket);
    /* Cancels all jobs for sockets and its own: the server is shutting down, or another generation
     * has long taken over. */
    void (*stop_jobs)(struct cla_app *app, enum cla_cancel_kind kind);
    /* The app is current now, and the background tasks of the one before it here are over: starts
     * its own, those for one worker only if this is the 'first'. No-op the second time, and once it
     * is retired. This and the next two: not while Lua runs. May be NULL, all three. */
    void (*begin)(struct cla_app *app, bool first);
    /* Another app took its place (reload), or the server stops (shutdown): cancels its background
     * tasks, which may clean up. No-op the second time. */
    void (*retire)(struct cla_app *app, enum cla_cancel_kind kind);
    /* Its calls and jobs are over: runs on_unload, if there is one, as a job that may await for as
     * long as the grace. No-op the second time. */
    void (*unload)(struct cla_app *app);
    /* Runs what is ready, for about a millisecond, or until code that computes has had a slice. */
    enum cla_app_left (*run)(struct cla_app *app);
    /* True if run() has something to do. */
    bool (*ready)(struct cla_app *app);
    /* Once a turn, after run(): housekeeping. */
    void (*tidy)(struct cla_app *app);
    /* From now on clean-up may take grace_ns: the server is shutting down. */
    void (*set_grace)(struct cla_app *app, uint64_t grace_ns);
    /* Ends the calls that are left, without letting them run; logs each. Returns how many. */
    unsigned (*abandon)(struct cla_app *app);
    /* Gives back memory that calls have left, for about half a millisecond; the first call after it
     * returned false begins anew. Returns true if there is more. */
    bool (*trim)(struct cla_app *app);
};

/* How far a generation is on its worker. */
enum cla_app_stage {
    CLA_APP_CURRENT,   /* new calls are its */
    CLA_APP_RETIRED,   /* another is current; what it has begun goes on */
    CLA_APP_CANCELLED, /* and was cancelled: reload_drain is over */
    CLA_APP_ABANDONED, /* what was left has been given up: on_unload does not run */
};

struct cla_app {
    const struct cla_app_ops *ops;
    struct cla_folder *folder; /* what GET serves where nothing else is; NULL: none */
    /* For the app, at each slice's end of a call that computes: takes up what the control thread
     * asks for, which may cancel calls. NULL: nothing asks. */
    void (*look_outside)(void *outside);
    void *outside;
    uint64_t generation;           /* of the script */
    struct cla_worker *worker;     /* that runs it; NULL: none does */
    struct cla_adoption *adoption; /* how that took it up */
    struct cla_link link;          /* in worker->older, once it is retired */
    struct cla_timer drain;        /* of gateway/generations */
    enum cla_app_stage stage;
    unsigned pins;             /* exchanges, and sockets of its handlers */
    struct cla_topics *topics; /* of the worker that runs it; NULL: none does */
    unsigned jobs;        /* of its own, that belong to no call or socket: a drain waits for them */
    unsigned background;  /* of those, tasks of app.background: they end when it is retired */
    uint64_t late_resets; /* the gateway's count of cancels that came after the result */
};

/* Something of the gateway's refers to the app: it stays. */
static inline struct cla_app *cla_app_pin(struct cla_app *app)
{
    app->pins++;
    return app;
}

/* It no longer does. */
static inline void cla_app_unpin(struct cla_app *app)
{
    app->pins--;
}

#endif
