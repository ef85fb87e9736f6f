/* An object holds its socket, whose connection may be long gone: then what it can still say it
 * says, and writing returns nil and "closed".
 * Awaits: a message is taken from the queue when it is returned, so a cancel loses none; one that
 * is sent is queued whole, or not at all. */
#include "bind/client.h"

#include <lauxlib.h>

#include "base/base64.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "bind/headers.h"
#include "bind/json_codec.h"
#include "bind/plain.h"
#include "bind/script.h"
#include "gateway/socket_in.h"
#include "gateway/socket_out.h"
#include "gateway/worker.h"
#include "rpc/jsonrpc.h"
#include "task/await.h"

#define TYPE "cancela.Client"

static const char objects_key; /* registry key of the weak table {socket -> object} */

struct object {
    struct cla_socket *socket; /* held */
};

void cla_client_push(lua_State *L, struct cla_socket *socket)
{
    struct object *object;

    luaL_checkstack(L, 4, NULL);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &objects_key);
    if (lua_rawgetp(L, -1, socket) == LUA_TNIL) {
        lua_pop(L, 1);
        object = lua_newuserdatauv(L, sizeof *object, 0);
        object->socket = cla_socket_hold(socket);
        luaL_setmetatable(L, TYPE);
        lua_pushvalue(L, -1);
        lua_rawsetp(L, -3, socket);
    }
    lua_remove(L, -2);
}

static struct cla_socket *check(lua_State *L)
{
    struct object *object = luaL_checkudata(L, 1, TYPE);

    return object->socket;
}

static int l_gc(lua_State *L)
{
    struct object *object = luaL_checkudata(L, 1, TYPE);

    cla_socket_release(object->socket);
    return 0;
}

static int push_closed(lua_State *L)
{
    lua_pushnil(L);
    lua_pushliteral(L, "closed");
    return 2;
}

/* --- Data. --- */

static struct cla_slice check_string(lua_State *L, int index)
{
    struct cla_slice s;

    s.p = luaL_checklstring(L, index, &s.n);
    return s;
}

static int l_get(lua_State *L)
{
    struct cla_socket *socket = check(L);
    struct cla_slice value;

    if (cla_socket_data_get(&socket->data, check_string(L, 2), &value))
        cla_plain_push(L, value);
    else
        lua_pushnil(L);
    return 1;
}

static int l_set(lua_State *L)
{
    struct cla_socket *socket = check(L);
    struct cla_buf *bytes = &cla_script_of(L)->scratch;
    struct cla_slice name = check_string(L, 2);
    const char *why = NULL;
    int rc = 0;

    luaL_checkany(L, 3);
    bytes->n = 0;
    if (!lua_isnil(L, 3))
        rc = cla_plain_write(L, 3, bytes, &why);
    if (rc == -CLA_EINVAL)
        return luaL_error(L, "client:set('%s'): only plain data can be kept with a client: %s",
                          name.p, why);
    if (rc == 0)
        rc = cla_socket_data_set(&socket->data, name, cla_buf_slice(bytes));
    if (rc == -CLA_ELIMIT)
        return luaL_error(L,
                          "client:set('%s'): with these %d bytes the client would hold more than "
                          "%d: keep less with it",
                          name.p, (int)(name.n + bytes->n), CLA_SOCKET_DATA_MAX);
    return rc == 0 ? 0 : luaL_error(L, "client:set('%s'): out of memory", name.p);
}

/* --- Writing. --- */

struct op { /* waits for room; on the task's stack */
    struct cla_writer writer;
    struct cla_task *task;
};

static void on_room(struct cla_writer *writer)
{
    cla_task_wake(CLA_CONTAINER(writer, struct op, writer)->task);
}

static enum cla_wait_cancel cancel_write(struct cla_task *task)
{
    struct op *op = task->wait;

    cla_list_remove(&op->writer.link);
    return CLA_WAIT_CANCELLED;
}

/* Stack: client, message, kind. */
static int write_now(lua_State *L, struct cla_socket *socket)
{
    struct cla_slice message;

    message.p = lua_tolstring(L, 2, &message.n);
    switch (cla_socket_send(socket, (enum cla_ws_kind)lua_tointeger(L, 3), message)) {
    case 0:
        lua_pushboolean(L, 1);
        return 1;
    case -CLA_ENOMEM:
        return luaL_error(L, "out of memory");
    default:
        return push_closed(L);
    }
}

static int write_k(lua_State *L, int status, lua_KContext context)
{
    struct op *op = (struct op *)context;
    struct cla_task *task = cla_await_end(L);
    struct cla_socket *socket = check(L);

    (void)status;
    if (!cla_socket_take_turn(socket, &op->writer))
        return cla_await_with(L, task, cancel_write, op, write_k, context);
    return write_now(L, socket);
}

static int write_message(lua_State *L, struct cla_task *task)
{
    struct cla_socket *socket = check(L);
    struct op *op;

    if (cla_socket_may_write(socket))
        return write_now(L, socket);
    op = lua_newuserdatauv(L, sizeof *op, 0); /* stays on the stack while it waits */
    *op = (struct op){.writer.on_room = on_room, .task = task};
    (void)cla_socket_take_turn(socket, &op->writer);
    return cla_await_with(L, task, cancel_write, op, write_k, (lua_KContext)op);
}

static enum cla_ws_kind check_kind(lua_State *L, int index)
{
    static const char *const names[] = {"text", "binary", NULL};

    return luaL_checkoption(L, index, "text", names) == 0 ? CLA_WS_KIND_TEXT : CLA_WS_KIND_BINARY;
}

/* send(message, kind) -> true, or nil and "closed". Awaits room. */
static int l_send(lua_State *L)
{
    struct cla_socket *socket = check(L);
    struct cla_slice message = check_string(L, 2);
    enum cla_ws_kind kind = check_kind(L, 3);
    struct cla_task *task;

    if (socket->route == NULL)
        return luaL_error(L, "this client speaks JSON-RPC: use client:notify()");
    if (kind == CLA_WS_KIND_TEXT && !cla_utf8_valid(message))
        return luaL_argerror(L, 2, "this text is not UTF-8: send it as \"binary\"");
    task = cla_await_check(L);
    lua_settop(L, 2);
    lua_pushinteger(L, kind);
    return write_message(L, task);
}

/* Appends 'data' as params: a table as it is, another value as the one element of an array. */
static int write_params(lua_State *L, int index, struct cla_buf *params,
                        struct cla_json_encode_fault *fault)
{
    const struct cla_json_encode_opts opts = {.max_depth = cla_script_of(L)->json_depth,
                                              .root = "data"};
    struct cla_slice text = {0};
    int rc;

    if (lua_isnoneornil(L, index))
        return 0;
    if (lua_istable(L, index))
        return cla_json_codec_write(L, index, params, &opts, fault);
    if (lua_type(L, index) == LUA_TSTRING)
        text.p = lua_tolstring(L, index, &text.n);
    fault->message[0] = '\0';
    if (cla_buf_push(params, '[') != 0)
        return -CLA_ENOMEM;
    if (text.n > 0 && !cla_utf8_valid(text))
        rc = cla_buf_push(params, '"') == 0 && cla_base64_encode(params, text) == 0
                 ? cla_buf_push(params, '"')
                 : -CLA_ENOMEM;
    else
        rc = cla_json_codec_write(L, index, params, &opts, fault);
    return rc == 0 ? cla_buf_push(params, ']') : rc;
}

/* Replaces event and data on the stack by the text of the notification. */
static void encode_notification(lua_State *L, struct cla_slice event)
{
    struct cla_buf *text = &cla_script_of(L)->scratch, params = {0};
    struct cla_json_encode_fault fault = {.message = "out of memory"};
    int rc = write_params(L, 3, &params, &fault);

    text->n = 0;
    if (rc == 0)
        rc = cla_jsonrpc_request(text, cla_slice(NULL, 0), event, cla_buf_slice(&params));
    cla_buf_fini(&params);
    if (rc == -CLA_EUTF8)
        luaL_argerror(L, 2, "the name of an event must be UTF-8");
    if (rc != 0)
        luaL_error(L, "client:notify: %s", fault.message);
    lua_settop(L, 1);
    lua_pushlstring(L, text->p, text->n);
    lua_pushinteger(L, CLA_WS_KIND_TEXT);
}

/* notify(event, data) -> true, or nil and "closed". Awaits room. */
static int l_notify(lua_State *L)
{
    struct cla_socket *socket = check(L);
    struct cla_slice event = check_string(L, 2);
    struct cla_task *task;

    if (socket->route != NULL)
        return luaL_error(L, "this client has a handler of its own: use socket:send()");
    lua_settop(L, 3);
    task = cla_await_check(L);
    encode_notification(L, event);
    return write_message(L, task);
}

/* close(code, reason): does not await. */
static int l_close(lua_State *L)
{
    struct cla_socket *socket = check(L);
    lua_Integer code = luaL_optinteger(L, 2, CLA_WS_NORMAL);
    struct cla_slice reason = {.p = luaL_optlstring(L, 3, "", &reason.n)};

    luaL_argcheck(L, code >= 0 && code <= 65535 && cla_ws_close_code_valid((unsigned)code), 2,
                  "not a code that may be sent: 1000 to 1014 as registered, or 3000 to 4999");
    luaL_argcheck(L, reason.n <= CLA_WS_REASON_MAX, 3, "a reason takes at most 123 bytes");
    luaL_argcheck(L, cla_utf8_valid(reason), 3, "a reason must be UTF-8");
    lua_pushboolean(L, socket->state == CLA_SOCKET_OPEN);
    cla_socket_close(socket, (unsigned)code, reason, CLA_CANCEL_USER);
    return 1;
}

/* --- Reading. --- */

bool cla_client_reading(const struct cla_socket *socket)
{
    return socket->reader != NULL;
}

void cla_client_wake_reader(struct cla_socket *socket)
{
    struct cla_task *task = socket->reader;

    socket->reader = NULL;
    if (task != NULL)
        cla_task_wake(task);
}

static enum cla_wait_cancel cancel_receive(struct cla_task *task)
{
    struct cla_socket *socket = task->wait;

    socket->reader = NULL;
    return CLA_WAIT_CANCELLED;
}

int cla_client_push_message(lua_State *L, struct cla_socket *socket)
{
    struct cla_socket_message *message =
        CLA_CONTAINER(socket->inbox->messages.next, struct cla_socket_message, link);

    lua_pushlstring(L, message->bytes, message->n); /* may raise: it is taken after that */
    lua_pushstring(L, message->kind == CLA_WS_KIND_TEXT ? "text" : "binary");
    cla_mem_free(cla_socket_in_take(socket));
    return 2;
}

/* The client has closed, and all that it sent has been read: from here on awaits raise. */
static int push_end(lua_State *L, struct cla_socket *socket)
{
    struct cla_task *handler = socket->task;

    if (handler != NULL)
        cla_scope_cancel(handler->root, socket->cause.kind, cla_reason_message(&socket->cause));
    return push_closed(L);
}

static int receive(lua_State *L, struct cla_task *task);

static int receive_k(lua_State *L, int status, lua_KContext context)
{
    (void)status, (void)context;
    return receive(L, cla_await_end(L));
}

static int receive(lua_State *L, struct cla_task *task)
{
    struct cla_socket *socket = check(L);

    if (cla_socket_in_any(socket))
        return cla_client_push_message(L, socket);
    cla_socket_all_read(socket);
    if (socket->worker->env.draining)
        cla_socket_close(socket, CLA_WS_GOING_AWAY, CLA_LIT("the server is shutting down"),
                         CLA_CANCEL_SHUTDOWN);
    if (socket->state == CLA_SOCKET_OVER)
        return push_end(L, socket);
    if (socket->reader != NULL)
        return luaL_error(L, "another task waits for the next message of this socket");
    socket->reader = task;
    return cla_await(L, task, cancel_receive, socket, receive_k);
}

/* receive() -> message, kind; nil and "closed" at the end. Awaits. Also the iterator of messages().
 */
static int l_receive(lua_State *L)
{
    struct cla_socket *socket = check(L);

    if (socket->inbox == NULL)
        return luaL_error(L, "this client speaks JSON-RPC: its messages are calls");
    if (!socket->route->streams)
        return luaL_error(L, "this socket's messages go to on_message");
    lua_settop(L, 1);
    return receive(L, cla_await_check(L));
}

static int l_messages(lua_State *L)
{
    (void)check(L);
    lua_settop(L, 1);
    lua_pushcfunction(L, l_receive);
    lua_insert(L, 1);
    return 2;
}

/* --- Properties. --- */

static void push_slice(lua_State *L, struct cla_slice s)
{
    lua_pushlstring(L, s.p, s.n);
}

static void p_id(lua_State *L, const struct cla_socket *socket)
{
    lua_pushinteger(L, (lua_Integer)socket->id);
}

static void p_address(lua_State *L, const struct cla_socket *socket)
{
    push_slice(L, socket->peer);
}

static void p_path(lua_State *L, const struct cla_socket *socket)
{
    push_slice(L, socket->path);
}

static void p_protocol(lua_State *L, const struct cla_socket *socket)
{
    if (socket->protocol.n > 0)
        push_slice(L, socket->protocol);
    else
        lua_pushnil(L);
}

static void p_headers(lua_State *L, const struct cla_socket *socket)
{
    cla_headers_push(L, cla_socket_head(socket));
}

static void p_certificate(lua_State *L, const struct cla_socket *socket)
{
    cla_headers_push_certificate(L, socket->certificate);
}

static void p_closed(lua_State *L, const struct cla_socket *socket)
{
    lua_pushboolean(L, socket->state == CLA_SOCKET_OVER);
}

static const struct property {
    const char *name;
    void (*push)(lua_State *L, const struct cla_socket *socket);
} properties[] = {
    {"id", p_id},
    {"address", p_address},
    {"path", p_path},
    {"protocol", p_protocol},
    {"headers", p_headers},
    {"closed", p_closed},
    {"certificate", p_certificate},
};

/* Upvalue: table of properties (light userdata) and methods. */
static int l_index(lua_State *L)
{
    struct cla_socket *socket = check(L);
    const struct property *property;

    luaL_checkstring(L, 2);
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TLIGHTUSERDATA)
        return 1; /* a method, or nil */
    property = lua_touserdata(L, -1);
    property->push(L, socket);
    return 1;
}

static int l_newindex(lua_State *L)
{
    return luaL_error(L, "a client is read-only: keep your own with client:set('%s', value)",
                      luaL_tolstring(L, 2, NULL));
}

static int l_tostring(lua_State *L)
{
    const struct cla_socket *socket = check(L);

    lua_pushfstring(L, "client: %I", (LUAI_UACINT)socket->id);
    return 1;
}

static const luaL_Reg methods[] = {
    {"get", l_get},         {"set", l_set},           {"notify", l_notify}, {"send", l_send},
    {"receive", l_receive}, {"messages", l_messages}, {"close", l_close},   {NULL, NULL},
};

static void push_weak_table(lua_State *L)
{
    lua_newtable(L);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "v");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
}

void cla_client_setup(lua_State *L)
{
    push_weak_table(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &objects_key);
    luaL_newmetatable(L, TYPE);
    luaL_newlib(L, methods);
    for (size_t i = 0; i < CLA_ARRAY_LEN(properties); i++) {
        lua_pushlightuserdata(L, (void *)&properties[i]);
        lua_setfield(L, -2, properties[i].name);
    }
    lua_pushcclosure(L, l_index, 1);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, l_newindex);
    lua_setfield(L, -2, "__newindex");
    lua_pushcfunction(L, l_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pushcfunction(L, l_gc);
    lua_setfield(L, -2, "__gc");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
}
