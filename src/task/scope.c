#include "task/scope.h"

#include <lauxlib.h>

#include "task/coro.h"
#include "task/scope_cancel.h"
#include "task/task.h"

#define TYPE "cancela.Cancel"

/* Closed scopes that are kept: those of clean-up, above all, which then needs no memory while many
 * calls end together. */
#if defined(__SANITIZE_ADDRESS__)
#define KEPT_MAX 4 /* so that it sees the others */
#else
#define KEPT_MAX 256
#endif

/* A loose one ends with the scope that it was made in. */
struct loose {
    struct cla_scope scope; /* first */
    struct cla_dependent dependent;
};

static void close_loose(struct cla_dependent *dependent);

static int l_gc(lua_State *L)
{
    struct cla_scope *scope = lua_touserdata(L, 1);

    if (scope->loose && scope->open)
        close_loose(&((struct loose *)scope)->dependent);
    cla_reason_fini(&scope->token.reason);
    cla_reason_fini(&scope->reason);
    return 0;
}

/* What people read when a Cancel ends up in a log or a failed assertion. */
static int l_tostring(lua_State *L)
{
    const struct cla_scope *scope = luaL_checkudata(L, 1, TYPE);
    struct cla_slice message = cla_reason_message(&scope->reason);

    lua_pushfstring(L, "cancelled: %s", cla_cancel_kind_name(scope->reason.kind));
    if (message.n > 0) {
        lua_pushliteral(L, " (");
        lua_pushlstring(L, message.p, message.n);
        lua_pushliteral(L, ")");
        lua_concat(L, 4);
    }
    return 1;
}

void cla_scope_setup(lua_State *L)
{
    luaL_newmetatable(L, TYPE);
    cla_sched_of(L)->scope_type = lua_topointer(L, -1);
    lua_pushcfunction(L, l_gc);
    lua_setfield(L, -2, "__gc");
    lua_pushcfunction(L, l_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pushliteral(L, "Cancel");
    lua_setfield(L, -2, "__name");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
}

static void on_timer(struct cla_timer *timer);

void cla_scope_make(lua_State *L)
{
    struct cla_scope *scope = lua_touserdata(L, -1);

    scope->ref = LUA_NOREF;
    cla_timer_init(&scope->timer, on_timer);
    luaL_setmetatable(L, TYPE);
}

/* Pushes a new, closed scope, which begins a struct of so many bytes. May raise. */
static void *push_new(lua_State *L, size_t bytes, int values)
{
    void *scope = lua_newuserdatauv(L, bytes, values);

    memset(scope, 0, bytes);
    cla_scope_make(L);
    return scope;
}

struct cla_scope *cla_scope_at(lua_State *L, int index)
{
    struct cla_scope *scope = lua_touserdata(L, index);

    /* as luaL_testudata(), which looks the type up by its name: every call that ends asks */
    if (scope == NULL || !lua_getmetatable(L, index))
        return NULL;
    if (lua_topointer(L, -1) != cla_sched_of(L)->scope_type)
        scope = NULL;
    lua_pop(L, 1);
    return scope;
}

void cla_scope_push(lua_State *L, struct cla_scope *scope)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, scope->ref);
}

void cla_scope_open(struct cla_scope *scope, struct cla_task *task, struct cla_scope *outer,
                    uint64_t deadline_ns)
{
    CLA_PRE(!scope->open);
    cla_reason_fini(&scope->token.reason);
    cla_reason_fini(&scope->reason);
    cla_token_init(&scope->token, outer != NULL ? &outer->token : NULL, deadline_ns);
    scope->task = task;
    scope->open = true;
    scope->grace_end_ns = CLA_NEVER;
    scope->due = scope->lenient = scope->grace_over = false;
    scope->shield = scope->is_shield = false;
    scope->caught = scope->apart = scope->alone = false;
    scope->raised = 0;
    scope->unwinding = outer != NULL && outer->task != task && cla_scope_is_unwinding(outer);
    task->scope = scope;
}

/* A scope that is kept, in the registry under its ref; NULL: there is none. */
static struct cla_scope *take_kept(struct cla_sched *sched)
{
    struct cla_stack_link *link = cla_stack_pop(&sched->scopes);

    if (link == NULL)
        return NULL;
    sched->scopes_kept--;
    return CLA_CONTAINER(link, struct cla_scope, token.sibling);
}

static void let_be_collected(lua_State *L, struct cla_scope *scope)
{
    luaL_unref(L, LUA_REGISTRYINDEX, scope->ref);
    scope->ref = LUA_NOREF;
}

/* A closed scope that cla_scope_enter() opened: keeps it, or lets go of it. */
static void give_back(lua_State *L, struct cla_scope *scope)
{
    struct cla_sched *sched = cla_sched_of(L);

    if (scope->exposed || sched->scopes_kept >= KEPT_MAX) {
        let_be_collected(L, scope);
        return;
    }
    cla_stack_push(&sched->scopes, &scope->token.sibling);
    sched->scopes_kept++;
}

void cla_scope_trim(struct cla_sched *sched, unsigned keep)
{
    while (sched->scopes_kept > keep)
        let_be_collected(sched->L, take_kept(sched));
}

struct cla_scope *cla_scope_enter(lua_State *L, struct cla_task *task, uint64_t deadline_ns)
{
    struct cla_scope *scope = take_kept(task->sched);

    if (scope == NULL) {
        scope = push_new(L, sizeof *scope, CLA_SCOPE_TOKEN);
        scope->ref = luaL_ref(L, LUA_REGISTRYINDEX);
    }
    scope->is_group = false;
    cla_scope_open(scope, task, task->scope, deadline_ns);
    cla_scope_arm(scope);
    return scope;
}

void cla_scope_arm(struct cla_scope *scope)
{
    struct cla_timer *timer = &scope->timer;
    uint64_t due_ns = cla_scope_acts_ns(scope);

    if (scope == &scope->task->root && cla_task_wakes_ns(scope->task) < due_ns)
        due_ns = scope->task->wakes_ns;
    if (!cla_timer_active(timer) || timer->due_ns != due_ns)
        cla_timer_start(cla_scope_timers(scope), timer, due_ns);
}

void cla_scope_set_deadline(struct cla_scope *scope, uint64_t deadline_ns)
{
    CLA_PRE(scope->open && !scope->shield);
    if (scope->due || cla_token_cancelled(&scope->token))
        return;
    cla_token_set_deadline(&scope->token, deadline_ns);
    cla_scope_arm(scope);
}

void cla_scope_depend(struct cla_scope *scope, struct cla_dependent *dependent)
{
    cla_stack_push(&scope->dependents, &dependent->link);
}

struct cla_scope *cla_scope_home(const struct cla_task *task)
{
    const struct cla_coro *coro = cla_coro_innermost(task);

    if (coro == NULL || task->scope != coro->base)
        return task->scope;
    if (coro->owner != task->sched->nobody)
        return &coro->owner->root;
    while (task->parent != NULL)
        task = task->parent;
    return cla_task_root(task);
}

struct cla_scope *cla_scope_push_loose(lua_State *L, struct cla_scope *home,
                                       struct cla_scope *parent, uint64_t deadline_ns)
{
    struct loose *loose = push_new(L, sizeof *loose, CLA_SCOPE_VALUES);
    struct cla_scope *scope = &loose->scope;
    bool under = parent != NULL && parent->open;

    cla_token_init(&scope->token, under ? &parent->token : NULL, deadline_ns);
    if (parent != NULL && !under) /* it is over, but says how it was */
        scope->token.reason = cla_reason_share(&parent->token.reason);
    scope->task = home->task;
    scope->grace_end_ns = CLA_NEVER;
    scope->open = scope->loose = scope->alone = true;
    loose->dependent.end = close_loose;
    cla_scope_depend(home, &loose->dependent);
    if (!cla_token_cancelled(&scope->token))
        cla_scope_arm(scope);
    return scope;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* The first end of grace of the scopes around 'scope'; CLA_NEVER: none has one. */
static uint64_t outer_grace_end(const struct cla_scope *scope)
{
    uint64_t end = CLA_NEVER;

    for (const struct cla_scope *s = cla_scope_around(scope); s != NULL; s = cla_scope_around(s))
        end = least(end, s->grace_end_ns);
    return end;
}

void cla_scope_shield(struct cla_scope *scope, uint64_t until_ns)
{
    uint64_t cap = outer_grace_end(scope);

    scope->shield = scope->is_shield = true;
    cla_timer_start(cla_scope_timers(scope), &scope->timer, until_ns < cap ? until_ns : cap);
}

void cla_scope_clean_up(struct cla_scope *root)
{
    uint64_t now = cla_sched_now_ns(root->task->sched);
    uint64_t end = cla_clock_add(now, root->task->sched->grace_ns), cap = outer_grace_end(root);

    CLA_PRE(root->open && !root->due);
    root->reason =
        cla_token_cancelled(&root->token)
            ? cla_reason_share(&root->token.reason)
            : cla_reason_make(CLA_CANCEL_TIMEOUT, now, CLA_LIT("the grace of clean-up is over"));
    root->grace_end_ns = end < cap ? end : cap;
    root->due = root->unwinding = root->alone = true;
    cla_scope_arm(root);
}

void cla_scope_leave(struct cla_scope *root)
{
    struct cla_sched *sched = root->task->sched;

    if (!root->due)
        root->grace_end_ns = cla_clock_add(cla_sched_now_ns(sched), sched->grace_ns);
}

/* A token may have been born cancelled, by a link, and made while its task cleaned up: what cleans
 * up after it ends with the grace of either cancel. */
static uint64_t inherited_grace_end(const struct cla_scope *root)
{
    const struct cla_task *parent = root->task->parent;
    uint64_t own = cla_clock_add(root->token.reason.at_ns, root->task->sched->grace_ns);
    uint64_t end = least(own, outer_grace_end(root));

    if (parent == NULL)
        return end;
    return least(end, least(parent->root.grace_end_ns, outer_grace_end(&parent->root)));
}

void cla_scope_inherit(struct cla_scope *root)
{
    CLA_PRE(root->open && cla_token_cancelled(&root->token));
    root->reason = cla_reason_share(&root->token.reason);
    root->grace_end_ns = inherited_grace_end(root);
    root->due = root->unwinding = root->alone = true;
    cla_scope_arm(root);
}

static void on_timer(struct cla_timer *timer)
{
    cla_scope_expire(CLA_CONTAINER(timer, struct cla_scope, timer));
}

/* Tasks inside a scope that closes before they end, as only that of an abandoned task does, go on
 * for themselves: to their end, if the scope was cancelled. */
static void let_go(struct cla_scope *scope)
{
    CLA_STACK_EACH (link, &scope->token.children) {
        struct cla_scope *inner = cla_scope_of(CLA_CONTAINER(link, struct cla_token, sibling));

        if (inner->alone || inner->task == scope->task)
            continue;
        if (cla_token_cancelled(&inner->token) && !inner->due)
            cla_scope_inherit(inner);
        inner->alone = true;
    }
}

static void end_dependents(struct cla_scope *scope)
{
    struct cla_stack_link *link;

    cla_scope_end_waiters(scope);
    while ((link = cla_stack_pop(&scope->dependents)) != NULL) {
        struct cla_dependent *dependent = CLA_CONTAINER(link, struct cla_dependent, link);

        dependent->end(dependent);
    }
}

/* Its timer served the grace, so nothing told of a deadline that passed meanwhile. One that comes
 * after the grace can have passed only if that is over. */
static void count_late_deadline(const struct cla_scope *scope)
{
    struct cla_sched *sched = scope->task->sched;
    uint64_t deadline_ns = scope->token.own_ns;

    if (scope->reason.kind != CLA_CANCEL_TIMEOUT && deadline_ns != CLA_NEVER &&
        (deadline_ns <= scope->grace_end_ns || scope->grace_over) &&
        cla_sched_now_ns(sched) >= deadline_ns)
        sched->counters.late_cancels[CLA_CANCEL_TIMEOUT]++;
}

static void close_one(struct cla_scope *scope)
{
    struct cla_sched *sched = scope->task->sched;
    struct cla_registration *r;

    if (scope->due)
        count_late_deadline(scope);
    scope->open = false;
    end_dependents(scope);
    cla_timer_stop(&sched->loop->timers, &scope->timer);
    let_go(scope);
    while ((r = cla_token_take(&scope->token)) != NULL)
        sched->ops->drop(sched, r);
    cla_token_end(&scope->token);
}

static void close_loose(struct cla_dependent *dependent)
{
    struct cla_scope *scope = &CLA_CONTAINER(dependent, struct loose, dependent)->scope;

    cla_stack_remove(&dependent->link);
    close_one(scope);
}

/* Closes the scopes from 'innermost' to 'outermost'. Returns the one around them, or NULL. */
static struct cla_scope *close_chain(lua_State *L, struct cla_scope *innermost,
                                     const struct cla_scope *outermost)
{
    struct cla_scope *next = innermost, *s;

    do {
        s = next;
        next = cla_scope_outer(s);
        close_one(s);
        give_back(L, s);
    } while (s != outermost);
    return next;
}

void cla_scope_close(struct cla_scope *scope)
{
    struct cla_task *task = scope->task;

    CLA_PRE(scope->open && scope != &task->root);
    task->scope = close_chain(task->running, task->scope, scope);
}

void cla_scope_close_root(struct cla_scope *scope)
{
    close_one(scope);
}

/* --- Scopes of coroutines. --- */

/* Puts the scope with what is inside it under 'outer'. A cancel from there reaches what it had not
 * reached before. */
static void move_under(struct cla_scope *scope, struct cla_scope *outer)
{
    struct cla_link followers;

    cla_list_init(&followers);
    scope->alone = false;
    if (cla_token_move(&scope->token, outer != NULL ? &outer->token : NULL, &followers))
        cla_scope_deliver(scope, &followers, outer_grace_end(scope));
}

/* What the scope's loose ones begin, and their timers, are that task's too. */
static void give_to(struct cla_scope *scope, struct cla_task *task)
{
    scope->task = task;
    CLA_STACK_EACH (link, &scope->dependents) {
        struct cla_dependent *dependent = CLA_CONTAINER(link, struct cla_dependent, link);

        if (dependent->end == close_loose)
            CLA_CONTAINER(dependent, struct loose, dependent)->scope.task = task;
    }
}

/* Its deadline passed while nobody could notice: its clean-up has all of its grace. */
static void begin_grace(struct cla_scope *scope)
{
    uint64_t now = cla_sched_now_ns(scope->task->sched);

    if (!scope->due || scope->unwinding || cla_timer_active(&scope->timer) || scope->grace_over)
        return;
    scope->grace_end_ns = cla_clock_add(now, scope->task->sched->grace_ns);
    cla_timer_start(cla_scope_timers(scope), &scope->timer, scope->grace_end_ns);
}

void cla_scope_join(struct cla_scope *innermost, struct cla_scope *outermost, struct cla_task *task)
{
    for (struct cla_scope *s = innermost;; s = cla_scope_outer(s)) {
        give_to(s, task);
        s->apart = false;
        begin_grace(s);
        if (s == outermost)
            break;
    }
    move_under(outermost, task->scope);
    for (struct cla_scope *s = innermost; s != task->scope; s = cla_scope_outer(s))
        cla_scope_cap_shield(s, outer_grace_end(s));
    task->scope = innermost;
}

struct cla_scope *cla_scope_split(struct cla_task *task, struct cla_scope *base,
                                  struct cla_task *owner)
{
    struct cla_scope *s = task->scope;

    CLA_PRE(s != base);
    for (;; s = cla_scope_outer(s)) {
        give_to(s, owner);
        s->apart = true;
        if (cla_scope_outer(s) == base)
            break;
    }
    task->scope = base;
    move_under(s, owner != task->sched->nobody ? &owner->root : NULL);
    return s;
}

void cla_scope_close_split(struct cla_scope *innermost, const struct cla_scope *outermost)
{
    (void)close_chain(innermost->task->running, innermost, outermost);
}
