/* Prints what a call ended with. Text of the server cannot control the terminal.
 *
 * Main thread. Depends on: base, json, rpc. */
#ifndef CLA_CLI_CALL_PRINT_H
#define CLA_CLI_CALL_PRINT_H

#include <stdio.h>

#include "rpc/jsonrpc.h"

/* Prints valid JSON on one line: no white space between tokens, DEL and C1 controls escaped. */
void cla_call_print_json(FILE *to, struct cla_slice json);

/* Prints text; control characters other than line feed and tab, and what is not UTF-8, as \xNN. */
void cla_call_print_text(FILE *to, struct cla_slice text);

/* Prints "error: not_found (-32005): message" and a line with the data if that says more. */
void cla_call_print_error(FILE *to, const struct cla_rpc_response *response);

/* Prints the name of a notification, without quotes, and its params: "event {…}". */
void cla_call_print_notice(FILE *to, const struct cla_rpc_notice *notice);

/* Prints "error: HTTP 404 Not Found" and the beginning of the body. */
void cla_call_print_status(FILE *to, int status, struct cla_slice body);

#endif
