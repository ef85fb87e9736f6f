/* The server's reader.
 *
 * A single request is read in one pass: its members are collected, and reported once the text has
 * proved to be JSON to its end. A batch is checked and counted first, and then read, because its
 * elements are reported one by one. */
#include <stdio.h>

#include "base/check.h"
#include "base/mem.h"
#include "rpc/jsonrpc.h"
#include "rpc/jsonrpc_member.h"
#include "rpc/jsonrpc_options.h"
#include "json/scan.h"

#define METHOD_BYTES 256
#define ERROR_BYTES 160

/* One request, read but not judged. */
struct draft {
    bool object;
    struct cla_jsonrpc_member version, id, method, params;
    struct cla_jsonrpc_asked asked;
};

struct reader {
    struct cla_json_scan scan;
    const struct cla_rpc_limits *limits;
    const struct cla_rpc_server_events *events;
    void *arg; /* of the events */
};

static void draft_init(struct draft *draft, bool object)
{
    draft->object = object;
    cla_jsonrpc_member_init(&draft->version);
    cla_jsonrpc_member_init(&draft->id);
    cla_jsonrpc_member_init(&draft->method);
    cla_jsonrpc_member_init(&draft->params);
    cla_jsonrpc_member_init(&draft->asked.beside);
    cla_jsonrpc_asked_reset(&draft->asked);
}

static struct cla_jsonrpc_member *request_member(struct draft *draft, struct cla_slice key)
{
    switch (key.n) {
    case 2:
        return cla_slice_eq(key, CLA_LIT("id")) ? &draft->id : NULL;
    case 5:
        return cla_slice_eq(key, CLA_LIT("_meta")) ? &draft->asked.beside : NULL;
    case 6:
        return cla_slice_eq(key, CLA_LIT("method")) ? &draft->method : NULL;
    case 7:
        return cla_slice_eq(key, CLA_LIT("jsonrpc")) ? &draft->version : NULL;
    default:
        return NULL;
    }
}

static struct cla_jsonrpc_member *params_member(struct draft *draft, struct cla_slice key)
{
    switch (key.n) {
    case 5:
        return cla_slice_eq(key, CLA_LIT("_meta")) ? &draft->asked.inside : NULL;
    case 13:
        return cla_slice_eq(key, CLA_LIT("workDoneToken")) ? &draft->asked.progress : NULL;
    case 18:
        return cla_slice_eq(key, CLA_LIT("partialResultToken")) ? &draft->asked.item : NULL;
    default:
        return NULL;
    }
}

/* Reads params, noting on the way the members that are options. Of params that occur twice the
 * last count, so the options of the first are forgotten. */
static int read_params(struct cla_json_scan *scan, struct draft *draft)
{
    struct cla_jsonrpc_member *params = &draft->params, other, *member;
    char name[CLA_JSONRPC_NAME_MAX * 6];
    enum cla_json_event event;
    const char *start;
    int rc;

    cla_jsonrpc_asked_reset(&draft->asked);
    params->event = cla_json_scan_next(scan);
    if (params->event != CLA_JSON_OBJECT_BEGIN)
        return cla_json_scan_rest(scan, params->event, &params->text);
    start = scan->token;
    while ((event = cla_json_scan_next(scan)) == CLA_JSON_KEY) {
        member = params_member(draft, cla_jsonrpc_key(scan, name));
        rc = cla_jsonrpc_member_read(scan, member != NULL ? member : &other);
        if (rc != 0)
            return rc;
    }
    params->text = cla_slice(start, (size_t)(scan->p - start));
    return event == CLA_JSON_OBJECT_END ? 0 : -CLA_EJSON;
}

static int read_member(struct cla_json_scan *scan, struct draft *draft)
{
    char name[CLA_JSONRPC_NAME_MAX * 6];
    struct cla_slice key = cla_jsonrpc_key(scan, name);
    struct cla_jsonrpc_member other, *member = request_member(draft, key);

    if (member == NULL && cla_slice_eq(key, CLA_LIT("params")))
        return read_params(scan, draft);
    return cla_jsonrpc_member_read(scan, member != NULL ? member : &other);
}

/* Reads the value whose first event is 'first'. Returns 0, or -CLA_EJSON. */
static int read_draft(struct cla_json_scan *scan, enum cla_json_event first, struct draft *draft)
{
    enum cla_json_event event;
    struct cla_slice text;

    draft_init(draft, first == CLA_JSON_OBJECT_BEGIN);
    if (!draft->object)
        return cla_json_scan_rest(scan, first, &text);
    while ((event = cla_json_scan_next(scan)) == CLA_JSON_KEY) {
        int rc = read_member(scan, draft);

        if (rc != 0)
            return rc;
    }
    return event == CLA_JSON_OBJECT_END ? 0 : -CLA_EJSON;
}

/* Why the draft is no request, or NULL. */
static const char *problem_of(const struct draft *draft)
{
    enum cla_json_event params = draft->params.event;

    if (!draft->object)
        return "a request is an object";
    if (draft->id.event != CLA_JSON_ERROR && !cla_jsonrpc_is_id(draft->id.event))
        return "id must be a string, a number or null";
    if (!cla_jsonrpc_member_is(&draft->version, CLA_LIT("2.0")))
        return "jsonrpc must be \"2.0\"";
    if (draft->method.event != CLA_JSON_STRING)
        return "method must be a string";
    if (params != CLA_JSON_ERROR && params != CLA_JSON_OBJECT_BEGIN &&
        params != CLA_JSON_ARRAY_BEGIN)
        return "params must be an object or an array";
    return NULL;
}

static void report_invalid(const struct reader *reader, struct cla_slice id, int code,
                           const char *error)
{
    const struct cla_rpc_request request = {
        .kind = CLA_RPC_INVALID, .id = id, .error_code = code, .error = error};

    reader->events->on_request(reader->arg, &request);
}

/* Reports the draft as a request whose method is still to be decoded. */
static int report_decoded(const struct reader *reader, struct cla_rpc_request *request)
{
    char few[METHOD_BYTES];
    char *method = request->method.n <= sizeof few ? few : cla_mem_alloc(request->method.n);

    if (method == NULL)
        return -CLA_ENOMEM;
    request->method = cla_slice(method, cla_json_unescape(request->method, method));
    reader->events->on_request(reader->arg, request);
    if (method != few)
        cla_mem_free(method);
    return 0;
}

static int report_request(const struct reader *reader, const struct draft *draft)
{
    struct cla_rpc_request request;
    struct cla_slice method = draft->method.text;
    const char *error =
        cla_jsonrpc_options_read(&draft->asked, draft->params.event, &request.options);

    if (error != NULL) {
        report_invalid(reader, draft->id.text, cla_code_info(CLA_CODE_INVALID_ARGUMENT)->jsonrpc,
                       error);
        return 0;
    }
    request.id = draft->id.text;
    request.kind = request.id.n > 0 ? CLA_RPC_CALL : CLA_RPC_NOTIFY;
    request.method = cla_slice(method.p + 1, method.n - 2);
    request.params = draft->params.text;
    request.params_meta = draft->asked.inside.event != CLA_JSON_ERROR;
    request.error_code = 0;
    request.error = NULL;
    if (draft->method.escaped)
        return report_decoded(reader, &request);
    reader->events->on_request(reader->arg, &request);
    return 0;
}

static int report(const struct reader *reader, const struct draft *draft)
{
    const char *error = problem_of(draft);

    if (error == NULL)
        return report_request(reader, draft);
    report_invalid(reader, cla_jsonrpc_is_id(draft->id.event) ? draft->id.text : CLA_LIT("null"),
                   CLA_JSONRPC_INVALID_REQUEST, error);
    return 0;
}

static void report_text(const struct reader *reader, bool batch, size_t count)
{
    const struct cla_rpc_text text = {batch, count};

    reader->events->on_text(reader->arg, &text);
}

/* Answers the whole text with one error. */
static int refuse(const struct reader *reader, int code, const char *error)
{
    report_text(reader, false, 1);
    report_invalid(reader, CLA_LIT("null"), code, error);
    return 0;
}

static int refuse_json(const struct reader *reader)
{
    char error[ERROR_BYTES];

    snprintf(error, sizeof error, "not valid JSON: %s at byte %zu", reader->scan.error,
             reader->scan.error_at);
    return refuse(reader, CLA_JSONRPC_PARSE_ERROR, error);
}

static int refuse_batch(const struct reader *reader, size_t count)
{
    char error[ERROR_BYTES];

    if (count == 0)
        return refuse(reader, CLA_JSONRPC_INVALID_REQUEST, "the batch is empty");
    snprintf(error, sizeof error, "the batch has %zu requests; at most %u (batch_items)", count,
             reader->limits->batch_items);
    return refuse(reader, CLA_JSONRPC_INVALID_REQUEST, error);
}

static int read_single(struct reader *reader, enum cla_json_event first)
{
    struct draft draft;

    if (read_draft(&reader->scan, first, &draft) != 0 ||
        cla_json_scan_next(&reader->scan) != CLA_JSON_END)
        return refuse_json(reader);
    report_text(reader, false, 1);
    return report(reader, &draft);
}

/* Counts the elements to the end of the text. Returns 0, or -CLA_EJSON. */
static int count_elements(struct cla_json_scan *scan, size_t *count)
{
    struct cla_slice element;
    int rc;

    for (*count = 0; (rc = cla_json_scan_value(scan, &element)) == 0; ++*count)
        ;
    return rc == -CLA_EOF && cla_json_scan_next(scan) == CLA_JSON_END ? 0 : -CLA_EJSON;
}

static int read_batch(struct reader *reader, struct cla_slice text)
{
    struct cla_json_scan *scan = &reader->scan;
    struct draft draft;
    size_t count;
    int rc = 0;

    if (count_elements(scan, &count) != 0)
        return refuse_json(reader);
    if (count == 0 || count > reader->limits->batch_items)
        return refuse_batch(reader, count);
    report_text(reader, true, count);
    cla_json_scan_init(scan, text, reader->limits->json_depth);
    (void)cla_json_scan_next(scan);
    for (; rc == 0 && count > 0; count--) {
        (void)read_draft(scan, cla_json_scan_next(scan), &draft);
        rc = report(reader, &draft);
    }
    return rc;
}

int cla_jsonrpc_read(struct cla_slice text, const struct cla_rpc_limits *limits,
                     const struct cla_rpc_server_events *events, void *arg)
{
    struct reader reader;
    enum cla_json_event first;

    reader.limits = limits;
    reader.events = events;
    reader.arg = arg;
    cla_json_scan_init(&reader.scan, text, limits->json_depth);
    first = cla_json_scan_next(&reader.scan);
    if (first == CLA_JSON_ARRAY_BEGIN)
        return read_batch(&reader, text);
    return read_single(&reader, first);
}
