/* Happy path: texts in, texts out, the peer closes, its close is answered, the connection ends.
 * Failure modes: a broken frame or a limit is closed with its code (resets_per_second: 1008); a
 * peer that reads too slowly with 1013; one that does not answer a ping, or is lost, is a
 * disconnect.
 * On close: every call of every text is cancelled, the handler stopped, on_disconnect begins; the
 * socket is freed when the last of them has let go. */
#include "gateway/socket.h"

#include "base/error.h"
#include "base/mem.h"
#include "gateway/access.h"
#include "gateway/conn.h"
#include "gateway/exchange_frame.h"
#include "gateway/socket_in.h"
#include "gateway/socket_out.h"
#include "gateway/worker.h"

/* A connection's share of a turn: bytes of messages, decompressed, and what each costs besides. */
#define SHARE_BYTES 262144
#define MESSAGE_BYTES 2048

/* --- Events of the protocol. --- */

/* A JSON text is one in either kind of message, and so is a frame. */
static int take_message(struct cla_socket *socket, enum cla_ws_kind kind, struct cla_slice message)
{
    if (socket->route != NULL)
        return cla_socket_in_put(socket, kind, message);
    if (cla_socket_framed(socket))
        return cla_exchange_frame_run(socket, message, socket->conn->read_ns);
    return cla_exchange_run_text(socket, message, socket->conn->read_ns);
}

static void on_message(void *arg, enum cla_ws_kind kind, struct cla_slice message)
{
    struct cla_socket *socket = arg;
    int rc = take_message(socket, kind, message);

    socket->fed += MESSAGE_BYTES + (unsigned)message.n;
    if (socket->fed >= SHARE_BYTES)
        cla_ws_conn_pause(&socket->ws);
    if (rc != 0)
        cla_socket_close(socket, CLA_WS_INTERNAL, CLA_LIT("out of memory"), CLA_CANCEL_LIMIT);
}

static void on_ping(void *arg, struct cla_slice payload)
{
    cla_socket_pong(arg, payload);
}

static void on_pong(void *arg, struct cla_slice payload)
{
    (void)arg, (void)payload; /* that something came was noticed before */
}

static struct cla_exchange *text_of(struct cla_link *link)
{
    return CLA_CONTAINER(link, struct cla_exchange, of_socket);
}

/* 'first' is about to be abandoned. What is asked for of those behind it has come by their turn. */
static void expect_next(const struct cla_socket *socket, struct cla_link *first)
{
    const struct cla_link *end = &socket->texts;
    struct cla_link *second = first->next, *third = second->next;

    if (second == end)
        return;
    cla_exchange_expect_call(text_of(second));
    if (third != end)
        cla_exchange_expect(text_of(third));
}

/* Marks every call of every text before any of them runs on. */
static void abandon_texts(struct cla_socket *socket, enum cla_cancel_kind kind)
{
    struct cla_link *link;

    cla_list_remove(&socket->judge);
    while ((link = cla_list_pop(&socket->postponed)) != NULL)
        cla_exchange_abandon(text_of(link), kind);
    while (!cla_list_empty(&socket->texts)) {
        expect_next(socket, socket->texts.next);
        cla_exchange_abandon(text_of(cla_list_pop(&socket->texts)), kind);
    }
}

static void note_end(struct cla_socket *socket, enum cla_cancel_kind kind, unsigned code,
                     struct cla_slice reason)
{
    struct cla_reason cause = cla_reason_make(kind, cla_loop_now_ns(socket->worker->loop), reason);

    cla_reason_fini(&socket->cause); /* the reason may be its own text */
    socket->cause = cause;
    socket->code = code;
}

/* The socket is OVER. 'clean': a handler may read what it has not. */
static void end(struct cla_socket *socket, enum cla_cancel_kind kind, unsigned code,
                struct cla_slice reason, bool clean)
{
    struct cla_app *current = socket->worker->env.app;

    if (socket->state != CLA_SOCKET_OPEN)
        return;
    socket->state = CLA_SOCKET_OVER;
    socket->worker->websockets--;
    socket->ending = false;
    socket->clean = clean;
    note_end(socket, kind, code, reason);
    cla_topics_leave(&socket->worker->topics, &socket->subscriber);
    cla_call_index_close(&socket->calls);
    abandon_texts(socket, kind);
    cla_socket_drained(socket);
    if (clean)
        cla_socket_in_closed(socket);
    else
        cla_socket_in_clear(socket);
    if (socket->app != NULL)
        socket->app->ops->over(socket->app, socket);
    cla_socket_forget_app(socket);
    current->ops->disconnected(current, socket);
}

/* Sends the close frame, and the socket is OVER, as was noted. */
static void end_as_noted(struct cla_socket *socket)
{
    struct cla_slice reason = cla_reason_message(&socket->cause);
    bool answer = socket->ws.closing == CLA_WS_RECEIVED;

    (void)cla_ws_conn_close(&socket->ws, cla_socket_out(socket), socket->code,
                            answer ? cla_slice("", 0) : reason);
    cla_conn_finish(socket->conn);
    end(socket, socket->cause.kind, socket->code, reason, true);
}

/* The peer has closed, or broken the protocol: that counts when the handler has read what came
 * before. */
static void end_in_order(struct cla_socket *socket, unsigned code, struct cla_slice reason)
{
    note_end(socket, CLA_CANCEL_DISCONNECT, code, reason);
    socket->ending = true;
    if (cla_socket_in_any(socket))
        cla_socket_in_closed(socket);
    else
        end_as_noted(socket);
}

void cla_socket_all_read(struct cla_socket *socket)
{
    if (socket->ending && !cla_socket_in_any(socket))
        end_as_noted(socket);
}

static void on_close(void *arg, unsigned code, struct cla_slice reason)
{
    end_in_order(arg, code, reason);
}

static const struct cla_ws_events events = {on_message, on_ping, on_pong, on_close};

void cla_socket_agree(struct cla_socket *socket, const struct cla_ws_agreed *agreed)
{
    const struct cla_ws_settings *settings =
        socket->inbox != NULL ? &socket->inbox->settings : &socket->worker->ws;

    cla_ws_conn_init(&socket->ws, false, settings, agreed, &events, socket);
}

/* --- Life. --- */

void cla_socket_forget_app(struct cla_socket *socket)
{
    if (socket->app != NULL)
        cla_app_unpin(socket->app);
    socket->app = NULL;
}

void cla_socket_renew(struct cla_socket *socket)
{
    struct cla_app *current = socket->worker->env.app;
    const struct cla_socket_route *route;

    if (socket->app == NULL || socket->app == current || socket->state != CLA_SOCKET_OPEN ||
        socket->streams || socket->task != NULL)
        return;
    route = current->ops->find_socket(current, socket->path);
    if (route == NULL || route->streams)
        return;
    cla_socket_forget_app(socket);
    socket->app = cla_app_pin(current);
    socket->route = route;
    cla_socket_in_limit(socket);
}

struct cla_socket *cla_socket_hold(struct cla_socket *socket)
{
    socket->refs++;
    return socket;
}

void cla_socket_release(struct cla_socket *socket)
{
    if (--socket->refs > 0)
        return;
    cla_socket_forget_app(socket);
    cla_ws_conn_fini(&socket->ws);
    cla_call_index_close(&socket->calls);
    cla_socket_in_clear(socket);
    cla_mem_free(socket->inbox);
    cla_socket_data_fini(&socket->data);
    cla_reason_fini(&socket->cause);
    cla_certificate_put(&socket->request.certificate);
    cla_buf_fini(&socket->head);
    cla_buf_fini(&socket->fields);
    cla_mem_free(socket);
}

void cla_socket_job_begins(struct cla_socket *socket, struct cla_app *app)
{
    app->jobs++;
    (void)cla_socket_hold(socket);
}

void cla_socket_job_over(struct cla_socket *socket, struct cla_app *app)
{
    app->jobs--;
    cla_socket_release(socket);
}

void cla_socket_close(struct cla_socket *socket, unsigned code, struct cla_slice reason,
                      enum cla_cancel_kind kind)
{
    if (socket->state != CLA_SOCKET_OPEN)
        return;
    if (socket->ending) { /* the first end wins */
        end_as_noted(socket);
        return;
    }
    if (cla_ws_conn_close(&socket->ws, cla_socket_out(socket), code, reason) == -CLA_ENOMEM) {
        cla_conn_close(socket->conn, kind);
        return;
    }
    cla_conn_finish(socket->conn);
    end(socket, kind, code, reason, false);
}

void cla_socket_drain(struct cla_socket *socket)
{
    struct cla_app *app = socket->app;
    bool idle = app != NULL ? app->ops->idle(app, socket) : cla_list_empty(&socket->texts);

    if (idle)
        cla_socket_close(socket, CLA_WS_GOING_AWAY, CLA_LIT("the server is shutting down"),
                         CLA_CANCEL_SHUTDOWN);
}

void cla_socket_gone(struct cla_socket *socket, enum cla_cancel_kind kind)
{
    if (socket->ending)
        end(socket, socket->cause.kind, socket->code, cla_reason_message(&socket->cause), true);
    else
        end(socket, kind, CLA_WS_ABNORMAL, cla_slice(NULL, 0), false);
    socket->conn = NULL;
    if (socket->feeding)
        cla_ws_conn_pause(&socket->ws);
    else
        cla_ws_conn_fini(&socket->ws); /* scripts may hold the rest for long */
    cla_socket_release(socket);
}

static void act_on(struct cla_socket *socket, enum cla_ws_result result)
{
    struct cla_conn *conn = socket->conn;

    switch (result) {
    case CLA_WS_MORE:
    case CLA_WS_PAUSED:
    case CLA_WS_PEER_CLOSED: /* on_close has seen to that */
        break;
    case CLA_WS_FAILED:
        cla_access_refused(&conn->worker->env, socket->request.peer, socket->ws.code,
                           socket->ws.error);
        end_in_order(socket, socket->ws.code, cla_slice_str(socket->ws.error));
        break;
    }
}

size_t cla_socket_feed(struct cla_socket *socket, char *p, size_t n)
{
    enum cla_ws_result result;
    size_t taken = 0;

    if (socket->ending)
        return n; /* behind the end nothing counts */
    socket->pinged = false;
    socket->fed = 0;
    (void)cla_socket_hold(socket); /* a message may be the end of the connection */
    socket->feeding = true;
    result = cla_ws_conn_feed(&socket->ws, p, n, &taken);
    socket->feeding = false;
    if (socket->conn != NULL)
        act_on(socket, result);
    else
        cla_ws_conn_fini(&socket->ws);
    cla_socket_release(socket);
    return taken;
}

bool cla_socket_full(const struct cla_socket *socket)
{
    return socket->inbox != NULL && socket->inbox->full;
}

/* Calls that are started and reset at once cost the client next to nothing (CVE-2023-44487). Counts
 * one; true: more than a second's worth have come. */
static bool resets_too_often(struct cla_socket *socket)
{
    uint64_t now_ns = socket->conn->read_ns;

    if (socket->resets_ns < now_ns)
        socket->resets_ns = now_ns;
    socket->resets_ns += socket->conn->worker->reset_interval_ns;
    return socket->resets_ns > now_ns + CLA_NS_PER_S;
}

static struct cla_exchange *first_postponed(struct cla_socket *socket)
{
    return CLA_CONTAINER(socket->postponed.next, struct cla_exchange, of_socket);
}

void cla_socket_answered(struct cla_socket *socket)
{
    if (!cla_list_empty(&socket->postponed))
        (void)cla_exchange_judge(first_postponed(socket));
}

bool cla_socket_judge(struct cla_socket *socket)
{
    struct cla_link still;
    bool any = false;

    (void)cla_socket_hold(socket); /* an answer may be the end of the connection */
    cla_list_init(&still);
    while (!cla_list_empty(&socket->postponed)) {
        if (cla_exchange_judge(first_postponed(socket)))
            any = true;
        else
            cla_list_push(&still, cla_list_pop(&socket->postponed));
    }
    cla_list_move(&socket->postponed, &still);
    if (socket->state != CLA_SOCKET_OPEN)
        abandon_texts(socket, socket->cause.kind); /* an answer was the end: these were not there */
    else if (!cla_list_empty(&socket->postponed))
        cla_worker_judge_later(socket->worker, socket);
    cla_socket_release(socket);
    return any;
}

/* Nothing runs by that id: the reset only counts, if its call is known. */
static void count_late_reset(struct cla_socket *socket, struct cla_slice id)
{
    struct cla_call *call = cla_call_index_find_ended(&socket->calls, id);

    if (call != NULL)
        cla_call_cancel(call, CLA_CANCEL_RESET, cla_slice(NULL, 0));
    else if (cla_call_index_answered(&socket->calls, id))
        socket->worker->env.app->late_resets++;
}

/* In frames nothing is sent for a call that was reset, and its id is free at once, though its end
 * may be long in coming. */
static void silence(struct cla_socket *socket, struct cla_call *call)
{
    call->silent = true;
    call->indexed = false;
    cla_call_index_remove(&socket->calls, call);
}

void cla_socket_reset(struct cla_socket *socket, struct cla_slice id)
{
    static const char why[] = "too many calls were reset (resets_per_second)";
    struct cla_call *call = cla_call_index_find(&socket->calls, id);
    struct cla_conn *conn = socket->conn;

    if (call == NULL) {
        count_late_reset(socket, id);
        return;
    }
    if (cla_socket_framed(socket))
        silence(socket, call);
    cla_call_cancel(call, CLA_CANCEL_RESET, cla_slice(NULL, 0));
    if (socket->conn == NULL || !cla_ws_conn_writable(&socket->ws) || !resets_too_often(socket))
        return; /* the answer may have been the end of the connection */
    cla_access_refused(&conn->worker->env, socket->request.peer, CLA_WS_POLICY, why);
    cla_socket_close(socket, CLA_WS_POLICY, cla_slice_str(why), CLA_CANCEL_LIMIT);
}

/* --- Silence. --- */

uint64_t cla_socket_due(const struct cla_socket *socket)
{
    const struct cla_worker *worker = socket->worker;

    if (socket->pinged)
        return cla_clock_add(socket->pinged_ns, worker->pong_timeout_ns);
    return cla_clock_add(socket->conn->read_ns, worker->ping_interval_ns);
}

bool cla_socket_still_there(struct cla_socket *socket)
{
    if (socket->ending || cla_socket_full(socket)) { /* it is we who do not read */
        socket->conn->read_ns = cla_loop_now_ns(socket->worker->loop);
        return true;
    }
    if (socket->pinged)
        return false;
    socket->pinged = true;
    socket->pinged_ns = cla_loop_now_ns(socket->worker->loop);
    (void)cla_ws_conn_ping(&socket->ws, cla_socket_out(socket), cla_slice("", 0));
    return true;
}
