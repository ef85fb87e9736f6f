/* Happy path: the data is encoded once in each language that some client speaks, and goes to every
 * subscriber at once.
 * Failure modes: a topic with slow = "suspend" has a subscriber without room: the publisher waits,
 * and what it publishes has gone to nobody until it goes to all.
 * On close: one that is cancelled while it waits has published nothing. */
#include "bind/publish.h"

#include <stdio.h>

#include "base/error.h"
#include "base/utf8.h"
#include "bind/client.h"
#include "bind/error.h"
#include "bind/notification.h"
#include "bind/script.h"
#include "bind/script_topics.h"
#include "gateway/publisher.h"
#include "gateway/worker.h"
#include "task/op.h"

#define TYPE "cancela.Bulletin"

/* The buffers of the script keep no more than this. */
#define KEEP_BYTES 65536

/* What is published to: all subscribers of a topic, or all clients. */
enum reach { TOPIC, EVERYONE };

static const char *const noun_of[] = {[TOPIC] = "topic", [EVERYONE] = "event"};

/* --- Encoding. --- */

static struct cla_slice check_name(lua_State *L, int index, enum reach reach)
{
    struct cla_slice name;

    if (lua_type(L, index) != LUA_TSTRING)
        luaL_typeerror(L, index, "string");
    name.p = lua_tolstring(L, index, &name.n);
    if (name.n == 0 || name.n > CLA_TOPIC_NAME_MAX)
        luaL_error(L, "bad argument #%d (the name of %s %s has 1 to %d bytes, this one %d)", index,
                   reach == TOPIC ? "a" : "an", noun_of[reach], CLA_TOPIC_NAME_MAX, (int)name.n);
    luaL_argcheck(L, cla_utf8_valid(name), index, "the name must be UTF-8");
    if (reach == TOPIC && name.p[name.n - 1] == '*')
        luaL_error(L,
                   "bad argument #%d ('%s' is a pattern: it is for app.topics, and here the name "
                   "of one topic is wanted)",
                   index, name.p);
    return name;
}

static void keep_little(struct cla_buf *buf)
{
    if (buf->cap > KEEP_BYTES)
        cla_buf_fini(buf);
}

static void write_message(lua_State *L, enum cla_language language, struct cla_slice name,
                          struct cla_buf *to)
{
    struct cla_json_encode_fault fault = {.message = "out of memory"};

    to->n = 0;
    if (cla_notification_write(L, language == CLA_LANGUAGE_FRAMES, name, 2, to, &fault) != 0)
        luaL_error(L, "bad argument #2 (%s)", fault.message);
}

/* Name and data are at 1 and 2. Makes what is to be published of them; may raise before. */
static struct cla_bulletin *encode(lua_State *L, enum reach reach)
{
    struct cla_script *script = cla_script_of(L);
    const struct cla_topics *topics = script->app.topics;
    struct cla_slice name = check_name(L, 1, reach), messages[CLA_LANGUAGES] = {{0}};
    struct cla_buf *const buffers[CLA_LANGUAGES] = {&script->scratch, &script->frame};
    struct cla_bulletin *bulletin = NULL;

    for (int i = 0; i < CLA_LANGUAGES; i++) {
        if (topics != NULL && !cla_topics_speak(topics, (enum cla_language)i))
            continue;
        write_message(L, (enum cla_language)i, name, buffers[i]);
        messages[i] = cla_buf_slice(buffers[i]);
    }
    (void)cla_bulletin_new(&bulletin, name, reach == EVERYONE, cla_script_topic_rules(script, name),
                           messages);
    keep_little(&script->scratch);
    keep_little(&script->frame);
    if (bulletin == NULL)
        luaL_error(L, "out of memory");
    return bulletin;
}

/* --- Publishing, where the publisher may wait. --- */

struct publish {
    struct cla_op op; /* keeps the bulletin's box as its object */
    struct cla_publisher publisher;
    struct cla_topics *topics; /* NULL: nobody can be subscribed here */
};

static struct publish *publish_of(struct cla_op *op)
{
    return CLA_CONTAINER(op, struct publish, op);
}

static void on_room(struct cla_publisher *publisher)
{
    cla_op_nudge(&CLA_CONTAINER(publisher, struct publish, publisher)->op);
}

static bool waits(const struct cla_bulletin *bulletin)
{
    return bulletin->rules.slow == CLA_SLOW_SUSPEND;
}

static bool publish_begin(lua_State *L, struct cla_op *op, int at)
{
    struct publish *publish = publish_of(op);
    struct cla_bulletin *bulletin = publish->publisher.bulletin;

    (void)L, (void)at;
    if (publish->topics == NULL)
        return true;
    if (waits(bulletin) && !cla_publisher_may(publish->topics, bulletin))
        return false;
    op->result = cla_topics_publish(publish->topics, bulletin);
    return true;
}

static void publish_enqueue(struct cla_op *op)
{
    struct publish *publish = publish_of(op);

    if (cla_publisher_wait(publish->topics, &publish->publisher))
        cla_op_nudge(op); /* a finalizer has made room since */
}

static bool publish_poll(struct cla_op *op)
{
    struct publish *publish = publish_of(op);
    unsigned count;

    if (!cla_publisher_try(publish->topics, &publish->publisher, &count))
        return false;
    op->result = count;
    return true;
}

static void publish_withdraw(struct cla_op *op)
{
    cla_publisher_withdraw(publish_of(op)->topics, &publish_of(op)->publisher);
}

static int publish_push(lua_State *L, struct cla_op *op, int at)
{
    (void)at;
    lua_pushinteger(L, op->result);
    return 1;
}

static const struct cla_op_ops publish_ops = {
    .begin = publish_begin,
    .enqueue = publish_enqueue,
    .poll = publish_poll,
    .withdraw = publish_withdraw,
    .push = publish_push,
};

/* Keeps what an operation publishes. */
struct box {
    struct cla_bulletin *bulletin;
};

static int l_gc(lua_State *L)
{
    struct box *box = lua_touserdata(L, 1);

    cla_bulletin_put(box->bulletin);
    box->bulletin = NULL;
    return 0;
}

static struct box *push_box(lua_State *L)
{
    struct box *box = lua_newuserdatauv(L, sizeof *box, 0);

    box->bulletin = NULL;
    if (luaL_newmetatable(L, TYPE)) {
        lua_pushcfunction(L, l_gc);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    return box;
}

/* Stack: name, data. Pushes the operation that publishes it. */
static void push_op(lua_State *L, enum reach reach)
{
    struct box *box;
    struct publish *publish;

    lua_settop(L, 2);
    box = push_box(L);
    publish = (struct publish *)cla_op_push_new(L, &publish_ops, sizeof *publish, 3, NULL);
    publish->topics = cla_script_of(L)->app.topics;
    publish->publisher.on_room = on_room;
    cla_list_init(&publish->publisher.link);
    box->bulletin = publish->publisher.bulletin = encode(L, reach);
}

static int publish(lua_State *L, enum reach reach)
{
    struct cla_script *script = cla_script_of(L);
    struct cla_slice name = check_name(L, 1, reach);
    struct cla_bulletin *bulletin;
    lua_Integer count = 0;

    if (cla_script_topic_rules(script, name)->slow == CLA_SLOW_SUSPEND) {
        (void)cla_await_check(L);
        push_op(L, reach);
        return cla_op_await(L);
    }
    (void)cla_await_task(L, "publish");
    lua_settop(L, 2);
    bulletin = encode(L, reach);
    if (script->app.topics != NULL)
        count = cla_topics_publish(script->app.topics, bulletin);
    cla_bulletin_put(bulletin);
    lua_pushinteger(L, count);
    return 1;
}

/* publish(topic, data) -> how many subscribers of this worker it goes to. Awaits room if the topic
 * says so. */
static int l_publish(lua_State *L)
{
    return publish(L, TOPIC);
}

/* broadcast(event, data) -> likewise, of all clients that make calls. */
static int l_broadcast(lua_State *L)
{
    return publish(L, EVERYONE);
}

static int l_publish_op(lua_State *L)
{
    (void)cla_await_task(L, "use cancela.publish_op");
    push_op(L, TOPIC);
    return 1;
}

static int l_broadcast_op(lua_State *L)
{
    (void)cla_await_task(L, "use cancela.broadcast_op");
    push_op(L, EVERYONE);
    return 1;
}

static const luaL_Reg functions[] = {
    {"publish", l_publish},
    {"publish_op", l_publish_op},
    {"broadcast", l_broadcast},
    {"broadcast_op", l_broadcast_op},
    {NULL, NULL},
};

void cla_publish_functions(lua_State *L)
{
    luaL_setfuncs(L, functions, 0);
}

/* --- Subscribing. --- */

static struct cla_socket *check_subscriber(lua_State *L)
{
    struct cla_socket *socket = cla_client_check(L);

    if (socket->route != NULL)
        luaL_error(L, "this client has a handler of its own, in whose language nothing is "
                      "published: use socket:send()");
    return socket;
}

static int raise_limit(lua_State *L, struct cla_slice topic, unsigned most)
{
    char text[400];

    snprintf(text, sizeof text,
             "client:subscribe('%.*s'): the client has %u subscriptions already "
             "(subscriptions_per_connection)",
             (int)topic.n, topic.p, most);
    return cla_error_raise(L, CLA_CODE_RESOURCE_EXHAUSTED, text);
}

/* subscribe(topic) -> true, or nil and "closed". */
static int l_subscribe(lua_State *L)
{
    struct cla_socket *socket = check_subscriber(L);
    struct cla_slice topic = check_name(L, 2, TOPIC);
    unsigned most = socket->worker->subscriptions_per_connection;
    int rc = -CLA_ECLOSED;

    if (socket->state != CLA_SOCKET_OVER)
        rc = cla_topics_subscribe(&socket->worker->topics, &socket->subscriber, topic, most);
    if (rc == -CLA_ELIMIT)
        return raise_limit(L, topic, most);
    if (rc == -CLA_ENOMEM)
        return luaL_error(L, "out of memory");
    if (rc == -CLA_ECLOSED) {
        lua_pushnil(L);
        lua_pushliteral(L, "closed");
        return 2;
    }
    lua_pushboolean(L, 1);
    return 1;
}

/* unsubscribe(topic) -> whether it was subscribed. */
static int l_unsubscribe(lua_State *L)
{
    struct cla_socket *socket = check_subscriber(L);
    struct cla_slice topic = check_name(L, 2, TOPIC);

    lua_pushboolean(
        L, socket->state != CLA_SOCKET_OVER &&
               cla_topics_unsubscribe(&socket->worker->topics, &socket->subscriber, topic));
    return 1;
}

const luaL_Reg cla_publish_client_methods[] = {
    {"subscribe", l_subscribe},
    {"unsubscribe", l_unsubscribe},
    {NULL, NULL},
};
