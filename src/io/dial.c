/* Happy path: look the name up, connect to one address after the other until one takes it, hand
 * over the descriptor. A unix socket is one address that needs no lookup; its turn comes with the
 * next timers.
 * Failure modes: no address; each address that fails is noted, the last one ends the dial. The
 * timer ends the lookup, or the present attempt. On close: a descriptor's poll handle is closed
 * before the descriptor is handed over or closed. A lookup given up on outlives the callback: the
 * dial is then freed when the lookup returns. */
#include "io/dial.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/check.h"
#include "base/error.h"
#include "base/mem.h"

struct cla_dial {
    struct cla_loop *loop;
    cla_dial_cb *cb;
    void *arg;
    uv_getaddrinfo_t lookup;
    uv_poll_t poll;             /* of the attempt under way */
    struct cla_timer timer;     /* of the lookup or the attempt; after a cancel, at once */
    uint64_t deadline_ns;       /* of the whole dial */
    struct addrinfo *addresses; /* owned; NULL until looked up */
    struct addrinfo *address;   /* the one being tried */
    int fd;                     /* of the attempt; -1: none */
    int failure;                /* errno of the attempt; 0: connected */
    int rc;                     /* of the attempts so far */
    struct addrinfo local;      /* of a unix socket: its one address … */
    struct sockaddr_un file;    /* … which is this path */
    bool looking_up;
    bool waiting; /* for the turn of a unix socket */
    bool cancelled;
    bool delivered; /* the callback ran */
    char error[256];
};

static void deliver(struct cla_dial *dial, int rc)
{
    cla_timer_stop(&dial->loop->timers, &dial->timer);
    dial->loop->pending--;
    dial->delivered = true;
    dial->cb(dial->arg, rc, rc == 0 ? dial->fd : -1, dial->error);
}

static void finish(struct cla_dial *dial, int rc)
{
    deliver(dial, rc);
    if (dial->addresses != NULL)
        uv_freeaddrinfo(dial->addresses);
    cla_mem_free(dial);
}

/* --- One address. --- */

/* Appends "connection refused (127.0.0.1)"; what does not fit is cut. */
static void note(struct cla_dial *dial, int error)
{
    size_t n = strlen(dial->error);
    char name[sizeof dial->file.sun_path] = "?";

    if (dial->address == &dial->local)
        snprintf(name, sizeof name, "%s", dial->file.sun_path);
    else
        uv_ip_name(dial->address->ai_addr, name, sizeof name);
    snprintf(dial->error + n, sizeof dial->error - n, "%s%s (%s)", n > 0 ? ", " : "",
             uv_strerror(uv_translate_sys_error(error)), name);
    if (error == ECONNREFUSED)
        dial->rc = -CLA_EREFUSED;
    else if (dial->rc != -CLA_EREFUSED)
        dial->rc = error == ETIMEDOUT ? -CLA_ETIMEOUT : -CLA_EIO;
}

static void on_attempt_over(uv_handle_t *handle);

static void end_attempt(struct cla_dial *dial, int failure)
{
    cla_timer_stop(&dial->loop->timers, &dial->timer);
    dial->failure = failure;
    uv_close((uv_handle_t *)&dial->poll, on_attempt_over);
}

static void on_writable(uv_poll_t *poll, int status, int events)
{
    struct cla_dial *dial = poll->data;
    int error = 0;
    socklen_t n = sizeof error;

    if (getsockopt(dial->fd, SOL_SOCKET, SO_ERROR, &error, &n) != 0 || (error == 0 && status != 0))
        error = EIO;
    end_attempt(dial, error);
}

/* The equal share of the time left that the present address has. */
static void start_share(struct cla_dial *dial)
{
    uint64_t now = cla_loop_now_ns(dial->loop), due = dial->deadline_ns, left = 1;

    for (const struct addrinfo *a = dial->address->ai_next; a != NULL; a = a->ai_next)
        left++;
    if (due != CLA_NEVER && due > now)
        due = now + (due - now) / left;
    cla_timer_start(&dial->loop->timers, &dial->timer, due);
}

/* Returns 0, or the errno that it failed with at once. */
static int start_attempt(struct cla_dial *dial)
{
    const struct addrinfo *address = dial->address;
    int error, fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return errno;
    if (connect(fd, address->ai_addr, address->ai_addrlen) != 0 && errno != EINPROGRESS)
        goto close_fd;
    errno = EIO;
    if (uv_poll_init(&dial->loop->uv, &dial->poll, fd) != 0)
        goto close_fd;
    dial->fd = fd;
    dial->poll.data = dial;
    uv_poll_start(&dial->poll, UV_WRITABLE, on_writable);
    start_share(dial);
    return 0;
close_fd:
    error = errno;
    close(fd);
    return error;
}

/* Tries from dial->address on, until one is under way or none is left. */
static void attempt(struct cla_dial *dial)
{
    int error;

    for (; dial->address != NULL; dial->address = dial->address->ai_next) {
        error = start_attempt(dial);
        if (error == 0)
            return;
        note(dial, error);
    }
    finish(dial, dial->rc);
}

static void on_attempt_over(uv_handle_t *handle)
{
    struct cla_dial *dial = handle->data;

    if (dial->failure == 0 && !dial->cancelled) {
        finish(dial, 0);
        return;
    }
    close(dial->fd);
    dial->fd = -1;
    if (dial->cancelled) {
        finish(dial, -CLA_ECLOSED);
        return;
    }
    note(dial, dial->failure);
    dial->address = dial->address->ai_next;
    attempt(dial);
}

/* --- The lookup. --- */

static void on_lookup(uv_getaddrinfo_t *lookup, int status, struct addrinfo *addresses)
{
    struct cla_dial *dial = lookup->data;

    dial->looking_up = false;
    dial->loop->lookups--;
    dial->addresses = dial->address = addresses;
    if (dial->delivered) {
        uv_freeaddrinfo(addresses);
        cla_mem_free(dial);
    } else if (dial->cancelled) {
        finish(dial, -CLA_ECLOSED);
    } else if (status != 0) {
        snprintf(dial->error, sizeof dial->error, "%s",
                 status == UV_EAI_NONAME ? "no such host" : uv_strerror(status));
        finish(dial, -CLA_ENOTFOUND);
    } else {
        attempt(dial);
    }
}

static void on_timer(struct cla_timer *timer)
{
    struct cla_dial *dial = CLA_CONTAINER(timer, struct cla_dial, timer);

    if (dial->waiting) {
        dial->waiting = false;
        if (dial->cancelled)
            finish(dial, -CLA_ECLOSED);
        else
            attempt(dial);
    } else if (dial->looking_up) {
        uv_cancel((uv_req_t *)&dial->lookup);
        snprintf(dial->error, sizeof dial->error, "the name lookup took too long");
        deliver(dial, dial->cancelled ? -CLA_ECLOSED : -CLA_ETIMEOUT);
    } else if (!uv_is_closing((uv_handle_t *)&dial->poll)) {
        end_attempt(dial, ETIMEDOUT);
    }
}

static int look_up(struct cla_dial *dial, const char *host, uint16_t port)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    char service[8];
    int rc;

    snprintf(service, sizeof service, "%u", port);
    dial->lookup.data = dial;
    rc = uv_getaddrinfo(&dial->loop->uv, &dial->lookup, on_lookup, host, service, &hints);
    if (rc != 0)
        return rc == UV_ENOMEM ? -CLA_ENOMEM : -CLA_EINVAL;
    dial->looking_up = true;
    dial->loop->lookups++;
    return 0;
}

static int use_path(struct cla_dial *dial, const char *path)
{
    if (*path == '\0' || strlen(path) >= sizeof dial->file.sun_path)
        return -CLA_EINVAL;
    dial->file.sun_family = AF_UNIX;
    memcpy(dial->file.sun_path, path, strlen(path) + 1);
    dial->local = (struct addrinfo){.ai_family = AF_UNIX,
                                    .ai_addr = (struct sockaddr *)&dial->file,
                                    .ai_addrlen = sizeof dial->file};
    dial->address = &dial->local;
    dial->waiting = true;
    return 0;
}

int cla_dial_start(struct cla_dial **out, struct cla_loop *loop, const char *host, uint16_t port,
                   uint64_t timeout_ns, cla_dial_cb *cb, void *arg)
{
    struct cla_dial *dial = cla_mem_zalloc(sizeof *dial);
    int rc;

    if (dial == NULL)
        return -CLA_ENOMEM;
    *dial = (struct cla_dial){.loop = loop, .cb = cb, .arg = arg, .fd = -1, .rc = -CLA_EIO};
    cla_timer_init(&dial->timer, on_timer);
    if (strncmp(host, "unix:", 5) == 0)
        rc = use_path(dial, host + 5);
    else
        rc = look_up(dial, host, port);
    if (rc != 0) {
        cla_mem_free(dial);
        return rc;
    }
    dial->deadline_ns = cla_clock_add(cla_loop_now_ns(loop), timeout_ns);
    cla_timer_start(&loop->timers, &dial->timer, dial->waiting ? 0 : dial->deadline_ns);
    loop->pending++;
    *out = dial;
    return 0;
}

void cla_dial_cancel(struct cla_dial *dial)
{
    CLA_PRE(!dial->delivered);
    dial->cancelled = true;
    cla_timer_start(&dial->loop->timers, &dial->timer, 0);
}
