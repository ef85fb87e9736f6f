/* Happy path: open each listener, judge who arrives, hand over.
 * Failure modes: an address that cannot be listened on closes those before it, and is named; who is
 * not let in is handed over all the same, with why, for an answer takes a worker.
 * On close: every listener at once; the files of sockets that were passed stay. */
#include "gateway/entrance.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "gateway/tls_files.h"

static void set_peer(struct cla_arrival *arrival, const struct cla_listener_peer *peer)
{
    char text[CLA_IP_TEXT] = "unix:";

    arrival->peer_n = peer->local ? strlen(text) : cla_ip_print(&peer->ip, peer->port, text);
    memcpy(arrival->peer, text, arrival->peer_n);
}

static void on_accept(void *arg, int fd, const struct cla_listener_peer *peer)
{
    struct cla_entrance_gate *gate = arg;
    struct cla_entrance *entrance = gate->entrance;
    const struct cla_ip *ip = peer->local ? NULL : &peer->ip;
    struct cla_arrival arrival = {.fd = fd, .via = &gate->via};

    if (gate->via.tls)
        arrival.tls = cla_tls_context_ref(entrance->tls);
    set_peer(&arrival, peer);
    if (cla_proxies_trust(&entrance->proxies, ip))
        arrival.proxies = &entrance->proxies.trusted;
    arrival.refusal = cla_admission_judge(
        &entrance->admission, entrance->events->count(entrance->arg), ip, &arrival.of_address);
    entrance->events->on_arrival(entrance->arg, &arrival);
}

static void on_shortage(void *arg)
{
    const struct cla_entrance_gate *gate = arg;

    cla_log_line(gate->entrance->log, CLA_LOG_WARN,
                 "out of file descriptors or memory: new connections at %s wait until some have "
                 "closed; raise the limit of open files (ulimit -n) or lower max_connections",
                 gate->listener.address);
}

static const struct cla_listener_events listener_events = {on_accept, on_shortage};

/* --- Opening. --- */

static void explain_in_use(const struct cla_listen *listen, struct cla_config_error *error)
{
    if (listen->local)
        snprintf(error->text, sizeof error->text,
                 "unix:%s is in use: stop what listens there, or choose another path with --listen",
                 listen->host);
    else
        snprintf(error->text, sizeof error->text,
                 "port %u is in use on '%s': stop what listens there, or choose another with "
                 "--listen %s:%u",
                 listen->port, listen->host, listen->host,
                 listen->port < 65535 ? listen->port + 1 : 3000);
}

static void explain(const struct cla_listen *listen, int rc, struct cla_config_error *error)
{
    const char *why = cla_error_text(rc);

    if (rc == -CLA_EADDRINUSE) {
        explain_in_use(listen, error);
        return;
    }
    if (rc == -CLA_ENOTFOUND)
        why = listen->local ? "there is no such folder" : "this machine has no such address";
    else if (rc == -CLA_EIO && errno != 0)
        why = strerror(errno);
    if (listen->local)
        snprintf(error->text, sizeof error->text, "cannot listen on unix:%s: %s", listen->host,
                 why);
    else
        snprintf(error->text, sizeof error->text, "cannot listen on '%s' port %u: %s", listen->host,
                 listen->port, why);
}

static bool half_close_allowed(const struct cla_listen *listen, const struct cla_config *config)
{
    return (listen->half_close_set ? listen->half_close : config->half_close) ==
           CLA_HALF_CLOSE_ALLOW;
}

static int listen_on(struct cla_entrance_gate *gate, struct cla_loop *loop,
                     const struct cla_listen *listen)
{
    if (listen->local)
        return cla_listener_open_local(&gate->listener, loop, listen->host, listen->mode,
                                       &listener_events, gate);
    return cla_listener_open(&gate->listener, loop, listen->host, listen->port, &listener_events,
                             gate);
}

/* The next gate, whose listener is not open yet. */
static struct cla_entrance_gate *next_gate(struct cla_entrance *entrance,
                                           const struct cla_listen *listen)
{
    struct cla_entrance_gate *gate = &entrance->gates[entrance->count];

    gate->entrance = entrance;
    gate->via.half_close_allowed = half_close_allowed(listen, entrance->config);
    gate->via.tls = listen->tls;
    return gate;
}

/* Its listener is open. */
static void count_gate(struct cla_entrance *entrance, struct cla_entrance_gate *gate)
{
    uint64_t keep_alive_ns = entrance->config->tcp_keepalive_ns;

    if (keep_alive_ns > 0)
        cla_listener_keep_alive(&gate->listener, keep_alive_ns);
    gate->via.loopback = gate->listener.loopback;
    gate->via.local = gate->listener.local;
    entrance->count++;
}

static int open_gate(struct cla_entrance *entrance, struct cla_loop *loop,
                     const struct cla_listen *listen, struct cla_config_error *error)
{
    struct cla_entrance_gate *gate = next_gate(entrance, listen);
    int rc;

    errno = 0;
    rc = listen_on(gate, loop, listen);
    if (rc == 0)
        count_gate(entrance, gate);
    else
        explain(listen, rc, error);
    return rc;
}

/* --- Sockets that were passed. --- */

static bool names(const struct cla_listen *listen, const struct cla_passed *passed, unsigned at)
{
    return listen->passed && (listen->host[0] == '\0' || cla_slice_eq(cla_passed_name(passed, at),
                                                                      cla_slice_str(listen->host)));
}

static void explain_none(const struct cla_listen *listen, const struct cla_passed *passed,
                         struct cla_config_error *error)
{
    if (passed->count == 0)
        snprintf(error->text, sizeof error->text,
                 "listen: no socket was passed for 'systemd'%s: start the gateway by a socket unit "
                 "(systemctl start cancela.socket), or write an address",
                 passed->others ? ", but some were for another process (LISTEN_PID)" : "");
    else
        snprintf(error->text, sizeof error->text,
                 "listen: none of the %u sockets that were passed is called '%s': write that as "
                 "FileDescriptorName= of its socket unit, or systemd for all of them",
                 passed->count, listen->host);
}

static int adopt(struct cla_entrance *entrance, struct cla_loop *loop,
                 const struct cla_listen *listen, unsigned at, struct cla_config_error *error)
{
    const struct cla_passed *passed = entrance->passed;
    struct cla_entrance_gate *gate = next_gate(entrance, listen);
    struct cla_slice name = cla_passed_name(passed, at);
    int fd = cla_passed_fd(passed, at), rc;

    rc = cla_listener_adopt(&gate->listener, loop, fd, &listener_events, gate);
    if (rc == 0)
        count_gate(entrance, gate);
    else if (rc == -CLA_EINVAL)
        snprintf(
            error->text, sizeof error->text,
            "listen: the socket that was passed as descriptor %d (%.*s) is no listening stream "
            "socket: write ListenStream= and Accept=no in its socket unit",
            fd, (int)name.n, name.p);
    else
        snprintf(error->text, sizeof error->text,
                 "listen: cannot listen on the socket that was passed as descriptor %d (%.*s): %s",
                 fd, (int)name.n, name.p, strerror(errno));
    return rc == -CLA_EINVAL ? -CLA_EIO : rc; /* the setting is right */
}

static int adopt_all(struct cla_entrance *entrance, struct cla_loop *loop,
                     const struct cla_listen *listen, struct cla_config_error *error)
{
    size_t before = entrance->count;
    int rc = 0;

    for (unsigned i = 0; rc == 0 && i < entrance->passed->count; i++) {
        if (names(listen, entrance->passed, i))
            rc = adopt(entrance, loop, listen, i, error);
    }
    if (rc != 0 || entrance->count > before)
        return rc;
    explain_none(listen, entrance->passed, error);
    return -CLA_ENOTFOUND;
}

/* Clients of a socket that nobody listens on would wait for ever. */
static void warn_of_unused(const struct cla_entrance *entrance)
{
    for (unsigned i = 0; i < entrance->passed->count; i++) {
        struct cla_slice name = cla_passed_name(entrance->passed, i);
        struct cla_listen listen = {.passed = false};

        for (size_t k = 0; k < entrance->config->listen.count; k++) {
            (void)cla_listen_read(entrance->config->listen.items[k], &listen);
            if (names(&listen, entrance->passed, i))
                break;
        }
        if (!names(&listen, entrance->passed, i))
            cla_log_line(entrance->log, CLA_LOG_WARN,
                         "nobody serves the socket that was passed as descriptor %d (%.*s): add "
                         "systemd or systemd:%.*s to 'listen'",
                         cla_passed_fd(entrance->passed, i), (int)name.n, name.p, (int)name.n,
                         name.p);
    }
}

/* --- All of them. --- */

static void log_warning(struct cla_log *log, const struct cla_config *config)
{
    const char *warning = cla_tls_files_warning(config);

    if (warning != NULL)
        cla_log_line(log, CLA_LOG_WARN, "%s", warning);
}

/* Reads certificates, and makes room. */
static int prepare(struct cla_entrance *entrance, const struct cla_config *config,
                   struct cla_config_error *error)
{
    size_t most = config->listen.count + entrance->passed->count;
    int rc;

    if (cla_tls_files_wanted(config)) {
        rc = cla_tls_files_load(config, &entrance->tls, error);
        if (rc != 0)
            return rc;
    }
    log_warning(entrance->log, config);
    cla_admission_init(&entrance->admission, (unsigned)config->max_connections,
                       (unsigned)config->connections_per_address);
    entrance->gates = cla_mem_zalloc(most * sizeof *entrance->gates);
    if (entrance->gates == NULL ||
        cla_proxies_init(&entrance->proxies, &config->trusted_proxies) != 0) {
        snprintf(error->text, sizeof error->text, "%s", cla_error_text(-CLA_ENOMEM));
        cla_entrance_fini(entrance);
        return -CLA_ENOMEM;
    }
    return 0;
}

int cla_entrance_open(struct cla_entrance *entrance, struct cla_loop *loop,
                      const struct cla_config *config, const struct cla_passed *passed,
                      struct cla_log *log, const struct cla_entrance_events *events, void *arg,
                      struct cla_config_error *error)
{
    struct cla_listen listen;
    int rc;

    *entrance = (struct cla_entrance){
        .config = config, .passed = passed, .log = log, .events = events, .arg = arg};
    rc = prepare(entrance, config, error);
    if (rc != 0)
        return rc;
    for (size_t i = 0; rc == 0 && i < config->listen.count; i++) {
        (void)cla_listen_read(config->listen.items[i], &listen);
        rc = listen.passed ? adopt_all(entrance, loop, &listen, error)
                           : open_gate(entrance, loop, &listen, error);
    }
    if (rc == 0) {
        warn_of_unused(entrance);
        return 0;
    }
    cla_entrance_close(entrance);
    uv_run(&loop->uv, UV_RUN_NOWAIT); /* runs their last callbacks */
    cla_entrance_fini(entrance);
    return rc;
}

int cla_entrance_reload(struct cla_entrance *entrance)
{
    struct cla_config_error error;
    struct cla_tls_context *tls;
    int rc = 0;

    if (entrance->tls == NULL)
        return 0;
    rc = cla_tls_files_load(entrance->config, &tls, &error);
    if (rc != 0) {
        cla_log_line(entrance->log, CLA_LOG_ERROR,
                     "certificates not reloaded, those in use stay: %s", error.text);
    } else {
        cla_tls_context_put(entrance->tls);
        entrance->tls = tls;
        cla_log_line(entrance->log, CLA_LOG_INFO, "certificates reloaded");
    }
    return rc;
}

void cla_entrance_close(struct cla_entrance *entrance)
{
    if (entrance->closed)
        return;
    entrance->closed = true;
    for (size_t i = 0; i < entrance->count; i++)
        cla_listener_close(&entrance->gates[i].listener);
}

void cla_entrance_fini(struct cla_entrance *entrance)
{
    cla_admission_fini(&entrance->admission);
    cla_proxies_fini(&entrance->proxies);
    cla_mem_free(entrance->gates);
    entrance->gates = NULL;
    cla_tls_context_put(entrance->tls);
    entrance->tls = NULL;
}
