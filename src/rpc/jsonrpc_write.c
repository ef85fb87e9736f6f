/* The server's replies. Sizes are reserved once, so that the appends behind cannot fail. */
#include "rpc/jsonrpc.h"
#include "rpc/jsonrpc_member.h"
#include "json/scan.h"
#include "json/write.h"

#define HEAD "{\"jsonrpc\":\"2.0\",\"id\":"

static char *put(char *p, struct cla_slice s)
{
    memcpy(p, s.p, s.n);
    return p + s.n;
}

static int begin(struct cla_buf *buf, struct cla_slice id, struct cla_slice tail)
{
    int rc = cla_buf_reserve(buf, sizeof HEAD + id.n + tail.n);
    char *p;

    if (rc != 0)
        return rc;
    p = put(buf->p + buf->n, CLA_LIT(HEAD));
    p = put(p, id);
    p = put(p, tail);
    buf->n = (size_t)(p - buf->p);
    return 0;
}

int cla_jsonrpc_reply_begin(struct cla_buf *buf, struct cla_slice id)
{
    return begin(buf, id, CLA_LIT(",\"result\":"));
}

int cla_jsonrpc_reply_end(struct cla_buf *buf, struct cla_slice id)
{
    return cla_buf_push(buf, '}');
}

/* How the script's data joins the code's name in error.data. */
enum joint {
    ALONE,  /* no data, or an empty object: {"code":…} */
    MEMBER, /* an object without "code": {"code":…,its members} */
    BESIDE, /* anything else: {"code":…,"value":data} */
    AS_IS,  /* an object whose "code" is the name already */
};

/* Tells how 'data' joins 'name', and gives the part of it to write. */
static enum joint joint_of(struct cla_slice data, struct cla_slice name, struct cla_slice *part)
{
    char key[CLA_JSONRPC_NAME_MAX * 6];
    struct cla_jsonrpc_member member, code = {.event = CLA_JSON_ERROR};
    struct cla_json_scan scan;
    const char *start = NULL;

    *part = data;
    cla_json_scan_init(&scan, data, CLA_JSON_DEPTH_MAX);
    if (cla_json_scan_next(&scan) != CLA_JSON_OBJECT_BEGIN)
        return data.n > 0 ? BESIDE : ALONE;
    while (cla_json_scan_next(&scan) == CLA_JSON_KEY) {
        bool is_code = cla_slice_eq(cla_jsonrpc_key(&scan, key), CLA_LIT("code"));

        start = start != NULL ? start : scan.token;
        if (cla_jsonrpc_member_read(&scan, is_code ? &code : &member) != 0)
            return BESIDE;
    }
    if (code.event != CLA_JSON_ERROR)
        return cla_jsonrpc_member_is(&code, name) ? AS_IS : BESIDE;
    *part = start != NULL ? cla_slice(start, (size_t)(scan.token - start)) : cla_slice(NULL, 0);
    return start != NULL ? MEMBER : ALONE;
}

static int add_data(struct cla_buf *buf, struct cla_slice data, struct cla_slice name)
{
    static const char *const glue[] = {[ALONE] = "", [MEMBER] = ",", [BESIDE] = ",\"value\":"};
    struct cla_slice part;
    enum joint joint = joint_of(data, name, &part);
    int rc;

    if (joint == AS_IS)
        return cla_buf_add(buf, part);
    rc = cla_buf_printf(buf, "{\"code\":\"%.*s\"%s", (int)name.n, name.p, glue[joint]);
    if (rc == 0)
        rc = cla_buf_add(buf, part);
    if (rc == 0)
        rc = cla_buf_push(buf, '}');
    return rc;
}

int cla_jsonrpc_error(struct cla_buf *buf, struct cla_slice id, const struct cla_rpc_error *error)
{
    const struct cla_code_info *info = cla_code_info(error->code);
    size_t before = buf->n;
    int rc = begin(buf, id, CLA_LIT(",\"error\":{\"code\":"));

    if (rc == 0)
        rc = cla_json_write_int(buf, error->number != 0 ? error->number : info->jsonrpc);
    if (rc == 0)
        rc = cla_buf_add(buf, CLA_LIT(",\"message\":"));
    if (rc == 0)
        rc = cla_json_write_text(buf, cla_rpc_error_message(error));
    if (rc == 0)
        rc = cla_buf_add(buf, CLA_LIT(",\"data\":"));
    if (rc == 0)
        rc = add_data(buf, error->data, cla_slice_str(info->name));
    if (rc == 0)
        rc = cla_buf_add(buf, CLA_LIT("}}"));
    if (rc != 0)
        buf->n = before;
    return rc;
}

/* A $/progress, which is how the Language Server Protocol carries both, each under its token. */
static int progress(struct cla_buf *buf, struct cla_slice token, struct cla_slice value)
{
    const struct cla_slice head =
        CLA_LIT("{\"jsonrpc\":\"2.0\",\"method\":\"$/progress\",\"params\":{\"token\":");
    const struct cla_slice middle = CLA_LIT(",\"value\":");

    if (cla_buf_reserve(buf, head.n + token.n + middle.n + value.n + 2) != 0)
        return -CLA_ENOMEM;
    (void)cla_buf_add(buf, head);
    (void)cla_buf_add(buf, token);
    (void)cla_buf_add(buf, middle);
    (void)cla_buf_add(buf, value);
    return cla_buf_add(buf, CLA_LIT("}}"));
}

const struct cla_rpc_protocol cla_jsonrpc_protocol = {
    .name = "jsonrpc",
    .family = CLA_RPC_JSONRPC,
    .status_of_code = false,
    .reply_begin = cla_jsonrpc_reply_begin,
    .reply_end = cla_jsonrpc_reply_end,
    .error = cla_jsonrpc_error,
    .by_token = true,
    .item = progress,
    .progress = progress,
};

const struct cla_rpc_protocol cla_jsonrpc_http_protocol = {
    .name = "jsonrpc",
    .family = CLA_RPC_JSONRPC,
    .status_of_code = false,
    .reply_begin = cla_jsonrpc_reply_begin,
    .reply_end = cla_jsonrpc_reply_end,
    .error = cla_jsonrpc_error,
    .no_items =
        "this procedure streams, and JSON-RPC over HTTP cannot: call it on a WebSocket with "
        "an itemToken, or by POST to /rpc/NAME with Accept: text/event-stream",
};
