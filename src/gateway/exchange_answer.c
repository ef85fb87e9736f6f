#include "gateway/exchange_answer.h"

#include "base/mem.h"
#include "gateway/conn.h"
#include "gateway/exchange_stream.h"
#include "gateway/socket_out.h"
#include "gateway/unknown.h"
#include "gateway/worker.h"

void cla_exchange_answer(struct cla_exchange *x, const char *content_type)
{
    struct cla_conn *conn = x->conn;

    x->conn = NULL;
    x->busy = false;
    cla_conn_answer(conn, x, content_type);
    cla_exchange_maybe_put(x);
}

void cla_exchange_answer_text(struct cla_exchange *x, int status, const char *text)
{
    x->status = status;
    x->reply.n = 0;
    if (cla_buf_append(&x->reply, text, strlen(text)) == 0)
        (void)cla_buf_push(&x->reply, '\n');
    cla_exchange_answer(x, "text/plain; charset=utf-8");
}

static void end_batch(struct cla_exchange *x)
{
    if (x->batch && x->replies > 0 && cla_buf_push(&x->reply, ']') != 0)
        x->lost = true;
}

void cla_exchange_answer_calls(struct cla_exchange *x)
{
    end_batch(x);
    if (x->http->stream.conn != NULL) {
        cla_exchange_stream_end(x);
    } else if (x->lost) {
        cla_exchange_answer_text(x, 503, "out of memory");
    } else if (x->replies == 0) {
        x->status = 204;
        cla_exchange_answer(x, NULL);
    } else {
        cla_exchange_answer(x, "application/json");
    }
}

/* Every call of a text has ended. */
static void answer_socket(struct cla_exchange *x)
{
    struct cla_socket *socket = cla_socket_hold(x->socket);

    x->socket = NULL;
    cla_list_remove(&x->of_socket);
    end_batch(x);
    cla_socket_answer(socket, x->lost ? cla_slice(NULL, 0) : cla_buf_slice(&x->reply), x->lost);
    cla_writers_pass(&socket->writers); /* if it was this one's turn, and nothing was written */
    cla_exchange_maybe_put(x);
    cla_socket_answered(socket);
    cla_socket_release(socket);
}

void cla_exchange_one_answered(struct cla_exchange *x)
{
    if (--x->unanswered > 0) {
        if (x->socket != NULL)
            cla_writers_pass(&x->socket->writers); /* it has written to the batch alone */
        return;
    }
    if (x->conn != NULL)
        cla_exchange_answer_calls(x);
    else if (x->socket != NULL)
        answer_socket(x);
}

/* What stands before a reply in a batch. */
static int begin_element(struct cla_exchange *x)
{
    return x->batch ? cla_buf_push(&x->reply, x->replies == 0 ? '[' : ',') : 0;
}

void cla_exchange_write_error(struct cla_exchange *x, struct cla_slice id,
                              const struct cla_rpc_error *error)
{
    size_t mark = x->reply.n;

    if (begin_element(x) == 0 &&
        cla_exchange_request(x)->protocol->error(&x->reply, id, error) == 0) {
        x->replies++;
    } else {
        x->reply.n = mark;
        x->lost = true;
    }
    if (cla_exchange_request(x)->protocol->status_of_code)
        x->status = cla_code_info(error->code)->http;
}

/* --- The sink of its calls. --- */

static void result_rollback(struct cla_call *call)
{
    if (call->result_begun)
        cla_exchange_of(call)->reply.n = call->reply_mark;
}

static bool reply_wanted(const struct cla_exchange *x, const struct cla_call *call)
{
    return !cla_call_is_notification(call) && !call->silent && !cla_exchange_let_go(x);
}

static struct cla_buf *result_begin(struct cla_call *call)
{
    struct cla_exchange *x = cla_exchange_of(call);

    if (!reply_wanted(x, call))
        return NULL;
    call->reply_mark = x->reply.n;
    call->result_begun = true;
    if (begin_element(x) == 0 &&
        cla_exchange_request(x)->protocol->reply_begin(&x->reply, cla_call_client_id(call)) == 0)
        return &x->reply;
    result_rollback(call);
    return NULL;
}

static int result_end(struct cla_call *call)
{
    struct cla_exchange *x = cla_exchange_of(call);

    if (!reply_wanted(x, call))
        return 0;
    if (x->reply.n == call->reply_mark) /* result_begin had no memory */
        return -CLA_ENOMEM;
    if (cla_exchange_request(x)->protocol->reply_end(&x->reply, cla_call_client_id(call)) != 0)
        return -CLA_ENOMEM;
    x->replies++;
    call->reply_bytes += x->reply.n - call->reply_mark;
    return 0;
}

/* Over HTTP the next request is not looked at before this one's answer has been taken. So here: a
 * call does not begin, and a result is not encoded, before there is room. */
static struct cla_writers *writers(const struct cla_call *call)
{
    const struct cla_exchange *x = cla_exchange_of(call);

    return x->origin != NULL ? &x->origin->writers : NULL;
}

/* A text goes when its one call has begun, and has borrowed nothing of it. */
static void params_taken(struct cla_call *call)
{
    struct cla_exchange *x = cla_exchange_of(call);

    if (x->text == NULL || x->batch || call->tokens != NULL ||
        cla_call_id_is_borrowed(&call->client_id))
        return;
    call->params.p = NULL;
    cla_mem_free(x->text);
    x->text = NULL;
}

static void on_completed(struct cla_call *call)
{
    cla_exchange_one_answered(cla_exchange_of(call));
}

static void on_error(struct cla_call *call, const struct cla_rpc_error *error)
{
    struct cla_exchange *x = cla_exchange_of(call);
    size_t mark = x->reply.n;

    if (reply_wanted(x, call))
        cla_exchange_write_error(x, cla_call_client_id(call), error);
    call->reply_bytes += x->reply.n - mark;
    cla_exchange_one_answered(x);
}

void cla_exchange_forget_call(struct cla_exchange *x, struct cla_call *call)
{
    cla_list_remove(&call->link);
    if (call->indexed)
        cla_call_index_remove(&x->origin->calls, call);
    if (x->origin != NULL)
        x->origin->in_flight--;
    cla_mem_free(call->tokens);
    cla_unknown_free(call->procedure);
    if (call->further)
        cla_mem_free(CLA_CONTAINER(call, struct cla_exchange_further, call));
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
    .writers = writers,
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
