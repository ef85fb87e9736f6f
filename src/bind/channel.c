/* Happy path: send puts the value into the buffer, or hands it to the receiver that waits longest;
 * recv takes the oldest, and lets the sender that waits longest put its own behind.
 * Failure modes: a sender or receiver that is cancelled while it waits was never there. A value
 * that was handed over is delivered even if its receiver is cancelled before it runs. On close: who
 * waits is told "closed"; what is in the buffer can still be received.
 *
 * If receivers wait the buffer is empty; if senders wait it is full. */
#include "bind/channel.h"

#include <lauxlib.h>

#include "task/op.h"

#define TYPE "cancela.Channel"

enum { BUFFER = 1 };                /* user value: {place -> value} */
enum { DELIVERED = 0, CLOSED = 1 }; /* result of an operation */

struct channel {
    struct cla_link senders, receivers; /* operations, the longest waiting first */
    lua_Integer capacity;
    lua_Integer count; /* values in the buffer */
    lua_Integer head;  /* place of the oldest, 0 to capacity - 1 */
    bool closed;
};

/* --- The buffer, the table on top of the stack, which stays there. --- */

/* Puts the value below the table behind all others. */
static void put_last(lua_State *L, struct channel *channel)
{
    lua_Integer place = (channel->head + channel->count) % channel->capacity;

    lua_pushvalue(L, -2);
    lua_rawseti(L, -2, place + 1);
    channel->count++;
}

/* Pushes the oldest value. */
static void take_first(lua_State *L, struct channel *channel)
{
    lua_rawgeti(L, -1, channel->head + 1);
    lua_pushnil(L);
    lua_rawseti(L, -3, channel->head + 1);
    channel->head = (channel->head + 1) % channel->capacity;
    channel->count--;
}

static void push_buffer(lua_State *L, int op_at)
{
    lua_getiuservalue(L, op_at, CLA_OP_OBJECT);
    lua_getiuservalue(L, -1, BUFFER);
    lua_remove(L, -2);
}

/* --- send --- */

/* Gives the value on top of the stack to a receiver that waits. */
static void hand_over(lua_State *L, struct cla_op *receiver)
{
    cla_op_push(L, receiver);
    lua_pushvalue(L, -2);
    lua_setiuservalue(L, -2, CLA_OP_VALUE);
    lua_pop(L, 1);
    cla_op_complete(receiver);
}

static bool send_begin(lua_State *L, struct cla_op *op, int at)
{
    struct channel *channel = op->object;
    struct cla_op *receiver = cla_op_first(&channel->receivers);

    if (channel->closed) {
        op->result = CLOSED;
        return true;
    }
    if (receiver == NULL && channel->count == channel->capacity)
        return false;
    lua_getiuservalue(L, at, CLA_OP_VALUE);
    push_buffer(L, at);
    if (receiver == NULL)
        put_last(L, channel);
    lua_pop(L, 1);
    if (receiver != NULL)
        hand_over(L, receiver);
    lua_pop(L, 1);
    return true;
}

static void send_enqueue(struct cla_op *op)
{
    cla_list_push(&((struct channel *)op->object)->senders, &op->link);
}

static int push_closed(lua_State *L)
{
    lua_pushnil(L);
    lua_pushliteral(L, "closed");
    return 2;
}

static int send_push(lua_State *L, struct cla_op *op, int at)
{
    (void)at;
    if (op->result == CLOSED)
        return push_closed(L);
    lua_pushboolean(L, 1);
    return 1;
}

static const struct cla_op_ops send_ops = {
    .begin = send_begin,
    .enqueue = send_enqueue,
    .push = send_push,
};

/* --- recv --- */

/* Pushes the value of the sender that waits longest, which has then sent it. */
static void take_from(lua_State *L, struct cla_op *sender)
{
    cla_op_push(L, sender);
    lua_getiuservalue(L, -1, CLA_OP_VALUE);
    lua_remove(L, -2);
    cla_op_complete(sender);
}

/* Pushes the oldest value of a buffer that holds some, and fills the gap. */
static void take_buffered(lua_State *L, struct channel *channel, struct cla_op *sender, int at)
{
    push_buffer(L, at);
    take_first(L, channel);
    if (sender != NULL) {
        take_from(L, sender);
        lua_pushvalue(L, -3);
        put_last(L, channel);
        lua_pop(L, 2);
    }
    lua_remove(L, -2);
}

static bool recv_begin(lua_State *L, struct cla_op *op, int at)
{
    struct channel *channel = op->object;
    struct cla_op *sender = cla_op_first(&channel->senders);

    if (channel->count > 0)
        take_buffered(L, channel, sender, at);
    else if (sender != NULL)
        take_from(L, sender);
    else if (channel->closed)
        op->result = CLOSED;
    else
        return false;
    if (op->result != CLOSED)
        lua_setiuservalue(L, at, CLA_OP_VALUE);
    return true;
}

static void recv_enqueue(struct cla_op *op)
{
    cla_list_push(&((struct channel *)op->object)->receivers, &op->link);
}

static int recv_push(lua_State *L, struct cla_op *op, int at)
{
    if (op->result == CLOSED)
        return push_closed(L);
    lua_getiuservalue(L, at, CLA_OP_VALUE);
    lua_pushnil(L);
    lua_setiuservalue(L, at, CLA_OP_VALUE);
    return 1;
}

static const struct cla_op_ops recv_ops = {
    .begin = recv_begin,
    .enqueue = recv_enqueue,
    .push = recv_push,
};

/* --- Functions. --- */

static int l_send_op(lua_State *L)
{
    struct channel *channel = luaL_checkudata(L, 1, TYPE);

    luaL_checkany(L, 2);
    luaL_argcheck(L, !lua_isnil(L, 2), 2,
                  "nil cannot be sent: a receiver could not tell it from the end");
    (void)cla_op_push_new(L, &send_ops, sizeof(struct cla_op), 1, channel);
    lua_pushvalue(L, 2);
    lua_setiuservalue(L, -2, CLA_OP_VALUE);
    return 1;
}

/* send(value) -> true | nil, "closed". Awaits. */
static int l_send(lua_State *L)
{
    (void)l_send_op(L);
    return cla_op_await(L);
}

static int l_recv_op(lua_State *L)
{
    struct channel *channel = luaL_checkudata(L, 1, TYPE);

    (void)cla_op_push_new(L, &recv_ops, sizeof(struct cla_op), 1, channel);
    return 1;
}

/* recv() -> value | nil, "closed". Awaits. */
static int l_recv(lua_State *L)
{
    (void)l_recv_op(L);
    return cla_op_await(L);
}

static void tell_closed(struct cla_link *queue)
{
    struct cla_op *op;

    while ((op = cla_op_first(queue)) != NULL) {
        op->result = CLOSED;
        cla_op_complete(op);
    }
}

/* close() -> whether it was open. */
static int l_close(lua_State *L)
{
    struct channel *channel = luaL_checkudata(L, 1, TYPE);

    lua_pushboolean(L, !channel->closed);
    channel->closed = true;
    tell_closed(&channel->senders);
    tell_closed(&channel->receivers);
    return 1;
}

/* channel(capacity) */
static int l_channel(lua_State *L)
{
    lua_Integer capacity = luaL_optinteger(L, 1, 0);
    struct channel *channel;

    luaL_argcheck(L, capacity >= 0 && capacity <= CLA_CHANNEL_CAPACITY_MAX, 1,
                  "the capacity must be from 0 to 1000000");
    channel = lua_newuserdatauv(L, sizeof *channel, 1);
    *channel = (struct channel){.capacity = capacity};
    cla_list_init(&channel->senders);
    cla_list_init(&channel->receivers);
    luaL_setmetatable(L, TYPE);
    lua_newtable(L);
    lua_setiuservalue(L, -2, BUFFER);
    return 1;
}

static const luaL_Reg methods[] = {
    {"send", l_send},       {"send_op", l_send_op}, {"recv", l_recv},
    {"recv_op", l_recv_op}, {"close", l_close},     {NULL, NULL},
};

void cla_channel_functions(lua_State *L)
{
    luaL_newmetatable(L, TYPE);
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
    lua_pushcfunction(L, l_channel);
    lua_setfield(L, -2, "channel");
}
