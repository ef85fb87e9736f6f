/* The client's half: requests out, responses in. */
#include <limits.h>
#include <stdio.h>

#include "rpc/jsonrpc.h"
#include "rpc/jsonrpc_member.h"
#include "json/scan.h"
#include "json/write.h"

/* Appends object params with 'meta' as their first member. */
static int add_object(struct cla_buf *buf, struct cla_slice params, struct cla_slice meta)
{
    struct cla_json_scan scan;
    struct cla_slice rest;
    int rc = cla_buf_push(buf, '{');

    cla_json_scan_init(&scan, params, CLA_JSON_DEPTH_MAX);
    (void)cla_json_scan_next(&scan);
    rest = cla_slice(scan.p, (size_t)(scan.end - scan.p));
    if (rc == 0)
        rc = cla_buf_add(buf, meta);
    if (rc == 0 && cla_json_scan_next(&scan) == CLA_JSON_KEY)
        rc = cla_buf_push(buf, ',');
    return rc == 0 ? cla_buf_add(buf, rest) : rc;
}

static bool is_object(struct cla_slice params)
{
    struct cla_json_scan scan;

    cla_json_scan_init(&scan, params, CLA_JSON_DEPTH_MAX);
    return params.n > 0 && cla_json_scan_next(&scan) == CLA_JSON_OBJECT_BEGIN;
}

/* Appends the params, with 'meta' (a member, or empty) inside where they are an object, else beside
 * them. */
static int add_params(struct cla_buf *buf, struct cla_slice params, struct cla_slice meta)
{
    bool inside = meta.n > 0 && is_object(params);
    int rc = 0;

    if (params.n > 0)
        rc = cla_buf_add(buf, CLA_LIT(",\"params\":"));
    if (rc == 0)
        rc = inside ? add_object(buf, params, meta) : cla_buf_add(buf, params);
    if (inside || meta.n == 0)
        return rc;
    if (rc == 0)
        rc = cla_buf_push(buf, ',');
    return rc == 0 ? cla_buf_add(buf, meta) : rc;
}

static int add_request(struct cla_buf *buf, struct cla_slice id, struct cla_slice method,
                       struct cla_slice params, struct cla_slice meta)
{
    size_t before = buf->n;
    int rc = cla_buf_add(buf, CLA_LIT("{\"jsonrpc\":\"2.0\","));

    if (rc == 0 && id.n > 0)
        rc = cla_buf_printf(buf, "\"id\":%.*s,", (int)id.n, id.p);
    if (rc == 0)
        rc = cla_buf_add(buf, CLA_LIT("\"method\":"));
    if (rc == 0)
        rc = cla_json_write_string(buf, method);
    if (rc == 0)
        rc = add_params(buf, params, meta);
    if (rc == 0)
        rc = cla_buf_push(buf, '}');
    if (rc != 0)
        buf->n = before;
    return rc;
}

int cla_jsonrpc_request(struct cla_buf *buf, struct cla_slice id, struct cla_slice method,
                        struct cla_slice params)
{
    return add_request(buf, id, method, params, cla_slice(NULL, 0));
}

int cla_jsonrpc_request_within(struct cla_buf *buf, struct cla_slice id, struct cla_slice method,
                               struct cla_slice params, uint64_t timeout_ms)
{
    const struct cla_rpc_options options = {.has_timeout = true, .timeout_ms = timeout_ms};

    return cla_jsonrpc_request_with(buf, id, method, params, &options);
}

/* Appends the member _meta, if anything is asked for. */
static int add_meta(struct cla_buf *buf, const struct cla_rpc_options *asked)
{
    const struct cla_slice item = asked->item_token, progress = asked->progress_token;
    int rc = 0;

    if (asked->has_timeout)
        rc = cla_buf_printf(buf, ",\"timeout_ms\":%ju", (uintmax_t)asked->timeout_ms);
    if (rc == 0 && item.n > 0)
        rc = cla_buf_printf(buf, ",\"itemToken\":%.*s", (int)item.n, item.p);
    if (rc == 0 && progress.n > 0)
        rc = cla_buf_printf(buf, ",\"progressToken\":%.*s", (int)progress.n, progress.p);
    return rc;
}

int cla_jsonrpc_request_with(struct cla_buf *buf, struct cla_slice id, struct cla_slice method,
                             struct cla_slice params, const struct cla_rpc_options *options)
{
    struct cla_buf asked = {0}, meta = {0};
    int rc = add_meta(&asked, options);

    if (rc == 0 && asked.n > 0)
        rc = cla_buf_printf(&meta, "\"_meta\":{%.*s}", (int)asked.n - 1, asked.p + 1);
    if (rc == 0)
        rc = add_request(buf, id, method, params, cla_buf_slice(&meta));
    cla_buf_fini(&asked);
    cla_buf_fini(&meta);
    return rc;
}

static struct cla_jsonrpc_member *find(const struct cla_jsonrpc_wanted *wanted,
                                       struct cla_slice key)
{
    while (wanted->member != NULL && !cla_slice_eq(wanted->name, key))
        wanted++;
    return wanted->member;
}

int cla_jsonrpc_object_read(struct cla_slice text, const struct cla_jsonrpc_wanted *wanted)
{
    char name[CLA_JSONRPC_NAME_MAX * 6];
    struct cla_jsonrpc_member other, *member;
    struct cla_json_scan scan;
    enum cla_json_event event;

    cla_json_scan_init(&scan, text, CLA_JSON_DEPTH_MAX);
    if (cla_json_scan_next(&scan) != CLA_JSON_OBJECT_BEGIN)
        return -CLA_EPROTO;
    while ((event = cla_json_scan_next(&scan)) == CLA_JSON_KEY) {
        member = find(wanted, cla_jsonrpc_key(&scan, name));
        if (cla_jsonrpc_member_read(&scan, member != NULL ? member : &other) != 0)
            return -CLA_EPROTO;
    }
    return event == CLA_JSON_OBJECT_END && cla_json_scan_next(&scan) == CLA_JSON_END ? 0
                                                                                     : -CLA_EPROTO;
}

static bool code_by_number(int number, enum cla_code *code)
{
    for (unsigned i = 0; i < CLA_CODE_COUNT; i++) {
        if (i != CLA_CODE_OK && cla_code_info((enum cla_code)i)->jsonrpc == number) {
            *code = (enum cla_code)i;
            return true;
        }
    }
    return false;
}

/* The code that data.code names. */
static bool code_by_data(struct cla_slice data, enum cla_code *code)
{
    struct cla_jsonrpc_member name = {.event = CLA_JSON_ERROR};
    const struct cla_jsonrpc_wanted wanted[] = {{CLA_LIT("code"), &name}, {{NULL, 0}, NULL}};

    return cla_jsonrpc_object_read(data, wanted) == 0 && name.event == CLA_JSON_STRING &&
           cla_code_by_name(cla_slice(name.text.p + 1, name.text.n - 2), code) &&
           *code != CLA_CODE_OK;
}

static enum cla_code code_of(int number, struct cla_slice data)
{
    enum cla_code code;

    if (code_by_data(data, &code) || code_by_number(number, &code))
        return code;
    if (number == CLA_JSONRPC_SERVER_CANCELLED)
        return CLA_CODE_UNAVAILABLE;
    if (number == CLA_JSONRPC_PARSE_ERROR || number == CLA_JSONRPC_INVALID_REQUEST)
        return CLA_CODE_INVALID_ARGUMENT;
    return CLA_CODE_UNKNOWN;
}

static int read_int(const struct cla_jsonrpc_member *member, int *value)
{
    struct cla_json_scan scan;

    cla_json_scan_init(&scan, member->text, 1);
    if (cla_json_scan_next(&scan) != CLA_JSON_INT || scan.integer < INT_MIN ||
        scan.integer > INT_MAX)
        return -CLA_EPROTO;
    *value = (int)scan.integer;
    return 0;
}

static int read_error(struct cla_slice text, struct cla_rpc_response *out)
{
    struct cla_jsonrpc_member number = {.event = CLA_JSON_ERROR}, message = number, data = number;
    const struct cla_jsonrpc_wanted wanted[] = {{CLA_LIT("code"), &number},
                                                {CLA_LIT("message"), &message},
                                                {CLA_LIT("data"), &data},
                                                {{NULL, 0}, NULL}};

    if (cla_jsonrpc_object_read(text, wanted) != 0 || message.event != CLA_JSON_STRING ||
        read_int(&number, &out->number) != 0)
        return -CLA_EPROTO;
    out->message = message.text;
    out->data = data.text;
    out->code = code_of(out->number, data.text);
    return 0;
}

static bool is_null(const struct cla_jsonrpc_member *member)
{
    return member->event == CLA_JSON_ERROR || member->event == CLA_JSON_NULL;
}

int cla_jsonrpc_response_read(struct cla_slice text, struct cla_rpc_response *out)
{
    struct cla_jsonrpc_member none = {.event = CLA_JSON_ERROR};
    struct cla_jsonrpc_member version = none, id = none, result = none, error = none;
    const struct cla_jsonrpc_wanted wanted[] = {{CLA_LIT("jsonrpc"), &version},
                                                {CLA_LIT("id"), &id},
                                                {CLA_LIT("result"), &result},
                                                {CLA_LIT("error"), &error},
                                                {{NULL, 0}, NULL}};

    *out = (struct cla_rpc_response){.code = CLA_CODE_OK};
    if (cla_jsonrpc_object_read(text, wanted) != 0 ||
        !cla_jsonrpc_member_is(&version, CLA_LIT("2.0")) || !cla_jsonrpc_is_id(id.event))
        return -CLA_EPROTO;
    out->id = id.text;
    if (is_null(&error)) {
        out->result = result.text;
        return result.event != CLA_JSON_ERROR ? 0 : -CLA_EPROTO;
    }
    return is_null(&result) ? read_error(error.text, out) : -CLA_EPROTO;
}

int cla_jsonrpc_notice_read(struct cla_slice text, struct cla_rpc_notice *out)
{
    struct cla_jsonrpc_member none = {.event = CLA_JSON_ERROR};
    struct cla_jsonrpc_member version = none, id = none, method = none, params = none;
    const struct cla_jsonrpc_wanted wanted[] = {{CLA_LIT("jsonrpc"), &version},
                                                {CLA_LIT("id"), &id},
                                                {CLA_LIT("method"), &method},
                                                {CLA_LIT("params"), &params},
                                                {{NULL, 0}, NULL}};

    if (cla_jsonrpc_object_read(text, wanted) != 0 ||
        !cla_jsonrpc_member_is(&version, CLA_LIT("2.0")) || id.event != CLA_JSON_ERROR ||
        method.event != CLA_JSON_STRING)
        return -CLA_EPROTO;
    *out = (struct cla_rpc_notice){.method = method.text, .params = params.text};
    return 0;
}

int cla_jsonrpc_progress_read(const struct cla_rpc_notice *notice, struct cla_slice *token,
                              struct cla_slice *value)
{
    struct cla_jsonrpc_member none = {.event = CLA_JSON_ERROR}, key = none, news = none;
    const struct cla_jsonrpc_wanted wanted[] = {
        {CLA_LIT("token"), &key}, {CLA_LIT("value"), &news}, {{NULL, 0}, NULL}};

    if (!cla_slice_eq(notice->method, CLA_LIT("\"$/progress\"")) ||
        cla_jsonrpc_object_read(notice->params, wanted) != 0 || key.event == CLA_JSON_ERROR ||
        news.event == CLA_JSON_ERROR)
        return -CLA_EPROTO;
    *token = key.text;
    *value = news.text;
    return 0;
}
