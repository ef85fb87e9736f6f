#include "task/sched.h"

#include "base/prefetch.h"
#include "task/compat.h"
#include "task/coro.h"
#include "task/preempt.h"
#include "task/task.h"
#include "task/watchdog.h"

/* A turn resumes tasks for about this long before sockets are looked at again. */
#define TURN_NS CLA_NS_PER_MS
/* Tasks resumed between two looks at the clock. */
#define BATCH 32
/* Cancelled tasks taken in one turn, if that does not take longer than a turn may. */
#define UNWIND_MAX 64
/* Of them, between two looks at the clock: clean-up may compute. */
#define UNWIND_BATCH 4
/* Of a coroutine's own struct. */
#define COROUTINE_BYTES 216
/* Of the stack of a procedure that waits: its own part, then that of what it called, where what
 * unwinds it will lie, too. */
#define STACK_BEFORE 192
#define STACK_BYTES 384
/* Of the calls of a procedure that waits: they were made in turn, and mostly lie before the last.
 */
#define CALLS_BYTES 384

void cla_sched_init(struct cla_sched *sched, lua_State *L, struct cla_loop *loop,
                    struct cla_log *log, const struct cla_sched_ops *ops)
{
    *sched = (struct cla_sched){.L = L, .loop = loop, .log = log, .ops = ops};
    cla_list_init(&sched->ready);
    cla_list_init(&sched->unwinding);
    cla_list_init(&sched->computing);
    cla_list_init(&sched->preempt.watched.link);
    cla_list_init(&sched->pool);
    cla_list_init(&sched->tasks);
    cla_list_init(&sched->collected);
    *(struct cla_sched **)lua_getextraspace(L) = sched;
}

static struct cla_task *task_at(struct cla_link *link)
{
    return CLA_CONTAINER(link, struct cla_task, link);
}

static void expect_coroutine(const struct cla_task *task)
{
    cla_prefetch((char *)task->L - LUA_EXTRASPACE, COROUTINE_BYTES);
}

static void expect_calls(const struct cla_task *task)
{
    lua_Debug ar;

    if (lua_getstack(task->L, 0, &ar) != 0)
        cla_prefetch((char *)ar.i_ci - CALLS_BYTES, CALLS_BYTES + CLA_CACHE_LINE);
}

/* What Lua knows of a call begins with where the stack has its function. (Did it not, other memory
 * were asked for: nothing but time depends on it.) */
static void expect_stack(const struct cla_task *task)
{
    lua_Debug ar;

    if (lua_getstack(task->L, 0, &ar) != 0)
        cla_prefetch(*(char **)ar.i_ci - STACK_BEFORE, STACK_BYTES);
}

/* Asks for the memory of the tasks that are resumed next, for what has waited is in no cache. */
static void expect_next(const struct cla_link *list)
{
    struct cla_link *first = list->next, *second = first->next, *third = second->next;

    if (first == list || !task_at(first)->entered)
        return;
    expect_stack(task_at(first));
    if (second == list)
        return;
    expect_calls(task_at(second));
    if (third != list)
        expect_coroutine(task_at(third));
}

/* Takes the first task of a list; NULL: it is empty. */
static struct cla_task *take(struct cla_link *list)
{
    struct cla_link *link = cla_list_pop(list);

    if (link == NULL)
        return NULL;
    expect_next(list);
    return task_at(link);
}

/* Resumes up to 'max' tasks of a list, or until a slice has ended; returns how many. */
static unsigned run_some(struct cla_sched *sched, struct cla_link *list, unsigned max)
{
    unsigned n = 0;
    struct cla_task *task;

    while (n < max && !sched->sliced && (task = take(list)) != NULL) {
        cla_task_resume(task);
        n++;
    }
    return n;
}

/* Only those that are there now: what they cancel wakes after the functions that it fires. */
static void unwind(struct cla_sched *sched)
{
    struct cla_task *last = task_at(sched->unwinding.prev), *task = NULL;
    uint64_t until = cla_clock_monotonic_ns() + TURN_NS;

    for (unsigned n = 1; n <= UNWIND_MAX && task != last && !sched->sliced; n++) {
        task = take(&sched->unwinding);
        if (task == NULL)
            return;
        cla_task_resume(task);
        if (n % UNWIND_BATCH == 0 && cla_clock_monotonic_ns() >= until)
            return;
    }
}

static void run_ready(struct cla_sched *sched)
{
    uint64_t until = 0;

    while (run_some(sched, &sched->ready, BATCH) == BATCH) {
        uint64_t now = cla_clock_monotonic_ns();

        if (until == 0)
            until = now + TURN_NS;
        else if (now >= until)
            break;
    }
}

enum cla_sched_left cla_sched_run(struct cla_sched *sched)
{
    if (!cla_sched_ready(sched))
        return CLA_SCHED_NOTHING;
    cla_watchdog_wake(sched);
    cla_preempt_turn_to(sched);
    sched->sliced = false;
    if (sched->held != NULL)
        cla_task_resume(sched->held);
    else if (sched->owes_slice ||
             (cla_list_empty(&sched->ready) && cla_list_empty(&sched->unwinding)))
        run_some(sched, &sched->computing, 1);
    run_ready(sched);
    if (!sched->sliced && !cla_list_empty(&sched->unwinding))
        unwind(sched);
    /* What others have to say is sent before the next slice, so it waits for one at most. */
    sched->owes_slice = !sched->sliced && !cla_list_empty(&sched->computing);
    cla_watchdog_rest(sched);
    if (sched->sliced)
        return CLA_SCHED_SLICED;
    return cla_sched_ready(sched) ? CLA_SCHED_READY : CLA_SCHED_NOTHING;
}

unsigned cla_sched_abandon(struct cla_sched *sched)
{
    unsigned n = 0;

    /* Children are younger than their parents, and released first. */
    while (!cla_list_empty(&sched->tasks)) {
        struct cla_task *task = CLA_CONTAINER(sched->tasks.prev, struct cla_task, all);

        n += task->parent == NULL;
        cla_task_abandon(task);
        if (sched->tasks.prev == &task->all && task->state != CLA_TASK_IDLE)
            break; /* it cannot be given up */
    }
    return n;
}

void cla_sched_trim(struct cla_sched *sched, unsigned keep)
{
    while (sched->pooled > keep) {
        struct cla_task *task = CLA_CONTAINER(sched->pool.prev, struct cla_task, link);

        cla_list_remove(&task->link);
        sched->pooled--;
        cla_task_free(task);
    }
    cla_scope_trim(sched, keep);
}

void cla_sched_fini(struct cla_sched *sched)
{
    CLA_PRE(sched->live == 0);
    cla_sched_trim(sched, 0);
    cla_coro_fini(sched);
}
