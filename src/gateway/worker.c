/* Drain, happy path: idle connections close, calls end, connections close after their answers, and
 * with the last of them the loop stops.
 * Failure modes: after drain_timeout what still runs is cancelled (shutdown); after the shutdown's
 * grace it is abandoned and counted. A second request to stop does both at once. */
#include "gateway/worker.h"

#include <unistd.h>

#include "base/log.h"
#include "gateway/admission.h"
#include "gateway/exchange_pool.h"
#include "gateway/generations.h"
#include "gateway/socket.h"
#include "gateway/worker_trim.h"

/* HTTP connections that go on between two looks at the clock. */
#define ADVANCE_BATCH 4
/* Calls of lost connections that are cancelled in a turn, about: as many as unwind in one. More
 * would hold up other connections, and what a call needs would have left the processor's caches
 * when it comes to unwind. */
#define LOST_CALLS 64
/* Turns whose log lines are written together, at most. */
#define LOG_TURNS 8
/* Buffers larger than this are not kept: a burst of large ones would stay for ever. */
#define KEEP_BYTES 4096
/* Calls that end at the deadline of their grace get this long to be noticed. */
#define ABANDON_MARGIN_NS (200 * CLA_NS_PER_MS)

void cla_worker_advance_later(struct cla_worker *worker, struct cla_conn *conn)
{
    if (cla_list_empty(&conn->advance))
        cla_list_push(&worker->advance, &conn->advance);
}

static int calls_of(const struct cla_conn *conn)
{
    return conn->socket != NULL ? (int)conn->socket->in_flight : 1;
}

/* All calls of a connection that is lost are cancelled at the same time. */
static void close_lost(struct cla_worker *worker)
{
    bool held = cla_loop_hold_now(worker->loop);
    struct cla_link *link;

    while (worker->may_cancel > 0 && (link = cla_list_pop(&worker->lost)) != NULL) {
        struct cla_conn *conn = CLA_CONTAINER(link, struct cla_conn, advance);

        worker->may_cancel -= calls_of(conn);
        cla_conn_close(conn, CLA_CANCEL_DISCONNECT);
    }
    if (held)
        cla_loop_release_now(worker->loop);
}

void cla_worker_conn_lost(struct cla_worker *worker, struct cla_conn *conn)
{
    cla_list_remove(&conn->advance);
    cla_list_push(&worker->lost, &conn->advance);
    close_lost(worker);
}

/* What one connection was above that is taken off the next turns. */
static void lose_more(struct cla_worker *worker)
{
    worker->may_cancel += LOST_CALLS;
    if (worker->may_cancel > LOST_CALLS)
        worker->may_cancel = LOST_CALLS;
    close_lost(worker);
}

void cla_worker_judge_later(struct cla_worker *worker, struct cla_socket *socket)
{
    if (cla_list_empty(&socket->judge))
        cla_list_push(&worker->judge, &socket->judge);
}

void cla_worker_flush_later(struct cla_worker *worker, struct cla_conn *conn)
{
    if (cla_list_empty(&conn->dirty))
        cla_list_push(&worker->dirty, &conn->dirty);
}

void cla_worker_take_buf(struct cla_worker *worker, struct cla_buf *buf)
{
    if (worker->buf_count > 0)
        *buf = worker->bufs[--worker->buf_count];
}

void cla_worker_put_buf(struct cla_worker *worker, struct cla_buf *buf)
{
    buf->n = 0;
    if (buf->cap == 0 || buf->cap > KEEP_BYTES || worker->buf_count == CLA_WORKER_BUFS)
        cla_buf_fini(buf);
    else
        worker->bufs[worker->buf_count++] = cla_buf_take(buf);
}

struct cla_http_parser *cla_worker_take_parser(struct cla_worker *worker, struct cla_conn *conn)
{
    struct cla_http_parser *parser;

    if (worker->parser_count == 0)
        return cla_http_parser_new_request(&parser, &worker->http_limits, &cla_conn_http_events,
                                           conn) == 0
                   ? parser
                   : NULL;
    parser = worker->parsers[--worker->parser_count];
    cla_http_parser_set_arg(parser, conn);
    return parser;
}

void cla_worker_put_parser(struct cla_worker *worker, struct cla_http_parser *parser)
{
    if (worker->parser_count == CLA_WORKER_PARSERS)
        cla_http_parser_free(parser);
    else
        worker->parsers[worker->parser_count++] = parser;
}

struct cla_slice cla_worker_date(struct cla_worker *worker)
{
    if (worker->wall_ns == 0)
        worker->wall_ns = cla_clock_wall_ns();
    return cla_http_date_line(&worker->date, worker->wall_ns);
}

static void flush_all(struct cla_worker *worker)
{
    struct cla_link *link;

    while ((link = cla_list_pop(&worker->dirty)) != NULL)
        cla_conn_flush(CLA_CONTAINER(link, struct cla_conn, dirty));
}

/* Lets connections go on that have the next request in hand already, each once, until time is up;
 * the rest come first the next time. Returns false if time is up. */
static bool advance_all(struct cla_worker *worker, uint64_t until_ns)
{
    struct cla_link list, *link;
    unsigned n = 0;
    bool in_time = true;

    cla_list_init(&list);
    cla_list_move(&list, &worker->advance);
    while (in_time && (link = cla_list_pop(&list)) != NULL) {
        struct cla_conn *conn = CLA_CONTAINER(link, struct cla_conn, advance);
        bool look = conn->socket != NULL || ++n % ADVANCE_BATCH == 0;

        cla_conn_advance(conn);
        in_time = !look || cla_clock_monotonic_ns() < until_ns;
    }
    cla_list_move(&list, &worker->advance);
    cla_list_move(&worker->advance, &list);
    return in_time && cla_clock_monotonic_ns() < until_ns;
}

/* Lets texts go on whose calls waited for another to begin. Returns false if none could. */
static bool judge_all(struct cla_worker *worker)
{
    struct cla_link list, *link;
    bool any = false;

    if (cla_list_empty(&worker->judge))
        return false;
    cla_list_init(&list);
    cla_list_move(&list, &worker->judge);
    while ((link = cla_list_pop(&list)) != NULL)
        any |= cla_socket_judge(CLA_CONTAINER(link, struct cla_socket, judge));
    return any;
}

/* The grace of the shutdown, or what is left of it. */
static uint64_t grace_left_ns(const struct cla_worker *worker)
{
    uint64_t until_ns = cla_loop_now_ns(worker->loop) + ABANDON_MARGIN_NS;

    if (!worker->forced)
        return worker->shutdown_grace_ns;
    return worker->drain_timer.due_ns > until_ns ? worker->drain_timer.due_ns - until_ns : 0;
}

static void maybe_finished(struct cla_worker *worker)
{
    if (!worker->env.draining || worker->conn_count > 0 || worker->env.in_flight > 0 ||
        !cla_generations_end(worker, grace_left_ns(worker)))
        return;
    cla_timer_stop(&worker->loop->timers, &worker->drain_timer);
    cla_loop_stop(worker->loop);
}

/* --- Turns. --- */

/* Nothing is being written between turns. */
static void settle_reply(struct cla_buf *reply)
{
    reply->n = 0;
    if (reply->cap > KEEP_BYTES)
        cla_buf_fini(reply);
}

/* A write costs more than its bytes: where the next turn follows at once its lines may join. */
static void flush_log(struct cla_worker *worker, bool more)
{
    if (worker->log_buf.n > 0 && more && ++worker->log_turns < LOG_TURNS)
        return;
    worker->log_turns = 0;
    if (worker->log_buf.n > 0)
        cla_log_flush(worker->env.log, &worker->log_buf);
}

/* The end of a loop turn: runs what is ready, and the requests behind it, then writes once. */
static bool turn(void *arg)
{
    struct cla_worker *worker = arg;
    uint64_t until = 0;
    enum cla_app_left left;
    bool more;

    cla_worker_trim_turn_begins(worker);
    for (;;) {
        left = cla_generations_run(worker);
        more = judge_all(worker) || left != CLA_APP_NOTHING;
        if (cla_list_empty(&worker->advance))
            break; /* the app has had its share of the turn */
        if (until == 0)
            until = cla_clock_monotonic_ns() + CLA_WORKER_TURN_NS;
        /* What is ready comes before what would make more of it, and is not to stop that for ever.
         */
        if (more && left != CLA_APP_SLICED && cla_clock_monotonic_ns() < until)
            continue;
        if (!advance_all(worker, more ? 0 : until))
            break;
    }
    worker->read_began_ns = 0;
    lose_more(worker);
    flush_all(worker);
    cla_counts_settle(&worker->counts);
    settle_reply(&worker->reply);
    worker->wall_ns = 0;
    cla_generations_tidy(worker);
    maybe_finished(worker);
    more = cla_generations_ready(worker) || !cla_list_empty(&worker->advance) ||
           !cla_list_empty(&worker->dirty) || !cla_list_empty(&worker->lost);
    flush_log(worker, more);
    return cla_worker_trim_turn_ends(worker, !more) || more;
}

/* --- Draining. --- */

void cla_worker_conn_gone(struct cla_worker *worker)
{
    worker->conn_count--;
    maybe_finished(worker);
}

static void close_all(struct cla_worker *worker)
{
    CLA_LIST_EACH (link, &worker->conns) {
        cla_conn_close(CLA_CONTAINER(link, struct cla_conn, link), CLA_CANCEL_SHUTDOWN);
    }
}

static void cancel_calls(struct cla_worker *worker)
{
    CLA_LIST_EACH (link, &worker->exchanges) {
        struct cla_exchange *exchange = CLA_CONTAINER(link, struct cla_exchange, link);

        CLA_EXCHANGE_EACH_CALL (call, exchange)
            cla_call_cancel(call, CLA_CANCEL_SHUTDOWN, cla_slice(NULL, 0));
    }
}

static void cancel_all(struct cla_worker *worker)
{
    /* First: what the ends of sockets begin is to run. */
    cla_generations_stop_jobs(worker, worker->shutdown_grace_ns);
    cancel_calls(worker);
    CLA_LIST_EACH (link, &worker->conns) {
        struct cla_socket *socket = CLA_CONTAINER(link, struct cla_conn, link)->socket;

        if (socket != NULL && socket->route != NULL)
            cla_socket_close(socket, CLA_WS_GOING_AWAY, CLA_LIT("the server is shutting down"),
                             CLA_CANCEL_SHUTDOWN);
    }
}

/* The drain's time is over: cancels what runs. */
static void force(struct cla_worker *worker)
{
    worker->forced = true;
    cancel_all(worker);
    cla_timer_start(&worker->loop->timers, &worker->drain_timer,
                    cla_loop_now_ns(worker->loop) + worker->shutdown_grace_ns + ABANDON_MARGIN_NS);
}

static void abandon(struct cla_worker *worker)
{
    worker->stopped = true;
    worker->abandoned += cla_generations_abandon(worker);
    flush_all(worker); /* their terminal replies */
    close_all(worker);
    maybe_finished(worker);
}

static void on_drain_timer(struct cla_timer *timer)
{
    struct cla_worker *worker = CLA_CONTAINER(timer, struct cla_worker, drain_timer);

    if (worker->forced)
        abandon(worker);
    else
        force(worker);
}

static void drain(struct cla_worker *worker)
{
    if (worker->env.draining)
        return;
    worker->env.draining = true;
    cla_log_line(worker->env.log, CLA_LOG_INFO, "draining calls=%u connections=%u",
                 worker->env.in_flight, worker->conn_count);
    CLA_LIST_EACH (link, &worker->conns) {
        cla_conn_drain(CLA_CONTAINER(link, struct cla_conn, link));
    }
    cla_timer_start(&worker->loop->timers, &worker->drain_timer,
                    cla_clock_add(cla_loop_now_ns(worker->loop), worker->drain_timeout_ns));
    maybe_finished(worker);
}

/* --- Messages. --- */

void cla_worker_expect(struct cla_worker *worker, const struct cla_arrival *arrival)
{
    if (arrival->refusal == NULL)
        atomic_fetch_add_explicit(&worker->admitted, 1, memory_order_relaxed);
}

void cla_worker_forget(struct cla_worker *worker, const struct cla_arrival *arrival)
{
    if (arrival->refusal != NULL)
        return;
    cla_admission_leave(arrival->of_address);
    atomic_fetch_sub_explicit(&worker->admitted, 1, memory_order_relaxed);
}

unsigned cla_worker_connections(struct cla_worker *worker)
{
    return atomic_load_explicit(&worker->admitted, memory_order_relaxed);
}

static void open_connection(struct cla_worker *worker, const struct cla_arrival *arrival)
{
    struct cla_conn *conn;

    if (worker->env.draining) {
        cla_arrival_drop(arrival);
        cla_worker_forget(worker, arrival);
        return;
    }
    if (cla_conn_open(worker, arrival) != 0) {
        cla_log_line(worker->env.log, CLA_LOG_ERROR, "cannot take on a connection from %.*s",
                     (int)arrival->peer_n, arrival->peer);
        return;
    }
    if (arrival->refusal == NULL)
        return;
    conn = CLA_CONTAINER(worker->conns.prev, struct cla_conn, link);
    cla_conn_refuse(conn, 503, arrival->refusal);
}

static struct cla_call *find_call(struct cla_worker *worker, uint64_t id)
{
    CLA_LIST_EACH (link, &worker->exchanges) {
        struct cla_exchange *exchange = CLA_CONTAINER(link, struct cla_exchange, link);

        CLA_EXCHANGE_EACH_CALL (call, exchange) {
            if (call->id == id)
                return call;
        }
    }
    return NULL;
}

bool cla_worker_kill(struct cla_worker *worker, uint64_t id, bool now)
{
    struct cla_call *call = find_call(worker, id);
    struct cla_app *app;

    if (call == NULL || call->id == 0)
        return false;
    app = call->app;
    cla_call_cancel(call, CLA_CANCEL_KILLED, cla_slice(NULL, 0));
    if (now)
        app->ops->end_grace(app, call);
    return true;
}

void cla_worker_on_message(void *arg, struct cla_message *message)
{
    struct cla_worker *worker = arg;

    switch (message->kind) {
    case CLA_MESSAGE_CONNECTION:
        open_connection(worker, &message->arrival);
        break;
    case CLA_MESSAGE_DRAIN:
        drain(worker);
        break;
    case CLA_MESSAGE_STOP:
        drain(worker);
        if (!worker->forced)
            cancel_all(worker);
        abandon(worker);
        break;
    case CLA_MESSAGE_LOG_LEVEL:
        worker->env.log->level = (enum cla_log_level)message->count;
        break;
    case CLA_MESSAGE_ADOPT:
        cla_generations_adopt(worker, message->adoption);
        break;
    case CLA_MESSAGE_SURVEY: /* the server's, which knows who asks */
    case CLA_MESSAGE_SURVEYED:
    case CLA_MESSAGE_ADOPTED:
    case CLA_MESSAGE_LEFT:
    case CLA_MESSAGE_DRAINED:
        break; /* for the control thread */
    }
}

/* --- Setting up. --- */

static void read_limits(struct cla_worker *worker, const struct cla_config *config)
{
    worker->http_limits = (struct cla_http_limits){
        .head_bytes = config->head_bytes,
        .field_count = (unsigned)config->header_count,
        .target_bytes = config->target_bytes,
        .body_bytes = config->body_bytes,
    };
    worker->json_depth = (unsigned)config->json_depth;
    worker->batch_items = (unsigned)config->batch_items;
    worker->calls_per_connection = (unsigned)config->calls_per_connection;
    worker->subscriptions_per_connection = (unsigned)config->subscriptions_per_connection;
    worker->reset_interval_ns = CLA_NS_PER_S / config->resets_per_second;
    worker->ws = (struct cla_ws_settings){
        .message_bytes = config->message_bytes,
        .fragments = (unsigned)config->message_fragments,
        .deflate = CLA_WS_DEFLATE_DEFAULTS,
    };
    worker->ws.deflate.on = config->compression;
    worker->ping_interval_ns = config->ping_interval_ns;
    worker->pong_timeout_ns = config->pong_timeout_ns;
    worker->handshake_timeout_ns = config->handshake_timeout_ns;
    worker->header_timeout_ns = config->header_timeout_ns;
    worker->body_timeout_ns = config->body_timeout_ns;
    worker->idle_timeout_ns = config->idle_timeout_ns;
    worker->write_timeout_ns = config->write_timeout_ns;
    worker->drain_timeout_ns = config->drain_timeout_ns;
    worker->shutdown_grace_ns = config->shutdown_grace_ns;
    worker->reload_drain_ns = config->reload_drain_ns;
    worker->grace_ns = config->grace_ns;
    worker->requests_per_connection = config->requests_per_connection;
    worker->pipeline_bytes = config->pipeline_bytes;
    worker->out_bytes = config->out_bytes;
}

static void set_app(struct cla_worker *worker, struct cla_app *app)
{
    app->worker = worker;
    app->topics = &worker->topics;
    app->stage = CLA_APP_CURRENT;
    worker->env.app = worker->rules.app = app;
}

void cla_worker_init(struct cla_worker *worker, struct cla_loop *loop, struct cla_app *app,
                     const struct cla_config *config, struct cla_log *log)
{
    *worker = (struct cla_worker){.loop = loop, .may_cancel = LOST_CALLS};
    cla_list_init(&worker->older);
    cla_list_init(&worker->conns);
    cla_list_init(&worker->exchanges);
    cla_exchange_pool_init(&worker->https);
    cla_blocks_init(&worker->texts, CLA_BLOCKS_SLABS_OR(CLA_BLOCKS_SEAM));
    cla_list_init(&worker->advance);
    cla_list_init(&worker->lost);
    cla_list_init(&worker->dirty);
    cla_list_init(&worker->judge);
    cla_topics_init(&worker->topics);
    cla_timer_init(&worker->drain_timer, on_drain_timer);
    cla_worker_trim_init(worker);
    cla_call_env_init(&worker->env, app, loop, log, &worker->log_buf, config);
    log->pending = &worker->log_buf;
    read_limits(worker, config);
    worker->rules = (struct cla_route_rules){
        .hosts = config->hosts.items,
        .host_count = config->hosts.count,
        .origins = config->origins.items,
        .origin_count = config->origins.count,
    };
    set_app(worker, app);
    cla_loop_on_turn(loop, turn, worker);
}

static void enter(struct cla_worker *worker, struct cla_app *app)
{
    if (app->ops->enter != NULL)
        app->ops->enter(app, worker->loop, worker->env.log);
}

void cla_worker_enter(struct cla_worker *worker)
{
    enter(worker, worker->env.app);
    cla_generations_begin(worker);
}

void cla_worker_seat(struct cla_worker *worker, struct cla_app *app)
{
    set_app(worker, app);
    enter(worker, app);
}

int cla_worker_count_calls(struct cla_worker *worker, struct cla_counts_names *names)
{
    int rc = cla_counts_init(&worker->counts, names, worker->loop);

    if (rc == 0)
        worker->env.counts = &worker->counts;
    return rc;
}

void cla_worker_fini(struct cla_worker *worker)
{
    CLA_PRE(cla_list_empty(&worker->conns) && cla_list_empty(&worker->exchanges));
    cla_worker_trim_fini(worker);
    cla_blocks_fini(&worker->texts);
    cla_topics_fini(&worker->topics);
    cla_counts_fini(&worker->counts);
    flush_log(worker, false);
    worker->env.log->pending = NULL;
    cla_buf_fini(&worker->log_buf);
}
