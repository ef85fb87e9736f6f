#include "gateway/exchange.h"

#include "base/mem.h"
#include "base/prefetch.h"
#include "gateway/access.h"
#include "gateway/conn.h"
#include "gateway/exchange_answer.h"
#include "gateway/exchange_plain.h"
#include "gateway/exchange_pool.h"
#include "gateway/exchange_start.h"
#include "gateway/exchange_stream.h"
#include "gateway/file_send.h"
#include "gateway/proxy.h"
#include "gateway/route_query.h"
#include "gateway/socket_out.h"
#include "gateway/unknown.h"
#include "gateway/worker.h"
#include "rpc/connect.h"
#include "rpc/connect_stream.h"
#include "rpc/jsonrpc.h"

bool cla_exchange_let_go(const struct cla_exchange *x)
{
    const struct cla_exchange_http *http = cla_exchange_http(x);

    if (!cla_exchange_is_http(x))
        return !x->wanted;
    return http->conn == NULL && http->upgrade == NULL;
}

void cla_exchange_maybe_put(struct cla_exchange *x)
{
    if (cla_exchange_let_go(x) && !x->reading && cla_exchange_next_call(x, NULL) == NULL)
        cla_exchange_pool_put(x);
}

struct cla_call *cla_exchange_next_call(const struct cla_exchange *exchange,
                                        const struct cla_call *call)
{
    const struct cla_link *link;

    if (call == NULL && exchange->first_used)
        return (struct cla_call *)&exchange->first;
    if (exchange->batch == NULL)
        return NULL;
    link = call == NULL || !call->further
               ? &exchange->batch->further
               : &CLA_CONTAINER(call, const struct cla_exchange_further, call)->link;
    if (link->next == &exchange->batch->further)
        return NULL;
    return &CLA_CONTAINER(link->next, struct cla_exchange_further, link)->call;
}

static const struct cla_rpc_protocol *protocol_of(const struct cla_route *route)
{
    switch (route->format) {
    case CLA_ROUTE_CONNECT_STREAM:
        return &cla_connect_stream_protocol;
    case CLA_ROUTE_SSE:
        return &cla_sse_protocol;
    case CLA_ROUTE_PLAIN:
        break;
    }
    if (route->kind == CLA_ROUTE_UNARY || route->kind == CLA_ROUTE_GET || route->unary_error)
        return route->connect ? &cla_connect_client_protocol : &cla_connect_protocol;
    if (route->kind == CLA_ROUTE_HANDLER)
        return &cla_exchange_plain_protocol;
    return &cla_jsonrpc_http_protocol;
}

void cla_exchange_begin(struct cla_exchange *x, const struct cla_request *request,
                        uint64_t received_ns)
{
    struct cla_worker *worker = CLA_CONTAINER(request->env, struct cla_worker, env);

    x->first.request = request;
    x->first.app = cla_app_pin(worker->env.app);
    x->first.received_ns = received_ns;
    cla_list_init(&x->of_socket);
    x->unanswered = 0;
    x->wanted = x->batched = x->replied = x->lost = x->postponed = x->reading = x->first_used =
        false;
    cla_list_push(&worker->exchanges, &x->link);
}

/* A slice of the head becomes one of our copy of it. */
static void move_into_copy(struct cla_slice *slice, const struct cla_exchange_http *http,
                           const struct cla_http_head *head)
{
    if (slice->n > 0)
        slice->p = http->head.p + (slice->p - head->raw.p);
}

/* Copies what the head says; false: out of memory. */
static bool take_head(struct cla_exchange_http *http, const struct cla_http_head *head)
{
    const struct cla_conn *conn = http->conn;
    struct cla_worker *worker = conn->worker;

    if (cla_buf_add(&http->head, head->raw) != 0)
        return false;
    http->keep_alive = head->keep_alive;
    http->version_1_0 = head->version_minor == 0;
    http->head_only = head->method == CLA_HTTP_HEAD;
    cla_route_find(&http->route, head, &worker->rules, conn->arrival.via->loopback,
                   &worker->scratch);
    move_into_copy(&http->route.method, http, head);
    move_into_copy(&http->route.path, http, head);
    move_into_copy(&http->route.query, http, head);
    move_into_copy(&http->route.cors.origin, http, head);
    move_into_copy(&http->route.cors.headers, http, head);
    return true;
}

struct cla_exchange *cla_exchange_get(struct cla_conn *conn, const struct cla_http_head *head,
                                      uint64_t received_ns)
{
    struct cla_exchange *x = cla_exchange_pool_take_http(conn->worker);
    struct cla_exchange_http *http;

    if (x == NULL)
        return NULL;
    http = cla_exchange_http(x);
    http->conn = conn;
    http->upgrade = NULL;
    http->status = 200;
    http->busy = false;
    http->request = (struct cla_request){.env = &conn->worker->env, .sink = &cla_exchange_sink};
    cla_exchange_begin(x, &http->request, received_ns);
    if (!take_head(http, head)) {
        cla_exchange_pool_put(x);
        return NULL;
    }
    http->request.protocol = protocol_of(&http->route);
    http->request.peer = cla_slice(http->peer, cla_proxy_peer(&conn->arrival, head, http->peer));
    http->request.head = cla_buf_slice(&http->head);
    http->request.certificate = cla_certificate_ref(conn->certificate);
    if (http->route.kind == CLA_ROUTE_HANDLER)
        cla_exchange_plain_init(x);
    return x;
}

static void answer_unary_error(struct cla_exchange *x, enum cla_code code, int status,
                               const char *why)
{
    struct cla_exchange_http *http = cla_exchange_http(x);
    struct cla_rpc_error error = {.code = code, .message = cla_slice_str(why)};

    cla_access_refused(&cla_worker_of(x)->env, cla_exchange_request(x)->peer, status, why);
    if (http->route.format == CLA_ROUTE_SSE)
        http->request.protocol = &cla_connect_protocol; /* EventSource looks at the status */
    if (cla_exchange_request(x)->protocol->stream_type != NULL) {
        cla_exchange_stream_refuse(x, &error);
        return;
    }
    cla_exchange_write_error(x, CLA_LIT("null"), &error);
    http->status = status;
    cla_exchange_answer_calls(x);
}

static int read_unary_params(struct cla_exchange *x, struct cla_slice *params, const char **why)
{
    struct cla_exchange_http *http = cla_exchange_http(x);
    int rc = 0;

    if (http->route.kind == CLA_ROUTE_GET)
        rc = cla_route_query_params(http->route.query, &http->body, why);
    if (rc != 0)
        return rc;
    return (http->route.format == CLA_ROUTE_CONNECT_STREAM && http->route.kind == CLA_ROUTE_UNARY
                ? cla_connect_stream_params
                : cla_connect_params)(cla_buf_slice(&http->body), cla_worker_of(x)->json_depth,
                                      params, why);
}

static void run_unary(struct cla_exchange *x)
{
    struct cla_exchange_http *http = cla_exchange_http(x);
    const char *why = NULL;
    struct cla_slice params;
    struct cla_call *call;
    int rc = read_unary_params(x, &params, &why);

    if (rc == -CLA_ENOMEM) {
        cla_exchange_answer_text(x, 503, "out of memory");
        return;
    }
    if (rc != 0) {
        answer_unary_error(x, CLA_CODE_INVALID_ARGUMENT, 400, why);
        return;
    }
    if (cla_exchange_request(x)->protocol->stream_type != NULL && !cla_exchange_stream_begin(x))
        return;
    call = cla_exchange_new_call(x, CLA_LIT("null")); /* the first: it is part of the exchange */
    call->procedure = http->route.procedure;
    call->params = params;
    x->unanswered = 1;
    cla_call_set_deadline(call, http->route.has_timeout, http->route.timeout_ms);
    cla_call_start(call);
}

static void refuse(struct cla_exchange *x)
{
    struct cla_exchange_http *http = cla_exchange_http(x);
    const struct cla_route *route = &http->route;

    if (route->unary_error) {
        answer_unary_error(x, route->code, route->status, route->why);
        return;
    }
    if (route->closes)
        http->keep_alive = false;
    cla_access_refused(&cla_worker_of(x)->env, cla_exchange_request(x)->peer, route->status,
                       route->why);
    cla_exchange_answer_text(x, route->status, route->why);
}

bool cla_exchange_wants_body(const struct cla_exchange *exchange)
{
    enum cla_route_kind kind = cla_exchange_http(exchange)->route.kind;

    return kind == CLA_ROUTE_JSONRPC || kind == CLA_ROUTE_UNARY || kind == CLA_ROUTE_HANDLER;
}

int cla_exchange_body(struct cla_exchange *exchange, struct cla_slice bytes)
{
    struct cla_buf *body = &cla_exchange_http(exchange)->body;

    return cla_exchange_wants_body(exchange) ? cla_buf_add(body, bytes) : 0;
}

void cla_exchange_run(struct cla_exchange *exchange)
{
    struct cla_exchange_http *http = cla_exchange_http(exchange);

    http->busy = true;
    switch (http->route.kind) {
    case CLA_ROUTE_JSONRPC:
        (void)cla_exchange_start_text(exchange, cla_buf_slice(&http->body));
        break;
    case CLA_ROUTE_UNARY:
    case CLA_ROUTE_GET:
        run_unary(exchange);
        break;
    case CLA_ROUTE_HANDLER:
        cla_exchange_plain_run(exchange);
        break;
    case CLA_ROUTE_FILE:
        cla_file_send_start(exchange);
        break;
    case CLA_ROUTE_WEBSOCKET:
        cla_conn_upgrade(http->conn, exchange);
        break;
    case CLA_ROUTE_OPTIONS:
        http->status = 204;
        cla_exchange_answer(exchange, NULL);
        break;
    case CLA_ROUTE_REFUSE:
        refuse(exchange);
        break;
    }
}

void cla_exchange_expect(const struct cla_exchange *exchange)
{
    cla_prefetch(exchange, sizeof *exchange);
}

void cla_exchange_expect_call(const struct cla_exchange *exchange)
{
    struct cla_app *app = cla_exchange_app(exchange);

    if (exchange->first_used && app->ops->expect_cancel != NULL)
        app->ops->expect_cancel(app, &exchange->first);
}

/* The connection of an exchange of HTTP is gone. */
static void forsake(struct cla_exchange_http *http, enum cla_cancel_kind kind)
{
    http->conn = NULL;
    if (http->file != NULL)
        cla_file_send_forsake(http->file);
    cla_conn_stream_lost(&http->stream);
    if (http->upgrade != NULL)
        cla_socket_forsaken(http->upgrade, kind);
    http->upgrade = NULL;
}

void cla_exchange_abandon(struct cla_exchange *exchange, enum cla_cancel_kind kind)
{
    exchange->wanted = false;
    cla_list_remove(&exchange->of_socket);
    if (cla_exchange_is_http(exchange))
        forsake(cla_exchange_http(exchange), kind);
    if (exchange->postponed) {
        exchange->postponed = false;
        cla_exchange_request(exchange)->sink->release(&exchange->first); /* and the exchange */
        return;
    }
    CLA_EXCHANGE_EACH_CALL (call, exchange)
        cla_call_cancel(call, kind, cla_slice(NULL, 0));
    cla_exchange_maybe_put(exchange);
}
