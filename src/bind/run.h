/* Calls as tasks: the app's side of gateway/app.h.
 *
 * VM thread. Depends on: bind/script, task/task. */
#ifndef CLA_BIND_RUN_H
#define CLA_BIND_RUN_H

#include "bind/script.h"

/* The functions the gateway calls a script by. */
extern const struct cla_app_ops cla_run_app_ops;

#endif
