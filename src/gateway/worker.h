/* One worker thread's share of the gateway: its connections, calls and end-of-turn step.
 *
 * Worker thread, but for init and fini. Depends on: gateway/conn, gateway/config, io/loop. */
#ifndef CLA_GATEWAY_WORKER_H
#define CLA_GATEWAY_WORKER_H

#include "base/blocks.h"
#include "gateway/config.h"
#include "gateway/conn.h"
#include "gateway/counts.h"
#include "gateway/mailbox.h"
#include "gateway/text_pool.h"
#include "gateway/topics.h"
#include "gateway/trim.h"
#include "http/head.h"
#include "ws/conn.h"

/* How long a turn may go on reading, starting and running calls before it writes what it has. */
#define CLA_WORKER_TURN_NS (2 * CLA_NS_PER_MS)
/* Buffers kept for the next turns. */
#define CLA_WORKER_BUFS 64
/* Idle HTTP parsers kept. */
#define CLA_WORKER_PARSERS 64

/* What the owner of a worker is told. */
struct cla_worker_events {
    /* The adoption's app is current. */
    void (*adopted)(void *arg, struct cla_adoption *adoption);
    /* The adoption's app, which was not current any more, runs on this thread no longer. */
    void (*left)(void *arg, struct cla_adoption *adoption);
};

struct cla_worker {
    struct cla_loop *loop;
    const struct cla_worker_events *events; /* NULL: there is only one app, ever */
    void *arg;
    struct cla_link older; /* apps that are retired */
    bool first;            /* of the workers: jobs that are for one of them run here */
    bool waits_to_begin;   /* the current app, for the background tasks of those before it */
    struct cla_call_env env;
    struct cla_route_rules rules;
    struct cla_http_limits http_limits;
    struct cla_link conns;                /* not yet freed */
    struct cla_link exchanges;            /* in use */
    struct cla_exchange_pool https;       /* exchanges of HTTP, idle */
    struct cla_text_pool text_pool;       /* what texts lie in */
    struct cla_link advance;              /* connections with pending bytes to go on with */
    struct cla_topics topics;             /* what its clients are subscribed to */
    struct cla_link lost;                 /* connections without a peer, whose calls still run */
    int may_cancel;                       /* so many calls of lost connections in this turn */
    struct cla_link judge;                /* sockets with texts that are postponed */
    struct cla_link dirty;                /* connections with something to write */
    struct cla_buf log_buf;               /* log lines of this turn, and … */
    unsigned log_turns;                   /* … so many before it */
    struct cla_buf scratch;               /* procedure names, header lines */
    struct cla_buf reply;                 /* to a text, while it is written; empty between turns */
    struct cla_buf bufs[CLA_WORKER_BUFS]; /* empty, with memory */
    unsigned buf_count;
    struct cla_http_parser *parsers[CLA_WORKER_PARSERS]; /* idle */
    unsigned parser_count;
    struct cla_http_date date;
    uint64_t read_began_ns;       /* when this turn's reading began; 0: it has not */
    uint64_t wall_ns;             /* wall-clock time of this turn; 0: not yet read */
    struct cla_timer drain_timer; /* ends the drain, then the shutdown's grace */
    struct cla_trim trim;
    struct cla_trim backlog_trim; /* of what buffers of 'backlogged' leave */
    unsigned conn_count;          /* not yet freed */
    unsigned websockets;          /* open */
    uint64_t slow_consumers;      /* clients closed because they did not read */
    struct cla_counts counts;     /* of ended calls; zeroed if nobody asks */
    struct cla_app_counts gone;   /* of generations that are gone */
    atomic_uint admitted; /* connections handed over and not yet gone; the control thread reads */
    unsigned backlogged;  /* connections with memory for pending bytes */
    unsigned json_depth, batch_items;
    unsigned calls_per_connection; /* of a WebSocket */
    unsigned subscriptions_per_connection;
    uint64_t reset_interval_ns; /* between the resets of a WebSocket, on average of a second */
    struct cla_ws_settings ws;
    uint64_t ping_interval_ns, pong_timeout_ns;
    uint64_t handshake_timeout_ns;
    uint64_t header_timeout_ns, body_timeout_ns, idle_timeout_ns, write_timeout_ns;
    uint64_t drain_timeout_ns, shutdown_grace_ns;
    uint64_t reload_drain_ns, grace_ns;
    uint64_t requests_per_connection; /* 0: no limit */
    size_t pipeline_bytes, out_bytes;
    bool forced;             /* the drain's time is over: calls were cancelled */
    bool stopped;            /* what ran was abandoned: nothing begins any more */
    unsigned abandoned;      /* calls that had to be left behind */
    struct cla_blocks texts; /* where exchanges of texts lie */
};

/* Whose exchange that is. */
static inline struct cla_worker *cla_worker_of(const struct cla_exchange *exchange)
{
    return CLA_CONTAINER(cla_exchange_request(exchange)->env, struct cla_worker, env);
}

/* Sets up a worker for 'app' on 'loop', whose turn it becomes. 'config' and 'log', which is the
 * worker's own, must outlive it. */
void cla_worker_init(struct cla_worker *worker, struct cla_loop *loop, struct cla_app *app,
                     const struct cla_config *config, struct cla_log *log);

/* Begins on the calling thread, which is the worker's from now on. */
void cla_worker_enter(struct cla_worker *worker);

/* Makes 'app' the current one, on the worker's thread. */
void cla_worker_seat(struct cla_worker *worker, struct cla_app *app);

/* Has ended calls counted. Before its thread runs. Returns 0 or -CLA_ENOMEM. */
int cla_worker_count_calls(struct cla_worker *worker, struct cla_counts_names *names);

/* Counts a connection that is about to be handed over. Control thread. */
void cla_worker_expect(struct cla_worker *worker, const struct cla_arrival *arrival);

/* Counts it out again. Any thread. */
void cla_worker_forget(struct cla_worker *worker, const struct cla_arrival *arrival);

/* The connections it has been handed and that are not gone, but for refused ones. Any thread. */
unsigned cla_worker_connections(struct cla_worker *worker);

/* Puts a connection among those that go on this turn. */
void cla_worker_advance_later(struct cla_worker *worker, struct cla_conn *conn);

/* Closes a connection whose peer is gone while calls of it run: at once, or, when many are lost
 * together, in one of the next turns. */
void cla_worker_conn_lost(struct cla_worker *worker, struct cla_conn *conn);

/* Puts a socket among those whose postponed texts are looked at this turn. */
void cla_worker_judge_later(struct cla_worker *worker, struct cla_socket *socket);

/* Puts a connection among those that write this turn. */
void cla_worker_flush_later(struct cla_worker *worker, struct cla_conn *conn);

/* Gives an empty buffer memory, if there is some to spare. */
void cla_worker_take_buf(struct cla_worker *worker, struct cla_buf *buf);

/* An idle parser for 'conn', spare or new. NULL: out of memory. */
struct cla_http_parser *cla_worker_take_parser(struct cla_worker *worker, struct cla_conn *conn);

/* Takes an idle parser back. */
void cla_worker_put_parser(struct cla_worker *worker, struct cla_http_parser *parser);

/* Takes the memory of a buffer back, and leaves it empty. */
void cla_worker_put_buf(struct cla_worker *worker, struct cla_buf *buf);

/* A connection has been freed. */
void cla_worker_conn_gone(struct cla_worker *worker);

/* The Date line, fresh to the second. Borrowed until the next call. */
struct cla_slice cla_worker_date(struct cla_worker *worker);

/* Cancels the call with that number (killed), with 'now' without the grace of clean-up. Returns
 * false if there is none. Also while its code computes. */
bool cla_worker_kill(struct cla_worker *worker, uint64_t id, bool now);

/* A message from the control thread: a cla_mailbox_cb; 'arg' is the worker. */
void cla_worker_on_message(void *arg, struct cla_message *message);

/* Frees what is pooled. No connection, exchange or call may be left. */
void cla_worker_fini(struct cla_worker *worker);

#endif
