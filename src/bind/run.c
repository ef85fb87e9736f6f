/* Happy path: start puts a task on the ready list; enter decodes the params onto its stack; leave
 * encodes the result straight into the reply.
 * Failure modes: what the body raises becomes the reply: a typed error as it is, anything else
 * 'internal' with its text and traceback in the log only. A cancelled call is answered when it is
 * cancelled; what its body does after that no longer matters, but for the log.
 * On release: the slot is free when the body and every callback are over. */
#include "bind/run.h"

#include <lauxlib.h>

#include "base/prefetch.h"
#include "bind/background.h"
#include "bind/call.h"
#include "bind/call_stream.h"
#include "bind/client.h"
#include "bind/detach.h"
#include "bind/error.h"
#include "bind/json_codec.h"
#include "bind/params.h"
#include "bind/payload.h"
#include "bind/response.h"
#include "bind/run_view.h"
#include "bind/script_routes.h"
#include "bind/socket_jobs.h"
#include "bind/stats.h"
#include "task/await.h"
#include "task/watchdog.h"

static struct cla_script *script_of(struct cla_app *app)
{
    return CLA_CONTAINER(app, struct cla_script, app);
}

static struct cla_script *script_of_call(const struct cla_call *call)
{
    return script_of(call->app);
}

static const struct cla_script_procedure *procedure_of(const struct cla_call *call)
{
    return CLA_CONTAINER(call->procedure, const struct cla_script_procedure, base);
}

/* --- Entering. --- */

static void push_params(lua_State *L, const struct cla_call *call, struct cla_slice text,
                        unsigned max_depth)
{
    struct cla_json_decode_fault fault;
    const struct cla_json_decode_opts opts = {
        .max_depth = max_depth,
        .keep_nulls = procedure_of(call)->keep_nulls,
        .skip_meta = call->params_meta,
    };

    if (call->procedure->payload != CLA_PAYLOAD_JSON)
        cla_payload_push(L, call);
    else if (text.n == 0)
        lua_newtable(L);
    else if (cla_json_codec_push(L, text, &opts, &fault) != 0)
        luaL_error(L, "params: %s", fault.message); /* only memory: the text was checked */
}

static int l_raise(lua_State *L)
{
    lua_settop(L, 1);
    return lua_error(L);
}

/* For push_body(). */
static int push_body_and_params(lua_State *L, struct cla_call *call)
{
    const struct cla_script_procedure *procedure = procedure_of(call);
    struct cla_script *script = script_of_call(call);
    struct cla_slice params = call->params;
    unsigned max_depth = script->json_depth;

    if (procedure->params != NULL) {
        max_depth = CLA_JSON_DEPTH_MAX; /* checked, but for defaults, which are the script's */
        lua_pushcfunction(L, l_raise);
        if (!cla_params_check(L, script, call, &params))
            return 1;
        lua_pop(L, 1);
    }
    if (procedure->is_route) {
        cla_response_push_body(L, call, procedure->fn);
        return 2;
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, procedure->fn);
    push_params(L, call, params, max_depth);
    if (!procedure->wants_call)
        return 1;
    cla_call_push(L, call);
    return 2;
}

/* Pushes what is to be called and its arguments; returns how many these are. Params that are not
 * as declared make that a function that raises what is wrong. */
static int push_body(lua_State *L, struct cla_call *call)
{
    int arguments = push_body_and_params(L, call);

    cla_call_params_taken(call);
    return arguments;
}

static int after_body(lua_State *L, int status, lua_KContext context)
{
    (void)status, (void)context;
    return lua_gettop(L);
}

static int call_body(lua_State *L, struct cla_call *call)
{
    int arguments;

    lua_settop(L, 0);
    arguments = push_body(L, call);
    lua_callk(L, arguments, 1, 0, after_body);
    return after_body(L, LUA_OK, 0);
}

/* The body of a call whose params may be refused: by an error as the body's own. */
static int run_body(lua_State *L)
{
    return call_body(L, lua_touserdata(L, 1));
}

/* authorize returned: nil and false refuse; true admits; any other value is the identity. */
static int after_authorize(lua_State *L, int status, lua_KContext context)
{
    struct cla_call *call = (struct cla_call *)context;

    (void)status;
    if (!lua_toboolean(L, -1))
        return cla_error_raise(L, CLA_CODE_UNAUTHENTICATED, NULL);
    (void)cla_await_check(L); /* the body of a cancelled call does not begin */
    if (!lua_isboolean(L, -1))
        cla_call_set_identity(L, call);
    return call_body(L, call);
}

/* authorize raised: a typed error and a Cancel go on; anything else must not look like a yes. */
static int run_authorized(lua_State *L)
{
    struct cla_call *call = lua_touserdata(L, 1);

    lua_settop(L, 0);
    lua_rawgeti(L, LUA_REGISTRYINDEX, script_of_call(call)->authorize);
    cla_call_push(L, call);
    lua_callk(L, 1, 1, (lua_KContext)call, after_authorize);
    return after_authorize(L, LUA_OK, (lua_KContext)call);
}

static int enter(struct cla_task *task, lua_State *L)
{
    struct cla_call *call = task->owner;
    bool authorize = script_of_call(call)->authorize != LUA_NOREF;

    call->begun = true;
    luaL_checkstack(L, 8, NULL);
    if (!authorize && call->procedure->payload == CLA_PAYLOAD_JSON)
        return push_body(L, call);
    lua_pushcfunction(L, authorize ? run_authorized : run_body);
    lua_pushlightuserdata(L, call);
    return 1;
}

/* --- Leaving. --- */

static void log_error(const struct cla_call *call, const char *what, const char *text)
{
    cla_log_line(call->request->env->log, CLA_LOG_ERROR, "%s call=%llu procedure=%.*s: %s", what,
                 (unsigned long long)call->id, (int)call->procedure->name.n,
                 call->procedure->name.p, text);
}

static void fail_internal(struct cla_call *call, enum cla_code code, const char *text)
{
    struct cla_rpc_error error = {.code = code};

    if (call->request->env->expose_errors)
        error.message = cla_slice_str(text);
    cla_call_fail(call, &error);
}

static int write_document(const struct cla_script *script, struct cla_buf *buf,
                          struct cla_json_encode_fault *fault)
{
    *fault = (struct cla_json_encode_fault){"out of memory"};
    return cla_buf_add(buf, cla_buf_slice(&script->document));
}

static int write_value(const struct cla_call *call, lua_State *L, int index,
                       const struct cla_json_encode_opts *opts, struct cla_buf *buf,
                       struct cla_json_encode_fault *fault)
{
    if (call->procedure->payload != CLA_PAYLOAD_JSON)
        return cla_payload_write(L, index, call, opts->root, buf, fault);
    return cla_json_codec_write(L, index, buf, opts, fault);
}

int cla_run_write_value(const struct cla_call *call, lua_State *L, int index, const char *root,
                        struct cla_buf *buf, struct cla_json_encode_fault *fault)
{
    const struct cla_json_encode_opts opts = {.max_depth = script_of_call(call)->json_depth,
                                              .root = root};

    return write_value(call, L, index, &opts, buf, fault);
}

static int write_result(struct cla_call *call, lua_State *L, int index, struct cla_buf *buf,
                        struct cla_json_encode_fault *fault)
{
    const struct cla_json_encode_opts opts = {
        .max_depth = script_of_call(call)->json_depth,
        .top_array = procedure_of(call)->array_result,
        .root = "result",
    };

    if (call->request->plain != NULL)
        return cla_response_write(L, index, call, buf, fault);
    return write_value(call, L, index, &opts, buf, fault);
}

static void send_result(struct cla_call *call, lua_State *L, int index)
{
    struct cla_buf *buf = cla_call_result_begin(call);
    struct cla_json_encode_fault fault;
    int rc = 0;

    if (buf != NULL && procedure_of(call)->discovers)
        rc = write_document(script_of_call(call), buf, &fault);
    else if (buf != NULL)
        rc = write_result(call, L, index, buf, &fault);
    if (rc == 0) {
        cla_call_result_end(call);
        return;
    }
    log_error(call, "cannot encode the result:", fault.message);
    fail_internal(call, CLA_CODE_INTERNAL, fault.message);
}

/* The typed error on top of the stack becomes the reply. */
static void fail_typed(struct cla_call *call, lua_State *L)
{
    struct cla_script *script = script_of_call(call);
    struct cla_rpc_error error;
    struct cla_json_encode_fault fault;

    script->scratch.n = 0;
    if (cla_error_read(L, -1, &error, &script->scratch, script->json_depth, &fault) != 0)
        log_error(call, "cannot encode the data of an error:", fault.message);
    cla_call_fail(call, &error);
}

static bool has_tostring(lua_State *L)
{
    if (luaL_getmetafield(L, -1, "__tostring") == LUA_TNIL)
        return false;
    lua_pop(L, 1);
    return true;
}

static int l_tostring(lua_State *L)
{
    luaL_tolstring(L, 1, NULL);
    return 1;
}

/* Pushes what people may read of an error: of a plain table, its members. */
static const char *describe(struct cla_script *script, lua_State *L)
{
    const struct cla_json_encode_opts opts = {.max_depth = script->json_depth, .root = "error"};
    struct cla_json_encode_fault fault;

    script->scratch.n = 0;
    if (lua_type(L, -1) == LUA_TTABLE && !has_tostring(L) &&
        cla_json_codec_write(L, -1, &script->scratch, &opts, &fault) == 0)
        return lua_pushlstring(L, script->scratch.p, script->scratch.n);
    lua_pushcfunction(L, l_tostring);
    lua_pushvalue(L, -2);
    if (lua_pcall(L, 1, 1, 0) != LUA_OK)
        return "an error object whose __tostring raises";
    return lua_tostring(L, -1);
}

static void fail_untyped(struct cla_call *call, lua_State *L, int status)
{
    const char *text = describe(script_of_call(call), L);

    if (status == LUA_ERRMEM) {
        log_error(call, "out of memory (vm_memory):", text);
        fail_internal(call, CLA_CODE_RESOURCE_EXHAUSTED, text);
    } else {
        log_error(call, "error in", text);
        fail_internal(call, CLA_CODE_INTERNAL, text);
    }
}

/* The call was cancelled and answered; the body ended since. */
static void leave_settled(struct cla_task *task, struct cla_call *call, lua_State *L, int status)
{
    if (call->state != CLA_CALL_CANCELLED)
        return;
    if (status == LUA_OK) {
        task->sched->counters.ignored_cancels++;
    } else if (cla_scope_at(L, -1) == NULL && !cla_error_is(L, -1)) {
        task->sched->counters.cleanup_errors++;
        log_error(call, "error while cleaning up", describe(script_of_call(call), L));
    }
}

static void leave(struct cla_task *task, lua_State *L, int status, int first)
{
    struct cla_call *call = task->owner;

    if (call->state != CLA_CALL_OPEN) {
        leave_settled(task, call, L, status);
    } else if (status == LUA_OK) {
        lua_settop(L, first);
        send_result(call, L, first);
    } else if (cla_scope_at(L, -1) == &task->root) {
        cla_call_cancelled(call, &task->root.reason); /* manual, and it has decided */
    } else if (cla_error_is(L, -1)) {
        fail_typed(call, L);
    } else {
        fail_untyped(call, L, status);
    }
}

static void on_cancel(struct cla_task *task, const struct cla_reason *reason)
{
    cla_call_cancelled(task->owner, reason);
}

static void on_end(struct cla_task *task, enum cla_task_end end)
{
    struct cla_call *call = task->owner;
    const char *text;

    if (end == CLA_TASK_BROKE) {
        text = lua_tostring(task->L, -1);
        log_error(call, "cannot run", text != NULL ? text : "?");
        fail_internal(call, CLA_CODE_RESOURCE_EXHAUSTED, text != NULL ? text : "?");
    } else if (end == CLA_TASK_ABANDONED) {
        log_error(call, "abandoned: its clean-up outlived its grace", cla_task_push_stack(task));
        lua_pop(task->sched->L, 1);
        fail_internal(call, CLA_CODE_UNAVAILABLE, "abandoned");
    }
}

static void count_latency(struct cla_task *task)
{
    struct cla_sched *sched = task->sched;

    cla_histogram_add(&sched->counters.cancel_latency,
                      cla_sched_now_ns(sched) - task->root.reason.at_ns);
}

static void on_release(struct cla_task *task)
{
    struct cla_call *call = task->owner;

    if (call->state == CLA_CALL_CANCELLED)
        count_latency(task);
    call->task = NULL;
    cla_call_detach(task->sched->L, call);
    cla_call_release(call);
}

static void on_room(struct cla_call *call)
{
    cla_task_wake(call->task);
}

static enum cla_wait_cancel cancel_hold(struct cla_task *task)
{
    cla_call_leave_room(task->owner);
    return CLA_WAIT_CANCELLED;
}

/* The client has not read what went before: the call waits to begin, or its result, unencoded, to
 * be written. */
static cla_wait_cancel_fn *hold(struct cla_task *task)
{
    struct cla_call *call = task->owner;
    bool waits = cla_call_wait_room(call, on_room);

    cla_call_stream_waits(call, waits);
    return waits ? cancel_hold : NULL;
}

static struct cla_slice identify(const struct cla_task *task, uint64_t *id)
{
    const struct cla_call *call = task->owner;

    *id = call->id;
    return call->procedure->name;
}

static const struct cla_task_ops task_ops = {
    .identify = identify,
    .enter = enter,
    .hold = hold,
    .leave = leave,
    .on_cancel = on_cancel,
    .on_end = on_end,
    .on_release = on_release,
};

/* --- The app's functions. --- */

static const struct cla_procedure *find(struct cla_app *app, struct cla_slice name)
{
    return cla_script_find(script_of(app), name);
}

static const struct cla_procedure *find_route(struct cla_app *app, enum cla_http_method method,
                                              struct cla_slice path, unsigned *methods)
{
    return cla_script_find_route(script_of(app), method, path, methods);
}

static int start(struct cla_app *app, struct cla_call *call)
{
    struct cla_script *script = script_of(app);
    struct cla_task *task;

    if (script->vm->tight)
        cla_vm_relieve(script->vm); /* what filled it may be over by now */
    if (script->vm->tight)
        return -CLA_ELIMIT;
    task = cla_task_get(&script->vm->sched);
    if (task == NULL)
        return -CLA_ENOMEM;
    call->task = task;
    cla_task_start(task, &task_ops, call, NULL, NULL, call->deadline_ns);
    task->preemptible = procedure_of(call)->preemptible;
    task->manual = procedure_of(call)->manual;
    return 0;
}

static void expect_cancel(struct cla_app *app, const struct cla_call *call)
{
    (void)app;
    if (call->task != NULL)
        cla_prefetch(call->task, sizeof(struct cla_task));
}

static void cancel(struct cla_app *app, struct cla_call *call, enum cla_cancel_kind kind,
                   struct cla_slice message)
{
    struct cla_task *task = call->task;

    (void)app;
    if (task != NULL)
        cla_scope_cancel(&task->root, kind, message);
}

static void end_grace(struct cla_app *app, struct cla_call *call)
{
    struct cla_task *task = call->task;

    (void)app;
    if (task != NULL && task->root.due && !task->root.grace_over)
        cla_scope_expire(&task->root);
}

static uint64_t memory(struct cla_app *app)
{
    return cla_vm_memory(script_of(app)->vm);
}

static void enter_thread(struct cla_app *app, struct cla_loop *loop, struct cla_log *log)
{
    struct cla_script *script = script_of(app);

    script->log = script->vm->sched.log = log;
    script->vm->sched.loop = loop;
    if (script->watchdog != NULL)
        cla_watchdog_watch(script->watchdog, &script->vm->sched);
}

static void leave_thread(struct cla_app *app)
{
    struct cla_script *script = script_of(app);

    cla_client_let_go(script);
    cla_watchdog_forget(&script->vm->sched);
    script->last_log = *script->log; /* finalizers run on another thread */
    script->last_log.pending = NULL;
    script->log = script->vm->sched.log = &script->last_log;
}

static void free_app(struct cla_app *app)
{
    cla_script_free(script_of(app));
}

static enum cla_app_left run(struct cla_app *app)
{
    switch (cla_sched_run(&script_of(app)->vm->sched)) {
    case CLA_SCHED_NOTHING:
        return CLA_APP_NOTHING;
    case CLA_SCHED_READY:
        return CLA_APP_MORE;
    case CLA_SCHED_SLICED:
        return CLA_APP_SLICED;
    }
    return CLA_APP_NOTHING;
}

static bool ready(struct cla_app *app)
{
    return cla_sched_ready(&script_of(app)->vm->sched);
}

static void tidy(struct cla_app *app)
{
    cla_vm_relieve(script_of(app)->vm);
}

static void set_grace(struct cla_app *app, uint64_t grace_ns)
{
    script_of(app)->vm->sched.grace_ns = grace_ns;
}

static unsigned abandon(struct cla_app *app)
{
    return cla_sched_abandon(&script_of(app)->vm->sched);
}

static bool trim(struct cla_app *app)
{
    return cla_vm_trim(script_of(app)->vm);
}

static void stop_jobs(struct cla_app *app, enum cla_cancel_kind kind)
{
    cla_socket_jobs_stop_all(app, kind);
    cla_detach_stop_all(script_of(app), kind);
}

const struct cla_app_ops cla_run_app_ops = {
    .enter = enter_thread,
    .leave = leave_thread,
    .free = free_app,
    .find = find,
    .find_route = find_route,
    .start = start,
    .expect_cancel = expect_cancel,
    .cancel = cancel,
    .end_grace = end_grace,
    .view = cla_run_view,
    .memory = memory,
    .counts = cla_stats_count,
    .find_socket = cla_socket_jobs_find,
    .connect = cla_socket_jobs_connect,
    .open = cla_socket_jobs_open,
    .readable = cla_socket_jobs_readable,
    .idle = cla_socket_jobs_idle,
    .stop = cla_socket_jobs_stop,
    .over = cla_socket_jobs_over,
    .disconnected = cla_socket_jobs_disconnected,
    .stop_jobs = stop_jobs,
    .begin = cla_background_begin,
    .retire = cla_background_retire,
    .unload = cla_background_unload,
    .run = run,
    .ready = ready,
    .tidy = tidy,
    .set_grace = set_grace,
    .abandon = abandon,
    .trim = trim,
};
