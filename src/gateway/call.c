#include "gateway/call.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "gateway/access.h"
#include "gateway/counts.h"

_Static_assert(sizeof(struct cla_call_id) == CLA_CALL_ID_SHORT + 1, "an id has no padding");

void cla_call_env_init(struct cla_call_env *env, struct cla_app *app, struct cla_loop *loop,
                       struct cla_log *log, struct cla_buf *log_buf,
                       const struct cla_config *config)
{
    *env = (struct cla_call_env){
        .app = app,
        .loop = loop,
        .log = log,
        .log_buf = log_buf,
        .access_log = config->access_log,
        .expose_errors = config->expose_errors,
        .call_timeout_ns = config->call_timeout_ns,
        .handshake_timeout_ns = config->handshake_timeout_ns,
        .max_call_timeout_ns = config->max_call_timeout_ns,
        .stream_idle_timeout_ns = config->stream_idle_timeout_ns,
        .max_in_flight = (unsigned)config->max_calls,
        .id_step = 1,
    };
}

void cla_call_env_share(struct cla_call_env *env, atomic_uint *all, unsigned at, unsigned count)
{
    env->all = all;
    env->next_id = at + 1;
    env->next_id -= count; /* it steps before it is used */
    env->id_step = count;
}

/* Takes a slot; false if it is one too many. */
static bool take_slot(struct cla_call_env *env)
{
    unsigned others = env->in_flight++;

    if (env->all != NULL)
        others = atomic_fetch_add_explicit(env->all, 1, memory_order_relaxed);
    return others < env->max_in_flight;
}

static void free_slot(struct cla_call_env *env)
{
    env->in_flight--;
    if (env->all != NULL)
        atomic_fetch_sub_explicit(env->all, 1, memory_order_relaxed);
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

void cla_call_set_deadline(struct cla_call *call, bool has_timeout, uint64_t timeout_ms)
{
    const struct cla_call_env *env = call->request->env;
    uint64_t timeout = CLA_NEVER;

    if (has_timeout && timeout_ms < CLA_NEVER / CLA_NS_PER_MS)
        timeout = timeout_ms * CLA_NS_PER_MS;
    if (call->procedure->timeout_ns > 0)
        timeout = least(timeout, call->procedure->timeout_ns);
    call->idles = timeout == CLA_NEVER && call->procedure->stream;
    if (timeout == CLA_NEVER)
        timeout = env->call_timeout_ns;
    timeout = call->idles ? env->stream_idle_timeout_ns : least(timeout, env->max_call_timeout_ns);
    call->deadline_ns = cla_clock_add(call->received_ns, timeout);
}

/* --- What few calls need. --- */

static void on_own_room(struct cla_writer *writer)
{
    struct cla_call_extras *extras = CLA_CONTAINER(writer, struct cla_call_extras, own);

    extras->on_room(extras->call);
}

/* Those of the call, or NULL: out of memory. */
static struct cla_call_extras *extras_of(struct cla_call *call)
{
    struct cla_call_extras *extras = call->extras;

    if (extras != NULL)
        return extras;
    extras = call->extras = cla_mem_zalloc(sizeof *extras);
    if (extras == NULL)
        return NULL;
    extras->call = call;
    extras->own.on_room = on_own_room;
    cla_list_init(&extras->own.link);
    cla_list_init(&extras->senders);
    return extras;
}

void cla_call_free_extras(struct cla_call *call)
{
    if (call->extras == NULL)
        return;
    cla_mem_free(call->extras);
    call->extras = NULL;
}

int cla_call_set_tokens(struct cla_call *call, const struct cla_call_tokens *tokens)
{
    struct cla_call_extras *extras = extras_of(call);

    if (extras == NULL)
        return -CLA_ENOMEM;
    extras->tokens = *tokens;
    return 0;
}

/* --- The beginning. --- */

/* Ends a call that was never started. */
static void refuse(struct cla_call *call, enum cla_code code, const char *message)
{
    struct cla_rpc_error error = {.code = code, .message = cla_slice_str(message)};

    cla_call_fail(call, &error);
    cla_call_release(call);
}

static void refuse_unknown(struct cla_call *call)
{
    struct cla_buf message = {0};
    struct cla_rpc_error error = {.code = CLA_CODE_UNIMPLEMENTED};
    struct cla_slice name = call->procedure->name;

    if (name.n > 128)
        name.n = 128;
    if (cla_buf_add(&message, CLA_LIT("no such procedure: ")) == 0 &&
        cla_buf_add(&message, name) == 0)
        error.message = cla_buf_slice(&message);
    cla_call_fail(call, &error);
    cla_buf_fini(&message);
    cla_call_release(call);
}

/* Why a stream cannot be called like this; NULL: it can, or is none. */
static const char *stream_refused(const struct cla_call *call)
{
    return call->procedure->stream ? cla_call_part_refused(call, CLA_CALL_ITEM) : NULL;
}

void cla_call_start(struct cla_call *call)
{
    struct cla_call_env *env = call->request->env;
    struct cla_app *app = call->app;
    bool has_slot = take_slot(env);

    call->id = cla_call_env_new_id(env);
    call->state = CLA_CALL_OPEN;
    if (call->procedure->unknown)
        refuse_unknown(call);
    else if (env->draining)
        refuse(call, CLA_CODE_UNAVAILABLE, "the server is shutting down");
    else if (!has_slot)
        refuse(call, CLA_CODE_UNAVAILABLE, "overloaded: too many calls in flight (max_calls)");
    else if (call->deadline_ns <= cla_loop_now_ns(env->loop))
        refuse(call, CLA_CODE_DEADLINE_EXCEEDED, "the deadline had passed before the call began");
    else if (stream_refused(call) != NULL)
        refuse(call, CLA_CODE_FAILED_PRECONDITION, stream_refused(call));
    else if (app->ops->start(app, call) != 0)
        refuse(call, CLA_CODE_UNAVAILABLE, "overloaded: memory is short (vm_memory)");
}

const char *cla_call_part_refused(const struct cla_call *call, enum cla_call_part kind)
{
    return call->request->sink->part_refused(call, kind);
}

struct cla_writers *cla_call_part_writers(const struct cla_call *call)
{
    return call->state == CLA_CALL_OPEN ? call->request->sink->part_writers(call) : NULL;
}

void cla_call_params_taken(struct cla_call *call)
{
    if (call->request->socket != NULL)
        call->request->sink->params_taken(call);
}

/* --- Waiting for room. --- */

static bool must_wait(struct cla_call *call, struct cla_writers *writers)
{
    struct cla_call_extras *extras;

    if (call->extras == NULL && cla_writers_may_write(writers))
        return false;
    extras = extras_of(call);
    return extras != NULL && !cla_writers_take_turn(writers, &extras->own);
}

bool cla_call_wait_room(struct cla_call *call, void (*on_room)(struct cla_call *call))
{
    struct cla_writers *writers = call->request->writers;

    if (writers == NULL)
        return false;
    if (call->state == CLA_CALL_OPEN && must_wait(call, writers)) {
        call->extras->on_room = on_room;
        return true;
    }
    if (call->state != CLA_CALL_OPEN || !call->begun)
        cla_writers_pass(writers); /* it does not write now */
    return false;
}

void cla_call_leave_room(struct cla_call *call)
{
    if (call->extras != NULL)
        cla_list_remove(&call->extras->own.link);
}

static void leave_queue(const struct cla_call *call, struct cla_writer *writer)
{
    struct cla_writers *writers = call->request->sink->part_writers(call);

    cla_list_remove(&writer->link);
    if (writer->called && writers != NULL)
        cla_writers_pass(writers);
    writer->called = false;
}

bool cla_call_take_turn(struct cla_call *call, struct cla_writer *writer)
{
    struct cla_writers *writers = cla_call_part_writers(call);
    struct cla_call_extras *extras;

    if (writers == NULL || cla_writers_take_turn(writers, writer))
        return true;
    cla_list_remove(&writer->of_call);
    extras = extras_of(call);
    if (extras != NULL)
        cla_list_push(&extras->senders, &writer->of_call);
    else
        leave_queue(call, writer);
    return extras == NULL;
}

bool cla_call_has_senders(const struct cla_call *call)
{
    return call->extras != NULL && !cla_list_empty(&call->extras->senders);
}

void cla_call_leave_turn(struct cla_call *call, struct cla_writer *writer)
{
    cla_list_remove(&writer->of_call);
    leave_queue(call, writer);
}

/* The call is over, also for tasks that go on: while its queue is still known. */
static void release_senders(struct cla_call *call)
{
    while (cla_call_has_senders(call)) {
        struct cla_link *link = cla_list_pop(&call->extras->senders);
        struct cla_writer *writer = CLA_CONTAINER(link, struct cla_writer, of_call);

        leave_queue(call, writer);
        writer->on_room(writer);
    }
}

/* --- The end. --- */

/* The call has ended: counts and logs it. */
static void account(const struct cla_call *call, enum cla_code code,
                    const struct cla_reason *reason)
{
    if (call->request->env->counts != NULL)
        cla_counts_call(call->request->env->counts, call, code,
                        reason != NULL ? reason->kind : CLA_CANCEL_NONE);
    cla_access_call(call, code, reason);
}

static void set_over(struct cla_call *call, enum cla_call_state state)
{
    call->state = state;
    release_senders(call);
}

int cla_call_part(struct cla_call *call, enum cla_call_part kind, struct cla_slice value)
{
    return call->state == CLA_CALL_OPEN ? call->request->sink->part(call, kind, value)
                                        : -CLA_ECLOSED;
}

struct cla_buf *cla_call_result_begin(struct cla_call *call)
{
    return call->state == CLA_CALL_OPEN ? call->request->sink->result_begin(call) : NULL;
}

void cla_call_result_end(struct cla_call *call)
{
    struct cla_rpc_error no_memory = {.code = CLA_CODE_UNAVAILABLE,
                                      .message = CLA_LIT("out of memory")};

    if (call->request->sink->result_end(call) != 0) {
        cla_call_fail(call, &no_memory);
        return;
    }
    set_over(call, CLA_CALL_COMPLETED);
    account(call, CLA_CODE_OK, NULL);
    call->request->sink->completed(call);
}

static void end_in_error(struct cla_call *call, const struct cla_rpc_error *error)
{
    call->request->sink->result_rollback(call);
    call->request->sink->error(call, error);
}

bool cla_call_fail(struct cla_call *call, const struct cla_rpc_error *error)
{
    if (call->state != CLA_CALL_OPEN)
        return false;
    set_over(call, CLA_CALL_FAILED);
    end_in_error(call, error);
    account(call, error->code, NULL);
    return true;
}

bool cla_call_cancelled(struct cla_call *call, const struct cla_reason *reason)
{
    struct cla_rpc_error error = {.code = cla_cancel_kind_code(reason->kind)};

    if (call->state != CLA_CALL_OPEN)
        return false;
    set_over(call, CLA_CALL_CANCELLED);
    if (error.code == CLA_CODE_UNAVAILABLE)
        error.number = CLA_JSONRPC_SERVER_CANCELLED;
    /* What exceeded a limit, and where, is for the log. */
    if (reason->kind == CLA_CANCEL_USER ||
        (reason->kind == CLA_CANCEL_LIMIT && call->request->env->expose_errors))
        error.message = cla_reason_message(reason);
    end_in_error(call, &error);
    account(call, error.code, reason);
    return true;
}

void cla_call_cancel(struct cla_call *call, enum cla_cancel_kind kind, struct cla_slice message)
{
    struct cla_app *app = call->app;

    if (call->state == CLA_CALL_COMPLETED)
        app->late_resets++;
    if (call->state == CLA_CALL_COMPLETED || call->state == CLA_CALL_FAILED)
        return;
    /* The app decides the reason (a deadline that has passed comes first) and tells us back; of one
     * that is cancelled it counts this. */
    app->ops->cancel(app, call, kind, message);
}

void cla_call_release(struct cla_call *call)
{
    free_slot(call->request->env);
    cla_call_free_extras(call);
    call->request->sink->release(call);
}
