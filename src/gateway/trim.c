#include "gateway/trim.h"

#include "base/check.h"

/* A load is low when it is so many times less than the highest. */
#define FALL 4
/* A trimming may follow another after so many times as long as that took: one of a large VM is
 * dear, and bursts may come in a row. */
#define REST_SHARE 20

static bool is_low(const struct cla_trim *trim, unsigned load)
{
    return trim->high >= trim->least && load <= trim->high / FALL;
}

static void on_timer(struct cla_timer *timer)
{
    struct cla_trim *trim = CLA_CONTAINER(timer, struct cla_trim, timer);

    if (!is_low(trim, trim->recent))
        return; /* the end of this turn may begin to watch again */
    trim->high = trim->recent;
    trim->trimming = true;
    trim->spent_ns = 0;
}

void cla_trim_init(struct cla_trim *trim, struct cla_loop *loop, cla_trim_fn *slice, unsigned least,
                   uint64_t watch_ns)
{
    *trim = (struct cla_trim){.loop = loop, .slice = slice, .least = least, .watch_ns = watch_ns};
    cla_timer_init(&trim->timer, on_timer);
}

static void run_slice(struct cla_trim *trim)
{
    uint64_t began_ns = cla_clock_monotonic_ns();

    trim->trimming = trim->slice(trim);
    trim->spent_ns += cla_clock_monotonic_ns() - began_ns;
    if (!trim->trimming)
        trim->rest_until_ns = cla_loop_now_ns(trim->loop) + REST_SHARE * trim->spent_ns;
}

static void watch(struct cla_trim *trim, unsigned load)
{
    uint64_t until_ns = cla_loop_now_ns(trim->loop) + trim->watch_ns;

    trim->recent = load;
    cla_timer_start(&trim->loop->timers, &trim->timer,
                    until_ns > trim->rest_until_ns ? until_ns : trim->rest_until_ns);
}

bool cla_trim_turn_ends(struct cla_trim *trim, unsigned load, bool idle)
{
    if (trim->recent > trim->high)
        trim->high = trim->recent;
    if (trim->trimming && idle)
        run_slice(trim);
    else if (!trim->trimming && !cla_timer_active(&trim->timer) && is_low(trim, load))
        watch(trim, load);
    return trim->trimming;
}

void cla_trim_fini(struct cla_trim *trim)
{
    cla_timer_stop(&trim->loop->timers, &trim->timer);
}
