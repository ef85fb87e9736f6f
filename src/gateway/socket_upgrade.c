/* Happy path: the handshake is judged, the script's on_connect admits, 101, the socket is OPEN.
 * Failure modes: a bad handshake is refused (400, 426); on_connect refuses, or takes longer than
 * handshake_timeout; the client leaves meanwhile, or the server shuts down.
 * On close: a refused socket is freed when on_connect has let go of it. */
#include "gateway/socket.h"

#include "base/error.h"
#include "base/mem.h"
#include "gateway/conn.h"
#include "gateway/exchange_answer.h"
#include "gateway/socket_in.h"
#include "gateway/socket_out.h"
#include "gateway/worker.h"
#include "rpc/frame.h"
#include "rpc/jsonrpc.h"
#include "ws/handshake.h"

/* Where the value of a field goes that the handshake reads. */
static struct cla_slice *value_of(struct cla_ws_request *request, struct cla_slice name)
{
    const struct {
        struct cla_slice name;
        struct cla_slice *value;
    } fields[] = {
        {CLA_LIT("connection"), &request->connection},
        {CLA_LIT("upgrade"), &request->upgrade},
        {CLA_LIT("sec-websocket-key"), &request->key},
        {CLA_LIT("sec-websocket-version"), &request->version},
        {CLA_LIT("sec-websocket-protocol"), &request->protocol},
        {CLA_LIT("sec-websocket-extensions"), &request->extensions},
    };

    for (size_t i = 0; i < CLA_ARRAY_LEN(fields); i++) {
        if (cla_slice_eq_nocase(name, fields[i].name))
            return fields[i].value;
    }
    return NULL;
}

/* Joins a repeated field's values in 'joined', which has room for all that a head can hold. */
static void add_value(struct cla_slice *to, struct cla_slice value, struct cla_buf *joined)
{
    size_t at = joined->n;

    if (to->n > 0) {
        (void)cla_buf_add(joined, *to);
        (void)cla_buf_add(joined, CLA_LIT(", "));
    }
    (void)cla_buf_add(joined, value);
    *to = cla_slice(joined->p + at, joined->n - at);
}

/* Reads the fields from the raw head, which the parser has checked. Returns 0 or -CLA_ENOMEM. */
static int read_request(struct cla_slice head, struct cla_ws_request *request,
                        struct cla_buf *joined)
{
    struct cla_slice line, name, *to;

    *request = (struct cla_ws_request){.method = CLA_LIT("GET"), .version_minor = 1};
    if (cla_buf_reserve(joined, head.n * 8) != 0) /* values may be joined again and again */
        return -CLA_ENOMEM;
    (void)cla_slice_next(&head, '\n', &line);
    while (cla_slice_next(&head, '\n', &line)) {
        if (line.n > 0 && line.p[line.n - 1] == '\r')
            line.n--;
        if (!cla_slice_next(&line, ':', &name) || (to = value_of(request, name)) == NULL)
            continue;
        if (joined->cap - joined->n < to->n + line.n + 2)
            return -CLA_ENOMEM;
        add_value(to, cla_slice_trim(line), joined);
    }
    return 0;
}

/* The subprotocols of calls: those of frames first. */
static const struct cla_slice rpc_protocols[] = {
    {CLA_FRAME_V0_1, sizeof CLA_FRAME_V0_1 - 1},
    {CLA_FRAME_V1, sizeof CLA_FRAME_V1 - 1},
    {"jsonrpc", 7},
};
#define FRAME_PROTOCOLS 2

static void offer_protocols(struct cla_ws_offer *offer, const struct cla_route *route)
{
    offer->protocols = rpc_protocols;
    offer->protocol_count = CLA_ARRAY_LEN(rpc_protocols);
    if (route->framed)
        offer->protocol_count = FRAME_PROTOCOLS;
    if (route->socket == NULL)
        return;
    offer->protocols = route->socket->protocols;
    offer->protocol_count = route->socket->protocol_count;
}

/* Returns 0 or the status to refuse with. '*accept' may borrow from the route. */
static int accept_request(struct cla_worker *worker, const struct cla_exchange_http *http,
                          struct cla_ws_accept *accept, const char **why)
{
    struct cla_ws_offer offer = {.deflate = worker->ws.deflate};
    struct cla_ws_request request;
    struct cla_buf joined = {0};
    int status = 503;

    offer_protocols(&offer, &http->route);
    *why = "out of memory";
    if (read_request(cla_buf_slice(&http->head), &request, &joined) == 0)
        status = cla_ws_handshake_read(&request, &offer, accept, why);
    cla_buf_fini(&joined);
    if (status != 0 || !http->route.framed || accept->protocol.n > 0)
        return status;
    *why = "offer the subprotocol " CLA_FRAME_V0_1 " or " CLA_FRAME_V1;
    return 400;
}

/* The socket outlives the request and the connection, so it has copies. */
static int copy_texts(struct cla_socket *socket, const struct cla_exchange *exchange,
                      struct cla_slice protocol)
{
    const struct cla_exchange_http *http = cla_exchange_http(exchange);
    struct cla_buf *head = &socket->head;
    size_t head_n = http->head.n;
    struct cla_slice path = http->route.path, peer = http->request.peer;

    if (cla_buf_add(head, cla_buf_slice(&http->head)) != 0 || cla_buf_add(head, path) != 0 ||
        cla_buf_add(head, peer) != 0 || cla_buf_add(head, protocol) != 0)
        return -CLA_ENOMEM;
    socket->path = cla_slice(head->p + head_n, path.n);
    socket->request.head = cla_slice(head->p, head_n);
    socket->request.peer = cla_slice(socket->path.p + path.n, peer.n);
    socket->protocol = cla_slice(socket->request.peer.p + peer.n, protocol.n);
    return 0;
}

static struct cla_socket *new_socket(struct cla_exchange *exchange,
                                     const struct cla_socket_route *route)
{
    struct cla_socket *socket = cla_mem_zalloc(sizeof *socket);

    if (socket == NULL)
        return NULL;
    socket->worker = cla_worker_of(exchange);
    socket->upgrade = exchange;
    socket->route = route;
    if (route != NULL) {
        socket->app = cla_app_pin(cla_exchange_app(exchange));
        socket->streams = route->streams;
    }
    socket->refs = 1;
    cla_list_init(&socket->texts);
    cla_list_init(&socket->postponed);
    cla_list_init(&socket->judge);
    cla_writers_init(&socket->writers, cla_socket_room_for);
    cla_subscriber_init(&socket->subscriber);
    return socket;
}

/* 'protocol' NULL: JSON-RPC. */
static void fill_request(struct cla_socket *socket, const struct cla_exchange_http *http,
                         const struct cla_rpc_protocol *protocol)
{
    struct cla_request *request = &socket->request;

    request->env = &socket->worker->env;
    request->sink = &cla_exchange_sink;
    request->protocol = protocol != NULL ? protocol : &cla_jsonrpc_protocol;
    request->raw = request->protocol->raw;
    request->certificate = cla_certificate_ref(http->request.certificate);
    request->writers = &socket->writers;
    request->socket = socket;
}

/* Fills in a new socket what was agreed on. Returns 0 or -CLA_ENOMEM. */
static int fill(struct cla_socket *socket, struct cla_exchange *exchange,
                const struct cla_ws_accept *accept)
{
    if (copy_texts(socket, exchange, accept->protocol) != 0 ||
        cla_ws_handshake_answer(&socket->fields, accept) != 0 ||
        (socket->route != NULL && cla_socket_in_open(socket) != 0))
        return -CLA_ENOMEM;
    fill_request(socket, cla_exchange_http(exchange), cla_frame_protocol(accept->protocol));
    cla_socket_agree(socket, &accept->agreed);
    return 0;
}

int cla_socket_new(struct cla_socket **out, struct cla_exchange *exchange,
                   const struct cla_socket_route *route, struct cla_buf *fields, const char **why)
{
    struct cla_ws_accept accept;
    struct cla_socket *socket;
    int status = accept_request(cla_worker_of(exchange), cla_exchange_http(exchange), &accept, why);

    if (status == 426)
        (void)cla_buf_add(fields, CLA_LIT(CLA_WS_UPGRADE_REQUIRED));
    if (status != 0)
        return status;
    *why = "out of memory";
    socket = new_socket(exchange, route);
    if (socket == NULL)
        return 503;
    if (fill(socket, exchange, &accept) != 0) {
        cla_socket_release(socket);
        return 503;
    }
    socket->id = cla_call_env_new_id(&socket->worker->env);
    *out = socket;
    return 0;
}

/* The request is over: the socket, or an answer, takes its place. */
static struct cla_conn *take_connection(struct cla_socket *socket)
{
    struct cla_exchange *exchange = socket->upgrade;
    struct cla_exchange_http *http = cla_exchange_http(exchange);
    struct cla_conn *conn = http->conn;

    socket->upgrade = NULL;
    http->upgrade = NULL;
    conn->exchange = NULL;
    cla_exchange_abandon(exchange, CLA_CANCEL_DISCONNECT);
    return conn;
}

void cla_socket_ask(struct cla_socket *socket)
{
    struct cla_app *app = cla_exchange_app(socket->upgrade);
    int rc = app->ops->connect(app, socket);

    if (rc == 0)
        cla_socket_admit(socket);
    else if (rc < 0)
        cla_socket_refuse(socket, 503, "overloaded: memory is short (vm_memory)");
}

void cla_socket_admit(struct cla_socket *socket)
{
    struct cla_app *app = socket->app;
    struct cla_conn *conn;

    if (socket->state != CLA_SOCKET_ASKED)
        return;
    if (socket->worker->env.draining) {
        cla_socket_refuse(socket, 503, "the server is shutting down");
        return;
    }
    conn = take_connection(socket);
    socket->state = CLA_SOCKET_OPEN;
    socket->worker->websockets++;
    socket->conn = conn;
    (void)cla_socket_hold(socket); /* without memory for the answer the connection ends at once */
    cla_conn_switch(conn, socket, cla_buf_slice(&socket->fields));
    cla_buf_fini(&socket->fields);
    if (socket->state == CLA_SOCKET_OPEN && socket->route == NULL)
        cla_topics_enter(&socket->worker->topics, &socket->subscriber);
    if (socket->state == CLA_SOCKET_OPEN && app != NULL && app->ops->open(app, socket) != 0)
        cla_socket_close(socket, CLA_WS_TRY_LATER, CLA_LIT("memory is short (vm_memory)"),
                         CLA_CANCEL_LIMIT);
    cla_socket_release(socket);
}

void cla_socket_refuse(struct cla_socket *socket, int status, const char *why)
{
    struct cla_conn *conn;

    if (socket->state != CLA_SOCKET_ASKED)
        return;
    conn = take_connection(socket);
    socket->state = CLA_SOCKET_OVER;
    cla_socket_forget_app(socket);
    cla_topics_leave(&socket->worker->topics, &socket->subscriber);
    cla_conn_refuse_upgrade(conn, status, why, cla_slice(NULL, 0));
    cla_socket_release(socket);
}

void cla_socket_forsaken(struct cla_socket *socket, enum cla_cancel_kind kind)
{
    struct cla_app *app = socket->worker->env.app;

    socket->state = CLA_SOCKET_OVER;
    cla_topics_leave(&socket->worker->topics, &socket->subscriber);
    socket->upgrade = NULL;
    app->ops->stop(app, socket, kind, cla_slice(NULL, 0));
    cla_socket_forget_app(socket);
    cla_socket_release(socket);
}
