/* Listening sockets that were open when the process was started: socket activation as in
 * sd_listen_fds(3), descriptors from 3 on.
 *
 * Depends on: base. Read once, by the main thread. */
#ifndef CLA_GATEWAY_PASSED_H
#define CLA_GATEWAY_PASSED_H

#include "base/slice.h"

struct cla_passed {
    unsigned count;
    bool others; /* there were some, for another process */
    char *names; /* with colons between; owned; NULL: they have none */
};

/* Takes them over: reads LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES, removes these from the
 * environment, and keeps the descriptors from programs that are started later. What is said to be
 * there and is not open does not count. Before any other thread is started. Returns 0 or
 * -CLA_ENOMEM. */
int cla_passed_take(struct cla_passed *passed);

/* The descriptor of the socket at 'at'. */
int cla_passed_fd(const struct cla_passed *passed, unsigned at);

/* Its name; "unknown" if it was given none. */
struct cla_slice cla_passed_name(const struct cla_passed *passed, unsigned at);

/* Frees the names. Descriptors stay as they are. */
void cla_passed_fini(struct cla_passed *passed);

#endif
