/* What a call is at, for the operator.
 *
 * VM thread. Depends on: gateway/app, gateway/call, task/task. */
#ifndef CLA_BIND_RUN_VIEW_H
#define CLA_BIND_RUN_VIEW_H

#include "gateway/app.h"

/* cla_app_ops.view */
void cla_run_view(struct cla_app *app, const struct cla_call *call, struct cla_app_view *view);

#endif
