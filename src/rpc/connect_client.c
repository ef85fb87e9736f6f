/* The client's half: errors in. */
#include "rpc/connect.h"
#include "rpc/jsonrpc_member.h"
#include "json/scan.h"

/* The data of the first detail, as people read it; empty if there is none. */
static struct cla_slice first_data(struct cla_slice details)
{
    struct cla_jsonrpc_member debug = {.event = CLA_JSON_ERROR};
    const struct cla_jsonrpc_wanted wanted[] = {{CLA_LIT("debug"), &debug}, {{NULL, 0}, NULL}};
    struct cla_json_scan scan;
    struct cla_slice first;

    cla_json_scan_init(&scan, details, CLA_JSON_DEPTH_MAX);
    if (cla_json_scan_next(&scan) != CLA_JSON_ARRAY_BEGIN ||
        cla_json_scan_value(&scan, &first) != 0 || cla_jsonrpc_object_read(first, wanted) != 0)
        return cla_slice(NULL, 0);
    return debug.text;
}

int cla_connect_error_read(struct cla_slice text, struct cla_rpc_response *out)
{
    struct cla_jsonrpc_member code = {.event = CLA_JSON_ERROR}, message = code, details = code;
    const struct cla_jsonrpc_wanted wanted[] = {{CLA_LIT("code"), &code},
                                                {CLA_LIT("message"), &message},
                                                {CLA_LIT("details"), &details},
                                                {{NULL, 0}, NULL}};

    *out = (struct cla_rpc_response){.message = CLA_LIT("\"\"")};
    if (cla_jsonrpc_object_read(text, wanted) != 0 || code.event != CLA_JSON_STRING)
        return -CLA_EPROTO;
    if (!cla_code_by_name(cla_slice(code.text.p + 1, code.text.n - 2), &out->code) ||
        out->code == CLA_CODE_OK)
        out->code = CLA_CODE_UNKNOWN;
    out->number = cla_code_info(out->code)->jsonrpc;
    if (message.event == CLA_JSON_STRING)
        out->message = message.text;
    if (details.event == CLA_JSON_ARRAY_BEGIN)
        out->data = first_data(details.text);
    return 0;
}

int cla_connect_item_check(struct cla_slice text)
{
    return cla_json_check(text, CLA_JSON_DEPTH_MAX, NULL, NULL) == 0 ? 0 : -CLA_EPROTO;
}

int cla_connect_end_read(struct cla_slice text, struct cla_rpc_response *out)
{
    struct cla_jsonrpc_member error = {.event = CLA_JSON_ERROR};
    const struct cla_jsonrpc_wanted wanted[] = {{CLA_LIT("error"), &error}, {{NULL, 0}, NULL}};

    *out = (struct cla_rpc_response){.code = CLA_CODE_OK};
    if (cla_jsonrpc_object_read(text, wanted) != 0)
        return -CLA_EPROTO;
    return error.event == CLA_JSON_ERROR ? 0 : cla_connect_error_read(error.text, out);
}
