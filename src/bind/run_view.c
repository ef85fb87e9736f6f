#include "bind/run_view.h"

#include "gateway/call.h"
#include "task/task.h"

static enum cla_app_phase phase_of(const struct cla_call *call, const struct cla_task *task)
{
    if (call->state != CLA_CALL_OPEN)
        return CLA_APP_CLEANING_UP;
    if (!call->begun)
        return CLA_APP_QUEUED;
    if (task->state == CLA_TASK_RUNNING || task->state == CLA_TASK_SLICED)
        return CLA_APP_COMPUTING;
    return task->state == CLA_TASK_READY ? CLA_APP_READY : CLA_APP_WAITING;
}

void cla_run_view(struct cla_app *app, const struct cla_call *call, struct cla_app_view *view)
{
    const struct cla_task *task = call->task;

    *view = (struct cla_app_view){.phase = CLA_APP_CLEANING_UP,
                                  .deadline_ns = call->deadline_ns,
                                  .generation = app->generation,
                                  .where = "?"};
    if (task == NULL)
        return;
    view->phase = phase_of(call, task);
    view->cpu_ns = task->cpu_ns;
    view->deadline_ns = task->root.token.deadline_ns;
    if (task->begun)
        cla_task_where(task, view->where, sizeof view->where);
}
