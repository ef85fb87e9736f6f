/* The admin socket: a unix socket by which the operator asks what runs, and ends it. Texts as in
 * rpc/admin.h, a line each.
 *
 * Control thread. Depends on: io/listener, io/stream, gateway/survey, rpc/admin.
 *
 *   a line --> status, ps, kill: a survey goes to the workers --> all have answered, --> the answer
 *          |                                                  or CLA_SURVEY_NS is over
 *          +-> reload: its end --> the answer
 *          +-> drain, log-level, mistakes: the answer
 *
 * The lines of a connection are answered one after the other. Who may connect may end everything:
 * the file is the owner's (0600). */
#ifndef CLA_GATEWAY_ADMIN_H
#define CLA_GATEWAY_ADMIN_H

#include "base/list.h"
#include "gateway/listen.h"
#include "gateway/survey.h"
#include "io/listener.h"
#include "rpc/admin.h"

/* The longest request, in bytes; a connection that sends a longer one is closed. */
#define CLA_ADMIN_LINE_MAX 4096
/* The most connections at a time; more are closed. */
#define CLA_ADMIN_CONNECTIONS_MAX 16

struct cla_admin_conn;
struct cla_reload_outcome;

struct cla_admin_events {
    /* Asks all workers; each answer is cla_admin_surveyed(). */
    void (*ask)(void *arg, struct cla_survey *survey);
    void (*drain)(void *arg);
    /* Asks for a reload; returns its ticket, whose end cla_admin_reloaded() tells, or 0: the server
     * shuts down, or is out of memory. */
    uint64_t (*reload)(void *arg);
    void (*set_log_level)(void *arg, enum cla_log_level level);
    /* Fills in all but what the survey says of the workers. */
    void (*describe)(void *arg, struct cla_admin_status *status);
    /* Fills in what is known of a worker that does not answer. Returns false: nothing. */
    bool (*stuck)(void *arg, unsigned worker, struct cla_admin_stuck *stuck);
};

struct cla_admin {
    struct cla_listener listener;
    struct cla_loop *loop;
    struct cla_log *log;
    const struct cla_admin_events *events;
    void *arg;
    struct cla_link conns;
    unsigned conn_count;
    unsigned workers;
    bool open;
    char path[CLA_LISTEN_PATH];
};

/* Listens where 'setting' says: at a path; with "auto" at PID.sock in cla_admin_folder(), without
 * which it is left with a warning; with "off" nowhere. Returns 0, or -CLA_E* with 'error'. */
int cla_admin_open(struct cla_admin *admin, struct cla_loop *loop, const char *setting,
                   unsigned workers, struct cla_log *log, const struct cla_admin_events *events,
                   void *arg, struct cla_config_error *error);

/* A reload has ended. */
void cla_admin_reloaded(struct cla_admin *admin, const struct cla_reload_outcome *outcome);

/* A worker has answered. */
void cla_admin_surveyed(struct cla_admin *admin, struct cla_survey *survey);

/* Stops listening and closes all connections. Idempotent. The struct may be freed once the loop has
 * run. */
void cla_admin_close(struct cla_admin *admin);

/* Writes where the sockets of this user's gateways are: $XDG_RUNTIME_DIR/cancela, else
 * /run/cancela for root, else /tmp/cancela-UID. Returns 0 or -CLA_ELIMIT: it is too long. */
int cla_admin_folder(char *to, size_t bytes);

#endif
