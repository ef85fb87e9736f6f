#include "gateway/access.h"
#include "gateway/conn_time.h"
#include "gateway/socket.h"
#include "rpc/connect.h"
#include "ws/handshake.h"

static void write_reply(struct cla_conn *conn, const struct cla_http_reply *reply,
                        struct cla_slice body)
{
    if (conn->out.cap == 0)
        cla_worker_take_buf(conn->worker, &conn->out);
    if (cla_http_write_reply(&conn->out, reply) != 0 || cla_buf_add(&conn->out, body) != 0) {
        cla_conn_close(conn, CLA_CANCEL_LIMIT); /* no memory: nothing sensible can be sent */
        return;
    }
    conn->requests++;
    if (reply->close)
        cla_conn_finish(conn);
    else
        cla_worker_flush_later(conn->worker, conn);
}

void cla_conn_answered(struct cla_conn *conn, bool close)
{
    conn->exchange = NULL;
    conn->requests++;
    if (close)
        cla_conn_finish(conn);
    else if (conn->state == CLA_CONN_OPEN && cla_conn_pending(conn) > 0)
        cla_worker_advance_later(conn->worker, conn);
}

bool cla_conn_last_request(const struct cla_conn *conn, const struct cla_exchange *exchange)
{
    const struct cla_worker *worker = conn->worker;

    return !cla_exchange_http(exchange)->keep_alive || worker->env.draining ||
           (conn->peer_ended && cla_conn_pending(conn) == 0) ||
           (worker->requests_per_connection > 0 &&
            conn->requests + 1 >= worker->requests_per_connection);
}

void cla_conn_add_fields(struct cla_buf *fields, const struct cla_exchange *exchange)
{
    const struct cla_route *route = &cla_exchange_http(exchange)->route;
    bool options = route->kind == CLA_ROUTE_OPTIONS;

    if (cla_worker_of(exchange)->rules.origin_count > 0)
        (void)cla_origin_fields(fields, &route->cors, options ? route->allow : NULL);
}

/* With 415: which types and which encodings are taken (RFC 9110 section 12.5.3). */
static void add_types(struct cla_buf *fields, const struct cla_route *route)
{
    (void)cla_buf_printf(fields, "Accept-Post: application/json%s\r\nAccept-Encoding: identity\r\n",
                         route->procedure != NULL ? ", application/connect+json" : "");
}

/* Of our own statuses: Upgrade, with 426; Allow, with the answer to OPTIONS and with 405 (RFC 9110
 * section 15.5.6); with 415 what is taken. */
static void add_of_status(struct cla_buf *fields, const struct cla_route *route, int status)
{
    if (status == 426)
        (void)cla_buf_add(fields, CLA_LIT(CLA_WS_UPGRADE_REQUIRED));
    if (route->kind == CLA_ROUTE_OPTIONS || status == 405)
        (void)cla_buf_printf(fields, "Allow: %s\r\n", route->allow);
    if (status == 415)
        add_types(fields, route);
}

/* The lines that are not in every response: those of its status, or the script's own, and those for
 * pages of other sites. */
static struct cla_slice more_fields(struct cla_worker *worker, const struct cla_exchange *exchange)
{
    const struct cla_exchange_http *http = cla_exchange_http(exchange);
    const struct cla_route *route = &http->route;
    struct cla_buf *fields = &worker->scratch;

    fields->n = 0;
    if (route->kind == CLA_ROUTE_HANDLER)
        (void)cla_buf_add(fields, cla_buf_slice(&http->plain.fields));
    else
        add_of_status(fields, route, http->status);
    cla_conn_add_fields(fields, exchange);
    return cla_buf_slice(fields);
}

void cla_conn_answer(struct cla_conn *conn, const struct cla_exchange *exchange,
                     const char *content_type)
{
    const struct cla_exchange_http *http = cla_exchange_http(exchange);
    bool body = content_type != NULL && !http->head_only;
    bool unsized = http->request.plain != NULL && http->plain.unsized;
    bool close = cla_conn_last_request(conn, exchange);
    const struct cla_http_reply reply = {
        .status = http->status,
        .content_type = content_type,
        .content_length = content_type != NULL ? http->reply.n : 0,
        .unsized = unsized,
        .chunked = unsized && !http->version_1_0,
        .fields = more_fields(conn->worker, exchange),
        .date = cla_worker_date(conn->worker),
        .close = close,
        .keep_alive_1_0 = http->version_1_0 && !close,
    };

    conn->exchange = NULL;
    write_reply(conn, &reply, body ? cla_buf_slice(&http->reply) : cla_slice("", 0));
    if (conn->state == CLA_CONN_OPEN && cla_conn_pending(conn) > 0)
        cla_worker_advance_later(conn->worker, conn);
}

/* A page may read why its request was refused; of the head nothing is known then, or all. */
static struct cla_slice refusal_fields(struct cla_worker *worker,
                                       const struct cla_exchange *exchange)
{
    worker->scratch.n = 0;
    if (exchange != NULL)
        cla_conn_add_fields(&worker->scratch, exchange);
    return cla_buf_slice(&worker->scratch);
}

static enum cla_code code_of(int status)
{
    switch (status) {
    case 408:
        return CLA_CODE_DEADLINE_EXCEEDED;
    case 413:
        return CLA_CODE_RESOURCE_EXHAUSTED;
    case 503:
        return CLA_CODE_UNAVAILABLE;
    default:
        return CLA_CODE_INVALID_ARGUMENT;
    }
}

/* Writes the refusal of a call as an error object; false: a line of text is wanted. */
static bool write_error(struct cla_buf *to, const struct cla_exchange *exchange, int status,
                        const char *why)
{
    const struct cla_rpc_error error = {.code = code_of(status), .message = cla_slice_str(why)};
    const struct cla_route *route = exchange != NULL ? &cla_exchange_http(exchange)->route : NULL;

    return route != NULL && route->kind == CLA_ROUTE_UNARY &&
           route->format != CLA_ROUTE_CONNECT_STREAM &&
           cla_connect_error(to, cla_slice(NULL, 0), &error) == 0;
}

void cla_conn_refuse(struct cla_conn *conn, int status, const char *why)
{
    struct cla_exchange *exchange = conn->exchange;
    struct cla_buf error = {0};
    bool object = write_error(&error, exchange, status, why);
    struct cla_slice text = object ? cla_buf_slice(&error) : cla_slice_str(why);
    const struct cla_http_reply reply = {
        .status = status,
        .content_type = object ? "application/json" : "text/plain; charset=utf-8",
        .content_length = text.n,
        .fields = refusal_fields(conn->worker, exchange),
        .date = cla_worker_date(conn->worker),
        .close = true,
    };

    cla_access_refused(&conn->worker->env, cla_conn_peer(conn), status, why);
    conn->exchange = NULL;
    write_reply(conn, &reply, text);
    cla_buf_fini(&error);
    if (exchange != NULL)
        cla_exchange_abandon(exchange, CLA_CANCEL_DISCONNECT);
}

void cla_conn_refuse_upgrade(struct cla_conn *conn, int status, const char *why,
                             struct cla_slice fields)
{
    const struct cla_http_reply reply = {
        .status = status,
        .content_type = "text/plain; charset=utf-8",
        .content_length = strlen(why),
        .fields = fields,
        .date = cla_worker_date(conn->worker),
        .close = true,
    };

    cla_access_refused(&conn->worker->env, cla_conn_peer(conn), status, why);
    write_reply(conn, &reply, cla_slice_str(why));
}

/* From now on all that comes is from the client that asked for the upgrade. */
static void become_peers_own(struct cla_conn *conn, const struct cla_exchange *exchange)
{
    const struct cla_exchange_http *http = cla_exchange_http(exchange);

    conn->arrival.proxies = NULL;
    conn->arrival.peer_n = http->request.peer.n;
    memcpy(conn->arrival.peer, http->peer, conn->arrival.peer_n);
}

void cla_conn_upgrade(struct cla_conn *conn, struct cla_exchange *exchange)
{
    struct cla_exchange_http *http = cla_exchange_http(exchange);
    struct cla_buf fields = {0};
    const char *why = NULL;
    int status = cla_socket_new(&http->upgrade, exchange, http->route.socket, &fields, &why);

    become_peers_own(conn, exchange);
    if (status == 0) {
        cla_socket_ask(http->upgrade);
    } else {
        conn->exchange = NULL;
        cla_exchange_abandon(exchange, CLA_CANCEL_DISCONNECT);
        cla_conn_refuse_upgrade(conn, status, why, cla_buf_slice(&fields));
    }
    cla_buf_fini(&fields);
}

void cla_conn_switch(struct cla_conn *conn, struct cla_socket *socket, struct cla_slice fields)
{
    const struct cla_http_reply reply = {.status = 101, .fields = fields};

    conn->socket = socket;
    write_reply(conn, &reply, cla_slice("", 0));
    if (conn->state == CLA_CONN_OPEN && cla_conn_pending(conn) > 0)
        cla_worker_advance_later(conn->worker, conn);
    if (conn->state == CLA_CONN_OPEN)
        cla_conn_update_due(conn, conn->read_ns);
}
