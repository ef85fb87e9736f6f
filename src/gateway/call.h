/* One call: from its request to its one terminal reply and, later, the end of its work.
 *
 * Worker thread. Depends on: base, cancel, gateway/app.
 *
 *   OPEN -- result_end --> COMPLETED     the first of these wins; the reply is sent, and the
 *     |---- fail --------> FAILED        access line written, at the transition
 *     +---- cancelled ---> CANCELLED
 *   then release, when the script's clean-up is over too: only then is the call's slot free. */
#ifndef CLA_GATEWAY_CALL_H
#define CLA_GATEWAY_CALL_H

#include <stdatomic.h>

#include "base/buf.h"
#include "base/list.h"
#include "gateway/app.h"
#include "gateway/call_id.h"
#include "gateway/config.h"
#include "gateway/plain.h"
#include "gateway/writer.h"
#include "io/certificate.h"
#include "io/loop.h"
#include "rpc/protocol.h"

enum cla_call_state {
    CLA_CALL_OPEN,
    CLA_CALL_COMPLETED,
    CLA_CALL_FAILED,
    CLA_CALL_CANCELLED,
};

/* What goes to the client before the result. */
enum cla_call_part {
    CLA_CALL_ITEM,
    CLA_CALL_PROGRESS,
};

/* Under what the client of a protocol with tokens wants its parts; raw JSON, empty: not at all. */
struct cla_call_tokens {
    struct cla_slice item, progress;
};

/* Where a call came from and its reply goes to. */
struct cla_call_sink {
    /* The buffer its result is to be appended to, with what goes before it already in place.
     * NULL: nobody will read it, or out of memory. */
    struct cla_buf *(*result_begin)(struct cla_call *call);
    /* The result was appended. Returns 0, or -CLA_ENOMEM: then error() follows. */
    int (*result_end)(struct cla_call *call);
    /* The call COMPLETED; its result is in the buffer. The reply may be sent inside. */
    void (*completed)(struct cla_call *call);
    /* Takes back what was appended since result_begin, if it was called. */
    void (*result_rollback)(struct cla_call *call);
    /* Of a WebSocket's call: the app has no more use of the params. */
    void (*params_taken)(struct cla_call *call);
    /* The call ended in an error. */
    void (*error)(struct cla_call *call, const struct cla_rpc_error *error);
    /* Nothing refers to the call any more: free it. */
    void (*release)(struct cla_call *call);
    /* Why the client cannot take parts of this kind, and what to call instead; NULL: it can. */
    const char *(*part_refused)(const struct cla_call *call, enum cla_call_part kind);
    /* Where to wait for room to send one; NULL: there is nobody to send to. */
    struct cla_writers *(*part_writers)(const struct cla_call *call);
    /* Sends one, whether there is room or not. Returns 0, -CLA_ECLOSED or -CLA_ENOMEM. */
    int (*part)(struct cla_call *call, enum cla_call_part kind, struct cla_slice value);
};

/* What the calls of a request have in common, or all those of a WebSocket; lives as long as they.
 */
struct cla_request {
    struct cla_call_env *env;
    const struct cla_call_sink *sink;
    const struct cla_rpc_protocol *protocol; /* what they are answered in */
    struct cla_slice peer;                   /* "ip:port" */
    struct cla_slice head;                   /* the raw HTTP head; empty: none. For call.headers */
    struct cla_certificate *certificate;     /* the client's, verified; NULL: none */
    struct cla_writers *writers; /* where calls wait for room before they begin, and before their
                                    results are written; NULL: they do not */
    struct cla_socket *socket;   /* the WebSocket they come by; NULL: HTTP */
    struct cla_plain *plain;     /* of a route of the script; else NULL */
    bool raw;                    /* text and bytes stand as they are, not in JSON */
};

struct cla_counts;

/* What all calls of a worker share. */
struct cla_call_env {
    struct cla_app *app; /* of new calls: the current generation */
    struct cla_loop *loop;
    struct cla_log *log;
    struct cla_buf *log_buf; /* lines of this turn */
    enum cla_access_log access_log;
    bool expose_errors;              /* clients see the text of script errors */
    bool draining;                   /* new calls are refused */
    uint64_t call_timeout_ns;        /* where neither client nor procedure says */
    uint64_t max_call_timeout_ns;    /* no call may ask for more */
    uint64_t stream_idle_timeout_ns; /* between two parts of a stream without a deadline */
    uint64_t next_id;
    uint64_t id_step;              /* between the ids of a worker: the number of workers */
    uint64_t handshake_timeout_ns; /* of on_connect */
    unsigned in_flight;            /* calls not released */
    atomic_uint *all;              /* those of all workers; NULL: there is one */
    unsigned max_in_flight;        /* max_calls */
    struct cla_counts *counts;     /* of ended calls; NULL: nobody asks for them */
};

/* What few calls need. */
struct cla_call_extras {
    struct cla_call *call;
    struct cla_call_tokens tokens;
    struct cla_writer own; /* waits for room before it begins, and before its result is written */
    void (*on_room)(struct cla_call *call); /* of that wait */
    struct cla_link senders;                /* who waits for room to write its parts */
};

struct cla_call {
    const struct cla_request *request;
    struct cla_app *app;                   /* whose call it is: current when it came */
    const struct cla_procedure *procedure; /* never NULL; there may be none of its name */
    struct cla_call_id client_id;          /* none: a notification */
    struct cla_slice params;               /* raw JSON, or as request->raw says; empty: none. Where
                                              the bytes are gone p is NULL, and n is as it was */
    uint64_t id;                           /* the gateway's own; 0: not started */
    uint64_t received_ns;                  /* on the loop's clock: when its first byte was read */
    uint64_t deadline_ns;                  /* on the same */
    struct cla_call *index_next;           /* in its chain of a cla_call_index */
    void *task;                            /* the app's, while started */
    void *object;                          /* the app's: what scripts know the call by, or NULL */
    struct cla_call_extras *extras;        /* owned; NULL: it has not needed any yet */
    size_t reply_bytes;                    /* of the result, for the access log */
    enum cla_call_state state : 8;
    bool further;      /* the sink's: it is not the first of a batch */
    bool begun;        /* the app has begun to run it */
    bool indexed;      /* in a cla_call_index */
    bool params_meta;  /* params hold a member _meta that is not the script's */
    bool result_begun; /* result_begin was called, and gave a buffer */
    bool silent;       /* it was reset where resets are not answered */
    bool idles;        /* its deadline is that of the next part: stream_idle_timeout */
};

/* The client's id, raw JSON, borrowed from the call; empty: it is a notification. */
static inline struct cla_slice cla_call_client_id(const struct cla_call *call)
{
    return cla_call_id_slice(&call->client_id);
}

/* True if nobody waits for a reply. */
static inline bool cla_call_is_notification(const struct cla_call *call)
{
    return cla_call_id_is_none(&call->client_id);
}

/* Under what the client wants such parts; empty: not at all, or the protocol has no tokens. */
static inline struct cla_slice cla_call_token(const struct cla_call *call, enum cla_call_part kind)
{
    if (call->extras == NULL)
        return cla_slice(NULL, 0);
    return kind == CLA_CALL_ITEM ? call->extras->tokens.item : call->extras->tokens.progress;
}

/* Sets up what calls share, from the settings. Log lines go to 'log_buf', which the owner flushes
 * to 'log'. */
void cla_call_env_init(struct cla_call_env *env, struct cla_app *app, struct cla_loop *loop,
                       struct cla_log *log, struct cla_buf *log_buf,
                       const struct cla_config *config);

/* Makes this the env of worker 'at' of 'count', which have one limit of calls, counted in '*all',
 * and whose ids never meet. */
void cla_call_env_share(struct cla_call_env *env, atomic_uint *all, unsigned at, unsigned count);

/* A number that no other call or WebSocket of any worker has. */
static inline uint64_t cla_call_env_new_id(struct cla_call_env *env)
{
    return env->next_id += env->id_step;
}

/* Notes under what the client wants parts, of which some may be empty; borrowed. Returns 0 or
 * -CLA_ENOMEM. */
int cla_call_set_tokens(struct cla_call *call, const struct cla_call_tokens *tokens);

/* Sets the deadline from what the client asked for (has_timeout, timeout_ms), the procedure and the
 * server: the smallest of client's and procedure's, the server's default where neither says, never
 * above max_call_timeout; counted from call->received_ns. A stream for which neither says has
 * until its next part. */
void cla_call_set_deadline(struct cla_call *call, bool has_timeout, uint64_t timeout_ms);

/* Gives the call an id and hands it to the app, or ends it at once: no such procedure, overload,
 * draining, deadline already passed. The sink's functions may run inside. */
void cla_call_start(struct cla_call *call);

/* The app has no more use of the params: they may go, if they came by a WebSocket. */
void cla_call_params_taken(struct cla_call *call);

/* True if the call must wait before it begins, or before its result is written: the client has not
 * read what went before, and 'on_room' will be called, or cla_call_leave_room(). Then look again.
 * Without memory to wait it need not. */
bool cla_call_wait_room(struct cla_call *call, void (*on_room)(struct cla_call *call));

/* Ends such a wait. */
void cla_call_leave_room(struct cla_call *call);

/* Why 'call' can send no such part, and what to call instead; NULL: it can. */
const char *cla_call_part_refused(const struct cla_call *call, enum cla_call_part kind);

/* Where to wait for room to send one; NULL: the client has gone, or has its reply. */
struct cla_writers *cla_call_part_writers(const struct cla_call *call);

/* Waits for room to send a part, as cla_writers_take_turn(). 'writer' is among the call's senders
 * from now on, until cla_call_leave_turn(): if the call ends before, its on_room is called. Without
 * memory for that it has its turn. */
bool cla_call_take_turn(struct cla_call *call, struct cla_writer *writer);

/* True if one waits for room to send a part. */
bool cla_call_has_senders(const struct cla_call *call);

/* Ends the wait of 'writer', if it waits; one that was called and has not written lets the next. */
void cla_call_leave_turn(struct cla_call *call, struct cla_writer *writer);

/* Sends a part, JSON text or as request->raw says, whether there is room or not. Returns 0;
 * -CLA_ECLOSED: nobody is there any more; or -CLA_ENOMEM: nothing was sent. Only if it is not
 * refused. */
int cla_call_part(struct cla_call *call, enum cla_call_part kind, struct cla_slice value);

/* The buffer for the result's JSON text, or as request->raw says; NULL: the reply is not wanted
 * (any more). */
struct cla_buf *cla_call_result_begin(struct cla_call *call);

/* The result is complete: the call COMPLETED. Only while OPEN. */
void cla_call_result_end(struct cla_call *call);

/* Ends the call FAILED; false if it had ended. */
bool cla_call_fail(struct cla_call *call, const struct cla_rpc_error *error);

/* Ends the call CANCELLED for 'reason'; false if it had ended. For the app's own cancels, such as
 * the deadline's. */
bool cla_call_cancelled(struct cla_call *call, const struct cla_reason *reason);

/* Cancels a call from outside. No-op, but for a counter, if it had ended. */
void cla_call_cancel(struct cla_call *call, enum cla_cancel_kind kind, struct cla_slice message);

/* The call's work is gone. For the app, once. */
void cla_call_release(struct cla_call *call);

/* Frees the extras. For the sink, of calls that are over and were not started: of others they are
 * gone. No-op if there are none. */
void cla_call_free_extras(struct cla_call *call);

#endif
