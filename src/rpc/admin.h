/* The operator's requests, as JSON-RPC 2.0: one text a line, both ways.
 *
 *     status {}                    ps {}                      kill {"id":7,"now":false}
 *     drain {}                     log-level {"level":"debug"} reload {}
 *
 * Any thread. Depends on: base, rpc/jsonrpc. Bytes in, requests out; what is known of calls in,
 * bytes out. */
#ifndef CLA_RPC_ADMIN_H
#define CLA_RPC_ADMIN_H

#include <stdint.h>

#include "base/buf.h"

enum cla_admin_method {
    CLA_ADMIN_STATUS,
    CLA_ADMIN_PS,
    CLA_ADMIN_KILL,
    CLA_ADMIN_DRAIN,
    CLA_ADMIN_RELOAD,
    CLA_ADMIN_LOG_LEVEL,
};

struct cla_admin_request {
    enum cla_admin_method method;
    struct cla_slice id;    /* raw JSON; borrows from the text */
    uint64_t call;          /* KILL */
    bool now;               /* KILL: without grace */
    struct cla_slice level; /* LOG_LEVEL; borrows from the text */
};

/* Reads one request. Returns 0; or -CLA_EINVAL with its whole answer, an error, in 'answer'; or
 * -CLA_ENOMEM. */
int cla_admin_read(struct cla_slice text, struct cla_admin_request *request,
                   struct cla_buf *answer);

/* What is told of a call. Slices need not be UTF-8. */
struct cla_admin_call {
    uint64_t id, generation;
    unsigned worker;
    struct cla_slice procedure, protocol, peer;
    const char *phase; /* queued, waiting, ready, computing, cleaning up */
    const char *where; /* "file:line", or "?" */
    uint64_t age_ms, cpu_ms;
    uint64_t remaining_ms; /* UINT64_MAX: no deadline */
};

/* Appends it as an object, behind a comma if the buffer is not empty. Returns 0 or -CLA_ENOMEM
 * (nothing appended). */
int cla_admin_write_call(struct cla_buf *buf, const struct cla_admin_call *call);

/* What is known of a worker that does not answer. */
struct cla_admin_stuck {
    unsigned worker;
    uint64_t call;      /* 0: none, or not known */
    char procedure[64]; /* of the call */
    char where[128];    /* "file:line" where it was seen last, or "?" */
    uint64_t ms;        /* that it has computed what nothing can interrupt */
};

/* Appends a member "stuck", a list of them, behind a comma. Returns 0 or -CLA_ENOMEM (something may
 * have been appended). */
int cla_admin_write_stuck(struct cla_buf *buf, const struct cla_admin_stuck *stuck, size_t count);

/* What is told of a worker. */
struct cla_admin_worker {
    bool answers; /* false: it computes what nothing can interrupt; nothing else is known */
    unsigned connections, calls;
    uint64_t vm_bytes;
};

/* What is told of the gateway. */
struct cla_admin_status {
    const char *version;
    int pid;
    uint64_t uptime_ms, generation;
    bool draining;
    uint64_t reloads, reloads_failed;
    const char *reload_error; /* of the last, if that failed; NULL: it has not */
    const char *log_level;
    const char *const *addresses; /* that it listens on */
    size_t address_count;
    const struct cla_admin_worker *workers;
    size_t worker_count;
    const struct cla_admin_stuck *stuck; /* of those that do not answer */
    size_t stuck_count;
};

/* What is told of a reload that was done. */
struct cla_admin_reload {
    uint64_t generation, took_ms;
    unsigned older_calls; /* in flight */
    unsigned sockets;     /* WebSockets that were kept */
    uint64_t stall_us;    /* the longest for which a worker did nothing else than take it up */
};

/* Appends it as an object. Returns 0 or -CLA_ENOMEM (something may have been appended). */
int cla_admin_write_reload(struct cla_buf *buf, const struct cla_admin_reload *reload);

/* Appends it as an object. Returns 0 or -CLA_ENOMEM (something may have been appended). */
int cla_admin_write_status(struct cla_buf *buf, const struct cla_admin_status *status);

#endif
