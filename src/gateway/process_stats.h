/* What the system says of this process.
 *
 * Any thread. Depends on: base. */
#ifndef CLA_GATEWAY_PROCESS_STATS_H
#define CLA_GATEWAY_PROCESS_STATS_H

#include <stdint.h>

struct cla_process_stats {
    uint64_t resident_bytes, virtual_bytes; /* 0: unknown, as all of these */
    uint64_t open_fds, max_fds;
    uint64_t cpu_ns; /* of all threads, user and system */
};

/* Reads them. */
void cla_process_stats_read(struct cla_process_stats *stats);

#endif
