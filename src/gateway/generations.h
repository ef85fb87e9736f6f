/* The generations of the app that a worker runs: the current one, to which new calls belong, and
 * older ones whose calls go on.
 *
 * Worker thread. Depends on: gateway/worker, gateway/app.
 *
 *   CURRENT -- another is adopted --> RETIRED -- nothing refers to it, its jobs are over --> left:
 *                                        |                             back to the control thread
 *                                        +-- reload_drain is over --> CANCELLED (reload), and what
 *                                            outlives the grace is given up
 *
 * An exchange belongs to the generation that was current when its head, or its message, came. A
 * socket of a handler belongs to that which took it, and moves on between two events if it can
 * (gateway/socket.h: cla_socket_renew); connections belong to none. */
#ifndef CLA_GATEWAY_GENERATIONS_H
#define CLA_GATEWAY_GENERATIONS_H

#include "gateway/mailbox.h"
#include "gateway/worker.h"

/* How a worker takes up one generation. The control thread owns it; it travels in its messages. */
struct cla_adoption {
    struct cla_message there, back;
    struct cla_app *app;
    struct cla_generation *of; /* the control thread's */
    unsigned worker;
    unsigned calls;    /* of the app, in flight when a later one was taken up last */
    unsigned sockets;  /* WebSockets that went on */
    uint64_t stall_ns; /* for which the worker did nothing else */
};

/* The adoption's app is current from now on; tells so. */
void cla_generations_adopt(struct cla_worker *worker, struct cla_adoption *adoption);

/* Runs what is ready in all of them, as cla_app_ops.run. */
enum cla_app_left cla_generations_run(struct cla_worker *worker);

/* True if that has something to do. */
bool cla_generations_ready(const struct cla_worker *worker);

/* As cla_app_ops.trim, in all of them. */
bool cla_generations_trim(struct cla_worker *worker);

/* The end of a turn: housekeeping; lets go of those that are done. */
void cla_generations_tidy(struct cla_worker *worker);

/* The current one begins its background tasks, now or once those of others are over. */
void cla_generations_begin(struct cla_worker *worker);

/* The server stops, and no call is left: ends them step by step, clean-up may take 'grace_ns'.
 * Returns true if nothing of any is left. */
bool cla_generations_end(struct cla_worker *worker, uint64_t grace_ns);

/* The drain's time is over: cancels their jobs, whose clean-up may take 'grace_ns'. */
void cla_generations_stop_jobs(struct cla_worker *worker, uint64_t grace_ns);

/* Gives up all that is left in them; returns how many calls. */
unsigned cla_generations_abandon(struct cla_worker *worker);

/* Bytes that scripts use. */
uint64_t cla_generations_memory(const struct cla_worker *worker);

/* What they have counted, and those before them. */
void cla_generations_counts(const struct cla_worker *worker, struct cla_app_counts *sum);

/* The thread runs none of them any more. */
void cla_generations_leave(struct cla_worker *worker);

#endif
