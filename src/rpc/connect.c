#include "rpc/connect.h"

#include <stdint.h>

#include "rpc/protobuf_value.h"
#include "json/scan.h"
#include "json/write.h"

static int nothing(struct cla_buf *buf, struct cla_slice id)
{
    return 0;
}

static const char no_items[] =
    "this procedure streams: call it with Content-Type: application/connect+json, or "
    "with Accept: text/event-stream";

const struct cla_rpc_protocol cla_connect_protocol = {
    .name = "connect",
    .family = CLA_RPC_CONNECT,
    .status_of_code = true,
    .reply_begin = nothing,
    .reply_end = nothing,
    .error = cla_connect_error,
    .no_items = no_items,
};

static int empty_for_null(struct cla_buf *buf, struct cla_slice id)
{
    if (!cla_slice_eq(cla_buf_slice(buf), CLA_LIT("null")))
        return 0;
    buf->n = 0;
    return cla_buf_add(buf, CLA_LIT("{}"));
}

const struct cla_rpc_protocol cla_connect_client_protocol = {
    .name = "connect",
    .family = CLA_RPC_CONNECT,
    .status_of_code = true,
    .reply_begin = nothing,
    .reply_end = empty_for_null,
    .error = cla_connect_error,
    .no_items = no_items,
};

/* Appends bytes[0..n), n from 1 to 3, as the n + 1 digits of base64 that they need. */
static int add_group(struct cla_buf *buf, const unsigned char *bytes, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint32_t bits = (uint32_t)bytes[0] << 16;
    char text[4];

    bits |= n > 1 ? (uint32_t)bytes[1] << 8 : 0;
    bits |= n > 2 ? bytes[2] : 0;
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = digits[bits >> (18 - 6 * i) & 63];
    return cla_buf_append(buf, text, n + 1);
}

/* Appends base64 without padding, as Connect writes it. */
static int add_base64(struct cla_buf *buf, struct cla_slice s)
{
    int rc = cla_buf_reserve(buf, s.n / 3 * 4 + 4);

    for (size_t i = 0; rc == 0 && i < s.n; i += 3)
        rc = add_group(buf, (const unsigned char *)s.p + i, s.n - i < 3 ? s.n - i : 3);
    return rc;
}

/* Appends 'data' as a Protobuf message in base64. */
static int add_message(struct cla_buf *buf, struct cla_slice data)
{
    struct cla_buf bytes = {0};
    int rc = cla_protobuf_value(&bytes, data);

    if (rc == 0)
        rc = add_base64(buf, cla_buf_slice(&bytes));
    cla_buf_fini(&bytes);
    return rc;
}

static int add_details(struct cla_buf *buf, struct cla_slice data)
{
    int rc =
        cla_buf_add(buf, CLA_LIT(",\"details\":[{\"type\":\"google.protobuf.Value\",\"value\":\""));

    if (rc == 0)
        rc = add_message(buf, data);
    if (rc == 0)
        rc = cla_buf_add(buf, CLA_LIT("\",\"debug\":"));
    if (rc == 0)
        rc = cla_buf_add(buf, data);
    if (rc == 0)
        rc = cla_buf_add(buf, CLA_LIT("}]"));
    return rc;
}

int cla_connect_error(struct cla_buf *buf, struct cla_slice id, const struct cla_rpc_error *error)
{
    size_t before = buf->n;
    int rc = cla_buf_printf(buf, "{\"code\":\"%s\",\"message\":", cla_code_info(error->code)->name);

    if (rc == 0)
        rc = cla_json_write_text(buf, cla_rpc_error_message(error));
    if (rc == 0 && error->data.n > 0)
        rc = add_details(buf, error->data);
    if (rc == 0)
        rc = cla_buf_push(buf, '}');
    if (rc != 0)
        buf->n = before;
    return rc;
}

static bool is_json_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

int cla_connect_params(struct cla_slice body, unsigned json_depth, struct cla_slice *params,
                       const char **why)
{
    while (body.n > 0 && is_json_space(body.p[0]))
        body = cla_slice(body.p + 1, body.n - 1);
    while (body.n > 0 && is_json_space(body.p[body.n - 1]))
        body.n--;
    *params = body;
    if (body.n == 0)
        return 0;
    if (cla_json_check(body, json_depth, why, NULL) != 0)
        return -CLA_EINVAL;
    if (body.p[0] == '{' || body.p[0] == '[')
        return 0;
    *why = "the parameters must be an object or an array";
    return -CLA_EINVAL;
}
