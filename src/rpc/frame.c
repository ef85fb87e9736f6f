#include "rpc/frame.h"

#include "base/error.h"
#include "base/utf8.h"
#include "json/write.h"

#define ID_BYTES 4

/* Which fields a kind of frame has. */
static const struct layout {
    bool id, name, payload;
} layouts[] = {
    [CLA_FRAME_NOTIFY] = {.name = true, .payload = true},
    [CLA_FRAME_REQUEST] = {.id = true, .name = true, .payload = true},
    [CLA_FRAME_RESET] = {.id = true},
    [CLA_FRAME_RESPONSE] = {.id = true, .payload = true},
    [CLA_FRAME_ERROR] = {.id = true, .payload = true},
    [CLA_FRAME_PART] = {.id = true, .payload = true},
};

/* --- Reading. --- */

/* Takes n bytes from the front of '*from'. */
static bool take(struct cla_slice *from, size_t n, struct cla_slice *out)
{
    if (from->n < n)
        return false;
    *out = cla_slice(from->p, n);
    *from = cla_slice(from->p + n, from->n - n);
    return true;
}

static bool take_id(struct cla_slice *from, uint32_t *id)
{
    struct cla_slice bytes;

    if (!take(from, ID_BYTES, &bytes))
        return false;
    for (size_t i = 0; i < ID_BYTES; i++)
        *id = *id << 8 | (unsigned char)bytes.p[i];
    return true;
}

static bool take_name(struct cla_slice *from, struct cla_slice *name)
{
    struct cla_slice length;

    return take(from, 1, &length) && take(from, (unsigned char)length.p[0], name);
}

static int refuse(const char **why, const char *text)
{
    *why = text;
    return -CLA_EPROTO;
}

int cla_frame_read(struct cla_slice message, unsigned kinds, struct cla_frame *out,
                   const char **why)
{
    const struct layout *layout;
    struct cla_slice opcode;
    unsigned kind;

    if (!take(&message, 1, &opcode))
        return refuse(why, "an empty message is no frame");
    kind = (unsigned char)opcode.p[0];
    if (kind >= CLA_ARRAY_LEN(layouts) || (kinds & CLA_FRAME_SET(kind)) == 0)
        return refuse(why, "unknown opcode of a frame");
    layout = &layouts[kind];
    *out = (struct cla_frame){.kind = (enum cla_frame_kind)kind};
    if (layout->id && !take_id(&message, &out->id))
        return refuse(why, "the frame ends within its id");
    if (layout->name && !take_name(&message, &out->name))
        return refuse(why, "the frame ends within its name");
    if (!cla_utf8_valid(out->name))
        return refuse(why, "the name in a frame is not UTF-8");
    if (layout->payload)
        out->payload = message;
    return 0;
}

/* --- Writing. --- */

static void put_id(struct cla_buf *buf, uint32_t id)
{
    for (int shift = 24; shift >= 0; shift -= 8)
        buf->p[buf->n++] = (char)(id >> shift);
}

int cla_frame_write(struct cla_buf *buf, const struct cla_frame *frame)
{
    const struct layout *layout = &layouts[frame->kind];

    if (layout->name && frame->name.n > CLA_FRAME_NAME_MAX)
        return -CLA_ELIMIT;
    if (layout->name && !cla_utf8_valid(frame->name))
        return -CLA_EUTF8;
    if (cla_buf_reserve(buf, 2 + ID_BYTES + frame->name.n + frame->payload.n) != 0)
        return -CLA_ENOMEM;
    buf->p[buf->n++] = (char)frame->kind;
    if (layout->id)
        put_id(buf, frame->id);
    if (layout->name) {
        buf->p[buf->n++] = (char)frame->name.n;
        (void)cla_buf_add(buf, frame->name);
    }
    if (layout->payload)
        (void)cla_buf_add(buf, frame->payload);
    return 0;
}

/* --- Answering calls. --- */

struct cla_slice cla_frame_id(uint32_t id, char to[CLA_FRAME_ID_DIGITS])
{
    size_t at = CLA_FRAME_ID_DIGITS;

    do
        to[--at] = (char)('0' + id % 10);
    while ((id /= 10) > 0);
    return cla_slice(to + at, CLA_FRAME_ID_DIGITS - at);
}

static uint32_t number_of(struct cla_slice id)
{
    uint32_t number = 0;

    for (size_t i = 0; i < id.n; i++)
        number = number * 10 + (uint32_t)(id.p[i] - '0');
    return number;
}

static int begin(struct cla_buf *buf, enum cla_frame_kind kind, struct cla_slice id)
{
    const struct cla_frame frame = {.kind = kind, .id = number_of(id)};

    return cla_frame_write(buf, &frame);
}

static int reply_begin(struct cla_buf *buf, struct cla_slice id)
{
    return begin(buf, CLA_FRAME_RESPONSE, id);
}

static int reply_end(struct cla_buf *buf, struct cla_slice id)
{
    (void)buf, (void)id;
    return 0;
}

/* Appends {"code","message"} and, unless it is empty, "data". */
static int add_error(struct cla_buf *buf, const struct cla_rpc_error *error, struct cla_slice data)
{
    int rc = cla_buf_printf(buf, "{\"code\":\"%s\",\"message\":", cla_code_info(error->code)->name);

    if (rc == 0)
        rc = cla_json_write_text(buf, cla_rpc_error_message(error));
    if (rc == 0 && data.n > 0)
        rc = cla_buf_add(buf, CLA_LIT(",\"data\":"));
    if (rc == 0)
        rc = cla_buf_add(buf, data);
    if (rc == 0)
        rc = cla_buf_push(buf, '}');
    return rc;
}

static int error_v0_1(struct cla_buf *buf, struct cla_slice id, const struct cla_rpc_error *error)
{
    size_t before = buf->n;
    int rc = begin(buf, CLA_FRAME_RESPONSE, id);

    if (rc == 0)
        rc = cla_buf_add(buf, CLA_LIT("{\"error\":"));
    if (rc == 0)
        rc = add_error(buf, error, cla_slice(NULL, 0));
    if (rc == 0)
        rc = cla_buf_push(buf, '}');
    if (rc != 0)
        buf->n = before;
    return rc;
}

static int error_v1(struct cla_buf *buf, struct cla_slice id, const struct cla_rpc_error *error)
{
    size_t before = buf->n;
    int rc = begin(buf, CLA_FRAME_ERROR, id);

    if (rc == 0)
        rc = add_error(buf, error, error->data);
    if (rc != 0)
        buf->n = before;
    return rc;
}

static int part(struct cla_buf *buf, struct cla_slice id, struct cla_slice value)
{
    const struct cla_frame frame = {.kind = CLA_FRAME_PART, .id = number_of(id), .payload = value};

    return cla_frame_write(buf, &frame);
}

const struct cla_rpc_protocol cla_frame_v0_1_protocol = {
    .name = CLA_FRAME_V0_1,
    .family = CLA_RPC_FRAME_V0_1,
    .raw = true,
    .reply_begin = reply_begin,
    .reply_end = reply_end,
    .error = error_v0_1,
    .no_items = "this procedure streams, and " CLA_FRAME_V0_1
                " cannot: offer the subprotocol " CLA_FRAME_V1,
};

const struct cla_rpc_protocol cla_frame_v1_protocol = {
    .name = CLA_FRAME_V1,
    .family = CLA_RPC_FRAME_V1,
    .raw = true,
    .reply_begin = reply_begin,
    .reply_end = reply_end,
    .error = error_v1,
    .item = part,
};

const struct cla_rpc_protocol *cla_frame_protocol(struct cla_slice subprotocol)
{
    if (cla_slice_eq(subprotocol, CLA_LIT(CLA_FRAME_V0_1)))
        return &cla_frame_v0_1_protocol;
    if (cla_slice_eq(subprotocol, CLA_LIT(CLA_FRAME_V1)))
        return &cla_frame_v1_protocol;
    return NULL;
}
