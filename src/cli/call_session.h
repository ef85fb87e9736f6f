/* Makes the calls of 'cancela call': one, those of a file, or those typed at a prompt.
 *
 * Main thread. Depends on: gateway/client, gateway/socket_client, cli/call_*. */
#ifndef CLA_CLI_CALL_SESSION_H
#define CLA_CLI_CALL_SESSION_H

#include "cli/call_args.h"
#include "io/tls_context.h"

/* Makes the calls that 'args' ask for, with TLS if 'tls' is not NULL, each when the one before has
 * ended: over a WebSocket all on one connection, over HTTP each on its own. Results go to stdout,
 * the rest to stderr. SIGINT cancels the call under way; a second one before it is answered has its
 * default effect. Returns the exit code: of a file that of the first call that failed; of a prompt
 * 0, unless the connection was lost. */
int cla_call_session_run(const struct cla_call_args *args, struct cla_tls_context *tls);

#endif
