/* What a client asks of one call, from where it may stand in a request. Private to rpc/jsonrpc_*.c.
 *
 * Any thread. Depends on: rpc/jsonrpc_member. */
#ifndef CLA_RPC_JSONRPC_OPTIONS_H
#define CLA_RPC_JSONRPC_OPTIONS_H

#include "rpc/jsonrpc.h"
#include "rpc/jsonrpc_member.h"

/* The members that hold options, as found. */
struct cla_jsonrpc_asked {
    struct cla_jsonrpc_member beside;   /* _meta of the request */
    struct cla_jsonrpc_member inside;   /* _meta of object params */
    struct cla_jsonrpc_member progress; /* workDoneToken of object params */
    struct cla_jsonrpc_member item;     /* partialResultToken of object params */
};

/* Forgets what object params asked. */
static inline void cla_jsonrpc_asked_reset(struct cla_jsonrpc_asked *asked)
{
    cla_jsonrpc_member_init(&asked->inside);
    cla_jsonrpc_member_init(&asked->progress);
    cla_jsonrpc_member_init(&asked->item);
}

/* Reads the options; 'params' is the first event of params (CLA_JSON_ERROR: none). Returns NULL, or
 * what is wrong with them (static text). */
const char *cla_jsonrpc_options_read(const struct cla_jsonrpc_asked *asked,
                                     enum cla_json_event params, struct cla_rpc_options *options);

#endif
