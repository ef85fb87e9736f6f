/* JSON-RPC: what the reader reports lies inside the text and is JSON; whatever it reports can be
 * answered, and the answer is read back by our own client. */
#include <stdlib.h>

#include "rpc/connect.h"
#include "rpc/jsonrpc.h"
#include "json/scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define DEPTH 64

struct seen {
    struct cla_slice text;
    size_t promised, requests; /* elements that on_text named, requests that came */
};

static void require(bool condition)
{
    if (!condition)
        abort();
}

/* Empty, or JSON that lies in the text. */
static void check_span(const struct seen *seen, struct cla_slice span)
{
    if (span.n == 0)
        return;
    require(span.p >= seen->text.p && span.p + span.n <= seen->text.p + seen->text.n);
    require(cla_json_check(span, DEPTH, NULL, NULL) == 0);
}

static void on_text(void *arg, const struct cla_rpc_text *text)
{
    struct seen *seen = arg;

    require(seen->promised == 0 && text->count > 0);
    seen->promised = text->count;
}

static void check_invalid(const struct cla_rpc_request *request)
{
    const struct cla_rpc_error error = {.code = CLA_CODE_INVALID_ARGUMENT,
                                        .number = request->error_code,
                                        .message = cla_slice_str(request->error)};
    struct cla_rpc_response response;
    struct cla_buf buf = {0};

    if (request->id.n > 0) {
        require(cla_jsonrpc_error(&buf, request->id, &error) == 0);
        require(cla_jsonrpc_response_read(cla_buf_slice(&buf), &response) == 0);
        require(response.number == request->error_code);
        require(cla_slice_eq(response.id, request->id));
    }
    cla_buf_fini(&buf);
}

/* Answers with an error that carries the params as data. */
static void check_request(const struct cla_rpc_request *request)
{
    const struct cla_rpc_error error = {
        .code = CLA_CODE_ABORTED, .message = request->method, .data = request->params};
    struct cla_slice id = request->id.n > 0 ? request->id : CLA_LIT("null");
    struct cla_rpc_response response;
    struct cla_buf buf = {0};

    require(cla_jsonrpc_error(&buf, id, &error) == 0);
    require(cla_jsonrpc_response_read(cla_buf_slice(&buf), &response) == 0);
    require(response.code == CLA_CODE_ABORTED && cla_slice_eq(response.id, id));
    buf.n = 0;
    require(cla_connect_error(&buf, id, &error) == 0);
    require(cla_json_check(cla_buf_slice(&buf), CLA_JSON_DEPTH_MAX, NULL, NULL) == 0);
    cla_buf_fini(&buf);
}

static void on_request(void *arg, const struct cla_rpc_request *request)
{
    struct seen *seen = arg;

    require(++seen->requests <= seen->promised);
    if (request->kind == CLA_RPC_INVALID) {
        check_invalid(request);
        return;
    }
    check_span(seen, request->id);
    check_span(seen, request->params);
    check_span(seen, request->options.progress_token);
    check_span(seen, request->options.item_token);
    require(request->options.timeout_ms <= CLA_RPC_TIMEOUT_MS_MAX);
    check_request(request);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct cla_rpc_server_events events = {on_text, on_request};
    const struct cla_rpc_limits limits = {.json_depth = DEPTH, .batch_items = 8};
    struct seen seen = {.text = cla_slice((const char *)data, size)};
    struct cla_rpc_response response;

    require(cla_jsonrpc_read(seen.text, &limits, &events, &seen) == 0);
    require(seen.promised > 0 && seen.requests == seen.promised);
    (void)cla_jsonrpc_response_read(seen.text, &response);
    return 0;
}
