/* The running server: the control thread's loop, the listener, the signals, and the worker thread.
 *
 * Control thread. Depends on: gateway/worker, io/listener.
 *
 *   RUNNING -- SIGTERM, SIGINT --> DRAINING -- the worker has ended --> ENDED
 *                                     |-- a second SIGINT: the worker ends at once */
#ifndef CLA_GATEWAY_SERVER_H
#define CLA_GATEWAY_SERVER_H

#include "gateway/worker.h"
#include "io/listener.h"

struct cla_server {
    struct cla_loop loop;         /* of the control thread */
    struct cla_loop *worker_loop; /* runs on the worker thread */
    struct cla_log *log;
    struct cla_listener listener;
    struct cla_mailbox inbox;  /* from the worker */
    struct cla_mailbox outbox; /* to the worker */
    uv_signal_t on_term, on_int;
    uv_thread_t thread;
    struct cla_worker worker;
    unsigned abandoned; /* calls left behind */
    bool draining;
};

/* Opens the listener and the worker of 'app', which lives on 'worker_loop' and logs to
 * 'worker_log'. 'config' and the logs must outlive the server. Returns 0, or an error of
 * cla_listener_open(), or -CLA_ENOMEM. */
int cla_server_open(struct cla_server *server, struct cla_loop *worker_loop, struct cla_app *app,
                    const struct cla_config *config, struct cla_log *log,
                    struct cla_log *worker_log);

/* Serves until a signal has ended it. Returns how many calls had to be abandoned. */
unsigned cla_server_run(struct cla_server *server);

/* Frees what the server holds, but for worker_loop and app. */
void cla_server_fini(struct cla_server *server);

#endif
