/* The running server: the control thread's loop, the listeners, the signals, and the workers'
 * threads.
 *
 * Control thread. Depends on: gateway/worker, gateway/entrance.
 *
 *   RUNNING -- SIGTERM, SIGINT --> DRAINING -- every worker has ended --> ENDED
 *                                     |-- a second SIGINT: the workers end at once
 *
 * SIGHUP has certificates read, and the app loaded, again while it runs. */
#ifndef CLA_GATEWAY_SERVER_H
#define CLA_GATEWAY_SERVER_H

#include "gateway/admin.h"
#include "gateway/entrance.h"
#include "gateway/heartbeat.h"
#include "gateway/ops.h"
#include "gateway/reload.h"
#include "gateway/worker.h"

/* What a worker works with. Its own, and the caller's. */
struct cla_server_seat {
    struct cla_loop *loop; /* runs on the worker's thread */
    struct cla_app *app;   /* of generation 1; the server's own once it is open */
    struct cla_log *log;
};

/* What the process around the server gives it; the caller's. */
struct cla_server_host {
    struct cla_service *service;
    /* Fills in what is known of a worker that computes on 'thread', and does not answer, but for
     * its number. Returns false: nothing. Control thread. */
    bool (*stuck)(void *arg, uv_thread_t thread, struct cla_admin_stuck *stuck);
    void *arg;
    /* Makes the apps of later generations; NULL: there are none. */
    const struct cla_server_loader *loader;
};

struct cla_server_worker {
    struct cla_worker worker;
    struct cla_server *server;
    bool ended;                /* the control thread's: it has said so */
    struct cla_mailbox outbox; /* to the worker */
    uv_thread_t thread;
};

struct cla_server {
    struct cla_loop loop; /* of the control thread */
    struct cla_log *log;
    struct cla_entrance entrance;
    struct cla_mailbox inbox; /* from the workers */
    struct cla_admin admin;   /* the operator's requests */
    struct cla_ops ops;       /* of orchestrators and Prometheus */
    struct cla_reload reload;
    const struct cla_server_host *host;
    struct cla_heartbeat heartbeat;
    uv_signal_t on_term, on_int, on_hup;
    struct cla_server_worker *workers; /* owned */
    const char **addresses;            /* that it listens on; owned, but for the texts */
    uint64_t began_ns;
    struct cla_relay *relays; /* between them, one for each; owned */
    unsigned worker_count;
    unsigned running;         /* threads that have not ended */
    unsigned last;            /* worker that had the last connection */
    atomic_uint in_flight;    /* calls of all workers, while there are several */
    unsigned abandoned;       /* calls left behind */
    struct cla_timer overdue; /* the workers should have ended */
    uint64_t drain_timeout_ns, shutdown_grace_ns;
    bool draining;
    bool told_reloading;     /* the service manager, who waits to be told that it is ready */
    bool stale_certificates; /* those of the last SIGHUP could not be read */
    bool stuck;              /* a worker has not: its thread runs on */
};

/* Opens the listeners and 'count' workers, each on its seat. 'host', 'config' and the logs must
 * outlive the server. Returns 0, or -CLA_E* with a line that says what is wrong in 'error'. */
int cla_server_open(struct cla_server *server, const struct cla_server_seat *seats, unsigned count,
                    const struct cla_server_host *host, const struct cla_config *config,
                    struct cla_log *log, struct cla_config_error *error);

/* Has the next generation of the app loaded, as SIGHUP does. While it runs. */
void cla_server_reload(struct cla_server *server);

/* Serves until a signal has ended it; 'abandoned' then tells how many calls were left behind.
 * If 'stuck' is set a worker computes what nothing can interrupt: the process is to be ended, for
 * nothing of the server can be freed. Returns 0, or -CLA_EIO: a thread could not be started, and
 * nothing was served. */
int cla_server_run(struct cla_server *server);

/* Frees what the server holds, the apps too, but no loops or logs of seats. */
void cla_server_fini(struct cla_server *server);

#endif
