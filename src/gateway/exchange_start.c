#include "gateway/exchange_start.h"

#include "base/mem.h"
#include "gateway/access.h"
#include "gateway/exchange_answer.h"
#include "gateway/exchange_pool.h"
#include "gateway/socket.h"
#include "gateway/unknown.h"
#include "gateway/worker.h"

static struct cla_call *new_further(struct cla_exchange *x)
{
    struct cla_exchange_batch *batch = cla_exchange_batch_of(x);
    struct cla_exchange_further *further = batch != NULL ? cla_mem_alloc(sizeof *further) : NULL;

    if (further == NULL)
        return NULL;
    further->exchange = x;
    cla_list_push(&batch->further, &further->link);
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
    if (x->socket != NULL)
        x->socket->in_flight++;
    return call;
}

static void on_text(void *arg, const struct cla_rpc_text *text)
{
    struct cla_exchange *x = arg;

    x->batched = text->batch;
    x->unanswered = (unsigned)text->count;
}

static void answer_invalid(struct cla_exchange *x, const struct cla_rpc_request *request)
{
    struct cla_rpc_error error = {.code = CLA_CODE_INVALID_ARGUMENT,
                                  .number = request->error_code,
                                  .message = cla_slice_str(request->error)};

    cla_access_refused(&cla_worker_of(x)->env, cla_exchange_request(x)->peer, 200, request->error);
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
    const struct cla_route *route = &cla_exchange_http(x)->route;
    bool in_header = cla_exchange_is_http(x) && route->has_timeout;
    uint64_t timeout_ms = options->timeout_ms;

    if (in_header && (!options->has_timeout || route->timeout_ms < timeout_ms))
        timeout_ms = route->timeout_ms;
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
    if (x->wanted)
        return cla_call_index_find(&x->socket->calls, id);
    CLA_EXCHANGE_EACH_CALL (call, x) {
        if (call->state == CLA_CALL_OPEN && cla_slice_eq(cla_call_client_id(call), id))
            return call;
    }
    return NULL;
}

/* From now on the call is found by its id, by later texts too. Returns 0 or -CLA_ENOMEM. */
static int add_to_index(struct cla_exchange *x, struct cla_call *call)
{
    if (x->socket == NULL || !names_a_call(cla_call_client_id(call)))
        return 0;
    if (cla_call_index_add(&x->socket->calls, call) != 0)
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
    cla_access_refused(&cla_worker_of(x)->env, cla_exchange_request(x)->peer, 200,
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
    cla_worker_judge_later(x->socket->worker, x->socket);
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
    const struct cla_call_tokens tokens = {options->item_token, options->progress_token};

    return tokens.item.n + tokens.progress.n == 0 || cla_call_set_tokens(call, &tokens) == 0;
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

    if (live != NULL && (live->begun || x->batched || !x->wanted)) {
        answer_id_taken(x, request->id);
        return;
    }
    if (x->socket != NULL && x->socket->in_flight >= cla_worker_of(x)->calls_per_connection) {
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

    if (x->wanted &&
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

int cla_exchange_start_text(struct cla_exchange *x, struct cla_slice text)
{
    static const struct cla_rpc_server_events events = {on_text, on_request};
    const struct cla_rpc_limits limits = {.json_depth = cla_worker_of(x)->json_depth,
                                          .batch_items = cla_worker_of(x)->batch_items};

    int rc;

    x->reading = true;
    rc = cla_jsonrpc_read(text, &limits, &events, x);
    x->reading = false;
    if (rc != 0 && x->wanted)
        return rc;
    if (rc != 0 && cla_exchange_is_http(x) && cla_exchange_http(x)->conn != NULL)
        cla_exchange_answer_text(x, 503, "out of memory");
    else
        cla_exchange_maybe_put(x);
    return 0;
}

struct cla_exchange *cla_exchange_of_message(struct cla_socket *socket, struct cla_slice *text,
                                             uint64_t received_ns)
{
    struct cla_text_pool *pool = &socket->worker->text_pool;
    bool is_short = text->n <= CLA_TEXT_SHORT;
    char *copy = cla_text_pool_take(pool, text->n);
    struct cla_exchange *x = copy != NULL ? cla_exchange_pool_take_text(socket->worker) : NULL;

    if (x == NULL) {
        if (copy != NULL)
            cla_text_pool_put(pool, copy, is_short);
        return NULL;
    }
    if (text->n > 0)
        memcpy(copy, text->p, text->n);
    text->p = x->text = copy;
    x->short_text = is_short;
    x->socket = cla_socket_hold(socket);
    cla_exchange_begin(x, &socket->request, received_ns);
    x->wanted = true;
    cla_list_push(&socket->texts, &x->of_socket);
    return x;
}

int cla_exchange_run_text(struct cla_socket *socket, struct cla_slice text, uint64_t received_ns)
{
    struct cla_exchange *x = cla_exchange_of_message(socket, &text, received_ns);

    return x != NULL ? cla_exchange_start_text(x, text) : -CLA_ENOMEM;
}
