/* The TLS of 'cancela call https://…', from its flags.
 *
 * Main thread. Depends on: io/tls_context, cli/call_args. */
#ifndef CLA_CLI_CALL_TLS_H
#define CLA_CLI_CALL_TLS_H

#include "cli/call_args.h"
#include "io/tls_context.h"

/* Reads the files that the flags name; '*out' is NULL where the URL asks for no TLS. Returns 0
 * (give up with cla_tls_context_put()), or an exit code after a message. */
int cla_call_tls_open(const struct cla_call_args *args, struct cla_tls_context **out);

#endif
