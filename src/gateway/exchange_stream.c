#include "gateway/exchange_stream.h"

#include "base/error.h"
#include "gateway/conn.h"
#include "gateway/exchange_answer.h"
#include "gateway/socket_out.h"
#include "gateway/worker.h"

/* --- The response over HTTP. --- */

/* Lines for pages of other sites, and for caches in between. */
static struct cla_slice more_fields(const struct cla_exchange *x)
{
    struct cla_buf *fields = &cla_worker_of(x)->scratch;

    fields->n = 0;
    (void)cla_buf_add(fields, CLA_LIT("Cache-Control: no-store\r\n"));
    cla_conn_add_fields(fields, x);
    return cla_buf_slice(fields);
}

bool cla_exchange_stream_begin(struct cla_exchange *x)
{
    x->reading = true;
    cla_conn_stream_begin(x, cla_exchange_request(x)->protocol->stream_type, more_fields(x));
    x->reading = false;
    if (cla_exchange_http(x)->conn != NULL)
        return true;
    cla_exchange_maybe_put(x);
    return false;
}

/* Nil is no item. */
static bool is_nothing(struct cla_slice result)
{
    return cla_slice_eq(result, CLA_LIT("null"));
}

/* Makes the last piece of the reply: the result, if it is one, and the end. Returns 0 or
 * -CLA_ENOMEM. */
static int add_end(const struct cla_exchange *x, struct cla_buf *last)
{
    const struct cla_rpc_protocol *protocol = cla_exchange_request(x)->protocol;
    struct cla_slice result = cla_buf_slice(&cla_exchange_http(x)->reply);

    if (!x->first_used || x->first.state != CLA_CALL_COMPLETED)
        return cla_buf_add(last, result); /* the error, which is an end */
    if (!is_nothing(result) && protocol->item(last, cla_slice(NULL, 0), result) != 0)
        return -CLA_ENOMEM;
    return protocol->end(last);
}

void cla_exchange_stream_close(struct cla_exchange *x, bool whole)
{
    struct cla_exchange_http *http = cla_exchange_http(x);
    struct cla_conn_stream *stream = &http->stream;

    http->conn = NULL;
    http->busy = false;
    x->reading = true; /* it is not put back if the connection closes for want of memory */
    if (whole)
        cla_conn_stream_end(stream);
    else
        cla_conn_stream_cut(stream);
    x->reading = false;
    cla_exchange_maybe_put(x);
}

void cla_exchange_stream_end(struct cla_exchange *x)
{
    struct cla_buf last = {0};
    bool whole = !x->lost && add_end(x, &last) == 0;

    x->reading = true; /* as there */
    if (whole)
        cla_conn_stream_piece(&cla_exchange_http(x)->stream, cla_buf_slice(&last),
                              cla_slice(NULL, 0));
    cla_buf_fini(&last);
    cla_exchange_stream_close(x, whole);
}

void cla_exchange_stream_refuse(struct cla_exchange *x, const struct cla_rpc_error *error)
{
    if (!cla_exchange_stream_begin(x))
        return;
    cla_exchange_write_error(x, CLA_LIT("null"), error);
    cla_exchange_stream_end(x);
}

/* --- Parts. --- */

const char *cla_exchange_part_refused(const struct cla_call *call, enum cla_call_part kind)
{
    const struct cla_rpc_protocol *protocol = call->request->protocol;

    if (kind == CLA_CALL_PROGRESS && protocol->progress == NULL)
        return "this protocol shows no progress";
    if (kind == CLA_CALL_ITEM && protocol->item == NULL)
        return protocol->no_items;
    if (cla_call_is_notification(call))
        return "this procedure streams, and a notification has no reply: call it with an id";
    if (!protocol->by_token || cla_call_token(call, kind).n > 0)
        return NULL;
    return kind == CLA_CALL_ITEM
               ? "this procedure streams: say under which token, in _meta.itemToken or "
                 "partialResultToken"
               : "progress needs a token: _meta.progressToken or workDoneToken";
}

struct cla_writers *cla_exchange_part_writers(const struct cla_call *call)
{
    struct cla_exchange *x = cla_exchange_of(call);
    struct cla_exchange_http *http = cla_exchange_http(x);

    if (cla_exchange_is_http(x))
        return http->conn != NULL ? &http->stream.writers : NULL;
    return x->wanted ? &x->socket->writers : NULL;
}

static int send_part(struct cla_exchange *x, struct cla_slice part)
{
    if (cla_exchange_let_go(x))
        return -CLA_ECLOSED;
    if (!cla_exchange_is_http(x))
        return cla_socket_send(
            x->socket, cla_socket_framed(x->socket) ? CLA_WS_KIND_BINARY : CLA_WS_KIND_TEXT, part);
    cla_conn_stream_piece(&cla_exchange_http(x)->stream, part, cla_slice(NULL, 0));
    return 0;
}

int cla_exchange_part(struct cla_call *call, enum cla_call_part kind, struct cla_slice value)
{
    struct cla_exchange *x = cla_exchange_of(call);
    const struct cla_rpc_protocol *protocol = cla_exchange_request(x)->protocol;
    struct cla_buf *part = &cla_worker_of(x)->scratch;
    struct cla_slice key =
        protocol->by_token ? cla_call_token(call, kind) : cla_call_client_id(call);

    part->n = 0;
    if ((kind == CLA_CALL_ITEM ? protocol->item : protocol->progress)(part, key, value) != 0)
        return -CLA_ENOMEM;
    call->reply_bytes += part->n;
    return send_part(x, cla_buf_slice(part));
}
