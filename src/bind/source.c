/* Such a token is a loose scope: it ends with the scope it was made in, or when nobody holds it,
 * its function or anything registered on it. */
#include "bind/source.h"

#include <lauxlib.h>

#include "bind/args.h"
#include "bind/reason.h"
#include "bind/token.h"
#include "task/op.h"

/* cancel(reason) -> whether this did it. Upvalue: the token. */
static int l_cancel(lua_State *L)
{
    struct cla_slice message = cla_reason_arg(L, 1);
    struct cla_scope *scope = cla_token_check(L, lua_upvalueindex(1));

    lua_pushboolean(L, !cla_token_cancelled(&scope->token) &&
                           cla_scope_cancel(scope, CLA_CANCEL_USER, message));
    return 1;
}

/* The time limit of the options at 2; CLA_NEVER: none. */
static uint64_t timeout_option(lua_State *L)
{
    lua_Number seconds;

    if (lua_isnoneornil(L, 2))
        return CLA_NEVER;
    luaL_checktype(L, 2, LUA_TTABLE);
    for (lua_pushnil(L); lua_next(L, 2) != 0; lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING || strcmp(lua_tostring(L, -2), "timeout") != 0)
            luaL_error(L, "bad argument #1 to 'child' (there is no option %s, only timeout)",
                       luaL_tolstring(L, -2, NULL));
    }
    if (lua_getfield(L, 2, "timeout") == LUA_TNIL)
        return CLA_NEVER;
    seconds = lua_tonumber(L, -1);
    if (lua_type(L, -1) != LUA_TNUMBER || !(seconds >= 0))
        luaL_error(L, "bad argument #1 to 'child' (timeout must be a number of at least 0)");
    lua_pop(L, 1);
    return cla_clock_add(cla_sched_now_ns(cla_sched_of(L)), cla_clock_from_seconds(seconds));
}

int cla_source_child(lua_State *L)
{
    struct cla_scope *parent = cla_token_check(L, 1);
    struct cla_task *task = cla_await_task(L, "make a token");
    uint64_t deadline = timeout_option(L);

    (void)cla_scope_push_loose(L, cla_scope_home(task), parent, deadline);
    cla_token_push_loose(L, 1);
    lua_pushvalue(L, -1);
    lua_pushcclosure(L, l_cancel, 1);
    return 2;
}

/* The tokens at 1 to 'count' in a table: what is linked to them keeps them. */
static void push_list(lua_State *L, int count)
{
    lua_createtable(L, count, 0);
    for (int at = 1; at <= count; at++) {
        lua_pushvalue(L, at);
        lua_rawseti(L, -2, at);
    }
}

static void link_to(struct cla_scope *source, struct cla_scope *scope, struct cla_token_link *link)
{
    if (source->open)
        cla_token_link(&source->token, &scope->token, link);
    else if (cla_token_cancelled(&source->token) && !cla_token_cancelled(&scope->token))
        scope->token.reason = cla_reason_share(&source->token.reason);
}

int cla_source_linked(lua_State *L)
{
    int count = lua_gettop(L);
    struct cla_task *task = cla_await_task(L, "make a token");
    struct cla_token_link *links;
    struct cla_scope *scope;

    if (count < 1 || count > CLA_SOURCE_LINKS_MAX)
        return luaL_error(L, "bad arguments to 'linked_token' (1 to %d tokens expected, got %d)",
                          CLA_SOURCE_LINKS_MAX, count);
    for (int at = 1; at <= count; at++)
        (void)cla_token_check(L, at);
    luaL_checkstack(L, 8, NULL);
    push_list(L, count);
    scope = cla_scope_push_loose(L, cla_scope_home(task), NULL, CLA_NEVER);
    links = lua_newuserdatauv(L, (size_t)count * sizeof *links, 0);
    lua_setiuservalue(L, -2, CLA_SCOPE_LINKS);
    cla_token_push_loose(L, count + 1);
    for (int at = 1; at <= count; at++)
        link_to(cla_token_check(L, at), scope, &links[at - 1]);
    return 1;
}

/* --- wait --- */

struct wait {
    struct cla_op op; /* first */
    struct cla_dependent dependent;
};

static bool is_over(const struct cla_scope *scope)
{
    return !scope->open || cla_token_cancelled(&scope->token);
}

static bool wait_begin(lua_State *L, struct cla_op *op, int at)
{
    (void)L, (void)at;
    return is_over(op->object);
}

static void wait_end(struct cla_dependent *dependent)
{
    cla_op_complete(&CLA_CONTAINER(dependent, struct wait, dependent)->op);
}

static void wait_enqueue(struct cla_op *op)
{
    struct wait *wait = (struct wait *)op;

    wait->dependent = (struct cla_dependent){.end = wait_end, .waits = true};
    cla_scope_depend(op->object, &wait->dependent);
}

static void wait_withdraw(struct cla_op *op)
{
    cla_stack_remove(&((struct wait *)op)->dependent.link);
}

static int wait_push(lua_State *L, struct cla_op *op, int at)
{
    const struct cla_scope *scope = op->object;

    (void)at;
    cla_reason_push(L, &scope->token.reason);
    return 1;
}

static const struct cla_op_ops wait_ops = {
    .begin = wait_begin,
    .enqueue = wait_enqueue,
    .withdraw = wait_withdraw,
    .push = wait_push,
};

int cla_source_wait_op(lua_State *L)
{
    (void)cla_op_push_new(L, &wait_ops, sizeof(struct wait), 1, cla_token_check(L, 1));
    return 1;
}

int cla_source_wait(lua_State *L)
{
    (void)cla_source_wait_op(L);
    return cla_op_await(L);
}
