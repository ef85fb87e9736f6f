/* Happy path: on_connect admits; the handler runs in one task until it returns, or each event of
 * it in one task after the other; on_disconnect runs when the socket is over.
 * Failure modes: on_connect refuses, or its time is over; a handler raises: the socket is closed
 * with 1011; the client leaves: the handler is cancelled, unless messages are left for it to read.
 * On release: the socket may be freed, and the worker may end. */
#include "bind/socket_jobs.h"

#include <lauxlib.h>

#include "base/mem.h"
#include "bind/client.h"
#include "bind/client_ops.h"
#include "bind/error.h"
#include "bind/headers.h"
#include "bind/reason.h"
#include "bind/script_sockets.h"
#include "gateway/socket_in.h"
#include "gateway/worker.h"
#include "task/task.h"

/* How far the events of a socket are (socket->stage). */
enum { STAGE_NEW, STAGE_OPEN, STAGE_CLOSED };

static struct cla_script *script_of(struct cla_app *app)
{
    return CLA_CONTAINER(app, struct cla_script, app);
}

/* Of whatever generation the job is. */
static struct cla_script *script_of_task(const struct cla_task *task)
{
    return task->sched->owner;
}

static const struct cla_script_socket *handler_of(const struct cla_socket *socket)
{
    return CLA_CONTAINER(socket->route, const struct cla_script_socket, base);
}

/* --- What all jobs share. --- */

static const struct cla_task_ops connect_ops, handler_ops, event_ops, disconnect_ops;

/* Starts a task for the socket that may take timeout_ns. NULL: out of memory. */
static struct cla_task *start(struct cla_script *script, struct cla_socket *socket,
                              const struct cla_task_ops *ops, uint64_t timeout_ns)
{
    struct cla_sched *sched = &script->vm->sched;
    struct cla_task *task = cla_task_get(sched);

    if (task == NULL)
        return NULL;
    cla_socket_job_begins(socket, &script->app);
    cla_task_start(task, ops, socket, NULL, NULL,
                   cla_clock_add(cla_sched_now_ns(sched), timeout_ns));
    return task;
}

/* Once the drain's time is over nobody waits for more than the grace. */
static uint64_t timeout_ns(const struct cla_socket *socket)
{
    const struct cla_worker *worker = socket->worker;

    return worker->forced ? worker->shutdown_grace_ns : worker->env.call_timeout_ns;
}

static void log_error(const struct cla_task *task, const char *what, const char *text)
{
    const struct cla_socket *socket = task->owner;

    cla_log_line(task->sched->log, CLA_LOG_ERROR, "error in %s client=%llu path=%.*s: %s", what,
                 (unsigned long long)socket->id, (int)socket->path.n, socket->path.p, text);
}

static const char *what_of(const struct cla_task *task)
{
    if (task->ops == &connect_ops)
        return "on_connect";
    return task->ops == &disconnect_ops ? "on_disconnect" : "a socket handler";
}

/* Logs the error on top of the stack, unless it is a Cancel or a typed error, which is meant for
 * the client. */
static void log_outcome(struct cla_task *task, lua_State *L, int status)
{
    if (status != LUA_OK && cla_scope_at(L, -1) == NULL &&
        (!cla_error_is(L, -1) || task->ops == &disconnect_ops))
        log_error(task, what_of(task), luaL_tolstring(L, -1, NULL));
}

static void on_end(struct cla_task *task, enum cla_task_end end)
{
    struct cla_socket *socket = task->owner;
    const char *text;

    if (end == CLA_TASK_BROKE) {
        text = lua_tostring(task->L, -1);
        log_error(task, what_of(task), text != NULL ? text : "?");
        cla_socket_close(socket, CLA_WS_INTERNAL, CLA_LIT("internal error"), CLA_CANCEL_LIMIT);
    } else if (end == CLA_TASK_ABANDONED) {
        cla_log_line(task->sched->log, CLA_LOG_ERROR,
                     "abandoned: %s outlived its grace, client=%llu: %s", what_of(task),
                     (unsigned long long)socket->id, cla_task_push_stack(task));
        lua_pop(task->sched->L, 1);
    }
}

static void job_over(struct cla_task *task)
{
    cla_socket_job_over(task->owner, &script_of_task(task)->app);
}

static int function_on(lua_State *L, int ref, struct cla_socket *socket)
{
    luaL_checkstack(L, 8, NULL);
    lua_rawgeti(L, LUA_REGISTRYINDEX, ref);
    cla_client_push(L, socket);
    return 1;
}

/* --- on_connect. --- */

static void set_slice(lua_State *L, const char *name, struct cla_slice value)
{
    lua_pushlstring(L, value.p, value.n);
    lua_setfield(L, -2, name);
}

static void push_request(lua_State *L, const struct cla_socket *socket)
{
    const struct cla_exchange_http *http = cla_exchange_http(socket->upgrade);

    lua_createtable(L, 0, 6);
    set_slice(L, "method", CLA_LIT("GET"));
    set_slice(L, "path", http->route.path);
    set_slice(L, "peer", socket->request.peer);
    cla_headers_push_query(L, http->route.query);
    lua_setfield(L, -2, "query");
    cla_headers_push(L, cla_buf_slice(&http->head));
    lua_setfield(L, -2, "headers");
    cla_headers_push_certificate(L, socket->request.certificate);
    lua_setfield(L, -2, "certificate");
}

static int connect_enter(struct cla_task *task, lua_State *L)
{
    struct cla_socket *socket = task->owner;

    (void)function_on(L, script_of_task(task)->on_connect, socket);
    push_request(L, socket);
    return 2;
}

/* A typed error says how to refuse; any other is a plain no, and logged, for it may be a mistake.
 */
static void refuse(const struct cla_task *task, lua_State *L)
{
    struct cla_script *script = script_of_task(task);
    struct cla_json_encode_fault fault;
    struct cla_rpc_error error;
    const char *why = "refused";
    int status = 403;

    if (cla_error_is(L, -1)) {
        script->scratch.n = 0;
        (void)cla_error_read(L, -1, &error, &script->scratch, script->json_depth, &fault);
        status = cla_code_info(error.code)->http;
        why = lua_pushlstring(L, cla_rpc_error_message(&error).p, cla_rpc_error_message(&error).n);
    }
    cla_socket_refuse(task->owner, status, why);
}

static void connect_leave(struct cla_task *task, lua_State *L, int status, int first)
{
    struct cla_socket *socket = task->owner;

    log_outcome(task, L, status);
    socket->task = NULL;
    if (status != LUA_OK)
        refuse(task, L);
    else if (lua_gettop(L) >= first && lua_isboolean(L, first) && !lua_toboolean(L, first))
        cla_socket_refuse(socket, 403, "refused");
    else
        cla_socket_admit(socket);
}

/* Its time is over, or the server shuts down: the client is told now, not after clean-up. */
static void connect_cancelled(struct cla_task *task, const struct cla_reason *reason)
{
    cla_socket_refuse(task->owner, 503,
                      reason->kind == CLA_CANCEL_TIMEOUT
                          ? "on_connect took too long (handshake_timeout)"
                          : "the server is shutting down");
}

static void job_release(struct cla_task *task)
{
    struct cla_socket *socket = task->owner;

    if (socket->task == task)
        socket->task = NULL;
    cla_socket_refuse(socket, 503, "unavailable"); /* if it could not even begin */
    job_over(task);
}

static const struct cla_task_ops connect_ops = {
    .enter = connect_enter,
    .leave = connect_leave,
    .on_cancel = connect_cancelled,
    .on_end = on_end,
    .on_release = job_release,
};

int cla_socket_jobs_connect(struct cla_app *app, struct cla_socket *socket)
{
    struct cla_script *script = script_of(app);

    if (script->on_connect == LUA_NOREF)
        return 0;
    if (script->vm->tight)
        return -CLA_ENOMEM;
    socket->task = start(script, socket, &connect_ops, socket->worker->env.handshake_timeout_ns);
    return socket->task != NULL ? 1 : -CLA_ENOMEM;
}

/* --- on_disconnect. --- */

static int disconnect_enter(struct cla_task *task, lua_State *L)
{
    struct cla_socket *socket = task->owner;

    (void)function_on(L, script_of_task(task)->on_disconnect, socket);
    cla_reason_push(L, &socket->cause);
    lua_pushinteger(L, (lua_Integer)socket->code);
    lua_setfield(L, -2, "code");
    return 2;
}

static void disconnect_leave(struct cla_task *task, lua_State *L, int status, int first)
{
    (void)first;
    log_outcome(task, L, status);
}

static const struct cla_task_ops disconnect_ops = {
    .enter = disconnect_enter,
    .leave = disconnect_leave,
    .on_end = on_end,
    .on_release = job_over,
};

/* --- Handlers. --- */

/* The handler has returned or failed: its socket is closed. */
static void close_after(struct cla_task *task, lua_State *L, int status)
{
    struct cla_socket *socket = task->owner;
    struct cla_script *script = script_of_task(task);
    struct cla_json_encode_fault fault;
    struct cla_rpc_error error = {.code = CLA_CODE_INTERNAL};

    log_outcome(task, L, status);
    socket->task = NULL;
    if (status == LUA_OK) {
        cla_socket_close(socket, CLA_WS_NORMAL, cla_slice("", 0), CLA_CANCEL_USER);
        return;
    }
    script->scratch.n = 0;
    if (cla_error_is(L, -1))
        (void)cla_error_read(L, -1, &error, &script->scratch, script->json_depth, &fault);
    cla_socket_close(socket, CLA_WS_INTERNAL, cla_rpc_error_message(&error), CLA_CANCEL_USER);
}

static int handler_enter(struct cla_task *task, lua_State *L)
{
    struct cla_socket *socket = task->owner;

    return function_on(L, handler_of(socket)->run, socket);
}

static void handler_leave(struct cla_task *task, lua_State *L, int status, int first)
{
    (void)first;
    close_after(task, L, status);
}

static void handler_release(struct cla_task *task)
{
    struct cla_socket *socket = task->owner;

    socket->task = NULL;
    cla_socket_close(socket, CLA_WS_INTERNAL, CLA_LIT("internal error"), CLA_CANCEL_USER);
    cla_socket_in_clear(socket);
    job_over(task);
}

static const struct cla_task_ops handler_ops = {
    .enter = handler_enter,
    .leave = handler_leave,
    .on_end = on_end,
    .on_release = handler_release,
};

/* --- Events: {on_open, on_message, on_close}. --- */

/* The function that the socket's next event is for, or LUA_NOREF: there is none to call now. */
static int next_event(struct cla_socket *socket)
{
    const struct cla_script_socket *handler = handler_of(socket);

    if (socket->stage == STAGE_NEW)
        return handler->on_open != LUA_NOREF ? handler->on_open : handler->on_message;
    if (cla_socket_in_any(socket))
        return handler->on_message;
    if (socket->state == CLA_SOCKET_OVER && socket->stage != STAGE_CLOSED)
        return handler->on_close;
    return LUA_NOREF;
}

static int push_event(lua_State *L, struct cla_socket *socket)
{
    const struct cla_script_socket *handler = handler_of(socket);

    if (socket->stage == STAGE_NEW) {
        socket->stage = STAGE_OPEN;
        return function_on(L, handler->on_open, socket);
    }
    if (cla_socket_in_any(socket)) {
        (void)function_on(L, handler->on_message, socket);
        cla_client_ops_push_message(L, socket);
        return 3;
    }
    socket->stage = STAGE_CLOSED;
    (void)function_on(L, handler->on_close, socket);
    lua_pushinteger(L, (lua_Integer)socket->code);
    cla_reason_push(L, &socket->cause);
    return 3;
}

static int event_enter(struct cla_task *task, lua_State *L)
{
    return push_event(L, task->owner);
}

static void event_leave(struct cla_task *task, lua_State *L, int status, int first)
{
    (void)first;
    if (status != LUA_OK)
        close_after(task, L, status);
}

static void run_events(struct cla_script *script, struct cla_socket *socket);

/* What is given up is not tried again: not this event, and none behind it. */
static void event_end(struct cla_task *task, enum cla_task_end end)
{
    struct cla_socket *socket = task->owner;

    on_end(task, end);
    if (end == CLA_TASK_ABANDONED) {
        cla_socket_in_clear(socket);
        socket->stage = STAGE_CLOSED;
    }
}

static void event_release(struct cla_task *task)
{
    struct cla_socket *socket = task->owner;

    if (socket->task == task) /* else it failed, which has begun on_close */
        socket->task = NULL;
    run_events(script_of_task(task), socket);
    job_over(task);
}

static const struct cla_task_ops event_ops = {
    .enter = event_enter,
    .leave = event_leave,
    .on_end = event_end,
    .on_release = event_release,
};

/* Starts the next event's task, unless one runs: in 'script', or in the current generation if the
 * socket can move on to that. */
static void run_events(struct cla_script *script, struct cla_socket *socket)
{
    cla_socket_renew(socket);
    if (socket->app != NULL)
        script = script_of(socket->app);
    if (socket->stage == STAGE_NEW && handler_of(socket)->on_open == LUA_NOREF)
        socket->stage = STAGE_OPEN;
    if (socket->task == NULL && socket->stage != STAGE_NEW)
        cla_socket_all_read(socket);
    if (socket->task != NULL || next_event(socket) == LUA_NOREF)
        return;
    socket->task = start(script, socket, &event_ops, socket->worker->env.call_timeout_ns);
    if (socket->task == NULL)
        cla_socket_close(socket, CLA_WS_TRY_LATER, CLA_LIT("memory is short (vm_memory)"),
                         CLA_CANCEL_LIMIT);
}

/* --- The app's functions. --- */

const struct cla_socket_route *cla_socket_jobs_find(struct cla_app *app, struct cla_slice path)
{
    const struct cla_script_socket *handler =
        cla_script_find_socket(CLA_CONTAINER(app, struct cla_script, app), path);

    return handler != NULL ? &handler->base : NULL;
}

int cla_socket_jobs_open(struct cla_app *app, struct cla_socket *socket)
{
    if (!socket->streams) {
        run_events(script_of(app), socket);
        return 0;
    }
    if (script_of(app)->vm->tight)
        return -CLA_ENOMEM;
    socket->task = start(script_of(app), socket, &handler_ops, CLA_NEVER);
    return socket->task != NULL ? 0 : -CLA_ENOMEM;
}

void cla_socket_jobs_readable(struct cla_app *app, struct cla_socket *socket)
{
    if (socket->streams)
        cla_client_ops_wake_reader(socket);
    else
        run_events(script_of(app), socket);
}

bool cla_socket_jobs_idle(struct cla_app *app, struct cla_socket *socket)
{
    (void)app;
    return !cla_socket_in_any(socket) &&
           (socket->streams ? cla_client_ops_reading(socket) : socket->task == NULL);
}

void cla_socket_jobs_stop(struct cla_app *app, struct cla_socket *socket, enum cla_cancel_kind kind,
                          struct cla_slice message)
{
    struct cla_task *task = socket->task;

    (void)app;
    if (task != NULL)
        cla_scope_cancel(&task->root, kind, message);
}

void cla_socket_jobs_over(struct cla_app *app, struct cla_socket *socket)
{
    bool read_on = socket->clean && (cla_socket_in_any(socket) || cla_client_ops_reading(socket));

    if (!read_on)
        cla_socket_jobs_stop(NULL, socket, socket->cause.kind, cla_reason_message(&socket->cause));
    if (socket->streams)
        cla_client_ops_wake_reader(socket); /* it need not be the handler */
    else
        run_events(script_of(app), socket);
}

void cla_socket_jobs_disconnected(struct cla_app *app, struct cla_socket *socket)
{
    struct cla_script *script = script_of(app);

    if (script->on_disconnect != LUA_NOREF &&
        start(script, socket, &disconnect_ops, timeout_ns(socket)) == NULL)
        cla_log_line(script->log, CLA_LOG_ERROR, "no memory to run on_disconnect");
}

void cla_socket_jobs_stop_all(struct cla_app *app, enum cla_cancel_kind kind)
{
    struct cla_script *script = CLA_CONTAINER(app, struct cla_script, app);

    CLA_LIST_EACH (link, &script->vm->sched.tasks) {
        struct cla_task *task = CLA_CONTAINER(link, struct cla_task, all);

        if (task->ops == &connect_ops || task->ops == &handler_ops || task->ops == &event_ops ||
            task->ops == &disconnect_ops)
            cla_scope_cancel(&task->root, kind, cla_slice(NULL, 0));
    }
}
