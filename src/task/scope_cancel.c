/* Cancelling a scope: what it does to those inside it, in which order, and what comes when grace
 * ends. */
#include "task/scope_cancel.h"

#include "task/task.h"

/* How long code that outlives the grace has to run to its end before it is given up. */
#define ENFORCE_NS (100 * CLA_NS_PER_MS)

static void fire_registrations(struct cla_scope *root)
{
    struct cla_token *token = NULL, *next = cla_token_next(&root->token, NULL);
    const struct cla_sched_ops *ops = root->task->sched->ops;

    while ((token = next) != NULL) {
        struct cla_registration *r;

        next = cla_token_next(&root->token, token); /* before callbacks add children */
        while ((r = cla_token_take(token)) != NULL)
            ops->fire(root->task->sched, cla_scope_of(token), r);
    }
}

/* A shield that was up when the cancel came lasts no longer than the grace of that cancel. */
void cla_scope_cap_shield(struct cla_scope *scope, uint64_t end_ns)
{
    if (scope->shield && (!cla_timer_active(&scope->timer) || scope->timer.due_ns > end_ns))
        cla_timer_start(cla_scope_timers(scope), &scope->timer, end_ns);
}

/* Before tasks are interrupted, so that who waits for this very cancellation gets to know of it. */
void cla_scope_end_waiters(struct cla_scope *scope)
{
    struct cla_stack waiters = {NULL};
    struct cla_stack_link *first;

    CLA_STACK_EACH (link, &scope->dependents) {
        if (!CLA_CONTAINER(link, struct cla_dependent, link)->waits)
            continue;
        cla_stack_remove(link);
        cla_stack_push(&waiters, link);
    }
    while ((first = cla_stack_pop(&waiters)) != NULL) { /* the end of one may withdraw others */
        struct cla_dependent *waiter = CLA_CONTAINER(first, struct cla_dependent, link);

        waiter->end(waiter);
    }
}

static void wake_tasks(struct cla_scope *root, uint64_t grace_end_ns)
{
    struct cla_token *token = NULL;

    while ((token = cla_token_next(&root->token, token)) != NULL)
        cla_scope_end_waiters(cla_scope_of(token));
    while ((token = cla_token_next(&root->token, token)) != NULL) {
        struct cla_scope *scope = cla_scope_of(token);

        cla_scope_cap_shield(scope, grace_end_ns);
        if (scope->task->scope == scope)
            cla_task_interrupt(scope->task);
    }
}

/* A scope that was marked through a link counts as cancelled itself. */
static void follow(struct cla_scope *follower, uint64_t grace_end_ns)
{
    follower->due = true;
    follower->reason = cla_reason_share(&follower->token.reason);
    follower->grace_end_ns = grace_end_ns;
    cla_timer_stop(cla_scope_timers(follower), &follower->timer);
}

/* The second phase: of what was marked last first, as children come before parents. */
static void deliver(struct cla_scope *scope, struct cla_link *followers, uint64_t grace_end_ns)
{
    struct cla_token *token;

    for (struct cla_link *link = followers->prev; link != followers; link = link->prev) {
        struct cla_scope *follower = cla_scope_of(cla_token_follower(link));

        follow(follower, grace_end_ns);
        fire_registrations(follower);
    }
    fire_registrations(scope);
    while ((token = cla_token_take_follower(followers)) != NULL)
        wake_tasks(cla_scope_of(token), grace_end_ns);
    wake_tasks(scope, grace_end_ns);
}

static bool registered_inside(struct cla_scope *root)
{
    struct cla_token *token = NULL;

    while ((token = cla_token_next(&root->token, token)) != NULL) {
        if (!cla_stack_empty(&token->registrations))
            return true;
    }
    return false;
}

static bool has_registrations(struct cla_scope *scope, const struct cla_link *followers)
{
    CLA_LIST_EACH (link, followers) {
        if (registered_inside(cla_scope_of(cla_token_follower(link))))
            return true;
    }
    return registered_inside(scope);
}

/* Firing makes tasks; were garbage collected meanwhile, loose scopes would leave the tree that is
 * being walked. */
void cla_scope_deliver(struct cla_scope *scope, struct cla_link *followers, uint64_t grace_end_ns)
{
    lua_State *L = scope->task->sched->L;
    bool running;

    if (!has_registrations(scope, followers)) {
        deliver(scope, followers, grace_end_ns);
        return;
    }
    running = lua_gc(L, LUA_GCISRUNNING) != 0;
    lua_gc(L, LUA_GCSTOP);
    deliver(scope, followers, grace_end_ns);
    if (running)
        lua_gc(L, LUA_GCRESTART);
}

/* --- Cancelling. --- */

/* The client no longer waits for an answer. */
static bool client_gave_up(enum cla_cancel_kind kind)
{
    return kind == CLA_CANCEL_RESET || kind == CLA_CANCEL_DISCONNECT;
}

static bool is_lenient(const struct cla_scope *scope, enum cla_cancel_kind kind)
{
    return scope->task->manual && scope->task->begun && scope == &scope->task->root &&
           (client_gave_up(kind) || kind == CLA_CANCEL_TIMEOUT || kind == CLA_CANCEL_SHUTDOWN ||
            kind == CLA_CANCEL_RELOAD);
}

static void tell(struct cla_scope *scope)
{
    struct cla_task *task = scope->task;

    if (scope == &task->root && task->ops->on_cancel != NULL)
        task->ops->on_cancel(task, &scope->reason);
}

static void interrupt_all(struct cla_scope *root);

static void end_lenience(struct cla_scope *scope)
{
    scope->lenient = false;
    tell(scope);
    interrupt_all(scope);
}

static void cancel_again(struct cla_scope *scope, enum cla_cancel_kind kind)
{
    if (!scope->lenient)
        return;
    if (!is_lenient(scope, kind))
        end_lenience(scope);
    else if (client_gave_up(kind))
        tell(scope);
}

/* What the body of a task has left may have one already. */
static void set_grace_end(struct cla_scope *scope, uint64_t now)
{
    uint64_t end = cla_clock_add(now, scope->task->sched->grace_ns);

    if (end < scope->grace_end_ns)
        scope->grace_end_ns = end;
}

/* A loose scope is no more than its token. */
static bool is_cancelled(const struct cla_scope *scope)
{
    return scope->due || (scope->loose && cla_token_cancelled(&scope->token));
}

bool cla_scope_cancel(struct cla_scope *scope, enum cla_cancel_kind kind, struct cla_slice message)
{
    struct cla_task *task = scope->task;
    struct cla_link followers;
    uint64_t now;

    if (!scope->open)
        return false;
    if (is_cancelled(scope)) {
        task->sched->counters.late_cancels[kind]++;
        cancel_again(scope, kind);
        return false;
    }
    now = cla_sched_now_ns(task->sched);
    scope->due = true;
    set_grace_end(scope, now);
    cla_list_init(&followers);
    cla_reason_fini(&scope->reason); /* it may have been thrown as marked by one around it */
    if (cla_token_cancel(&scope->token, kind, now, message, &followers))
        scope->reason = cla_reason_share(&scope->token.reason);
    else
        scope->reason = cla_reason_make(kind, now, message);
    scope->lenient = is_lenient(scope, scope->reason.kind);
    task->sched->counters.cancelled[scope->reason.kind]++;
    if (!scope->lenient || client_gave_up(scope->reason.kind))
        tell(scope);
    cla_scope_deliver(scope, &followers, scope->grace_end_ns);
    if (scope->loose || scope->apart)
        cla_timer_stop(cla_scope_timers(scope), &scope->timer);
    else
        cla_scope_arm(scope); /* now that it is known what its task still waits for */
    return true;
}

/* What a shield hid from the tasks inside it is to be seen now. */
static void interrupt_all(struct cla_scope *root)
{
    struct cla_token *token = NULL;

    while ((token = cla_token_next(&root->token, token)) != NULL) {
        if (cla_scope_of(token)->task->scope == cla_scope_of(token))
            cla_task_interrupt(cla_scope_of(token)->task);
    }
}

static void start_enforcing(struct cla_scope *root)
{
    cla_timer_start(cla_scope_timers(root), &root->timer,
                    cla_clock_add(cla_sched_now_ns(root->task->sched), ENFORCE_NS));
}

/* While code that computes holds the VM no other task can come to its end. */
static bool is_kept_from_running(const struct cla_task *task)
{
    const struct cla_task *held = task->sched->held, *outer = held;

    while (outer != NULL && outer != task)
        outer = outer->parent;
    return held != NULL && outer == NULL;
}

/* One that others have kept from running, as when thousands of calls are cancelled together, is not
 * given up before it has had its turn. */
static void end_enforcing(struct cla_scope *root)
{
    if (root->task->state == CLA_TASK_READY || is_kept_from_running(root->task))
        start_enforcing(root);
    else
        cla_task_abandon_all(root->task);
}

/* From here on awaits raise, and so does code that computes; what even so does not end is given up
 * with its task. */
static void end_grace(struct cla_scope *scope)
{
    struct cla_task *task = scope->task;

    scope->grace_over = true;
    task->sched->counters.grace_exceeded++;
    if (scope->lenient)
        end_lenience(scope);
    wake_tasks(scope, scope->grace_end_ns);
    if (scope == &task->root)
        start_enforcing(scope);
}

void cla_scope_expire(struct cla_scope *scope)
{
    cla_timer_stop(cla_scope_timers(scope), &scope->timer);
    if (scope->grace_over) {
        end_enforcing(scope);
    } else if (scope->due) {
        end_grace(scope);
    } else if (scope->shield) {
        scope->shield = false;
        interrupt_all(scope);
    } else {
        cla_scope_cancel(scope, CLA_CANCEL_TIMEOUT, cla_slice(NULL, 0));
    }
}
