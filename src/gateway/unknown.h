/* What stands for a procedure that there is none of, so that every call has one: its name.
 *
 * Worker thread. Depends on: gateway/app. */
#ifndef CLA_GATEWAY_UNKNOWN_H
#define CLA_GATEWAY_UNKNOWN_H

#include "gateway/app.h"

/* One of this name, which is copied. NULL: out of memory. */
const struct cla_procedure *cla_unknown_new(struct cla_slice name);

/* Frees what cla_unknown_new() has made. */
void cla_unknown_free(const struct cla_procedure *procedure);

#endif
