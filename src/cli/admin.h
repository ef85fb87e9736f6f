/* The operator's commands: status, ps, kill, reload, drain, log-level.
 *
 * Main thread. Depends on: rpc/admin, gateway/admin (for where the sockets are). Each asks one
 * gateway, by its admin socket, and prints the answer: for people, or with --json as it came. */
#ifndef CLA_CLI_ADMIN_H
#define CLA_CLI_ADMIN_H

#include "base/buf.h"

/* cancela status: what a gateway is and does. */
int cla_cli_status(int argc, char **argv);

/* cancela ps: the calls in flight. */
int cla_cli_ps(int argc, char **argv);

/* cancela kill ID [--now]: cancels one. */
int cla_cli_kill(int argc, char **argv);

/* cancela reload: has the script loaded again, and waits for the end of that. */
int cla_cli_reload(int argc, char **argv);

/* cancela drain: as SIGTERM. */
int cla_cli_drain(int argc, char **argv);

/* cancela log-level LEVEL: from which level on lines are logged. */
int cla_cli_log_level(int argc, char **argv);

/* Connects to the admin socket at 'path', or, if that is NULL, to that of the one gateway of this
 * user that runs; sends 'line' and reads the answer, without its newline. Returns 0, or an exit
 * code after a message. */
int cla_admin_ask(const char *path, struct cla_slice line, struct cla_buf *answer);

/* Prints the result of ps, valid JSON, as a table. Returns 0, -CLA_EJSON or -CLA_ENOMEM. */
int cla_admin_print_calls(struct cla_slice result);

/* Prints the result of reload, valid JSON, as a line. Returns 0 or -CLA_EJSON. */
int cla_admin_print_reload(struct cla_slice result);

/* Prints the result of status, valid JSON, a line each. Returns 0 or -CLA_EJSON. */
int cla_admin_print_status(struct cla_slice result);

#endif
