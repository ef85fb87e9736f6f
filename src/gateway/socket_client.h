/* Calls procedures of a gateway on one WebSocket, one call after the other.
 *
 * Loop thread only. Depends on: base, http, rpc, ws, io, gateway/client (what a call and its end
 * are). The process must ignore SIGPIPE. Between calls it answers pings and reports what the server
 * sends on its own account. */
#ifndef CLA_GATEWAY_SOCKET_CLIENT_H
#define CLA_GATEWAY_SOCKET_CLIENT_H

#include "gateway/client.h"

/* None is called from inside cla_socket_client_start(), _cancel() or _close(). Slices are borrowed
 * for the call. */
struct cla_socket_client_events {
    /* The upgrade was accepted: calls can be made, from inside already. */
    void (*on_open)(void *arg);
    /* The call has ended: RESULT, ERROR or TIMEOUT. The next may be made from inside. */
    void (*on_answer)(void *arg, const struct cla_client_answer *answer);
    /* A text that is no answer to a call. 'notice' is NULL if it is no notification either. */
    void (*on_notice)(void *arg, struct cla_slice text, const struct cla_rpc_notice *notice);
    /* The connection is gone, and with it the call under way, which is not answered: CANCELLED
     * (cla_socket_client_close() was called), UNREACHABLE, TIMEOUT (of connecting), STATUS (the
     * upgrade was refused) or BROKEN. The last event. */
    void (*on_closed)(void *arg, const struct cla_client_answer *end);
};

struct cla_socket_client; /* Frees itself after on_closed. */

/* Connects to the host, target and with the fields of 'to', within to->timeout_ns; the procedure is
 * not looked at. With to->on_part all calls may stream. 'to' and 'events' are borrowed until
 * on_closed. Returns 0, -CLA_ENOMEM, or -CLA_EINVAL (the host can be no name): then nothing is
 * called. */
int cla_socket_client_start(struct cla_socket_client **out, struct cla_loop *loop,
                            const struct cla_client_call *to,
                            const struct cla_socket_client_events *events, void *arg);

/* Calls a procedure; the client must be open with no call under way. 'params' is raw JSON or empty.
 * 'deadline_ns' is on the loop's clock; the server is told what is left of it; CLA_NEVER: none.
 * Returns 0, -CLA_EUTF8 (the procedure's name), -CLA_ENOMEM, or -CLA_ECLOSED (on_closed will tell
 * why): then there will be no answer. */
int cla_socket_client_call(struct cla_socket_client *client, struct cla_slice procedure,
                           struct cla_slice params, uint64_t deadline_ns);

/* Asks the server to cancel the call under way. Its answer comes all the same: it is the server's
 * to say what became of the call. */
void cla_socket_client_cancel(struct cla_socket_client *client);

/* Closes; waits a second for the server's close frame, or not if it is called again. */
void cla_socket_client_close(struct cla_socket_client *client);

#endif
