/* Happy path: what can be done at once is done without an operation; else one is queued with the
 * socket, which nudges it when there is room or a message.
 * Failure modes: a wait that is cancelled leaves room and messages to others: a message is taken
 * when it is returned, and one that is sent is queued whole, or not at all.
 * On close: who waits is nudged, and told "closed". */
#include "bind/client_ops.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "bind/client.h"
#include "bind/notification.h"
#include "bind/script.h"
#include "gateway/socket_in.h"
#include "gateway/socket_out.h"
#include "gateway/worker.h"
#include "task/op.h"

static int push_closed(lua_State *L)
{
    lua_pushnil(L);
    lua_pushliteral(L, "closed");
    return 2;
}

/* --- Writing. --- */

struct send {
    struct cla_op op; /* keeps the message as its value */
    struct cla_writer writer;
    struct cla_slice message;
    enum cla_ws_kind kind;
};

static struct send *send_of(struct cla_op *op)
{
    return CLA_CONTAINER(op, struct send, op);
}

static struct cla_writers *writers_of(const struct cla_op *op)
{
    return &((struct cla_socket *)op->object)->writers;
}

static void on_room(struct cla_writer *writer)
{
    cla_op_nudge(&CLA_CONTAINER(writer, struct send, writer)->op);
}

int cla_client_ops_push_sent(lua_State *L, int rc)
{
    if (rc == -CLA_ENOMEM)
        return luaL_error(L, "out of memory");
    if (rc != 0)
        return push_closed(L);
    lua_pushboolean(L, 1);
    return 1;
}

static void write_now(struct send *send)
{
    send->op.result = cla_socket_send(send->op.object, send->kind, send->message);
}

static bool send_begin(lua_State *L, struct cla_op *op, int at)
{
    (void)L, (void)at;
    if (!cla_writers_may_write(writers_of(op)))
        return false;
    write_now(send_of(op));
    return true;
}

static void send_enqueue(struct cla_op *op)
{
    if (cla_writers_take_turn(writers_of(op), &send_of(op)->writer))
        cla_op_nudge(op); /* a finalizer has closed the socket since */
}

static bool send_poll(struct cla_op *op)
{
    struct send *send = send_of(op);

    if (!cla_list_empty(&send->writer.link) ||
        !cla_writers_take_turn(writers_of(op), &send->writer))
        return false;
    write_now(send);
    return true;
}

/* One that was called and does not write lets the next. */
static void send_withdraw(struct cla_op *op)
{
    struct cla_writer *writer = &send_of(op)->writer;

    cla_list_remove(&writer->link);
    if (!writer->called)
        return;
    writer->called = false;
    cla_writers_pass(writers_of(op));
}

static int send_push(lua_State *L, struct cla_op *op, int at)
{
    (void)at;
    return cla_client_ops_push_sent(L, (int)op->result);
}

static const struct cla_op_ops send_ops = {
    .begin = send_begin,
    .enqueue = send_enqueue,
    .poll = send_poll,
    .withdraw = send_withdraw,
    .push = send_push,
};

/* Stack: client, message. Pushes the operation that sends it. */
static void push_send_op(lua_State *L, enum cla_ws_kind kind)
{
    struct cla_socket *socket = cla_client_check(L);
    struct send *send = (struct send *)cla_op_push_new(L, &send_ops, sizeof *send, 1, socket);

    send->writer.on_room = on_room;
    cla_list_init(&send->writer.link);
    send->kind = kind;
    lua_pushvalue(L, 2);
    send->message.p = lua_tolstring(L, -1, &send->message.n);
    lua_setiuservalue(L, -2, CLA_OP_VALUE);
}

/* Stack: client, message. Sends it; awaits room. */
static int send_message(lua_State *L, enum cla_ws_kind kind)
{
    struct cla_socket *socket = cla_client_check(L);
    struct cla_slice message;

    (void)cla_await_check(L);
    if (cla_writers_may_write(&socket->writers)) {
        message.p = lua_tolstring(L, 2, &message.n);
        return cla_client_ops_push_sent(L, cla_socket_send(socket, kind, message));
    }
    push_send_op(L, kind);
    return cla_op_await(L);
}

/* How a client without a handler calls, for people. */
static const char *language_of(const struct cla_socket *socket)
{
    return cla_socket_framed(socket) ? "binary frames" : "JSON-RPC";
}

/* Leaves client and message on the stack. */
static enum cla_ws_kind check_message(lua_State *L)
{
    static const char *const names[] = {"text", "binary", NULL};
    const struct cla_socket *socket = cla_client_check(L);
    struct cla_slice message;
    enum cla_ws_kind kind;

    if (socket->route == NULL)
        luaL_error(L, "this client speaks %s: use client:notify()", language_of(socket));
    message.p = luaL_checklstring(L, 2, &message.n);
    kind = luaL_checkoption(L, 3, "text", names) == 0 ? CLA_WS_KIND_TEXT : CLA_WS_KIND_BINARY;
    if (kind == CLA_WS_KIND_TEXT && !cla_utf8_valid(message))
        luaL_argerror(L, 2, "this text is not UTF-8: send it as \"binary\"");
    lua_settop(L, 2);
    return kind;
}

/* send(message, kind) -> true, or nil and "closed". Awaits room. */
static int l_send(lua_State *L)
{
    return send_message(L, check_message(L));
}

static int l_send_op(lua_State *L)
{
    push_send_op(L, check_message(L));
    return 1;
}

/* --- Notifying. --- */

/* Stack: client, event, data. Replaces the last two by the notification; returns its kind of
 * message.
 */
static enum cla_ws_kind encode_notification(lua_State *L)
{
    const struct cla_socket *socket = cla_client_check(L);
    struct cla_buf *message = &cla_script_of(L)->scratch;
    struct cla_json_encode_fault fault = {.message = "out of memory"};
    struct cla_slice event;
    int rc;

    if (socket->route != NULL)
        luaL_error(L, "this client has a handler of its own: use socket:send()");
    event.p = luaL_checklstring(L, 2, &event.n);
    lua_settop(L, 3);
    message->n = 0;
    rc = cla_notification_write(L, cla_socket_framed(socket), event, 3, message, &fault);
    if (rc == -CLA_EUTF8)
        luaL_argerror(L, 2, "the name of an event must be UTF-8");
    if (rc == -CLA_ELIMIT)
        luaL_argerror(L, 2, "the name of an event takes at most 255 bytes in binary frames");
    if (rc != 0)
        luaL_error(L, "client:notify: %s", fault.message);
    lua_settop(L, 1);
    lua_pushlstring(L, message->p, message->n);
    return cla_socket_framed(socket) ? CLA_WS_KIND_BINARY : CLA_WS_KIND_TEXT;
}

/* notify(event, data) -> true, or nil and "closed". Awaits room. */
static int l_notify(lua_State *L)
{
    return send_message(L, encode_notification(L));
}

static int l_notify_op(lua_State *L)
{
    push_send_op(L, encode_notification(L));
    return 1;
}

/* --- Reading. --- */

enum { MESSAGE, CLOSED }; /* result of an operation */

bool cla_client_ops_reading(const struct cla_socket *socket)
{
    return socket->reader != NULL;
}

void cla_client_ops_wake_reader(struct cla_socket *socket)
{
    if (socket->reader != NULL)
        cla_op_nudge(socket->reader);
}

int cla_client_ops_push_message(lua_State *L, struct cla_socket *socket)
{
    struct cla_socket_message *message =
        CLA_CONTAINER(socket->inbox->messages.next, struct cla_socket_message, link);

    lua_pushlstring(L, message->bytes, message->n); /* may raise: it is taken after that */
    lua_pushstring(L, message->kind == CLA_WS_KIND_TEXT ? "text" : "binary");
    cla_mem_free(cla_socket_in_take(socket));
    return 2;
}

/* True if a message is there, or none will come. */
static bool receive_poll(struct cla_op *op)
{
    struct cla_socket *socket = op->object;

    op->result = MESSAGE;
    if (cla_socket_in_any(socket))
        return true;
    cla_socket_all_read(socket);
    if (socket->worker->env.draining)
        cla_socket_close(socket, CLA_WS_GOING_AWAY, CLA_LIT("the server is shutting down"),
                         CLA_CANCEL_SHUTDOWN);
    op->result = CLOSED;
    return socket->state == CLA_SOCKET_OVER;
}

static bool receive_begin(lua_State *L, struct cla_op *op, int at)
{
    const struct cla_socket *socket = op->object;

    (void)at;
    if (receive_poll(op))
        return true;
    if (socket->reader != NULL)
        luaL_error(L, "another task waits for the next message of this socket");
    return false;
}

/* Of several in one select the first stands for all: polling asks each. */
static void receive_enqueue(struct cla_op *op)
{
    struct cla_socket *socket = op->object;

    if (socket->reader == NULL)
        socket->reader = op;
    if (socket->state == CLA_SOCKET_OVER)
        cla_op_nudge(op); /* a finalizer has closed it since */
}

static void receive_withdraw(struct cla_op *op)
{
    struct cla_socket *socket = op->object;

    if (socket->reader == op)
        socket->reader = NULL;
}

/* The client has closed, and all that it sent has been read: from here on awaits raise. */
static int push_end(lua_State *L, struct cla_socket *socket)
{
    struct cla_task *handler = socket->task;

    if (handler != NULL)
        cla_scope_cancel(&handler->root, socket->cause.kind, cla_reason_message(&socket->cause));
    return push_closed(L);
}

static int receive_push(lua_State *L, struct cla_op *op, int at)
{
    (void)at;
    return op->result == MESSAGE ? cla_client_ops_push_message(L, op->object)
                                 : push_end(L, op->object);
}

static const struct cla_op_ops receive_ops = {
    .begin = receive_begin,
    .enqueue = receive_enqueue,
    .poll = receive_poll,
    .withdraw = receive_withdraw,
    .push = receive_push,
};

static struct cla_socket *check_readable(lua_State *L)
{
    struct cla_socket *socket = cla_client_check(L);

    if (socket->inbox == NULL)
        luaL_error(L, "this client speaks %s: its messages are calls", language_of(socket));
    if (!socket->streams)
        luaL_error(L, "this socket's messages go to on_message");
    return socket;
}

static int l_receive_op(lua_State *L)
{
    (void)cla_op_push_new(L, &receive_ops, sizeof(struct cla_op), 1, check_readable(L));
    return 1;
}

/* receive() -> message, kind; nil and "closed" at the end. Awaits. Also the iterator of messages().
 */
static int l_receive(lua_State *L)
{
    struct cla_socket *socket = check_readable(L);

    if (cla_socket_in_any(socket)) {
        (void)cla_await_check(L);
        return cla_client_ops_push_message(L, socket);
    }
    lua_settop(L, 1);
    (void)l_receive_op(L);
    return cla_op_await(L);
}

static int l_messages(lua_State *L)
{
    (void)cla_client_check(L);
    lua_settop(L, 1);
    lua_pushcfunction(L, l_receive);
    lua_insert(L, 1);
    return 2;
}

const luaL_Reg cla_client_ops_methods[] = {
    {"send", l_send},           {"send_op", l_send_op}, {"notify", l_notify},
    {"notify_op", l_notify_op}, {"receive", l_receive}, {"receive_op", l_receive_op},
    {"messages", l_messages},   {NULL, NULL},
};
