/* The addresses that are served: every listener of the setting 'listen', and who is let in.
 *
 * Control thread. Depends on: io/listener, gateway/admission, gateway/listen, gateway/tls_files. */
#ifndef CLA_GATEWAY_ENTRANCE_H
#define CLA_GATEWAY_ENTRANCE_H

#include "gateway/admission.h"
#include "gateway/arrival.h"
#include "gateway/listen.h"
#include "gateway/passed.h"
#include "gateway/proxy.h"
#include "io/listener.h"

struct cla_entrance_events {
    /* How many connections are open. */
    unsigned (*count)(void *arg);
    /* Takes over the descriptor, and its being counted in 'of_address'. */
    void (*on_arrival)(void *arg, const struct cla_arrival *arrival);
};

/* One listener and what its connections know of it. */
struct cla_entrance_gate {
    struct cla_listener listener;
    struct cla_via via;
    struct cla_entrance *entrance;
};

struct cla_entrance {
    struct cla_entrance_gate *gates; /* owned */
    size_t count;                    /* of those that are open */
    struct cla_admission admission;
    const struct cla_config *config; /* borrowed */
    const struct cla_passed *passed; /* borrowed */
    struct cla_tls_context *tls;     /* of connections to come; NULL: no https:// */
    struct cla_proxies proxies;      /* referred to by connections */
    struct cla_log *log;
    const struct cla_entrance_events *events;
    void *arg;
    bool closed;
};

/* Listens on all addresses of 'config', which must outlive the entrance, and on those sockets of
 * 'passed' that it asks for; 'arg' is given to the events. Returns 0, or -CLA_E* with a line about
 * what is wrong and what to do in 'error'. */
int cla_entrance_open(struct cla_entrance *entrance, struct cla_loop *loop,
                      const struct cla_config *config, const struct cla_passed *passed,
                      struct cla_log *log, const struct cla_entrance_events *events, void *arg,
                      struct cla_config_error *error);

/* Reads certificates and keys again, for connections to come; logs how that went. Returns
 * 0, or -CLA_E*: those in use stay. */
int cla_entrance_reload(struct cla_entrance *entrance);

/* Stops listening. Idempotent. Connections may go on referring to their struct cla_via. */
void cla_entrance_close(struct cla_entrance *entrance);

/* Frees what is left, once closed, once the loop has run, and with no connection left. */
void cla_entrance_fini(struct cla_entrance *entrance);

#endif
