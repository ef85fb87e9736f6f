/* Calls as tasks: the app's side of gateway/app.h.
 *
 * VM thread. Depends on: bind/script, task/task. */
#ifndef CLA_BIND_RUN_H
#define CLA_BIND_RUN_H

#include "bind/json_codec.h"
#include "bind/script.h"

/* Appends the value at 'index' as what 'call' sends: JSON, or the string of a payload of text or
 * bytes. 'root' names the value in errors. Never raises. Returns 0; or -CLA_E* with 'fault' set. */
int cla_run_write_value(const struct cla_call *call, lua_State *L, int index, const char *root,
                        struct cla_buf *buf, struct cla_json_encode_fault *fault);

/* The functions the gateway calls a script by. */
extern const struct cla_app_ops cla_run_app_ops;

#endif
