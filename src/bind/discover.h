/* rpc.discover: the procedures of a script as an OpenRPC document
 * (https://spec.open-rpc.org, 1.3.2).
 *
 * VM thread. Depends on: bind/script, json. */
#ifndef CLA_BIND_DISCOVER_H
#define CLA_BIND_DISCOVER_H

#include "bind/script.h"

/* Appends the document; 'info' is the JSON text of its member of that name. Returns 0 or
 * -CLA_ENOMEM. */
int cla_discover_write(const struct cla_script *script, struct cla_slice info, struct cla_buf *out);

/* Makes the document and the procedure rpc.discover of 'script', if that has them. May raise. */
void cla_discover_set_up(struct cla_script *script, lua_State *L, struct cla_slice info);

/* True if its deadline is that of the next item: it streams, and declares none. */
static inline bool cla_discover_idles(const struct cla_script_procedure *procedure)
{
    return procedure->base.stream && procedure->base.timeout_ns == 0;
}

/* The longest deadline of a procedure, in milliseconds: its own, else the setting; never above
 * max_call_timeout. Of one that idles, stream_idle_timeout. */
uint64_t cla_discover_timeout_ms(const struct cla_script *script,
                                 const struct cla_script_procedure *procedure);

#endif
