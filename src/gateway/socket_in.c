#include "gateway/socket_in.h"

#include "base/error.h"
#include "base/mem.h"
#include "gateway/conn.h"
#include "gateway/worker.h"

static void on_timer(struct cla_timer *timer)
{
    struct cla_socket *socket = CLA_CONTAINER(timer, struct cla_socket_inbox, timer)->socket;
    struct cla_app *app = socket->worker->env.app;

    cla_socket_in_clear(socket);
    app->ops->stop(app, socket, CLA_CANCEL_TIMEOUT, CLA_LIT("the client had closed"));
    cla_socket_all_read(socket);
}

void cla_socket_in_limit(struct cla_socket *socket)
{
    const struct cla_socket_route *route = socket->route;
    struct cla_ws_settings *settings = &socket->inbox->settings;

    *settings = socket->worker->ws;
    if (route->message_bytes > 0)
        settings->message_bytes = route->message_bytes;
    if (route->fragments > 0)
        settings->fragments = route->fragments;
}

int cla_socket_in_open(struct cla_socket *socket)
{
    struct cla_socket_inbox *inbox = cla_mem_zalloc(sizeof *inbox);

    if (inbox == NULL)
        return -CLA_ENOMEM;
    cla_list_init(&inbox->messages);
    cla_timer_init(&inbox->timer, on_timer);
    inbox->socket = socket;
    socket->inbox = inbox;
    cla_socket_in_limit(socket);
    return 0;
}

static size_t cost(const struct cla_socket_message *message)
{
    return sizeof *message + message->n;
}

int cla_socket_in_put(struct cla_socket *socket, enum cla_ws_kind kind, struct cla_slice message)
{
    struct cla_app *app = socket->app;
    struct cla_socket_inbox *inbox = socket->inbox;
    struct cla_socket_message *queued = cla_mem_alloc(sizeof *queued + message.n);

    if (queued == NULL)
        return -CLA_ENOMEM;
    queued->kind = kind;
    queued->n = message.n;
    memcpy(queued->bytes, message.p, message.n);
    cla_list_push(&inbox->messages, &queued->link);
    inbox->bytes += cost(queued);
    if (inbox->bytes >= socket->worker->pipeline_bytes) {
        inbox->full = true;
        cla_ws_conn_pause(&socket->ws);
    }
    app->ops->readable(app, socket);
    return 0;
}

bool cla_socket_in_any(const struct cla_socket *socket)
{
    return socket->inbox != NULL && !cla_list_empty(&socket->inbox->messages);
}

struct cla_socket_message *cla_socket_in_take(struct cla_socket *socket)
{
    struct cla_socket_inbox *inbox = socket->inbox;
    struct cla_link *link = cla_list_pop(&inbox->messages);
    struct cla_socket_message *message;

    if (link == NULL)
        return NULL;
    message = CLA_CONTAINER(link, struct cla_socket_message, link);
    inbox->bytes -= cost(message);
    if (cla_list_empty(&inbox->messages))
        cla_timer_stop(&socket->worker->loop->timers, &inbox->timer);
    if (inbox->full && inbox->bytes < socket->worker->pipeline_bytes) {
        inbox->full = false;
        if (socket->state == CLA_SOCKET_OPEN)
            cla_worker_advance_later(socket->worker, socket->conn);
    }
    return message;
}

void cla_socket_in_closed(struct cla_socket *socket)
{
    struct cla_worker *worker = socket->worker;

    if (cla_socket_in_any(socket) && !cla_timer_active(&socket->inbox->timer))
        cla_timer_start(&worker->loop->timers, &socket->inbox->timer,
                        cla_clock_add(cla_loop_now_ns(worker->loop), worker->env.call_timeout_ns));
}

void cla_socket_in_clear(struct cla_socket *socket)
{
    struct cla_link *link;

    if (socket->inbox == NULL)
        return;
    if (cla_timer_active(&socket->inbox->timer))
        cla_timer_stop(&socket->worker->loop->timers, &socket->inbox->timer);
    while ((link = cla_list_pop(&socket->inbox->messages)) != NULL)
        cla_mem_free(CLA_CONTAINER(link, struct cla_socket_message, link));
    socket->inbox->bytes = 0;
}
