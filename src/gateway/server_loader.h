/* How the server gets apps: given by its caller.
 *
 * Depends on: base, gateway/app. */
#ifndef CLA_GATEWAY_SERVER_LOADER_H
#define CLA_GATEWAY_SERVER_LOADER_H

#include "base/buf.h"
#include "gateway/app.h"

struct cla_server_loader {
    /* Loads the app for one worker, as generation 'number', which is to take the place of
     * 'previous' (0: it is the first). What the script logs meanwhile counts from 'level' on.
     * Returns 0 and '*out'; or -CLA_E* and, in 'error', what is wrong: a text of some lines. Any
     * thread, but one at a time. */
    int (*load)(void *arg, uint64_t number, uint64_t previous, enum cla_log_level level,
                struct cla_app **out, struct cla_buf *error);
    /* A load under way, and any later one, is to fail soon. Control thread. May be NULL. */
    void (*stop)(void *arg);
    /* A generation is about to be loaded, and was, or was not; the second is not called once the
     * server stops. Control thread. May be NULL, both. */
    void (*begins)(void *arg);
    void (*ended)(void *arg, bool loaded);
    void *arg;
};

#endif
