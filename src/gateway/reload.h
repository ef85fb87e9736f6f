/* Hot reload, the control thread's half: loads the next generation of the app, has every worker
 * take it up, and frees those that are done.
 *
 * Control thread. Depends on: gateway/generations, io/loop.
 *
 *   IDLE -- cla_reload_request() --> LOADING -- loaded --> ADOPTING -- every worker has --> IDLE
 *     ^                                 |
 *     +-- failed: nothing has changed --+
 *
 * A request that comes meanwhile waits, and so does one that comes while max_generations are there;
 * all that wait are one, so that what is loaded is never older than the request. Loading and
 * freeing happen on threads of libuv's pool: the control thread goes on accepting connections and
 * answering the operator though a script takes long to load. */
#ifndef CLA_GATEWAY_RELOAD_H
#define CLA_GATEWAY_RELOAD_H

#include "base/buf.h"
#include "gateway/generations.h"
#include "gateway/server_loader.h"

/* How a reload has ended. */
struct cla_reload_outcome {
    uint64_t ticket;      /* of the requests that it answers */
    const char *error;    /* NULL: it has been done; else a text of some lines */
    uint64_t generation;  /* that is current now */
    uint64_t took_ns;     /* from the beginning of loading until every worker had it */
    unsigned older_calls; /* still in flight, of older generations */
    unsigned sockets;     /* WebSockets that were kept */
    uint64_t stall_ns;    /* the longest for which a worker did nothing else than take it up */
};

struct cla_reload_events {
    void (*begins)(void *arg);
    /* Passes the message 'there' of the adoption on to its worker. */
    void (*adopt)(void *arg, struct cla_adoption *adoption);
    void (*ended)(void *arg, const struct cla_reload_outcome *outcome);
};

/* For cla_reload_open(). */
struct cla_reload_setup {
    struct cla_loop *loop;
    struct cla_log *log;
    const struct cla_server_loader *loader; /* NULL: nothing can be loaded */
    unsigned workers;
    unsigned most; /* generations at a time */
    const struct cla_reload_events *events;
    void *arg;
};

struct cla_reload {
    struct cla_loop *loop;
    struct cla_log *log;
    const struct cla_server_loader *loader;
    const struct cla_reload_events *events;
    void *arg;
    struct cla_generation *next; /* LOADING or ADOPTING; NULL: IDLE */
    uint64_t current;            /* number of the generation */
    uint64_t ticket;             /* of the reload that began last */
    struct cla_link generations; /* all of them */
    unsigned workers;
    unsigned live, most; /* generations that are there, with one that is loading */
    unsigned works;      /* on the pool */
    bool asked;          /* another is to begin */
    bool stopping;       /* the server shuts down: nothing begins any more */
    uint64_t done, failed;
    struct cla_buf error;   /* of the last, if it failed */
    uint64_t error_wall_ns; /* when that was */
};

/* Sets up for some workers, which have no apps yet. Returns 0 or -CLA_ENOMEM. */
int cla_reload_open(struct cla_reload *reload, const struct cla_reload_setup *setup);

/* A worker runs 'app', of generation 1, which is the reload's own from now on. */
void cla_reload_own(struct cla_reload *reload, unsigned worker, struct cla_app *app);

/* Asks for a reload. Returns the ticket of the one that will have begun after this, whose end
 * 'ended' tells; 0: the server shuts down, or is out of memory. */
uint64_t cla_reload_request(struct cla_reload *reload);

/* A worker has taken up an adoption. */
void cla_reload_adopted(struct cla_reload *reload, struct cla_adoption *adoption);

/* A worker has let go of an adoption's app. */
void cla_reload_left(struct cla_reload *reload, struct cla_adoption *adoption);

/* Nothing is loaded, or taken up, any more. */
void cla_reload_stop(struct cla_reload *reload);

/* Waits for the pool, and frees all, also the apps: once no worker runs any more. */
void cla_reload_fini(struct cla_reload *reload);

#endif
