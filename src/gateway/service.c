/* Happy path: a datagram a message, sent from where the news is.
 * Failure modes: a service manager that does not read holds a message up for SEND_TIMEOUT_S at
 * most; one that cannot be sent is logged.
 * On close: the socket is closed; the manager is told by the end of the process. */
#include "gateway/service.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/error.h"

#define SEND_TIMEOUT_S 1
#define NS_PER_US UINT64_C(1000)

/* --- Telling. --- */

static bool send_text(const struct cla_service *service, const char *text, int flags)
{
    const struct sockaddr *address = (const struct sockaddr *)&service->address;

    return sendto(service->fd, text, strlen(text), flags | MSG_NOSIGNAL, address,
                  service->address_n) >= 0;
}

/* 'status' is the last line; in it there is none other. */
static void tell(struct cla_service *service, const char *news, const char *status)
{
    char text[1024];
    size_t at = strlen(news);

    if (service->fd < 0)
        return;
    (void)snprintf(text, sizeof text, "%sSTATUS=%s", news, status);
    for (char *p = text + at; *p != '\0'; p++) {
        if ((unsigned char)*p < ' ')
            *p = '?'; /* names of files are anything */
    }
    if (!send_text(service, text, 0))
        cla_log_line(service->log, CLA_LOG_WARN,
                     "the service manager (NOTIFY_SOCKET) cannot be told '%s': %s", status,
                     strerror(errno));
}

void cla_service_ready(struct cla_service *service, const char *note)
{
    char status[512], more[32] = "";

    if (service->serving.addresses > 1)
        (void)snprintf(more, sizeof more, " and %zu more", service->serving.addresses - 1);
    (void)snprintf(status, sizeof status,
                   "serving %zu procedures on %s%s, generation %" PRIu64 "%s%s",
                   service->serving.procedures,
                   service->serving.address != NULL ? service->serving.address : "nothing", more,
                   service->serving.generation, note != NULL ? "; " : "", note != NULL ? note : "");
    tell(service, "READY=1\n", status);
}

void cla_service_reloading(struct cla_service *service)
{
    char news[64];

    (void)snprintf(news, sizeof news, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64 "\n",
                   cla_clock_monotonic_ns() / NS_PER_US);
    tell(service, news, "reloading");
}

void cla_service_stopping(struct cla_service *service, uint64_t ns)
{
    char news[64];

    (void)snprintf(news, sizeof news, "STOPPING=1\nEXTEND_TIMEOUT_USEC=%" PRIu64 "\n",
                   ns / NS_PER_US);
    tell(service, news, "draining: calls that run may end");
}

void cla_service_alive(struct cla_service *service)
{
    bool sent = service->fd < 0 || send_text(service, "WATCHDOG=1", MSG_DONTWAIT);

    if (!sent && !service->mute)
        cla_log_line(service->log, CLA_LOG_WARN,
                     "the service manager (NOTIFY_SOCKET) cannot be told that the gateway lives: "
                     "%s",
                     strerror(errno));
    service->mute = !sent;
}

/* --- Whom to tell. --- */

/* A path, or behind an '@' a name without a file. Returns false: it is neither. */
static bool read_address(struct cla_service *service, const char *text)
{
    size_t n = strlen(text);

    if ((text[0] != '/' && text[0] != '@') || n < 2 || n >= sizeof service->address.sun_path)
        return false;
    service->address.sun_family = AF_UNIX;
    memcpy(service->address.sun_path, text, n);
    if (text[0] == '@')
        service->address.sun_path[0] = '\0';
    service->address_n = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
    return true;
}

static void open_socket(struct cla_service *service, const char *text)
{
    const struct timeval timeout = {.tv_sec = SEND_TIMEOUT_S};

    if (!read_address(service, text)) {
        cla_log_line(service->log, CLA_LOG_WARN,
                     "the service manager is not told anything: NOTIFY_SOCKET is '%s', which is "
                     "no path of a unix socket, and no name of one behind an @",
                     text);
        return;
    }
    service->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (service->fd < 0)
        cla_log_line(service->log, CLA_LOG_WARN, "the service manager is not told anything: %s",
                     strerror(errno));
    else
        (void)setsockopt(service->fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
}

/* A number without a sign; 0: it is none, or larger than 'most'. */
static uint64_t read_number(const char *text, uint64_t most)
{
    char *end;
    unsigned long long value;

    if (text == NULL || text[0] < '0' || text[0] > '9')
        return 0;
    errno = 0;
    value = strtoull(text, &end, 10);
    return *end == '\0' && errno == 0 && value <= most ? value : 0;
}

/* Without WATCHDOG_PID it is meant for whoever reads it. */
static uint64_t read_watchdog(void)
{
    const char *pid = getenv("WATCHDOG_PID");

    if (pid != NULL && read_number(pid, INT32_MAX) != (uint64_t)getpid())
        return 0;
    return read_number(getenv("WATCHDOG_USEC"), CLA_NEVER / NS_PER_US - 1) * NS_PER_US;
}

int cla_service_init(struct cla_service *service, struct cla_log *log)
{
    const char *notify = getenv("NOTIFY_SOCKET");

    *service = (struct cla_service){.fd = -1, .log = log, .watchdog_ns = read_watchdog()};
    if (notify != NULL && notify[0] != '\0')
        open_socket(service, notify);
    if (service->fd < 0)
        service->watchdog_ns = 0;
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    return cla_passed_take(&service->passed);
}

void cla_service_fini(struct cla_service *service)
{
    if (service->fd >= 0)
        close(service->fd);
    service->fd = -1;
    cla_passed_fini(&service->passed);
}
