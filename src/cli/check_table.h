/* The procedures of a script as a table for people.
 *
 * Main thread. Depends on: bind/script, bind/discover. */
#ifndef CLA_CLI_CHECK_TABLE_H
#define CLA_CLI_CHECK_TABLE_H

#include "bind/script.h"

/* Appends a heading and a line for each procedure, if there are any: name, params, deadline, flags,
 * summary. Optional params stand in brackets, with their defaults; what is long is cut. Returns 0
 * or -CLA_ENOMEM. */
int cla_check_table_write(const struct cla_script *script, struct cla_buf *out);

#endif
