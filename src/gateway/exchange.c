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
    return x->conn == NULL && x->socket == NULL && x->upgrade == NULL;
}

void cla_exchange_maybe_put(struct cla_exchange *x)
{
    if (cla_exchange_let_go(x) && !x->reading && cla_list_empty(&x->calls))
        cla_exchange_pool_put(x);
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

static void reset(struct cla_exchange *x, struct cla_worker *worker)
{
    x->worker = worker;
    x->conn = NULL;
    x->socket = x->upgrade = x->origin = NULL;
    cla_list_init(&x->calls);
    cla_list_init(&x->of_socket);
    x->unanswered = x->replies = 0;
    x->status = 200;
    x->busy = x->batch = x->reading = x->first_used = x->lost = x->postponed = false;
    x->first.app = cla_app_pin(worker->env.app);
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
static bool take_head(struct cla_exchange *x, const struct cla_conn *conn,
                      const struct cla_http_head *head)
{
    struct cla_worker *worker = x->worker;
    struct cla_exchange_http *http = x->http;

    if (http == NULL)
        http = x->http = cla_mem_zalloc(sizeof *http);
    if (http == NULL || cla_buf_add(&http->head, head->raw) != 0)
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
    struct cla_exchange *x = cla_exchange_pool_take(conn->worker);
    char *peer;

    if (x == NULL)
        return NULL;
    reset(x, conn->worker);
    if (!take_head(x, conn, head)) {
        cla_exchange_pool_put(x);
        return NULL;
    }
    x->conn = conn;
    peer = x->http->peer;
    x->http->request =
        (struct cla_request){.env = &x->worker->env,
                             .sink = &cla_exchange_sink,
                             .protocol = protocol_of(&x->http->route),
                             .peer = cla_slice(peer, cla_proxy_peer(&conn->arrival, head, peer)),
                             .head = cla_buf_slice(&x->http->head),
                             .certificate = cla_certificate_ref(conn->certificate)};
    x->first.request = &x->http->request;
    x->first.received_ns = received_ns;
    if (x->http->route.kind == CLA_ROUTE_HANDLER)
        cla_exchange_plain_init(x);
    return x;
}

/* --- Starting. --- */

static struct cla_call *new_further(struct cla_exchange *x)
{
    struct cla_exchange_further *further = cla_mem_alloc(sizeof *further);

    if (further == NULL)
        return NULL;
    further->exchange = x;
    return &further->call;
}

struct cla_call *cla_exchange_new_call(struct cla_exchange *x, struct cla_slice id)
{
    struct cla_call *call = x->first_used ? new_further(x) : &x->first;

    if (call == NULL)
        return NULL;
    *call = (struct cla_call){.request = x->first.request,
                              .app = x->first.app,
                              .received_ns = x->first.received_ns,
                              .client_id = cla_call_id_make(id),
                              .further = x->first_used};
    x->first_used = true;
    if (x->origin != NULL)
        x->origin->in_flight++;
    cla_list_push(&x->calls, &call->link);
    return call;
}

static void on_text(void *arg, const struct cla_rpc_text *text)
{
    struct cla_exchange *x = arg;

    x->batch = text->batch;
    x->unanswered = text->count;
}

static void answer_invalid(struct cla_exchange *x, const struct cla_rpc_request *request)
{
    struct cla_rpc_error error = {.code = CLA_CODE_INVALID_ARGUMENT,
                                  .number = request->error_code,
                                  .message = cla_slice_str(request->error)};

    cla_access_refused(&x->worker->env, cla_exchange_request(x)->peer, 200, request->error);
    if (request->id.n > 0) /* else a notification, which is never answered */
        cla_exchange_write_error(x, request->id, &error);
    cla_exchange_one_answered(x);
}

static void answer_unavailable(struct cla_exchange *x, struct cla_slice id, const char *why)
{
    struct cla_rpc_error error = {.code = CLA_CODE_UNAVAILABLE, .message = cla_slice_str(why)};

    if (id.n > 0)
        cla_exchange_write_error(x, id, &error);
    cla_exchange_one_answered(x);
}

/* The client's timeout: of the header, which a text has not, and of _meta the smaller. */
static void set_deadline(struct cla_exchange *x, struct cla_call *call,
                         const struct cla_rpc_options *options)
{
    bool in_header = x->origin == NULL && x->http->route.has_timeout;
    uint64_t timeout_ms = options->timeout_ms;

    if (in_header && (!options->has_timeout || x->http->route.timeout_ms < timeout_ms))
        timeout_ms = x->http->route.timeout_ms;
    cla_call_set_deadline(call, in_header || options->has_timeout, timeout_ms);
}

/* Null names no call: clients use it for calls they do not tell apart. */
static bool names_a_call(struct cla_slice id)
{
    return id.n > 0 && !cla_slice_eq(id, CLA_LIT("null"));
}

/* The live call with this id, or NULL. */
static const struct cla_call *find_live(struct cla_exchange *x, struct cla_slice id)
{
    if (!names_a_call(id))
        return NULL;
    if (x->socket != NULL)
        return cla_call_index_find(&x->socket->calls, id);
    CLA_LIST_EACH (link, &x->calls) {
        struct cla_call *call = CLA_CONTAINER(link, struct cla_call, link);

        if (call->state == CLA_CALL_OPEN && cla_slice_eq(cla_call_client_id(call), id))
            return call;
    }
    return NULL;
}

/* From now on the call is found by its id, by later texts too. Returns 0 or -CLA_ENOMEM. */
static int add_to_index(struct cla_exchange *x, struct cla_call *call)
{
    if (x->origin == NULL || !names_a_call(cla_call_client_id(call)))
        return 0;
    if (cla_call_index_add(&x->origin->calls, call) != 0)
        return -CLA_ENOMEM;
    call->indexed = true;
    return 0;
}

static void start_call(struct cla_exchange *x, struct cla_call *call)
{
    if (add_to_index(x, call) == 0) {
        cla_call_start(call);
        return;
    }
    answer_unavailable(x, cla_call_client_id(call), "out of memory");
    call->request->sink->release(call);
}

/* The id of a live call again. The answer carries it in its data only: as its id it would settle
 * the first call at the client. */
static void answer_id_taken(struct cla_exchange *x, struct cla_slice id)
{
    struct cla_buf data = {0};
    struct cla_rpc_error error = {.code = CLA_CODE_INVALID_ARGUMENT,
                                  .number = CLA_JSONRPC_INVALID_REQUEST,
                                  .message = CLA_LIT("a call with this id is in flight")};

    if (cla_buf_printf(&data, "{\"id\":%.*s}", (int)id.n, id.p) == 0)
        error.data = cla_buf_slice(&data);
    cla_access_refused(&x->worker->env, cla_exchange_request(x)->peer, 200,
                       "a call with this id is in flight");
    cla_exchange_write_error(x, CLA_LIT("null"), &error);
    cla_buf_fini(&data);
    cla_exchange_one_answered(x);
}

/* The call waits until the one with its id, which has not begun either, has: see
 * cla_exchange_judge().
 */
static void postpone(struct cla_exchange *x)
{
    x->postponed = true;
    cla_list_remove(&x->of_socket);
    cla_list_push(&x->socket->postponed, &x->of_socket);
    cla_worker_judge_later(x->worker, x->socket);
}

bool cla_exchange_judge(struct cla_exchange *x)
{
    struct cla_call *call = &x->first;
    const struct cla_call *live = find_live(x, cla_call_client_id(call));
    struct cla_slice id = cla_call_client_id(call);

    if (live != NULL && !live->begun)
        return false;
    x->postponed = false;
    cla_list_remove(&x->of_socket);
    cla_list_push(&x->socket->texts, &x->of_socket);
    if (live == NULL) {
        start_call(x, call);
    } else {
        call->request->sink->release(call);
        answer_id_taken(x, id);
    }
    return true;
}

/* False: out of memory. */
static bool take_tokens(struct cla_call *call, const struct cla_rpc_options *options)
{
    if (options->item_token.n + options->progress_token.n == 0)
        return true;
    call->tokens = cla_mem_alloc(sizeof *call->tokens);
    if (call->tokens == NULL)
        return false;
    *call->tokens = (struct cla_call_tokens){options->item_token, options->progress_token};
    return true;
}

/* Notes what the call is asked for. False: out of memory. */
static bool fill_in(struct cla_call *call, const struct cla_rpc_request *request)
{
    call->procedure = call->app->ops->find(call->app, request->method);
    if (call->procedure == NULL)
        call->procedure = cla_unknown_new(request->method);
    call->params = request->params;
    call->params_meta = request->params_meta;
    return call->procedure != NULL && take_tokens(call, &request->options);
}

void cla_exchange_start_request(struct cla_exchange *x, const struct cla_rpc_request *request)
{
    const struct cla_call *live = find_live(x, request->id);
    struct cla_call *call;

    if (live != NULL && (live->begun || x->batch || x->socket == NULL)) {
        answer_id_taken(x, request->id);
        return;
    }
    if (x->origin != NULL && x->origin->in_flight >= x->worker->calls_per_connection) {
        answer_unavailable(x, request->id,
                           "too many calls in flight on this connection (calls_per_connection)");
        return;
    }
    call = cla_exchange_new_call(x, request->id);
    if (call == NULL) {
        answer_unavailable(x, request->id, "out of memory");
        return;
    }
    if (!fill_in(call, request)) {
        cla_exchange_forget_call(x, call);
        answer_unavailable(x, request->id, "out of memory");
        return;
    }
    set_deadline(x, call, &request->options);
    if (live != NULL)
        postpone(x);
    else
        start_call(x, call);
}

/* A notification of the protocol itself: of those that there may be only cancels mean something. */
static void run_protocol_notification(struct cla_exchange *x, const struct cla_rpc_request *request)
{
    struct cla_slice id;

    if (x->socket != NULL &&
        (cla_slice_eq(request->method, CLA_LIT("$/cancelRequest")) ||
         cla_slice_eq(request->method, CLA_LIT("$/cancel_request"))) &&
        cla_jsonrpc_cancel_id(request->params, &id) == 0)
        cla_socket_reset(x->socket, id);
    cla_exchange_one_answered(x);
}

static void on_request(void *arg, const struct cla_rpc_request *request)
{
    struct cla_exchange *x = arg;

    if (cla_exchange_let_go(x))
        return; /* an element before this one had the socket closed */
    if (request->kind == CLA_RPC_INVALID)
        answer_invalid(x, request);
    else if (request->kind == CLA_RPC_NOTIFY && cla_slice_starts(request->method, CLA_LIT("$/")))
        run_protocol_notification(x, request);
    else
        cla_exchange_start_request(x, request);
}

/* Returns 0, or -CLA_ENOMEM: a socket's text that will not be answered. */
static int run_jsonrpc(struct cla_exchange *x, struct cla_slice text)
{
    static const struct cla_rpc_server_events events = {on_text, on_request};
    const struct cla_rpc_limits limits = {.json_depth = x->worker->json_depth,
                                          .batch_items = x->worker->batch_items};

    int rc;

    x->reading = true;
    rc = cla_jsonrpc_read(text, &limits, &events, x);
    x->reading = false;
    if (rc != 0 && x->socket != NULL)
        return rc;
    if (rc != 0 && x->conn != NULL)
        cla_exchange_answer_text(x, 503, "out of memory");
    else
        cla_exchange_maybe_put(x);
    return 0;
}

struct cla_exchange *cla_exchange_of_message(struct cla_socket *socket, struct cla_slice *text,
                                             uint64_t received_ns)
{
    struct cla_worker *worker = socket->conn->worker;
    char *copy = cla_mem_alloc(text->n + 1); /* there may be none of no bytes */
    struct cla_exchange *x = copy != NULL ? cla_exchange_pool_take(worker) : NULL;

    if (x == NULL) {
        cla_mem_free(copy);
        return NULL;
    }
    reset(x, worker);
    if (text->n > 0)
        memcpy(copy, text->p, text->n);
    text->p = x->text = copy;
    x->first.request = &socket->request;
    x->first.received_ns = received_ns;
    x->socket = x->origin = cla_socket_hold(socket);
    cla_list_push(&socket->texts, &x->of_socket);
    return x;
}

int cla_exchange_run_text(struct cla_socket *socket, struct cla_slice text, uint64_t received_ns)
{
    struct cla_exchange *x = cla_exchange_of_message(socket, &text, received_ns);

    return x != NULL ? run_jsonrpc(x, text) : -CLA_ENOMEM;
}

static void answer_unary_error(struct cla_exchange *x, enum cla_code code, int status,
                               const char *why)
{
    struct cla_rpc_error error = {.code = code, .message = cla_slice_str(why)};

    cla_access_refused(&x->worker->env, cla_exchange_request(x)->peer, status, why);
    if (x->http->route.format == CLA_ROUTE_SSE)
        x->http->request.protocol = &cla_connect_protocol; /* EventSource looks at the status */
    if (cla_exchange_request(x)->protocol->stream_type != NULL) {
        cla_exchange_stream_refuse(x, &error);
        return;
    }
    cla_exchange_write_error(x, CLA_LIT("null"), &error);
    x->status = status;
    cla_exchange_answer_calls(x);
}

static int read_unary_params(struct cla_exchange *x, struct cla_slice *params, const char **why)
{
    int rc = 0;

    if (x->http->route.kind == CLA_ROUTE_GET)
        rc = cla_route_query_params(x->http->route.query, &x->body, why);
    if (rc != 0)
        return rc;
    return (x->http->route.format == CLA_ROUTE_CONNECT_STREAM &&
                    x->http->route.kind == CLA_ROUTE_UNARY
                ? cla_connect_stream_params
                : cla_connect_params)(cla_buf_slice(&x->body), x->worker->json_depth, params, why);
}

static void run_unary(struct cla_exchange *x)
{
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
    call->procedure = x->http->route.procedure;
    call->params = params;
    x->unanswered = 1;
    cla_call_set_deadline(call, x->http->route.has_timeout, x->http->route.timeout_ms);
    cla_call_start(call);
}

static void refuse(struct cla_exchange *x)
{
    const struct cla_route *route = &x->http->route;

    if (route->unary_error) {
        answer_unary_error(x, route->code, route->status, route->why);
        return;
    }
    if (route->closes)
        x->http->keep_alive = false;
    cla_access_refused(&x->worker->env, cla_exchange_request(x)->peer, route->status, route->why);
    cla_exchange_answer_text(x, route->status, route->why);
}

bool cla_exchange_wants_body(const struct cla_exchange *exchange)
{
    return exchange->http->route.kind == CLA_ROUTE_JSONRPC ||
           exchange->http->route.kind == CLA_ROUTE_UNARY ||
           exchange->http->route.kind == CLA_ROUTE_HANDLER;
}

int cla_exchange_body(struct cla_exchange *exchange, struct cla_slice bytes)
{
    return cla_exchange_wants_body(exchange) ? cla_buf_add(&exchange->body, bytes) : 0;
}

void cla_exchange_run(struct cla_exchange *exchange)
{
    exchange->busy = true;
    switch (exchange->http->route.kind) {
    case CLA_ROUTE_JSONRPC:
        (void)run_jsonrpc(exchange, cla_buf_slice(&exchange->body));
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
        cla_conn_upgrade(exchange->conn, exchange);
        break;
    case CLA_ROUTE_OPTIONS:
        exchange->status = 204;
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

void cla_exchange_abandon(struct cla_exchange *exchange, enum cla_cancel_kind kind)
{
    exchange->conn = NULL;
    exchange->socket = NULL;
    cla_list_remove(&exchange->of_socket);
    if (exchange->http != NULL && exchange->http->file != NULL)
        cla_file_send_forsake(exchange->http->file);
    if (exchange->http != NULL)
        cla_conn_stream_lost(&exchange->http->stream);
    if (exchange->upgrade != NULL)
        cla_socket_forsaken(exchange->upgrade, kind);
    exchange->upgrade = NULL;
    if (exchange->postponed) {
        exchange->postponed = false;
        cla_exchange_request(exchange)->sink->release(
            &exchange->first); /* and with it the exchange */
        return;
    }
    CLA_LIST_EACH (link, &exchange->calls) {
        cla_call_cancel(CLA_CONTAINER(link, struct cla_call, link), kind, cla_slice(NULL, 0));
    }
    cla_exchange_maybe_put(exchange);
}
