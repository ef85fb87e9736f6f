#include "gateway/exchange_answer.h"

#include "base/mem.h"
#include "gateway/conn.h"
#include "gateway/exchange_pool.h"
#include "gateway/exchange_stream.h"
#include "gateway/socket_out.h"
#include "gateway/unknown.h"
#include "gateway/worker.h"

void cla_exchange_answer(struct cla_exchange *x, const char *content_type)
{
    struct cla_exchange_http *http = cla_exchange_http(x);
    struct cla_conn *conn = http->conn;

    http->conn = NULL;
    http->busy = false;
    cla_conn_answer(conn, x, content_type);
    cla_exchange_maybe_put(x);
}

void cla_exchange_answer_text(struct cla_exchange *x, int status, const char *text)
{
    struct cla_exchange_http *http = cla_exchange_http(x);
    struct cla_buf *reply = &http->reply;

    http->status = status;
    reply->n = 0;
    if (cla_buf_append(reply, text, strlen(text)) == 0)
        (void)cla_buf_push(reply, '\n');
    cla_exchange_answer(x, "text/plain; charset=utf-8");
}

struct cla_exchange_batch *cla_exchange_batch_of(struct cla_exchange *x)
{
    if (x->batch == NULL) {
        x->batch = cla_mem_zalloc(sizeof *x->batch);
        if (x->batch != NULL)
            cla_list_init(&x->batch->further);
    }
    return x->batch;
}

/* Where replies are written. One to a text is sent as soon as it is complete, so all of a worker
 * share a buffer: one that is written while another is (a finalizer may end a call) is complete
 * before that goes on. NULL: out of memory. */
static struct cla_buf *reply_of(struct cla_exchange *x)
{
    if (cla_exchange_is_http(x))
        return &cla_exchange_http(x)->reply;
    if (!x->batched)
        return &cla_worker_of(x)->reply;
    return cla_exchange_batch_of(x) != NULL ? &x->batch->reply : NULL;
}

static void end_batch(struct cla_exchange *x)
{
    if (x->batched && x->replied && cla_buf_push(reply_of(x), ']') != 0)
        x->lost = true;
}

void cla_exchange_answer_calls(struct cla_exchange *x)
{
    struct cla_exchange_http *http = cla_exchange_http(x);

    end_batch(x);
    if (http->stream.conn != NULL) {
        cla_exchange_stream_end(x);
    } else if (x->lost) {
        cla_exchange_answer_text(x, 503, "out of memory");
    } else if (!x->replied) {
        http->status = 204;
        cla_exchange_answer(x, NULL);
    } else {
        cla_exchange_answer(x, "application/json");
    }
}

/* Sends what was written for a text, if it was. */
static void send_reply(struct cla_exchange *x, struct cla_socket *socket)
{
    struct cla_buf *reply = x->replied ? reply_of(x) : NULL;
    size_t at = x->batched ? 0 : x->reply_at;
    struct cla_slice text = cla_slice(NULL, 0);

    if (reply != NULL && !x->lost)
        text = cla_slice(reply->p + at, reply->n - at);
    cla_socket_answer(socket, text, x->lost);
    if (reply != NULL)
        reply->n = at;
}

/* Every call of a text has ended. */
static void answer_socket(struct cla_exchange *x)
{
    struct cla_socket *socket = cla_socket_hold(x->socket);

    x->wanted = false;
    cla_list_remove(&x->of_socket);
    end_batch(x);
    send_reply(x, socket);
    cla_writers_pass(&socket->writers); /* if it was this one's turn, and nothing was written */
    cla_exchange_maybe_put(x);
    cla_socket_answered(socket);
    cla_socket_release(socket);
}

void cla_exchange_one_answered(struct cla_exchange *x)
{
    if (--x->unanswered > 0) {
        if (x->wanted)
            cla_writers_pass(&x->socket->writers); /* it has written to the batch alone */
        return;
    }
    if (x->wanted)
        answer_socket(x);
    else if (cla_exchange_is_http(x) && cla_exchange_http(x)->conn != NULL)
        cla_exchange_answer_calls(x);
}

/* Begins a reply, with what stands before it in a batch. NULL: out of memory. */
static struct cla_buf *begin_reply(struct cla_exchange *x)
{
    struct cla_buf *reply = reply_of(x);

    if (reply == NULL)
        return NULL;
    x->reply_at = reply->n;
    return !x->batched || cla_buf_push(reply, x->replied ? ',' : '[') == 0 ? reply : NULL;
}

/* Takes back what was written of a reply since it was begun. */
static void drop_reply(struct cla_exchange *x)
{
    struct cla_buf *reply = reply_of(x);

    if (reply != NULL && reply->n > x->reply_at)
        reply->n = x->reply_at;
}

/* Returns how many bytes it took. */
static size_t write_error(struct cla_exchange *x, struct cla_slice id,
                          const struct cla_rpc_error *error)
{
    const struct cla_rpc_protocol *protocol = cla_exchange_request(x)->protocol;
    struct cla_buf *reply = begin_reply(x);

    if (cla_exchange_is_http(x) && protocol->status_of_code)
        cla_exchange_http(x)->status = cla_code_info(error->code)->http;
    if (reply != NULL && protocol->error(reply, id, error) == 0) {
        x->replied = true;
        return reply->n - x->reply_at;
    }
    drop_reply(x);
    x->lost = true;
    return 0;
}

void cla_exchange_write_error(struct cla_exchange *x, struct cla_slice id,
                              const struct cla_rpc_error *error)
{
    (void)write_error(x, id, error);
}

/* --- The sink of its calls. --- */

static void result_rollback(struct cla_call *call)
{
    if (call->result_begun)
        drop_reply(cla_exchange_of(call));
}

static bool reply_wanted(const struct cla_exchange *x, const struct cla_call *call)
{
    return !cla_call_is_notification(call) && !call->silent && !cla_exchange_let_go(x);
}

static struct cla_buf *result_begin(struct cla_call *call)
{
    struct cla_exchange *x = cla_exchange_of(call);
    struct cla_buf *reply;

    if (!reply_wanted(x, call))
        return NULL;
    reply = begin_reply(x);
    call->result_begun = reply != NULL;
    if (reply != NULL &&
        cla_exchange_request(x)->protocol->reply_begin(reply, cla_call_client_id(call)) == 0)
        return reply;
    drop_reply(x);
    call->result_begun = false;
    return NULL;
}

static int result_end(struct cla_call *call)
{
    struct cla_exchange *x = cla_exchange_of(call);
    struct cla_buf *reply = reply_of(x);

    if (!reply_wanted(x, call)) {
        result_rollback(call);
        return 0;
    }
    if (!call->result_begun ||
        cla_exchange_request(x)->protocol->reply_end(reply, cla_call_client_id(call)) != 0)
        return -CLA_ENOMEM;
    x->replied = true;
    call->reply_bytes += reply->n - x->reply_at;
    return 0;
}

/* True if its id, or a token, lies in the text. */
static bool has_borrowed(const struct cla_call *call)
{
    return cla_call_id_is_borrowed(&call->client_id) || cla_call_token(call, CLA_CALL_ITEM).n > 0 ||
           cla_call_token(call, CLA_CALL_PROGRESS).n > 0;
}

/* A text goes when its one call has begun, and has borrowed nothing of it. */
static void params_taken(struct cla_call *call)
{
    struct cla_exchange *x = cla_exchange_of(call);

    if (x->text == NULL || x->batched || has_borrowed(call))
        return;
    call->params.p = NULL;
    cla_exchange_drop_text(x);
}

static void on_completed(struct cla_call *call)
{
    cla_exchange_one_answered(cla_exchange_of(call));
}

static void on_error(struct cla_call *call, const struct cla_rpc_error *error)
{
    struct cla_exchange *x = cla_exchange_of(call);

    if (reply_wanted(x, call))
        call->reply_bytes += write_error(x, cla_call_client_id(call), error);
    cla_exchange_one_answered(x);
}

static void free_further(struct cla_exchange_further *further)
{
    cla_list_remove(&further->link);
    cla_mem_free(further);
}

void cla_exchange_forget_call(struct cla_exchange *x, struct cla_call *call)
{
    if (call->indexed)
        cla_call_index_remove(&x->socket->calls, call);
    if (x->socket != NULL)
        x->socket->in_flight--;
    cla_call_free_extras(call);
    if (call->procedure != NULL && call->procedure->unknown)
        cla_unknown_free(call->procedure);
    if (call->further)
        free_further(CLA_CONTAINER(call, struct cla_exchange_further, call));
    else
        x->first_used = false;
}

static void on_release(struct cla_call *call)
{
    struct cla_exchange *x = cla_exchange_of(call);

    cla_exchange_forget_call(x, call);
    cla_exchange_maybe_put(x);
}

const struct cla_call_sink cla_exchange_sink = {
    .params_taken = params_taken,
    .result_begin = result_begin,
    .result_end = result_end,
    .result_rollback = result_rollback,
    .completed = on_completed,
    .error = on_error,
    .release = on_release,
    .part_refused = cla_exchange_part_refused,
    .part_writers = cla_exchange_part_writers,
    .part = cla_exchange_part,
};
