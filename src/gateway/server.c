#include "gateway/server.h"

#include <signal.h>
#include <unistd.h>

#include "base/error.h"

static void on_accept(void *arg, int fd, struct cla_slice peer)
{
    struct cla_server *server = arg;
    struct cla_message message = {.kind = CLA_MESSAGE_CONNECTION, .fd = fd};

    message.peer_n = peer.n < sizeof message.peer ? peer.n : sizeof message.peer;
    memcpy(message.peer, peer.p, message.peer_n);
    if (cla_mailbox_post(&server->outbox, &message) != 0)
        close(fd);
}

static void post(struct cla_server *server, enum cla_message_kind kind)
{
    const struct cla_message message = {.kind = kind};

    if (cla_mailbox_post(&server->outbox, &message) != 0)
        cla_log_line(server->log, CLA_LOG_ERROR, "no memory to tell the worker to stop");
}

static void drain(struct cla_server *server)
{
    server->draining = true;
    cla_listener_close(&server->listener);
    post(server, CLA_MESSAGE_DRAIN);
}

static void on_signal(uv_signal_t *handle, int signal)
{
    struct cla_server *server = handle->data;

    if (!server->draining)
        drain(server);
    else if (signal == SIGINT)
        post(server, CLA_MESSAGE_STOP);
}

/* From the worker: it has ended. */
static void on_message(void *arg, struct cla_message *message)
{
    struct cla_server *server = arg;

    if (message->kind != CLA_MESSAGE_DRAINED)
        return;
    server->abandoned = message->count;
    cla_loop_stop(&server->loop);
}

static void worker_main(void *arg)
{
    struct cla_server *server = arg;
    struct cla_message message = {.kind = CLA_MESSAGE_DRAINED};

    cla_loop_run(server->worker_loop);
    message.count = server->worker.abandoned;
    while (cla_mailbox_post(&server->inbox, &message) != 0)
        uv_sleep(10); /* the control thread must learn of it: wait for memory */
}

static void watch_signal(struct cla_server *server, uv_signal_t *handle, int signal)
{
    uv_signal_init(&server->loop.uv, handle);
    handle->data = server;
    uv_signal_start(handle, on_signal, signal);
}

int cla_server_open(struct cla_server *server, struct cla_loop *worker_loop, struct cla_app *app,
                    const struct cla_config *config, struct cla_log *log,
                    struct cla_log *worker_log)
{
    int rc;

    *server = (struct cla_server){.worker_loop = worker_loop, .log = log};
    rc = cla_loop_init(&server->loop);
    if (rc != 0)
        return rc;
    rc = cla_listener_open(&server->listener, &server->loop, config->listen.host,
                           config->listen.port, on_accept, server);
    if (rc != 0)
        goto fini_loop;
    rc = cla_mailbox_open(&server->inbox, &server->loop, on_message, server);
    if (rc != 0)
        goto close_listener;
    rc = cla_mailbox_open(&server->outbox, worker_loop, cla_worker_on_message, &server->worker);
    if (rc != 0)
        goto close_inbox;
    cla_worker_init(&server->worker, worker_loop, app, config, worker_log,
                    server->listener.loopback);
    watch_signal(server, &server->on_term, SIGTERM);
    watch_signal(server, &server->on_int, SIGINT);
    return 0;
close_inbox:
    cla_mailbox_close(&server->inbox);
close_listener:
    cla_listener_close(&server->listener);
fini_loop:
    cla_loop_fini(&server->loop);
    return rc;
}

unsigned cla_server_run(struct cla_server *server)
{
    if (uv_thread_create(&server->thread, worker_main, server) != 0) {
        cla_log_line(server->log, CLA_LOG_ERROR, "cannot start the worker thread");
        return 0;
    }
    cla_loop_run(&server->loop);
    uv_thread_join(&server->thread);
    return server->abandoned;
}

void cla_server_fini(struct cla_server *server)
{
    if (!server->draining)
        cla_listener_close(&server->listener);
    cla_mailbox_close(&server->inbox);
    cla_mailbox_close(&server->outbox);
    uv_close((uv_handle_t *)&server->on_term, NULL);
    uv_close((uv_handle_t *)&server->on_int, NULL);
    uv_run(&server->worker_loop->uv, UV_RUN_NOWAIT); /* runs the last callbacks of closed streams */
    cla_worker_fini(&server->worker);
    cla_loop_fini(&server->loop);
}
