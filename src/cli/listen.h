/* cancela listen: prints what a gateway sends on its own account.
 *
 * Main thread. Depends on: cli/call_args, gateway/socket_client. */
#ifndef CLA_CLI_LISTEN_H
#define CLA_CLI_LISTEN_H

/* cancela listen URL EVENT [PROCEDURE [PARAMS]]: prints the params of each event. */
int cla_cli_listen(int argc, char **argv);

#endif
