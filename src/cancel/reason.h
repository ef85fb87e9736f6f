/* Why something was cancelled.
 *
 * One thread. Depends on: base. */
#ifndef CLA_CANCEL_REASON_H
#define CLA_CANCEL_REASON_H

#include <stdint.h>

#include "base/error.h"
#include "base/slice.h"

/* symbol, name for scripts and logs, what a call cancelled for it ends with.
 * OK: never settles a call. */
#define CLA_CANCEL_TABLE(X)                               \
    X(NONE, "none", OK)                                   \
    X(RESET, "reset", CANCELED)                           \
    X(DISCONNECT, "disconnect", CANCELED)                 \
    X(TIMEOUT, "timeout", DEADLINE_EXCEEDED)              \
    X(SHUTDOWN, "shutdown", UNAVAILABLE)                  \
    X(RELOAD, "reload", UNAVAILABLE)                      \
    X(KILLED, "killed", ABORTED)                          \
    X(LIMIT, "limit", RESOURCE_EXHAUSTED)                 \
    X(SLOW_CONSUMER, "slow_consumer", RESOURCE_EXHAUSTED) \
    X(USER, "user", ABORTED)                              \
    X(PARENT_FAILED, "parent_failed", OK)                 \
    X(LOST_RACE, "lost_race", OK)

enum cla_cancel_kind {
#define X(symbol, name, code) CLA_CANCEL_##symbol,
    CLA_CANCEL_TABLE(X)
#undef X
        CLA_CANCEL_KINDS
};

/* Longest message of a reason, in bytes: client text is not trusted with more. */
#define CLA_REASON_MESSAGE_MAX 1024

struct cla_text; /* shared, immutable bytes */

/* Most calls hold two of these for nothing: so the kind and the time share a word, which holds the
 * nanoseconds of 18 years. */
struct cla_reason {
    uint64_t kind : 5;        /* an enum cla_cancel_kind; NONE: not cancelled */
    uint64_t at_ns : 59;      /* monotonic, when it was decided */
    struct cla_text *message; /* owned reference, or NULL */
};

/* The name scripts and logs see: "disconnect". */
const char *cla_cancel_kind_name(enum cla_cancel_kind kind);

/* What a call that is cancelled for 'kind' ends with; CLA_CODE_OK: it does not end a call. */
enum cla_code cla_cancel_kind_code(enum cla_cancel_kind kind);

/* Makes a reason. 'message' is copied, cut to CLA_REASON_MESSAGE_MAX at a character, and bytes that
 * are not UTF-8 become '?'. Out of memory loses the message, never the reason. */
struct cla_reason cla_reason_make(enum cla_cancel_kind kind, uint64_t at_ns,
                                  struct cla_slice message);

/* Another reference to the same reason. */
struct cla_reason cla_reason_share(const struct cla_reason *reason);

/* Drops the reference and leaves NONE. */
void cla_reason_fini(struct cla_reason *reason);

/* The message, or an empty slice. Borrowed from the reason. */
struct cla_slice cla_reason_message(const struct cla_reason *reason);

#endif
