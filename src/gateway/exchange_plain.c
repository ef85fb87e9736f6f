#include "gateway/exchange_plain.h"

#include "base/error.h"
#include "gateway/conn.h"
#include "gateway/exchange_answer.h"
#include "gateway/exchange_start.h"
#include "gateway/exchange_stream.h"
#include "rpc/connect.h"

static int nothing(struct cla_buf *buf, struct cla_slice id)
{
    (void)buf, (void)id;
    return 0;
}

const struct cla_rpc_protocol cla_exchange_plain_protocol = {
    .name = "http",
    .family = CLA_RPC_PLAIN,
    .status_of_code = true,
    .reply_begin = nothing,
    .reply_end = nothing,
    .error = cla_connect_error,
};

static struct cla_exchange *exchange_of(struct cla_call *call)
{
    return CLA_CONTAINER(call, struct cla_exchange, first);
}

/* --- An answer in pieces. --- */

static void begin(struct cla_call *call)
{
    struct cla_exchange *x = exchange_of(call);
    struct cla_exchange_http *http = cla_exchange_http(x);
    struct cla_plain *plain = &http->plain;

    if (http->conn == NULL)
        return;
    plain->begun = true;
    http->status = plain->status;
    cla_conn_add_fields(&plain->fields, x);
    cla_conn_stream_begin(x, plain->type.p, cla_buf_slice(&plain->fields));
}

static const char *part_refused(const struct cla_call *call, enum cla_call_part kind)
{
    (void)call, (void)kind;
    return "a route sends its pieces by a function as the body";
}

static struct cla_writers *part_writers(const struct cla_call *call)
{
    struct cla_exchange_http *http =
        cla_exchange_http(CLA_CONTAINER(call, const struct cla_exchange, first));

    return http->conn != NULL ? &http->stream.writers : NULL;
}

static int part(struct cla_call *call, enum cla_call_part kind, struct cla_slice value)
{
    struct cla_exchange_http *http = cla_exchange_http(exchange_of(call));

    (void)kind;
    if (http->conn == NULL)
        return -CLA_ECLOSED;
    call->reply_bytes += value.n;
    cla_conn_stream_piece(&http->stream, value, cla_slice(NULL, 0));
    return 0;
}

/* --- The sink of its call. --- */

static struct cla_buf *result_begin(struct cla_call *call)
{
    struct cla_exchange *x = exchange_of(call);
    struct cla_exchange_http *http = cla_exchange_http(x);

    call->result_begun = true;
    http->reply.n = 0;
    return cla_exchange_let_go(x) ? NULL : &http->reply;
}

static int result_end(struct cla_call *call)
{
    call->reply_bytes += cla_exchange_http(exchange_of(call))->reply.n;
    return 0;
}

static void on_completed(struct cla_call *call)
{
    struct cla_exchange *x = exchange_of(call);
    struct cla_exchange_http *http = cla_exchange_http(x);

    if (cla_exchange_let_go(x))
        return;
    if (http->plain.begun) {
        cla_exchange_stream_close(x, true);
        return;
    }
    http->status = http->plain.status;
    cla_exchange_answer(x, cla_plain_type(&http->plain));
}

static void result_rollback(struct cla_call *call)
{
    cla_exchange_http(exchange_of(call))->reply.n = 0;
}

static void on_error(struct cla_call *call, const struct cla_rpc_error *error)
{
    struct cla_exchange *x = exchange_of(call);
    struct cla_exchange_http *http = cla_exchange_http(x);

    if (cla_exchange_let_go(x))
        return;
    if (http->plain.begun) {
        cla_exchange_stream_close(x, false);
        return;
    }
    cla_plain_reset(&http->plain);
    cla_exchange_write_error(x, cla_call_client_id(call), error);
    call->reply_bytes = http->reply.n;
    cla_exchange_answer_calls(x);
}

static void on_release(struct cla_call *call)
{
    struct cla_exchange *x = exchange_of(call);

    cla_exchange_forget_call(x, call);
    cla_exchange_maybe_put(x);
}

static const struct cla_call_sink sink = {
    .result_begin = result_begin,
    .result_end = result_end,
    .result_rollback = result_rollback,
    .completed = on_completed,
    .error = on_error,
    .release = on_release,
    .part_refused = part_refused,
    .part_writers = part_writers,
    .part = part,
};

void cla_exchange_plain_init(struct cla_exchange *x)
{
    struct cla_exchange_http *http = cla_exchange_http(x);
    struct cla_plain *plain = &http->plain;

    plain->method = http->route.method;
    plain->path = http->route.path;
    plain->query = http->route.query;
    plain->begin = begin;
    cla_plain_reset(plain);
    http->request.plain = plain;
    http->request.sink = &sink;
}

void cla_exchange_plain_run(struct cla_exchange *x)
{
    struct cla_exchange_http *http = cla_exchange_http(x);
    struct cla_call *call = cla_exchange_new_call(x, CLA_LIT("null"));
    const struct cla_route *route = &http->route;

    call->procedure = route->procedure;
    call->params = cla_buf_slice(&http->body);
    x->unanswered = 1;
    cla_call_set_deadline(call, route->has_timeout, route->timeout_ms);
    cla_call_start(call);
}
