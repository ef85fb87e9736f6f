#include "rpc/jsonrpc.h"
#include "rpc/jsonrpc_member.h"

/* An id is a string or a number. */
static bool is_id(enum cla_json_event event)
{
    return event == CLA_JSON_STRING || event == CLA_JSON_INT || event == CLA_JSON_NUMBER;
}

int cla_jsonrpc_cancel_id(struct cla_slice params, struct cla_slice *id)
{
    struct cla_jsonrpc_member member, found;
    struct cla_json_scan scan;
    char name[CLA_JSONRPC_NAME_MAX * 6];

    cla_jsonrpc_member_init(&found);
    cla_json_scan_init(&scan, params, CLA_JSON_DEPTH_MAX);
    if (params.n == 0 || cla_json_scan_next(&scan) != CLA_JSON_OBJECT_BEGIN)
        return -CLA_EPROTO;
    while (cla_json_scan_next(&scan) == CLA_JSON_KEY) {
        bool is_the_id = cla_slice_eq(cla_jsonrpc_key(&scan, name), CLA_LIT("id"));

        if (cla_jsonrpc_member_read(&scan, &member) != 0)
            return -CLA_EPROTO;
        if (is_the_id)
            found = member;
    }
    if (!is_id(found.event))
        return -CLA_EPROTO;
    *id = found.text;
    return 0;
}
