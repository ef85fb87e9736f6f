#include "io/loop.h"

#include "base/check.h"
#include "base/error.h"
#include "base/mem.h"

static void on_alarm(uv_timer_t *alarm)
{
    struct cla_loop *loop = alarm->data;

    loop->alarm_ns = CLA_NEVER; /* it has woken the loop: that was all */
    uv_stop(&loop->uv);         /* libuv before 1.45 comes here before it polls: it must not wait */
}

int cla_loop_init(struct cla_loop *loop)
{
    *loop = (struct cla_loop){.alarm_ns = CLA_NEVER};
    loop->read_buf = cla_mem_alloc(CLA_LOOP_READ_BYTES);
    if (loop->read_buf == NULL)
        return -CLA_ENOMEM;
    if (uv_loop_init(&loop->uv) != 0)
        goto free_buf;
    uv_timer_init(&loop->uv, &loop->alarm);
    loop->alarm.data = loop;
    loop->uv.data = loop;
    return 0;
free_buf:
    cla_mem_free(loop->read_buf);
    return -CLA_EIO;
}

void cla_loop_on_turn(struct cla_loop *loop, cla_loop_turn_cb *turn, void *arg)
{
    loop->turn = turn;
    loop->turn_arg = arg;
}

void cla_loop_use_virtual_time(struct cla_loop *loop)
{
    loop->virtual_ns = cla_clock_monotonic_ns();
    loop->is_virtual = true;
}

/* Sets the alarm so that libuv wakes no later than the earliest timer. An alarm that is set too
 * early wakes the loop once for nothing, which is cheaper than moving it with every timer. */
static void set_alarm(struct cla_loop *loop)
{
    uint64_t next = cla_timers_next_ns(&loop->timers), now;

    if (next == CLA_NEVER || loop->alarm_ns <= next)
        return;
    now = cla_clock_monotonic_ns();
    uv_update_time(&loop->uv);
    uv_timer_start(&loop->alarm, on_alarm,
                   next > now ? (next - now + CLA_NS_PER_MS - 1) / CLA_NS_PER_MS : 0, 0);
    loop->alarm_ns = next;
}

/* Virtual time: when nothing else can happen, the next timer's time has come. */
static void jump(struct cla_loop *loop)
{
    uint64_t next = cla_timers_next_ns(&loop->timers);

    if (next != CLA_NEVER && next > loop->virtual_ns)
        loop->virtual_ns = next;
}

bool cla_loop_step(struct cla_loop *loop, bool may_wait)
{
    if (loop->is_virtual) {
        if (may_wait && loop->pending == 0)
            jump(loop);
        may_wait = may_wait && cla_timers_next_ns(&loop->timers) > loop->virtual_ns;
    } else if (may_wait) {
        set_alarm(loop);
    }
    uv_run(&loop->uv, may_wait ? UV_RUN_ONCE : UV_RUN_NOWAIT);
    cla_timers_fire(&loop->timers, cla_loop_now_ns(loop));
    return loop->turn != NULL && loop->turn(loop->turn_arg);
}

void cla_loop_run(struct cla_loop *loop)
{
    bool busy = true;

    loop->stopped = false;
    while (!loop->stopped)
        busy = cla_loop_step(loop, !busy);
}

void cla_loop_stop(struct cla_loop *loop)
{
    loop->stopped = true;
}

void cla_loop_fini(struct cla_loop *loop)
{
    int rc;

    uv_close((uv_handle_t *)&loop->alarm, NULL);
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    rc = uv_loop_close(&loop->uv);
    CLA_PRE(rc == 0); /* a handle was left open */
    cla_mem_free(loop->read_buf);
    cla_mem_free(loop->plain_buf);
    cla_buf_fini(&loop->cipher_buf);
}
