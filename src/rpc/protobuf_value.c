#include "rpc/protobuf_value.h"

#include "base/error.h"
#include "json/scan.h"

/* Numbers of fields with their wire types. */
enum {
    VALUE_NULL = 1 << 3,
    VALUE_NUMBER = 2 << 3 | 1,
    VALUE_STRING = 3 << 3 | 2,
    VALUE_BOOL = 4 << 3,
    VALUE_STRUCT = 5 << 3 | 2,
    VALUE_LIST = 6 << 3 | 2,
    STRUCT_ENTRY = 1 << 3 | 2,
    ENTRY_KEY = 1 << 3 | 2,
    ENTRY_VALUE = 2 << 3 | 2,
    LIST_VALUE = 1 << 3 | 2,
};

static int add_two(struct cla_buf *buf, char first, char second)
{
    return cla_buf_append(buf, (const char[]){first, second}, 2);
}

/* Puts the length of all that was appended since 'mark' there. */
static int close_field(struct cla_buf *buf, size_t mark)
{
    size_t rest = buf->n - mark, n = 0;
    char varint[10];

    do {
        varint[n++] = (char)((rest & 127) | (rest > 127 ? 128 : 0));
        rest >>= 7;
    } while (rest > 0);
    if (cla_buf_reserve(buf, n) != 0)
        return -CLA_ENOMEM;
    memmove(buf->p + mark + n, buf->p + mark, buf->n - mark);
    memcpy(buf->p + mark, varint, n);
    buf->n += n;
    return 0;
}

static int add_number(struct cla_buf *buf, double number)
{
    uint64_t bits;
    char bytes[9] = {VALUE_NUMBER};

    memcpy(&bits, &number, sizeof bits);
    for (unsigned i = 0; i < 8; i++)
        bytes[1 + i] = (char)(bits >> 8 * i & 255);
    return cla_buf_append(buf, bytes, sizeof bytes);
}

static int add_string(struct cla_buf *buf, char field, struct cla_slice raw)
{
    size_t mark;

    if (cla_buf_push(buf, field) != 0 || cla_buf_reserve(buf, raw.n) != 0)
        return -CLA_ENOMEM;
    mark = buf->n;
    buf->n += cla_json_unescape(raw, buf->p + buf->n);
    return close_field(buf, mark);
}

static int add_value(struct cla_buf *buf, struct cla_json_scan *scan, enum cla_json_event event);

/* A field that is the value which begins with 'event'. */
static int add_value_field(struct cla_buf *buf, char field, struct cla_json_scan *scan,
                           enum cla_json_event event)
{
    size_t mark;

    if (cla_buf_push(buf, field) != 0)
        return -CLA_ENOMEM;
    mark = buf->n;
    return add_value(buf, scan, event) == 0 ? close_field(buf, mark) : -CLA_ENOMEM;
}

static int add_list(struct cla_buf *buf, struct cla_json_scan *scan)
{
    size_t mark;

    if (cla_buf_push(buf, VALUE_LIST) != 0)
        return -CLA_ENOMEM;
    mark = buf->n;
    for (;;) {
        enum cla_json_event event = cla_json_scan_next(scan);

        if (event == CLA_JSON_ARRAY_END || event == CLA_JSON_ERROR)
            return close_field(buf, mark);
        if (add_value_field(buf, LIST_VALUE, scan, event) != 0)
            return -CLA_ENOMEM;
    }
}

static int add_entry(struct cla_buf *buf, struct cla_json_scan *scan)
{
    size_t mark;

    if (cla_buf_push(buf, STRUCT_ENTRY) != 0)
        return -CLA_ENOMEM;
    mark = buf->n;
    if (add_string(buf, ENTRY_KEY, scan->string) != 0 ||
        add_value_field(buf, ENTRY_VALUE, scan, cla_json_scan_next(scan)) != 0)
        return -CLA_ENOMEM;
    return close_field(buf, mark);
}

static int add_struct(struct cla_buf *buf, struct cla_json_scan *scan)
{
    size_t mark;

    if (cla_buf_push(buf, VALUE_STRUCT) != 0)
        return -CLA_ENOMEM;
    mark = buf->n;
    while (cla_json_scan_next(scan) == CLA_JSON_KEY) {
        if (add_entry(buf, scan) != 0)
            return -CLA_ENOMEM;
    }
    return close_field(buf, mark);
}

static int add_value(struct cla_buf *buf, struct cla_json_scan *scan, enum cla_json_event event)
{
    switch (event) {
    case CLA_JSON_TRUE:
    case CLA_JSON_FALSE:
        return add_two(buf, VALUE_BOOL, event == CLA_JSON_TRUE);
    case CLA_JSON_INT:
        return add_number(buf, (double)scan->integer);
    case CLA_JSON_NUMBER:
        return add_number(buf, scan->number);
    case CLA_JSON_STRING:
        return add_string(buf, VALUE_STRING, scan->string);
    case CLA_JSON_ARRAY_BEGIN:
        return add_list(buf, scan);
    case CLA_JSON_OBJECT_BEGIN:
        return add_struct(buf, scan);
    default:
        return add_two(buf, VALUE_NULL, 0);
    }
}

int cla_protobuf_value(struct cla_buf *buf, struct cla_slice json)
{
    struct cla_json_scan scan;

    cla_json_scan_init(&scan, json, CLA_JSON_DEPTH_MAX);
    return add_value(buf, &scan, cla_json_scan_next(&scan));
}
