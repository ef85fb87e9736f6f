#include "rpc/connect_stream.h"

#include "rpc/connect.h"

#define PREFIX_BYTES 5
#define COMPRESSED 1
#define END 2

static int nothing(struct cla_buf *buf, struct cla_slice id)
{
    (void)buf, (void)id;
    return 0;
}

/* --- Connect. --- */

static int add_prefix(struct cla_buf *buf, unsigned flags, size_t n)
{
    const char prefix[PREFIX_BYTES] = {(char)flags, (char)(n >> 24), (char)(n >> 16),
                                       (char)(n >> 8), (char)n};

    return cla_buf_append(buf, prefix, sizeof prefix);
}

static int add_frame(struct cla_buf *buf, unsigned flags, struct cla_slice payload)
{
    if (payload.n > UINT32_MAX || cla_buf_reserve(buf, PREFIX_BYTES + payload.n) != 0)
        return -CLA_ENOMEM;
    (void)add_prefix(buf, flags, payload.n);
    return cla_buf_add(buf, payload);
}

static int connect_item(struct cla_buf *buf, struct cla_slice key, struct cla_slice value)
{
    (void)key;
    return add_frame(buf, 0, value);
}

static int connect_end(struct cla_buf *buf)
{
    return add_frame(buf, END, CLA_LIT("{}"));
}

/* Appends {"error":{…}}. */
static int add_error(struct cla_buf *buf, struct cla_slice id, const struct cla_rpc_error *error)
{
    int rc = cla_buf_add(buf, CLA_LIT("{\"error\":"));

    if (rc == 0)
        rc = cla_connect_error(buf, id, error);
    return rc == 0 ? cla_buf_push(buf, '}') : rc;
}

static int connect_error(struct cla_buf *buf, struct cla_slice id,
                         const struct cla_rpc_error *error)
{
    struct cla_buf payload = {0};
    int rc = add_error(&payload, id, error);

    if (rc == 0)
        rc = add_frame(buf, END, cla_buf_slice(&payload));
    cla_buf_fini(&payload);
    return rc;
}

const struct cla_rpc_protocol cla_connect_stream_protocol = {
    .name = "connect",
    .family = CLA_RPC_CONNECT,
    .reply_begin = nothing,
    .reply_end = nothing,
    .error = connect_error,
    .stream_type = "application/connect+json",
    .item = connect_item,
    .end = connect_end,
};

static size_t length_of(const unsigned char *prefix)
{
    return (size_t)prefix[1] << 24 | (size_t)prefix[2] << 16 | (size_t)prefix[3] << 8 | prefix[4];
}

int cla_connect_stream_params(struct cla_slice body, unsigned json_depth, struct cla_slice *params,
                              const char **why)
{
    const unsigned char *prefix = (const unsigned char *)body.p;

    *why = NULL;
    if (body.n < PREFIX_BYTES || length_of(prefix) > body.n - PREFIX_BYTES)
        *why = "the request must be one whole message: flags, length, JSON";
    else if ((prefix[0] & COMPRESSED) != 0)
        *why = "compression is not supported: send the JSON as it is, with flags 0";
    else if (prefix[0] != 0)
        *why = "the flags of a request's message must be 0";
    else if (length_of(prefix) < body.n - PREFIX_BYTES)
        *why = "the request must be one message: more follow";
    if (*why != NULL)
        return -CLA_EINVAL;
    return cla_connect_params(cla_slice(body.p + PREFIX_BYTES, body.n - PREFIX_BYTES), json_depth,
                              params, why);
}

/* --- Server-sent events. --- */

/* Appends an event whose data is one line, as JSON of ours is. */
static int add_event(struct cla_buf *buf, struct cla_slice type, struct cla_slice data)
{
    if (cla_buf_reserve(buf, type.n + data.n + 32) != 0)
        return -CLA_ENOMEM;
    if (type.n > 0) {
        (void)cla_buf_add(buf, CLA_LIT("event: "));
        (void)cla_buf_add(buf, type);
        (void)cla_buf_push(buf, '\n');
    }
    (void)cla_buf_add(buf, CLA_LIT("data: "));
    (void)cla_buf_add(buf, data);
    return cla_buf_add(buf, CLA_LIT("\n\n"));
}

static int sse_item(struct cla_buf *buf, struct cla_slice key, struct cla_slice value)
{
    (void)key;
    return add_event(buf, cla_slice(NULL, 0), value);
}

static int sse_progress(struct cla_buf *buf, struct cla_slice key, struct cla_slice value)
{
    (void)key;
    return add_event(buf, CLA_LIT("progress"), value);
}

static int sse_end(struct cla_buf *buf)
{
    return add_event(buf, CLA_LIT("end"), CLA_LIT("{}"));
}

static int sse_error(struct cla_buf *buf, struct cla_slice id, const struct cla_rpc_error *error)
{
    struct cla_buf data = {0};
    int rc = add_error(&data, id, error);

    if (rc == 0)
        rc = add_event(buf, CLA_LIT("end"), cla_buf_slice(&data));
    cla_buf_fini(&data);
    return rc;
}

const struct cla_rpc_protocol cla_sse_protocol = {
    .name = "sse",
    .family = CLA_RPC_SSE,
    .reply_begin = nothing,
    .reply_end = nothing,
    .error = sse_error,
    .stream_type = "text/event-stream",
    .item = sse_item,
    .progress = sse_progress,
    .end = sse_end,
};
