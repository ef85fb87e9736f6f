/* A call in memory goes the way of any call: its params are JSON text, it has an id, a deadline and
 * a task, and its reply is JSON text; only the connection is missing. The spec's task waits until
 * the call is over, clean-up included. */
#include "bind/testing.h"

#include <lauxlib.h>

#include "base/error.h"
#include "bind/json_codec.h"
#include "bind/testing_probe.h"
#include "bind/testing_run.h"
#include "http/path.h"
#include "rpc/connect.h"
#include "task/await.h"

#define APP "cancela.testing.App"

/* Its calls are answered to the test. */
static const struct cla_rpc_protocol protocol = {.name = "testing"};
static const struct cla_rpc_protocol http_protocol = {.name = "http"};

/* --- Apps under test. --- */

struct app {
    struct cla_script *script; /* owned */
    struct cla_call_env env;
    struct cla_buf log_buf; /* stays empty: calls under test are not logged */
    struct cla_task *idler; /* waits in unload(); NULL: nobody does */
};

/* One call under way, on the C stack frame's userdata of the waiting task. */
struct test_call {
    struct cla_call call;
    struct cla_request request;
    struct cla_task *waiting;
    struct cla_timer cancel_timer;
    struct cla_buf reply; /* the result, or the error's data */
    struct cla_buf message;
    struct cla_buf parts[2]; /* items and progress: the size of each, then its bytes */
    struct cla_writers writers;
    struct cla_plain plain; /* of a request */
    struct cla_procedure unknown;
    struct cla_rpc_error error;
    bool failed;
    bool settled; /* the client has its one reply */
    bool released;
};

static struct test_call *test_call_of(struct cla_call *call)
{
    return CLA_CONTAINER(call, struct test_call, call);
}

static struct cla_buf *result_begin(struct cla_call *call)
{
    call->result_begun = true;
    return cla_call_is_notification(call) ? NULL : &test_call_of(call)->reply;
}

static int result_end(struct cla_call *call)
{
    (void)call;
    return 0;
}

static void settle(struct test_call *t)
{
    CLA_PRE(!t->settled);
    t->settled = true;
}

static void completed(struct cla_call *call)
{
    settle(test_call_of(call));
}

static void result_rollback(struct cla_call *call)
{
    struct test_call *t = test_call_of(call);

    if (!t->plain.begun)
        t->reply.n = 0;
}

static void on_error(struct cla_call *call, const struct cla_rpc_error *error)
{
    struct test_call *t = test_call_of(call);

    settle(t);
    t->failed = true;
    t->error = *error;
    if (t->request.plain != NULL) {
        if (!t->plain.begun)
            (void)cla_connect_error(&t->reply, cla_call_client_id(call), error);
        return;
    }
    (void)cla_buf_add(&t->message, cla_rpc_error_message(error));
    (void)cla_buf_add(&t->reply, error->data);
}

static void on_release(struct cla_call *call)
{
    struct test_call *t = test_call_of(call);

    t->released = true;
    cla_timer_stop(&call->request->env->loop->timers, &t->cancel_timer);
    if (t->waiting != NULL)
        cla_task_wake(t->waiting);
}

static const char *part_refused(const struct cla_call *call, enum cla_call_part kind)
{
    (void)kind;
    return cla_call_is_notification(call) ? "a notification has no reply to stream" : NULL;
}

static bool always_room(const struct cla_writers *writers)
{
    (void)writers;
    return true;
}

static struct cla_writers *part_writers(const struct cla_call *call)
{
    return &CLA_CONTAINER(call, struct test_call, call)->writers;
}

static int part(struct cla_call *call, enum cla_call_part kind, struct cla_slice value)
{
    struct cla_buf *parts = &test_call_of(call)->parts[kind];

    if (call->request->plain != NULL)
        return cla_buf_add(&test_call_of(call)->reply, value);
    if (cla_buf_reserve(parts, sizeof value.n + value.n) != 0)
        return -CLA_ENOMEM;
    (void)cla_buf_append(parts, (const char *)&value.n, sizeof value.n);
    return cla_buf_add(parts, value);
}

static const struct cla_call_sink sink = {
    .result_begin = result_begin,
    .result_end = result_end,
    .completed = completed,
    .result_rollback = result_rollback,
    .error = on_error,
    .release = on_release,
    .part_refused = part_refused,
    .part_writers = part_writers,
    .part = part,
};

static int l_call_gc(lua_State *L)
{
    struct test_call *t = lua_touserdata(L, 1);

    cla_buf_fini(&t->reply);
    cla_buf_fini(&t->message);
    cla_plain_fini(&t->plain);
    for (size_t i = 0; i < CLA_ARRAY_LEN(t->parts); i++)
        cla_buf_fini(&t->parts[i]);
    return 0;
}

static void on_cancel_timer(struct cla_timer *timer)
{
    struct test_call *t = CLA_CONTAINER(timer, struct test_call, cancel_timer);

    cla_call_cancel(&t->call, CLA_CANCEL_RESET, cla_slice(NULL, 0));
}

static void push_part(lua_State *L, const struct test_call *t, struct cla_slice value)
{
    struct cla_json_decode_fault fault;
    const struct cla_json_decode_opts opts = {.max_depth = CLA_JSON_DEPTH_MAX, .keep_nulls = true};

    if (t->request.raw)
        lua_pushlstring(L, value.p, value.n);
    else if (cla_json_codec_push(L, value, &opts, &fault) != 0)
        luaL_error(L, "out of memory");
}

/* Pushes the list of what was sent; nil: there is 'none' to be expected, and was none. */
static void push_parts(lua_State *L, const struct test_call *t, enum cla_call_part kind, bool none)
{
    struct cla_slice rest = cla_buf_slice(&t->parts[kind]), value;

    if (rest.n == 0 && none) {
        lua_pushnil(L);
        return;
    }
    lua_newtable(L);
    while (rest.n > 0) {
        memcpy(&value.n, rest.p, sizeof value.n);
        value.p = rest.p + sizeof value.n;
        push_part(L, t, value);
        lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
        rest = cla_slice(value.p + value.n, rest.n - sizeof value.n - value.n);
    }
}

/* status, Content-Type, header lines, body, whether it was cut off. */
static int push_response(lua_State *L, const struct test_call *t)
{
    bool error = t->failed && !t->plain.begun;
    bool head = cla_slice_eq(t->plain.method, CLA_LIT("HEAD"));

    lua_pushinteger(L, error ? cla_code_info(t->error.code)->http : t->plain.status);
    lua_pushstring(L, error ? "application/json" : cla_plain_type(&t->plain));
    lua_pushlstring(L, t->plain.fields.p, error ? 0 : t->plain.fields.n);
    lua_pushlstring(L, t->reply.p, head ? 0 : t->reply.n);
    lua_pushboolean(L, t->failed && t->plain.begun);
    return 5;
}

static int push_outcome(lua_State *L, struct test_call *t)
{
    struct cla_json_decode_fault fault;
    const struct cla_json_decode_opts opts = {.max_depth = CLA_JSON_DEPTH_MAX, .keep_nulls = true};
    const struct cla_code_info *info = cla_code_info(t->error.code);
    bool streams = t->call.procedure->stream;

    if (t->request.plain != NULL)
        return push_response(L, t);
    lua_pushboolean(L, !t->failed);
    push_parts(L, t, CLA_CALL_ITEM, !streams);
    push_parts(L, t, CLA_CALL_PROGRESS, true);
    if (t->request.raw && !t->failed && !cla_call_is_notification(&t->call))
        lua_pushlstring(L, t->reply.p, t->reply.n);
    else if (t->reply.n == 0 || cla_slice_eq(cla_buf_slice(&t->reply), CLA_LIT("null")) ||
             cla_json_codec_push(L, cla_buf_slice(&t->reply), &opts, &fault) != 0)
        lua_pushnil(L);
    if (!t->failed)
        return 4;
    lua_pushstring(L, info->name);
    lua_pushlstring(L, t->message.p, t->message.n);
    lua_pushinteger(L, t->error.number != 0 ? t->error.number : info->jsonrpc);
    return 7;
}

static int call_k(lua_State *L, int status, lua_KContext context)
{
    struct test_call *t = cla_await_end(L)->wait;

    (void)status, (void)context;
    return push_outcome(L, t);
}

/* The spec itself is cancelled: so is the call, but its end is waited for. */
static enum cla_wait_cancel cancel_call(struct cla_task *task)
{
    struct test_call *t = task->wait;

    cla_call_cancel(&t->call, CLA_CANCEL_DISCONNECT, cla_slice(NULL, 0));
    return CLA_WAIT_PENDING;
}

static struct test_call *push_call(lua_State *L, struct app *app, struct cla_task *task)
{
    struct test_call *t = lua_newuserdatauv(L, sizeof *t, 0);

    memset(t, 0, sizeof *t);
    if (luaL_newmetatable(L, "cancela.testing.Call")) {
        lua_pushcfunction(L, l_call_gc);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    cla_timer_init(&t->cancel_timer, on_cancel_timer);
    t->request = (struct cla_request){
        .env = &app->env, .sink = &sink, .protocol = &protocol, .peer = CLA_LIT("127.0.0.1:0")};
    t->call = (struct cla_call){
        .request = &t->request, .app = app->env.app, .received_ns = cla_sched_now_ns(task->sched)};
    cla_writers_init(&t->writers, always_room);
    return t;
}

static bool duration_arg(lua_State *L, int index, uint64_t *ns)
{
    if (lua_isnoneornil(L, index))
        return false;
    *ns = cla_clock_from_seconds(luaL_checknumber(L, index));
    return true;
}

/* Strings are for procedures that take text or bytes, which go there as in binary frames. */
static void choose_form(lua_State *L, struct test_call *t, bool string)
{
    const struct cla_procedure *procedure = t->call.procedure;
    bool json = procedure->payload == CLA_PAYLOAD_JSON;

    if (json && string && !procedure->unknown)
        luaL_error(L, "app:call: params must be a table: '%s' takes JSON", procedure->name.p);
    t->request.raw = !json && (string || t->call.params.n == 0);
}

/* Runs the call to its end; 'timeout' and the time to its reset are at 'at' and behind it. */
static int run_call(lua_State *L, struct cla_task *task, struct test_call *t, int at)
{
    uint64_t timeout = 0, cancel_after = 0;
    bool has_timeout = duration_arg(L, at, &timeout);
    bool has_cancel = duration_arg(L, at + 1, &cancel_after);

    cla_call_set_deadline(&t->call, has_timeout, timeout / CLA_NS_PER_MS);
    cla_call_start(&t->call);
    if (t->released)
        return push_outcome(L, t);
    t->waiting = task;
    if (has_cancel && cancel_after == 0) /* a reset in the segment of its request */
        on_cancel_timer(&t->cancel_timer);
    else if (has_cancel)
        cla_timer_start(&task->sched->loop->timers, &t->cancel_timer,
                        cla_clock_add(cla_sched_now_ns(task->sched), cancel_after));
    return cla_await(L, task, cancel_call, t, call_k);
}

/* app:call(name, params as JSON or a string, timeout, cancel_after, notification, string) -> ok,
 * items, progress, value, code, message, number. Awaits. */
static int l_call(lua_State *L)
{
    struct app *app = luaL_checkudata(L, 1, APP);
    struct cla_slice name, params;
    struct cla_task *task;
    struct test_call *t;

    name.p = luaL_checklstring(L, 2, &name.n);
    params.p = luaL_checklstring(L, 3, &params.n);
    task = cla_await_check(L);
    t = push_call(L, app, task);
    t->call.params = params;
    if (!lua_toboolean(L, 6))
        t->call.client_id = cla_call_id_make(CLA_LIT("1"));
    t->call.procedure = app->env.app->ops->find(app->env.app, name);
    if (t->call.procedure == NULL) {
        t->unknown = (struct cla_procedure){.name = name, .unknown = true};
        t->call.procedure = &t->unknown;
    }
    choose_form(L, t, lua_toboolean(L, 7));
    return run_call(L, task, t, 4);
}

static void begin_pieces(struct cla_call *call)
{
    test_call_of(call)->plain.begun = true;
}

/* Finds the route for the request, or pushes 404 or 405 with the methods that there are. */
static int find_route(lua_State *L, struct test_call *t, int method)
{
    const struct cla_app *app = t->call.app;
    char allow[CLA_PATTERN_ALLOW_MAX];
    unsigned methods = 0;

    if (cla_http_path_problem(t->plain.path) != NULL) {
        lua_pushinteger(L, 400);
        return 1;
    }
    t->call.procedure =
        app->ops->find_route(t->call.app, (enum cla_http_method)method, t->plain.path, &methods);
    if (t->call.procedure != NULL)
        return 0;
    lua_pushinteger(L, methods == 0 ? 404 : 405);
    lua_pushnil(L);
    cla_pattern_allow(allow, methods);
    lua_pushfstring(L, methods == 0 ? "" : "Allow: %s\r\n", allow);
    return 3;
}

/* app:request(method, path, query, head, body, timeout, cancel_after) -> see push_response().
 * Awaits. */
static int l_request(lua_State *L)
{
    static const char *const methods[] = {"",      "GET",    "HEAD",    "POST", "PUT",
                                          "PATCH", "DELETE", "OPTIONS", NULL};
    struct app *app = luaL_checkudata(L, 1, APP);
    int method = luaL_checkoption(L, 2, NULL, methods), found;
    struct cla_task *task = cla_await_check(L);
    struct test_call *t;

    luaL_checkstring(L, 6);
    t = push_call(L, app, task);
    t->request.protocol = &http_protocol;
    t->request.plain = &t->plain;
    t->request.head.p = luaL_checklstring(L, 5, &t->request.head.n);
    t->plain = (struct cla_plain){.begin = begin_pieces, .method = cla_slice_str(methods[method])};
    cla_plain_reset(&t->plain);
    t->plain.path.p = luaL_checklstring(L, 3, &t->plain.path.n);
    t->plain.query.p = luaL_checklstring(L, 4, &t->plain.query.n);
    t->call.params.p = lua_tolstring(L, 6, &t->call.params.n);
    t->call.client_id = cla_call_id_make(CLA_LIT("1"));
    found = find_route(L, t, method);
    if (found > 0)
        return found;
    return run_call(L, task, t, 7);
}

/* app:in_flight() -> how many calls hold a slot. */
static int l_in_flight(lua_State *L)
{
    const struct app *app = luaL_checkudata(L, 1, APP);

    lua_pushinteger(L, app->env.in_flight);
    return 1;
}

/* --- Its generation. --- */

/* Calls on_load(nil) of the normalised app at 'index' as loading does, where there is no task. */
static void call_on_load(lua_State *L, int index)
{
    struct cla_sched *sched = cla_sched_of(L);
    int status;

    if (lua_getfield(L, index, "on_load") != LUA_TFUNCTION) {
        lua_pop(L, 1);
        return;
    }
    lua_pushnil(L);
    sched->loading = true;
    status = lua_pcall(L, 1, 0, 0);
    sched->loading = false;
    if (status != LUA_OK)
        lua_error(L);
}

/* start_background(): as on the first worker. The app is kept until unload(). */
static int l_start_background(lua_State *L)
{
    struct app *app = luaL_checkudata(L, 1, APP);

    if (app->script->begun || app->script->retired != CLA_CANCEL_NONE)
        return luaL_error(L, "app:start_background: the app has begun already, or was unloaded");
    lua_settop(L, 1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, app);
    app->env.app->ops->begin(app->env.app, true);
    return 0;
}

static void on_idle(void *arg)
{
    struct app *app = arg;

    if (app->idler != NULL)
        cla_task_wake(app->idler);
}

/* The spec is cancelled: that does not hurry the app, which ends by itself. */
static enum cla_wait_cancel cancel_unload(struct cla_task *task)
{
    (void)task;
    return CLA_WAIT_PENDING;
}

static int unload_k(lua_State *L, int status, lua_KContext context);

static int unload(lua_State *L, struct app *app, struct cla_task *task)
{
    struct cla_app *base = app->env.app;

    if (base->jobs == 0)
        base->ops->unload(base);
    if (base->jobs > 0) {
        app->idler = task;
        return cla_await(L, task, cancel_unload, app, unload_k);
    }
    lua_pushnil(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, app);
    return 0;
}

static int unload_k(lua_State *L, int status, lua_KContext context)
{
    struct cla_task *task = cla_await_end(L);
    struct app *app = task->wait;

    (void)status, (void)context;
    app->idler = NULL;
    return unload(L, app, task);
}

/* unload(kind): another took its place ("reload"), or the server stops ("shutdown"). Awaits the end
 * of background tasks, then of on_unload. */
static int l_unload(lua_State *L)
{
    static const char *const names[] = {"reload", "shutdown", NULL};
    struct app *app = luaL_checkudata(L, 1, APP);
    bool shutdown = luaL_checkoption(L, 2, names[0], names) == 1;
    struct cla_task *task = cla_await_check(L);

    if (app->env.in_flight > 0 || app->idler != NULL)
        return luaL_error(L, app->idler != NULL ? "app:unload: another task unloads it already"
                                                : "app:unload: calls of the app are running still");
    app->env.app->ops->retire(app->env.app, shutdown ? CLA_CANCEL_SHUTDOWN : CLA_CANCEL_RELOAD);
    return unload(L, app, task);
}

static int l_app_gc(lua_State *L)
{
    struct app *app = luaL_checkudata(L, 1, APP);

    cla_script_free(app->script);
    app->script = NULL;
    return 0;
}

/* app(normalised) -> an app under test. */
static int l_app(lua_State *L)
{
    struct cla_sched *sched = cla_sched_of(L);
    struct cla_config config;
    struct app *app;

    luaL_checktype(L, 1, LUA_TTABLE);
    app = lua_newuserdatauv(L, sizeof *app, 0);
    memset(app, 0, sizeof *app);
    luaL_setmetatable(L, APP);
    if (cla_script_new_beside(&app->script, cla_script_of(L)) != 0 || cla_config_init(&config) != 0)
        return luaL_error(L, "out of memory");
    cla_call_env_init(&app->env, &app->script->app, sched->loop, sched->log, &app->log_buf,
                      &config);
    cla_config_fini(&config);
    app->env.access_log = CLA_ACCESS_LOG_OFF;
    app->script->on_idle = on_idle;
    app->script->idle_arg = app;
    cla_script_take(app->script, L, 1);
    call_on_load(L, 1);
    return 1;
}

/* tasks() -> how many tasks live besides the one that asks. */
static int l_tasks(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)cla_sched_of(L)->live - 1);
    return 1;
}

static const luaL_Reg methods[] = {
    {"call", l_call},           {"request", l_request},
    {"in_flight", l_in_flight}, {"start_background", l_start_background},
    {"unload", l_unload},       {NULL, NULL},
};

static const luaL_Reg functions[] = {
    {"app", l_app},
    {"exit", cla_testing_exit},
    {"tasks", l_tasks},
    {NULL, NULL},
};

int cla_testing_luaopen(lua_State *L)
{
    luaL_newmetatable(L, APP);
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, l_app_gc);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
    luaL_newlib(L, functions);
    cla_testing_probe_functions(L);
    return 1;
}
