/* A token object refers to its scope, whose memory lives as long as either is held; once the scope
 * is closed the token still answers, and registers nothing.
 * A registration is kept in the registry from on_cancel() until it is removed, dropped, or its
 * function has run; so a token that a script keeps holds no function. */
#include "bind/token.h"

#include <lauxlib.h>
#include <math.h>

#include "bind/args.h"
#include "bind/reason.h"
#include "bind/script.h"
#include "bind/source.h"
#include "task/task.h"

#define TOKEN "cancela.Token"
#define REGISTRATION "cancela.Registration"

enum { REGISTRATION_FN = 1, REGISTRATION_TOKEN = 2 }; /* user values of a registration */

struct token {
    struct cla_scope *scope; /* kept by the user value */
};

struct registration {
    struct cla_registration node;   /* in the token, until fired, removed or dropped */
    struct cla_dependent dependent; /* of a token of another call: in who registered */
    struct cla_sched *sched;
    int ref;      /* keeps this userdata while it may still run */
    bool entered; /* its function has begun to run */
    bool removed; /* its function will not be run, even if its task is ready */
};

/* Makes the token of the scope on top of the stack, and puts it there instead. */
static void put_token(lua_State *L, struct cla_scope *scope)
{
    struct token *token = lua_newuserdatauv(L, sizeof *token, CLA_TOKEN_VALUES);

    token->scope = scope;
    luaL_setmetatable(L, TOKEN);
    lua_pushvalue(L, -2);
    lua_setiuservalue(L, -2, CLA_TOKEN_SCOPE);
    lua_getiuservalue(L, -2, CLA_SCOPE_TOKEN);
    lua_setiuservalue(L, -2, CLA_TOKEN_KEEPS);
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, -3, CLA_SCOPE_TOKEN);
    scope->exposed = true;
    lua_remove(L, -2);
}

void cla_token_push(lua_State *L, struct cla_scope *scope)
{
    luaL_checkstack(L, 4, NULL);
    cla_scope_push(L, scope);
    if (lua_getiuservalue(L, -1, CLA_SCOPE_TOKEN) == LUA_TUSERDATA) {
        lua_remove(L, -2);
        return;
    }
    lua_pop(L, 1);
    put_token(L, scope);
}

void cla_token_push_loose(lua_State *L, int keeps_at)
{
    put_token(L, cla_scope_at(L, -1));
    lua_pushvalue(L, keeps_at);
    lua_setiuservalue(L, -2, CLA_TOKEN_KEEPS);
}

struct cla_scope *cla_token_check(lua_State *L, int index)
{
    struct token *token = luaL_checkudata(L, index, TOKEN);

    return token->scope;
}

static struct cla_scope *check_token(lua_State *L)
{
    return cla_token_check(L, 1);
}

/* The scope whose Cancel speaks for this token: the nearest one outwards that is due itself. */
static struct cla_scope *origin(struct cla_scope *scope)
{
    struct cla_scope *s = scope;

    while (s != NULL && !s->due)
        s = cla_scope_around(s);
    return s != NULL && !s->loose ? s : scope;
}

/* Only in the task that the scope cancels does this count as the raising that its awaits do. */
static int l_throw_if_cancelled(lua_State *L)
{
    struct cla_scope *scope = check_token(L), *from = origin(scope);

    if (!cla_token_cancelled(&scope->token)) {
        lua_settop(L, 1);
        return 1;
    }
    if (scope->open && from->open && !from->loose && cla_task_on(L) == from->task)
        cla_scope_raise(L, from);
    if (from->reason.kind == CLA_CANCEL_NONE)
        from->reason = cla_reason_share(&from->token.reason);
    if (scope->open && from->open && !from->loose)
        cla_scope_push(L, from);
    else
        lua_getiuservalue(L, 1, CLA_TOKEN_SCOPE);
    return lua_error(L);
}

/* --- Registrations. --- */

static struct registration *registration_of(struct cla_registration *node)
{
    return CLA_CONTAINER(node, struct registration, node);
}

static void unanchor(lua_State *L, struct registration *r)
{
    cla_stack_remove(&r->dependent.link);
    luaL_unref(L, LUA_REGISTRYINDEX, r->ref);
    r->ref = LUA_NOREF;
}

static int l_nothing(lua_State *L)
{
    (void)L;
    return 0;
}

static int callback_enter(struct cla_task *task, lua_State *L)
{
    struct registration *r = task->owner;

    if (r->removed) {
        lua_pushcfunction(L, l_nothing);
        return 0;
    }
    r->entered = true;
    task->sched->counters.callbacks++;
    lua_rawgeti(L, LUA_REGISTRYINDEX, r->ref);
    lua_getiuservalue(L, -1, REGISTRATION_FN);
    cla_reason_push(L, &task->root.reason);
    lua_getiuservalue(L, -3, REGISTRATION_TOKEN);
    lua_remove(L, -4);
    return 2;
}

static void callback_leave(struct cla_task *task, lua_State *L, int status, int first)
{
    (void)first;
    if (status == LUA_OK || cla_scope_at(L, -1) != NULL)
        return;
    task->sched->counters.callback_errors++;
    cla_log_line(task->sched->log, CLA_LOG_ERROR, "error in an on_cancel function: %s",
                 luaL_tolstring(L, -1, NULL));
}

static void callback_end(struct cla_task *task, enum cla_task_end end)
{
    struct registration *r = task->owner;

    if (end == CLA_TASK_BROKE)
        cla_log_line(task->sched->log, CLA_LOG_ERROR, "an on_cancel function could not run: %s",
                     lua_tostring(task->L, -1));
    unanchor(task->sched->L, r);
}

static const struct cla_task_ops callback_ops = {
    .enter = callback_enter,
    .leave = callback_leave,
    .on_end = callback_end,
    .is_cleanup = true,
};

static void fire(struct cla_sched *sched, struct cla_scope *scope, struct cla_registration *node)
{
    struct registration *r = registration_of(node);
    struct cla_task *task = cla_task_get(sched);

    if (task == NULL) {
        cla_log_line(sched->log, CLA_LOG_ERROR, "no memory to run an on_cancel function");
        unanchor(sched->L, r);
        return;
    }
    cla_task_start(task, &callback_ops, r, scope, scope->task, CLA_NEVER);
    cla_scope_inherit(&task->root);
}

static void drop(struct cla_sched *sched, struct cla_registration *node)
{
    unanchor(sched->L, registration_of(node));
}

static void look_outside(struct cla_sched *sched)
{
    const struct cla_app *app = &((struct cla_script *)sched->owner)->app;

    if (app->look_outside != NULL)
        app->look_outside(app->outside);
}

const struct cla_sched_ops cla_token_sched_ops = {
    .fire = fire,
    .drop = drop,
    .look_outside = look_outside,
};

/* remove() -> true iff the function will never run. */
static int l_remove(lua_State *L)
{
    struct registration *r = luaL_checkudata(L, 1, REGISTRATION);

    if (cla_registration_remove(&r->node))
        unanchor(L, r);
    r->removed = !r->entered;
    lua_pushboolean(L, r->removed);
    return 1;
}

/* The scope is over in which a function was registered on a token of another call. */
static void end_registration(struct cla_dependent *dependent)
{
    struct registration *r = CLA_CONTAINER(dependent, struct registration, dependent);

    if (cla_registration_remove(&r->node))
        unanchor(r->sched->L, r);
}

/* True if the scope is of the running task, or of one that this is a subtask of, however far. */
static bool is_own(const struct cla_scope *scope, const struct cla_task *running)
{
    while (running != NULL && running != scope->task)
        running = running->parent;
    return running != NULL;
}

static struct registration *push_registration(lua_State *L, struct cla_sched *sched)
{
    struct registration *r = lua_newuserdatauv(L, sizeof *r, 2);

    *r = (struct registration){.sched = sched, .ref = LUA_NOREF, .dependent.end = end_registration};
    luaL_setmetatable(L, REGISTRATION);
    lua_pushvalue(L, 2);
    lua_setiuservalue(L, -2, REGISTRATION_FN);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, REGISTRATION_TOKEN);
    return r;
}

/* Whether the scope was opened by the task or an ancestor of it. */
static bool is_around(const struct cla_scope *scope, const struct cla_task *task)
{
    while (task != NULL && task != scope->task)
        task = task->parent;
    return task != NULL;
}

static int l_on_cancel(lua_State *L)
{
    struct cla_scope *scope = check_token(L);
    struct cla_task *maker = cla_sched_of(L)->current;
    struct registration *r;

    cla_args_function(L, 2);
    r = push_registration(L, cla_sched_of(L));
    if (!scope->open)
        return 1;
    if (cla_token_register(&scope->token, &r->node) != 0)
        return luaL_error(L, "a token takes at most %d registrations: remove() some",
                          CLA_TOKEN_REGISTRATIONS_MAX);
    lua_pushvalue(L, -1);
    r->ref = luaL_ref(L, LUA_REGISTRYINDEX);
    if (r->sched->current != NULL && !is_own(scope, r->sched->current))
        cla_scope_depend(cla_scope_home(r->sched->current), &r->dependent);
    if (cla_token_cancelled(&scope->token) && cla_registration_remove(&r->node))
        fire(r->sched, scope, &r->node);
    else if (maker != NULL && !is_around(scope, maker))
        cla_task_adopt(maker, &r->node);
    return 1;
}

/* --- The token's properties. --- */

static void push_deadline(lua_State *L, uint64_t ns)
{
    lua_pushnumber(L, ns == CLA_NEVER ? HUGE_VAL : (lua_Number)ns / 1e9);
}

static int l_index(lua_State *L)
{
    struct cla_scope *scope = check_token(L);
    const char *key = luaL_checkstring(L, 2);

    if (strcmp(key, "cancelled") == 0) {
        lua_pushboolean(L, cla_token_cancelled(&scope->token));
    } else if (strcmp(key, "reason") == 0) {
        cla_reason_push(L, &scope->token.reason);
    } else if (strcmp(key, "deadline") == 0) {
        push_deadline(L, scope->token.deadline_ns);
    } else if (strcmp(key, "remaining") == 0) {
        push_deadline(L, cla_token_remaining_ns(&scope->token, cla_sched_now_ns(cla_sched_of(L))));
    } else {
        lua_pushvalue(L, 2);
        lua_rawget(L, lua_upvalueindex(1));
    }
    return 1;
}

static int l_newindex(lua_State *L)
{
    return luaL_error(L, "a token is read-only: it cannot be cancelled by assignment (%s)",
                      luaL_tolstring(L, 2, NULL));
}

static int l_token_tostring(lua_State *L)
{
    const struct cla_scope *scope = check_token(L);

    lua_pushfstring(L, "token: %s",
                    cla_token_cancelled(&scope->token)
                        ? cla_cancel_kind_name(scope->token.reason.kind)
                        : "not cancelled");
    return 1;
}

static const luaL_Reg token_methods[] = {
    {"throw_if_cancelled", l_throw_if_cancelled},
    {"on_cancel", l_on_cancel},
    {"child", cla_source_child},
    {"wait", cla_source_wait},
    {"wait_op", cla_source_wait_op},
    {NULL, NULL},
};

static const luaL_Reg registration_methods[] = {
    {"remove", l_remove},
    {NULL, NULL},
};

void cla_token_setup(lua_State *L)
{
    luaL_newmetatable(L, TOKEN);
    luaL_newlib(L, token_methods);
    lua_pushcclosure(L, l_index, 1);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, l_newindex);
    lua_setfield(L, -2, "__newindex");
    lua_pushcfunction(L, l_token_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    luaL_newmetatable(L, REGISTRATION);
    luaL_newlib(L, registration_methods);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, l_remove);
    lua_setfield(L, -2, "__close");
    lua_pop(L, 2);
}
