/* Happy path: a task for each function when the app begins, which goes on until the app is retired;
 * when all else is over, one more for on_unload. After that nothing of the script refers to what is
 * the worker's.
 * Failure modes: an error, and a cancel that is not for retirement (a limit, on_unload's time), is
 * logged; the task is not started again. Without memory for a task it is logged that it is missing.
 * On close: the worker waits for app->jobs; clean-up that outlives the grace is given up. */
#include "bind/background.h"

#include <lauxlib.h>

#include "bind/client.h"
#include "bind/error.h"
#include "cancel/reason.h"
#include "task/task.h"

static struct cla_script *script_of(struct cla_app *app)
{
    return CLA_CONTAINER(app, struct cla_script, app);
}

static bool is_background(const struct cla_script_job *job)
{
    return job != &job->script->on_unload;
}

static void log_job(const struct cla_script_job *job, const char *what, const char *text)
{
    cla_log_line(job->script->log, CLA_LOG_ERROR, "%s %s%s: %s", what,
                 is_background(job) ? "background task " : "on_unload",
                 is_background(job) ? job->name : "", text);
}

/* --- The task. --- */

/* Time that on_unload spends in the queue is not its own. */
static int enter(struct cla_task *task, lua_State *L)
{
    const struct cla_script_job *job = task->owner;
    const struct cla_sched *sched = task->sched;

    luaL_checkstack(L, 4, NULL);
    lua_rawgeti(L, LUA_REGISTRYINDEX, job->fn);
    if (!is_background(job))
        cla_scope_set_deadline(&task->root,
                               cla_clock_add(cla_sched_now_ns(sched), sched->grace_ns));
    return 0;
}

static void log_cancel(const struct cla_script_job *job, const struct cla_reason *reason)
{
    struct cla_slice message = cla_reason_message(reason);
    char text[256];

    if (is_background(job) && reason->kind == job->script->retired)
        return;
    snprintf(text, sizeof text, "%s%s%.*s", cla_cancel_kind_name(reason->kind),
             message.n > 0 ? ": " : "", (int)(message.n < 200 ? message.n : 200), message.p);
    log_job(job, "cancelled", text);
}

static void leave(struct cla_task *task, lua_State *L, int status, int first)
{
    const struct cla_script_job *job = task->owner;

    (void)first;
    if (status == LUA_OK)
        return;
    if (cla_scope_at(L, -1) == &task->root)
        log_cancel(job, &task->root.reason);
    else
        log_job(job, "error in", cla_error_push_text(L, -1));
}

static void on_end(struct cla_task *task, enum cla_task_end end)
{
    const struct cla_script_job *job = task->owner;
    const char *text;

    if (end == CLA_TASK_BROKE) {
        text = lua_tostring(task->L, -1);
        log_job(job, "cannot run", text != NULL ? text : "?");
    } else if (end == CLA_TASK_ABANDONED) {
        log_job(job, "abandoned", cla_task_push_stack(task));
        lua_pop(task->sched->L, 1);
    }
}

static void look_if_idle(struct cla_script *script)
{
    if (script->app.jobs > 0)
        return;
    if (script->unloaded)
        cla_client_let_go_all(script);
    if (script->on_idle != NULL)
        script->on_idle(script->idle_arg);
}

void cla_background_job_ends(struct cla_script *script)
{
    script->app.jobs--;
    look_if_idle(script);
}

static void on_release(struct cla_task *task)
{
    struct cla_script_job *job = task->owner;

    job->task = NULL;
    job->script->app.background -= is_background(job);
    cla_background_job_ends(job->script);
}

static struct cla_slice identify(const struct cla_task *task, uint64_t *call)
{
    const struct cla_script_job *job = task->owner;

    *call = 0;
    return cla_slice_str(is_background(job) ? job->name : "on_unload");
}

static const struct cla_task_ops task_ops = {
    .identify = identify,
    .enter = enter,
    .leave = leave,
    .on_end = on_end,
    .on_release = on_release,
    .endless = true,
};

static void start(struct cla_script_job *job)
{
    struct cla_script *script = job->script;

    job->task = cla_task_get(&script->vm->sched);
    if (job->task == NULL) {
        log_job(job, "cannot start", "not enough memory (vm_memory)");
        return;
    }
    cla_task_start(job->task, &task_ops, job, NULL, NULL, CLA_NEVER);
    job->task->preemptible = job->preemptible;
    script->app.background += is_background(job);
    script->app.jobs++;
}

/* --- The app's functions. --- */

void cla_background_begin(struct cla_app *app, bool first)
{
    struct cla_script *script = script_of(app);

    if (script->begun || script->retired != CLA_CANCEL_NONE)
        return;
    script->begun = true;
    for (size_t i = 0; i < script->background_count; i++) {
        if (first || !script->background[i].once)
            start(&script->background[i]);
    }
}

void cla_background_retire(struct cla_app *app, enum cla_cancel_kind kind)
{
    struct cla_script *script = script_of(app);

    if (script->retired != CLA_CANCEL_NONE)
        return;
    script->retired = kind;
    for (size_t i = 0; i < script->background_count; i++) {
        struct cla_task *task = script->background[i].task;

        if (task != NULL)
            (void)cla_scope_cancel(&task->root, kind, cla_slice(NULL, 0));
    }
}

void cla_background_unload(struct cla_app *app)
{
    struct cla_script *script = script_of(app);

    if (script->unloaded)
        return;
    script->unloaded = true;
    if (script->on_unload.fn != LUA_NOREF)
        start(&script->on_unload);
    look_if_idle(script);
}
