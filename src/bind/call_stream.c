/* Happy path: where there is room an item is sent at once; else an operation waits in the queue of
 * the client's connection, and sends when it is called.
 * Failure modes: a wait that is cancelled leaves the room to others, and its item is not sent; once
 * the call has its reply, or the client is gone, there is nobody to send to: "closed".
 * On close: who waits is nudged by the connection. */
#include "bind/call_stream.h"

#include "base/error.h"
#include "bind/call.h"
#include "bind/client_ops.h"
#include "bind/run.h"
#include "bind/script.h"
#include "gateway/writer.h"
#include "task/op.h"

/* A deadline that moves with each item moves by no less than this part of itself. */
#define IDLE_STEPS 64

struct send {
    struct cla_op op; /* keeps the item as its value */
    struct cla_writer writer;
    struct cla_slice item;
};

static struct send *send_of(struct cla_op *op)
{
    return CLA_CONTAINER(op, struct send, op);
}

static void on_room(struct cla_writer *writer)
{
    cla_op_nudge(&CLA_CONTAINER(writer, struct send, writer)->op);
}

/* --- The time between items. --- */

static void set_deadline(const struct cla_call *call, uint64_t deadline_ns)
{
    struct cla_task *task = call->task;

    if (call->idles && task != NULL)
        cla_scope_set_deadline(&task->root, deadline_ns);
}

/* Something was sent. Moving a deadline takes a while where there are many tokens, so it is a
 * little late rather than moved each time. While somebody waits for room it is not the stream that
 * is idle. */
static void restart_idle(const struct cla_call *call)
{
    const struct cla_task *task = call->task;
    uint64_t idle = call->request->env->stream_idle_timeout_ns, step = idle / IDLE_STEPS;
    uint64_t now;

    if (!call->idles || task == NULL || cla_call_has_senders(call))
        return;
    now = cla_sched_now_ns(task->sched);
    if (cla_clock_add(now, idle) > task->root.token.deadline_ns ||
        task->root.token.own_ns == CLA_NEVER)
        set_deadline(call, cla_clock_add(now, idle + step));
}

void cla_call_stream_waits(const struct cla_call *call, bool waits)
{
    const struct cla_task *task = call->task;

    if (waits)
        set_deadline(call, CLA_NEVER);
    else if (task->root.token.own_ns == CLA_NEVER)
        restart_idle(call);
}

/* --- Sending. --- */

static struct cla_writers *writers_of(const struct cla_op *op)
{
    const struct cla_call *call = cla_call_of(op->object);

    return call != NULL ? cla_call_part_writers(call) : NULL;
}

static int send_now(struct cla_call *call, struct cla_slice item)
{
    int rc = cla_call_part(call, CLA_CALL_ITEM, item);

    if (rc == 0)
        restart_idle(call);
    return rc;
}

static void op_send_now(struct cla_op *op)
{
    struct cla_call *call = cla_call_of(op->object);

    op->result = call != NULL ? send_now(call, send_of(op)->item) : -CLA_ECLOSED;
}

static bool send_begin(lua_State *L, struct cla_op *op, int at)
{
    const struct cla_writers *writers = writers_of(op);

    (void)L, (void)at;
    if (writers != NULL && !cla_writers_may_write(writers))
        return false;
    op_send_now(op);
    return true;
}

static void send_enqueue(struct cla_op *op)
{
    struct cla_call *call = cla_call_of(op->object);

    if (call == NULL || cla_call_take_turn(call, &send_of(op)->writer))
        cla_op_nudge(op); /* a finalizer has closed the connection since */
    else
        set_deadline(call, CLA_NEVER);
}

/* If the call was cancelled that is what who waits is told, not that it is over. */
static bool send_poll(struct cla_op *op)
{
    struct send *send = send_of(op);

    if (writers_of(op) == NULL) {
        if (cla_scope_to_raise(op->wait->task) != NULL)
            return false;
    } else if (!cla_list_empty(&send->writer.link) ||
               !cla_call_take_turn(cla_call_of(op->object), &send->writer)) {
        return false;
    }
    op_send_now(op);
    return true;
}

static void send_withdraw(struct cla_op *op)
{
    struct cla_call *call = cla_call_of(op->object);

    if (call == NULL)
        return;
    cla_call_leave_turn(call, &send_of(op)->writer);
    restart_idle(call);
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

/* The value at index 2 as it goes to the client, in the script's scratch. */
static struct cla_slice encode(lua_State *L, const struct cla_call *call, const char *method)
{
    struct cla_buf *buf = &cla_script_of(L)->scratch;
    struct cla_json_encode_fault fault;

    luaL_checkany(L, 2);
    buf->n = 0;
    if (cla_run_write_value(call, L, 2, "value", buf, &fault) != 0)
        luaL_error(L, "call:%s: %s", method, fault.message);
    return cla_buf_slice(buf);
}

/* The call at index 1 if it may send; NULL: it is over. */
static struct cla_call *check_sender(lua_State *L, const char *method)
{
    struct cla_call *call = cla_call_at(L, 1);

    if (call == NULL)
        return NULL;
    if (!call->procedure->stream)
        luaL_error(L, "call:%s: '%s' does not stream: declare it with stream = true", method,
                   call->procedure->name.p);
    return call;
}

/* Stack: call, value. Pushes the operation that sends it. */
static void push_send_op(lua_State *L, struct cla_slice item)
{
    struct send *send;

    lua_settop(L, 1);
    lua_pushlstring(L, item.p, item.n);
    send = (struct send *)cla_op_push_new(L, &send_ops, sizeof *send, 1, cla_call_object_at(L, 1));
    send->writer.on_room = on_room;
    cla_list_init(&send->writer.link);
    cla_list_init(&send->writer.of_call);
    lua_pushvalue(L, 2);
    send->item.p = lua_tolstring(L, -1, &send->item.n);
    lua_setiuservalue(L, -2, CLA_OP_VALUE);
}

/* send(item) -> true, or nil and "closed". Awaits room. */
static int l_send(lua_State *L)
{
    struct cla_call *call = check_sender(L, "send");
    const struct cla_writers *writers;
    struct cla_slice item;

    (void)cla_await_check(L);
    if (call == NULL)
        return cla_client_ops_push_sent(L, -CLA_ECLOSED);
    item = encode(L, call, "send");
    writers = cla_call_part_writers(call);
    if (writers == NULL || cla_writers_may_write(writers))
        return cla_client_ops_push_sent(L, send_now(call, item));
    push_send_op(L, item);
    return cla_op_await(L);
}

int cla_call_stream_piece(lua_State *L)
{
    struct cla_call *call = cla_call_at(L, 1);
    const struct cla_writers *writers;
    struct cla_slice piece;

    (void)cla_await_check(L);
    if (call == NULL)
        return cla_client_ops_push_sent(L, -CLA_ECLOSED);
    piece.p = lua_tolstring(L, 2, &piece.n);
    writers = cla_call_part_writers(call);
    if (writers == NULL || cla_writers_may_write(writers))
        return cla_client_ops_push_sent(L, send_now(call, piece));
    push_send_op(L, piece);
    return cla_op_await(L);
}

static int l_send_op(lua_State *L)
{
    struct cla_call *call = check_sender(L, "send_op");

    push_send_op(L, call != NULL ? encode(L, call, "send_op") : cla_slice("", 0));
    return 1;
}

/* progress(value) -> whether it was sent: it is dropped where the client shows none, or has no
 * room. */
static int l_progress(lua_State *L)
{
    struct cla_call *call = cla_call_at(L, 1);
    const struct cla_writers *writers = call != NULL ? cla_call_part_writers(call) : NULL;
    bool sent = false;

    luaL_checkany(L, 2);
    if (writers != NULL && cla_call_part_refused(call, CLA_CALL_PROGRESS) == NULL &&
        cla_writers_may_write(writers))
        sent = cla_call_part(call, CLA_CALL_PROGRESS, encode(L, call, "progress")) == 0;
    if (sent)
        restart_idle(call);
    lua_pushboolean(L, sent);
    return 1;
}

const luaL_Reg cla_call_stream_methods[] = {
    {"send", l_send}, {"send_op", l_send_op}, {"progress", l_progress}, {NULL, NULL}};
