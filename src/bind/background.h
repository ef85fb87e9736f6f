/* app.background and on_unload: tasks of a generation of the script that no client asked for.
 *
 * VM thread. Depends on: bind/script, task/task. */
#ifndef CLA_BIND_BACKGROUND_H
#define CLA_BIND_BACKGROUND_H

#include "bind/script.h"

/* One of app->jobs, which need not be a background task, is over. */
void cla_background_job_ends(struct cla_script *script);

/* The functions below are those of struct cla_app_ops that have nearly the same names. */

/* Starts the background tasks; those with 'once' only if this is the 'first' worker. No-op the
 * second time, and after cla_background_retire(). */
void cla_background_begin(struct cla_app *app, bool first);

/* Cancels them. No-op the second time. */
void cla_background_retire(struct cla_app *app, enum cla_cancel_kind kind);

/* Starts on_unload, if there is one. No-op the second time. */
void cla_background_unload(struct cla_app *app);

#endif
