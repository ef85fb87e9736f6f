/* What a script does for WebSockets besides calls, as tasks: on_connect, on_disconnect, handlers.
 * The app's side of gateway/app.h.
 *
 * VM thread. Depends on: bind/script, bind/client, task/task. */
#ifndef CLA_BIND_SOCKET_JOBS_H
#define CLA_BIND_SOCKET_JOBS_H

#include "bind/script.h"
#include "gateway/socket.h"

/* The functions below are those of struct cla_app_ops that have nearly the same names. */

/* cla_app_ops.find_socket */
const struct cla_socket_route *cla_socket_jobs_find(struct cla_app *app, struct cla_slice path);

/* cla_app_ops.connect */
int cla_socket_jobs_connect(struct cla_app *app, struct cla_socket *socket);

/* cla_app_ops.open */
int cla_socket_jobs_open(struct cla_app *app, struct cla_socket *socket);

/* cla_app_ops.readable */
void cla_socket_jobs_readable(struct cla_app *app, struct cla_socket *socket);

/* cla_app_ops.idle */
bool cla_socket_jobs_idle(struct cla_app *app, struct cla_socket *socket);

/* cla_app_ops.stop */
void cla_socket_jobs_stop(struct cla_app *app, struct cla_socket *socket, enum cla_cancel_kind kind,
                          struct cla_slice message);

/* cla_app_ops.over */
void cla_socket_jobs_over(struct cla_app *app, struct cla_socket *socket);

/* cla_app_ops.disconnected */
void cla_socket_jobs_disconnected(struct cla_app *app, struct cla_socket *socket);

/* cla_app_ops.stop_jobs */
void cla_socket_jobs_stop_all(struct cla_app *app, enum cla_cancel_kind kind);

#endif
