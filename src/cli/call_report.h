/* Says how a call ended, and which exit code that is.
 *
 * Main thread. Depends on: gateway/client, cli/call_args, cli/call_print. */
#ifndef CLA_CLI_CALL_REPORT_H
#define CLA_CLI_CALL_REPORT_H

#include "cli/call_args.h"
#include "gateway/client.h"

/* What is known of a call beside its answer. Times in nanoseconds. */
struct cla_call_report {
    const struct cla_call_args *args;
    unsigned line; /* of args->file, where the call stands; 0: in none */
    uint64_t took_ns;
    bool interrupted; /* by Ctrl-C … */
    uint64_t ago_ns;  /* … so long before the answer */
};

/* Prints the result to stdout, anything else to stderr. Returns the exit code. */
int cla_call_report_answer(const struct cla_call_report *report,
                           const struct cla_client_answer *answer);

/* Prints a line "  at FILE:LINE" to stderr if the call stands in a file: behind what is said of it.
 */
void cla_call_report_place(const struct cla_call_report *report);

#endif
