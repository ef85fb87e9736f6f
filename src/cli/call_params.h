/* The params of 'cancela call': JSON, stdin, or name=value pairs.
 *
 * Main thread. Depends on: base, json. */
#ifndef CLA_CLI_CALL_PARAMS_H
#define CLA_CLI_CALL_PARAMS_H

#include "base/buf.h"

/* The most that is read from stdin. */
#define CLA_CALL_PARAMS_BYTES_MAX (64u << 20)

/* Appends the JSON text of the params that the arguments stand for: one JSON object or array, one
 * "-" (the same from stdin), or pairs name=value, which make an object; a value that is JSON is
 * taken as it is, any other is a string. No arguments: nothing.
 * Returns 0, or an exit code after a message. */
int cla_call_params_read(struct cla_buf *json, int count, char *const *arguments);

#endif
