/* Happy path: a tick is due at begin + n times the period; who waits longest takes it.
 * Failure modes: a tick that nobody waited for is due until it is taken, together with those after
 * it. A waiter that is cancelled leaves the tick to the next.
 * On close: the timer runs only while somebody waits. */
#include "bind/interval.h"

#include <lauxlib.h>

#include "bind/args.h"
#include "task/op.h"

#define TYPE "cancela.Interval"

/* Shorter ones would be due again before others had their turn. */
#define PERIOD_MIN_NS CLA_NS_PER_MS

struct interval {
    struct cla_sched *sched;
    struct cla_timer timer;  /* of the next tick, while somebody waits */
    struct cla_link waiting; /* operations, the longest waiting first */
    uint64_t period_ns;
    uint64_t next_ns; /* when the next tick is due */
};

static void arm(struct interval *interval)
{
    if (!cla_list_empty(&interval->waiting))
        cla_timer_start(&interval->sched->loop->timers, &interval->timer, interval->next_ns);
}

static void on_tick(struct cla_timer *timer)
{
    struct interval *interval = CLA_CONTAINER(timer, struct interval, timer);

    cla_op_expire(cla_op_first(&interval->waiting));
    arm(interval);
}

static bool tick_expire(struct cla_op *op, uint64_t now_ns)
{
    struct interval *interval = op->object;
    uint64_t ticks;

    if (now_ns < interval->next_ns)
        return false;
    ticks = (now_ns - interval->next_ns) / interval->period_ns + 1;
    interval->next_ns = cla_clock_add(interval->next_ns, ticks * interval->period_ns);
    op->result = (lua_Integer)ticks;
    return true;
}

static bool tick_begin(lua_State *L, struct cla_op *op, int at)
{
    const struct interval *interval = op->object;

    (void)at;
    return cla_list_empty(&interval->waiting) && tick_expire(op, cla_sched_now_ns(cla_sched_of(L)));
}

static void tick_enqueue(struct cla_op *op)
{
    struct interval *interval = op->object;

    cla_list_push(&interval->waiting, &op->link);
    if (!cla_timer_active(&interval->timer))
        arm(interval);
}

static void tick_withdraw(struct cla_op *op)
{
    struct interval *interval = op->object;

    cla_list_remove(&op->link);
    if (cla_list_empty(&interval->waiting))
        cla_timer_stop(&interval->sched->loop->timers, &interval->timer);
}

static int tick_push(lua_State *L, struct cla_op *op, int at)
{
    (void)at;
    lua_pushinteger(L, op->result);
    return 1;
}

static const struct cla_op_ops tick_ops = {
    .begin = tick_begin,
    .enqueue = tick_enqueue,
    .withdraw = tick_withdraw,
    .expire = tick_expire,
    .push = tick_push,
};

static int l_tick_op(lua_State *L)
{
    (void)cla_op_push_new(L, &tick_ops, sizeof(struct cla_op), 1, luaL_checkudata(L, 1, TYPE));
    return 1;
}

/* tick() -> how many were due. Awaits. */
static int l_tick(lua_State *L)
{
    (void)l_tick_op(L);
    return cla_op_await(L);
}

/* interval(seconds) */
static int l_interval(lua_State *L)
{
    uint64_t period = cla_args_duration_ns(L, 1);
    struct cla_sched *sched = cla_sched_of(L);
    struct interval *interval;

    luaL_argcheck(L, period >= PERIOD_MIN_NS, 1, "the period must be at least 0.001 seconds");
    interval = lua_newuserdatauv(L, sizeof *interval, 0);
    *interval = (struct interval){.sched = sched, .period_ns = period};
    interval->next_ns = cla_clock_add(cla_sched_now_ns(sched), period);
    cla_list_init(&interval->waiting);
    cla_timer_init(&interval->timer, on_tick);
    luaL_setmetatable(L, TYPE);
    return 1;
}

/* --- sleep_op --- */

struct sleep {
    struct cla_op op;
    struct cla_timer timer;
    uint64_t duration_ns;
    uint64_t due_ns; /* while it is awaited */
};

static struct sleep *sleep_of(struct cla_op *op)
{
    return CLA_CONTAINER(op, struct sleep, op);
}

static void on_sleep(struct cla_timer *timer)
{
    struct sleep *sleep = CLA_CONTAINER(timer, struct sleep, timer);

    cla_op_expire(&sleep->op);
}

/* Even a sleep of 0 lets others run. */
static bool sleep_begin(lua_State *L, struct cla_op *op, int at)
{
    (void)L, (void)op, (void)at;
    return false;
}

static void sleep_enqueue(struct cla_op *op)
{
    struct sleep *sleep = sleep_of(op);
    struct cla_sched *sched = op->wait->task->sched;

    sleep->due_ns = cla_clock_add(cla_sched_now_ns(sched), sleep->duration_ns);
    cla_timer_start(&sched->loop->timers, &sleep->timer, sleep->due_ns);
}

static void sleep_withdraw(struct cla_op *op)
{
    cla_timer_stop(&op->wait->task->sched->loop->timers, &sleep_of(op)->timer);
}

static bool sleep_expire(struct cla_op *op, uint64_t now_ns)
{
    return sleep_of(op)->due_ns <= now_ns;
}

static int sleep_push(lua_State *L, struct cla_op *op, int at)
{
    (void)L, (void)op, (void)at;
    return 0;
}

static const struct cla_op_ops sleep_ops = {
    .begin = sleep_begin,
    .enqueue = sleep_enqueue,
    .withdraw = sleep_withdraw,
    .expire = sleep_expire,
    .push = sleep_push,
};

/* sleep_op(seconds), counted from when it is awaited. */
static int l_sleep_op(lua_State *L)
{
    uint64_t duration = cla_args_duration_ns(L, 1);
    struct sleep *sleep = (struct sleep *)cla_op_push_new(L, &sleep_ops, sizeof *sleep, 0, NULL);

    sleep->duration_ns = duration;
    cla_timer_init(&sleep->timer, on_sleep);
    return 1;
}

static const luaL_Reg methods[] = {
    {"tick", l_tick},
    {"tick_op", l_tick_op},
    {NULL, NULL},
};

static const luaL_Reg functions[] = {
    {"interval", l_interval},
    {"sleep_op", l_sleep_op},
    {"select", cla_op_select},
    {NULL, NULL},
};

void cla_interval_functions(lua_State *L)
{
    luaL_setfuncs(L, functions, 0);
    luaL_newmetatable(L, TYPE);
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
}
