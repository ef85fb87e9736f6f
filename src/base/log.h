/* Leveled log lines, one per event: "2026-01-31T12:00:00.123Z INFO message key=value …".
 *
 * One thread a struct; lines of several that share a lock do not mix. Depends on: base/buf,
 * base/clock. Text that came from the network goes in through cla_log_value(), which
 * quotes and escapes it. */
#ifndef CLA_BASE_LOG_H
#define CLA_BASE_LOG_H

#include <pthread.h>
#include <stdint.h>

#include "base/buf.h"

enum cla_log_level {
    CLA_LOG_DEBUG,
    CLA_LOG_INFO,
    CLA_LOG_WARN,
    CLA_LOG_ERROR,
    CLA_LOG_OFF,
};

struct cla_log {
    int fd;                   /* where lines go; not owned */
    pthread_mutex_t *lock;    /* held while lines are written, for a pipe takes long ones in pieces;
                                 NULL: nobody else writes */
    enum cla_log_level level; /* lines below it are dropped */
    struct cla_buf *pending;  /* lines to be flushed by their maker, which go first; NULL: none */
    uint64_t stamp_ms;        /* since 1970, of 'stamp' */
    char stamp[32];           /* the time that lines begin with */
    size_t stamp_n;           /* its length */
    uint64_t stamp_until_ns;  /* it is the time until then, on a monotonic clock; 0: unknown */
};

/* The level called 'name' ("debug" … "off"). Returns false if there is none. */
bool cla_log_level_by_name(struct cla_slice name, enum cla_log_level *level);

/* Its name: "debug". */
const char *cla_log_level_name(enum cla_log_level level);

/* True if a line of 'level' would be written: ask before building a costly one. */
static inline bool cla_log_wants(const struct cla_log *log, enum cla_log_level level)
{
    return level >= log->level;
}

/* Writes one line; control characters in it are escaped, line feeds become an indented line. */
void cla_log_line(struct cla_log *log, enum cla_log_level level, const char *format, ...)
    CLA_PRINTF(3, 4);

/* Starts a line in 'buf': time and level. End it with cla_log_end(). */
void cla_log_begin(struct cla_log *log, struct cla_buf *buf, enum cla_log_level level);

/* The same; 'now_ns' is the time on a monotonic clock, which the caller has looked at anyway. */
void cla_log_begin_at(struct cla_log *log, struct cla_buf *buf, enum cla_log_level level,
                      uint64_t now_ns);

/* Appends ' key=value'; the value is quoted if it is not a plain word, and cut at 1 KiB. */
void cla_log_value(struct cla_buf *buf, struct cla_slice key, struct cla_slice value);

/* Ends the line in 'buf' with a line feed, so that the next may begin behind it. */
void cla_log_end(struct cla_buf *buf);

/* Writes all of 'buf' (whole lines) and empties it. */
void cla_log_flush(struct cla_log *log, struct cla_buf *buf);

#endif
