/* cancela call: calls procedures of a running gateway.
 *
 * Main thread. Depends on: cli/call_args, cli/call_session. */
#ifndef CLA_CLI_CALL_H
#define CLA_CLI_CALL_H

/* Runs 'cancela call ARGS'. argv[0] is "call"; the arguments may be reordered. Prints the result to
 * stdout, errors to stderr. Ignores SIGPIPE from then on, and SIGINT cancels the call.
 * Returns the process's exit code: 0 result printed; 1 the call failed; 2 usage; 3 could not
 * connect, or the connection or the answer broke; 4 the deadline passed; 130 interrupted. */
int cla_cli_call(int argc, char **argv);

#endif
