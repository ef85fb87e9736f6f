/* What the service manager that started the process is told, and what it has passed on:
 * sd_notify(3), sd_watchdog_enabled(3), sd_listen_fds(3). Without a service manager nobody is told
 * anything.
 *
 * Control thread, and one struct a process. Depends on: base, gateway/passed.
 *
 * The datagrams are written here and not by libsystemd: it would be a library more on every machine
 * for one sendto(), sd_notify(3) documents what is sent as stable and means it to be implemented
 * without it, and so the tests can stand in for systemd. MAINPID is not sent: the process that
 * serves is the one that was started, and its number may be another one outside of its container.
 */
#ifndef CLA_GATEWAY_SERVICE_H
#define CLA_GATEWAY_SERVICE_H

#include <sys/socket.h>
#include <sys/un.h>

#include "base/log.h"
#include "gateway/passed.h"

struct cla_service {
    int fd; /* -1: there is nobody to tell */
    struct sockaddr_un address;
    socklen_t address_n;
    uint64_t watchdog_ns; /* a sign of life is expected at least so often; 0: none is */
    bool mute;            /* the last sign of life could not be sent, and that was logged */
    struct cla_passed passed;
    struct cla_log *log;
    struct {
        size_t procedures;   /* of the script; set by whoever loads it, as is … */
        uint64_t generation; /* … */
        const char *address; /* the first that is served; borrowed; the server's, as is … */
        size_t addresses;    /* … */
    } serving;               /* for the line of cla_service_ready() */
};

/* Reads NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID and what cla_passed_take() reads, and removes
 * them from the environment. Before any other thread is started. Returns 0 or -CLA_ENOMEM. */
int cla_service_init(struct cla_service *service, struct cla_log *log);

/* It serves, from now on or again after cla_service_reloading(). 'note' is added to the line of
 * status: what has gone wrong; NULL: nothing. */
void cla_service_ready(struct cla_service *service, const char *note);

/* It reads its configuration or scripts again; cla_service_ready() ends that, however it went. */
void cla_service_reloading(struct cla_service *service);

/* It drains, and will take no longer than 'ns'. */
void cla_service_stopping(struct cla_service *service, uint64_t ns);

/* A sign of life, which nobody waits for: one that cannot be sent is left out. */
void cla_service_alive(struct cla_service *service);

/* Closes what it holds. Idempotent. */
void cla_service_fini(struct cla_service *service);

#endif
