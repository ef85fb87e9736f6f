/* Happy path: bytes are fed to the parser; a request is handed on, and while its answer is awaited,
 * or not written, nothing more is read.
 * Failure modes: what the parser refuses, and a request with a body, gets its answer, FIN, and a
 * moment in which what still comes is dropped: a reset would take the answer with it. Who is slow,
 * either way, is closed.
 * On close: the stream's last callback frees the connection. */
#include "gateway/ops_http.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "gateway/listen.h"
#include "http/url.h"
#include "io/stream.h"

struct cla_ops_conn {
    struct cla_stream stream;
    struct cla_link link; /* in http->conns */
    struct cla_ops_http *http;
    struct cla_http_parser *parser;
    struct cla_buf in; /* read and not parsed */
    struct cla_timer timer;
    char path[32];  /* of the request; a longer one is none of ours, and empty here */
    char host[320]; /* likewise: no name is as long */
    struct cla_ops_request request;
    bool has_head; /* 'request' is there … */
    bool complete; /* … all of it */
    bool head_only, keep_alive, version_1_0;
    bool asked; /* the answer is awaited */
    bool over;  /* it had the last one */
};

static void start_timer(struct cla_ops_conn *conn, uint64_t ns)
{
    struct cla_loop *loop = conn->http->loop;

    cla_timer_start(&loop->timers, &conn->timer, cla_clock_add(cla_loop_now_ns(loop), ns));
}

static void on_timer(struct cla_timer *timer)
{
    cla_stream_close(&CLA_CONTAINER(timer, struct cla_ops_conn, timer)->stream);
}

/* --- Answers. --- */

/* All is written that will be: FIN, and what the peer still sends is dropped. */
static void end_output(struct cla_ops_conn *conn)
{
    if (conn->stream.ended && conn->stream.queued == 0) {
        cla_stream_close(&conn->stream);
        return;
    }
    cla_stream_shutdown(&conn->stream);
    start_timer(conn, conn->stream.queued > 0 ? CLA_OPS_IDLE_NS : CLA_OPS_LINGER_NS);
}

static int write_answer(struct cla_ops_conn *conn, const struct cla_ops_answer *answer,
                        struct cla_buf *out)
{
    struct cla_http_reply reply = {
        .status = answer->status,
        .content_type = answer->type,
        .content_length = answer->body.n,
        .fields = answer->fields,
        .date = cla_http_date_line(&conn->http->date, cla_clock_wall_ns()),
        .close = !conn->keep_alive,
        .keep_alive_1_0 = conn->keep_alive && conn->version_1_0,
    };
    int rc = cla_http_write_reply(out, &reply);

    return rc != 0 || conn->head_only ? rc : cla_buf_add(out, answer->body);
}

void cla_ops_http_answer(struct cla_ops_conn *conn, const struct cla_ops_answer *answer)
{
    struct cla_buf out = {0};

    conn->asked = conn->has_head = conn->complete = false;
    conn->over = !conn->keep_alive;
    cla_list_remove(&conn->link);
    cla_list_push(&conn->http->conns, &conn->link);
    start_timer(conn, CLA_OPS_IDLE_NS);
    if (write_answer(conn, answer, &out) == 0)
        cla_stream_write(&conn->stream, &out);
    else
        cla_stream_close(&conn->stream);
    cla_buf_fini(&out);
    if (conn->over && !conn->stream.closing)
        end_output(conn);
}

/* --- Requests. --- */

/* Copies a slice of the head, which is gone when the parser returns; too long, and it is empty. */
static struct cla_slice keep(char *to, size_t bytes, struct cla_slice from)
{
    if (from.n > bytes)
        from.n = 0;
    memcpy(to, from.n > 0 ? from.p : "", from.n);
    return cla_slice(to, from.n);
}

static void on_head(void *arg, const struct cla_http_head *head)
{
    struct cla_ops_conn *conn = arg;
    struct cla_http_target target = {0};

    if (cla_http_target_split(head->target, &target) != 0)
        target.path = cla_slice(NULL, 0);
    conn->has_head = true;
    conn->request = (struct cla_ops_request){
        .method = head->method,
        .path = keep(conn->path, sizeof conn->path, target.path),
        .host = keep(conn->host, sizeof conn->host, head->host),
        .has_body = head->has_body,
    };
    conn->head_only = head->method == CLA_HTTP_HEAD;
    conn->keep_alive = head->keep_alive && !head->has_body && !conn->stream.ended;
    conn->version_1_0 = head->version_minor == 0;
}

static void on_body(void *arg, struct cla_slice bytes)
{
    (void)arg, (void)bytes;
}

static void on_complete(void *arg)
{
    ((struct cla_ops_conn *)arg)->complete = true;
}

static const struct cla_http_events http_events = {
    .on_head = on_head, .on_body = on_body, .on_end = on_complete};

/* A body is refused by its announcement. */
static const struct cla_http_limits http_limits = {.head_bytes = CLA_OPS_HEAD_MAX,
                                                   .field_count = 64,
                                                   .target_bytes = 1024,
                                                   .body_bytes = INT64_MAX};

static void refuse(struct cla_ops_conn *conn)
{
    char text[320];
    int n = snprintf(text, sizeof text, "%s\n", cla_http_parser_error(conn->parser));

    conn->keep_alive = false;
    cla_ops_http_answer(conn, &(struct cla_ops_answer){
                                  .status = cla_http_parser_status(conn->parser),
                                  .type = "text/plain; charset=utf-8",
                                  .body = cla_slice(text, (size_t)n),
                              });
}

/* Parses what is there, up to the end of one request. */
static void parse(struct cla_ops_conn *conn)
{
    size_t taken = 0;
    enum cla_http_result result =
        cla_http_parser_feed(conn->parser, conn->in.p, conn->in.n, &taken);

    if (result == CLA_HTTP_FAILED) {
        conn->head_only = false;
        refuse(conn);
        return;
    }
    cla_buf_drop(&conn->in, taken);
    if (!conn->complete && !(conn->has_head && conn->request.has_body))
        return;
    conn->asked = true;
    conn->http->on_request(conn->http->arg, conn, &conn->request);
}

/* True if a request may be looked at. */
static bool may_read(const struct cla_ops_conn *conn)
{
    return !conn->asked && !conn->over && !conn->stream.closing && conn->stream.queued == 0;
}

static void go_on(struct cla_ops_conn *conn)
{
    while (may_read(conn) && conn->in.n > 0)
        parse(conn);
    if (conn->stream.closing)
        return;
    if (conn->over || may_read(conn))
        cla_stream_read(&conn->stream);
    else
        cla_stream_pause(&conn->stream);
}

void cla_ops_http_answer_all(struct cla_ops_http *http, const struct cla_ops_answer *answer)
{
    struct cla_link all, *link;

    cla_list_init(&all);
    cla_list_move(&all, &http->conns);
    while ((link = cla_list_pop(&all)) != NULL) { /* answering moves it to the end of the others */
        struct cla_ops_conn *conn = CLA_CONTAINER(link, struct cla_ops_conn, link);

        cla_list_push(&http->conns, link);
        if (!conn->asked || conn->stream.closing)
            continue;
        cla_ops_http_answer(conn, answer);
        go_on(conn);
    }
}

/* --- Connections. --- */

static struct cla_ops_conn *conn_of(struct cla_stream *stream)
{
    return CLA_CONTAINER(stream, struct cla_ops_conn, stream);
}

static void on_read(struct cla_stream *stream, struct cla_slice bytes)
{
    struct cla_ops_conn *conn = conn_of(stream);

    if (stream->closing || conn->over)
        return;
    if (cla_buf_add(&conn->in, bytes) != 0)
        cla_stream_close(stream);
    else
        go_on(conn);
}

/* Who has sent its last request may still want the answer. */
static void on_end(struct cla_stream *stream, int rc)
{
    struct cla_ops_conn *conn = conn_of(stream);

    conn->keep_alive = false;
    if (rc != 0 || (!conn->asked && stream->queued == 0))
        cla_stream_close(stream);
}

static void on_drained(struct cla_stream *stream)
{
    struct cla_ops_conn *conn = conn_of(stream);

    if (stream->ended && !conn->asked)
        cla_stream_close(stream);
    else if (conn->over)
        start_timer(conn, CLA_OPS_LINGER_NS);
    else
        go_on(conn);
}

static void on_closed(struct cla_stream *stream)
{
    struct cla_ops_conn *conn = conn_of(stream);

    cla_timer_stop(&conn->http->loop->timers, &conn->timer);
    cla_list_remove(&conn->link);
    conn->http->conn_count--;
    cla_http_parser_free(conn->parser);
    cla_buf_fini(&conn->in);
    cla_mem_free(conn);
}

static const struct cla_stream_events stream_events = {on_read, on_end, on_drained, on_closed};

static bool idle(const struct cla_ops_conn *conn)
{
    return may_read(conn) && conn->in.n == 0 && !cla_http_parser_in_message(conn->parser);
}

/* Makes room for one more; false: all are busy. */
static bool make_room(struct cla_ops_http *http)
{
    if (http->conn_count < CLA_OPS_CONNECTIONS_MAX)
        return true;
    CLA_LIST_EACH (link, &http->conns) {
        struct cla_ops_conn *conn = CLA_CONTAINER(link, struct cla_ops_conn, link);

        if (!idle(conn))
            continue;
        cla_stream_close(&conn->stream);
        return http->conn_count < 2 * CLA_OPS_CONNECTIONS_MAX; /* with those not yet freed */
    }
    return false;
}

static void on_accept(void *arg, int fd, const struct cla_listener_peer *peer)
{
    struct cla_ops_http *http = arg;
    struct cla_ops_conn *conn = make_room(http) ? cla_mem_zalloc(sizeof *conn) : NULL;

    (void)peer;
    if (conn != NULL &&
        cla_http_parser_new_request(&conn->parser, &http_limits, &http_events, conn) != 0) {
        cla_mem_free(conn);
        conn = NULL;
    }
    if (conn == NULL) {
        close(fd);
        return;
    }
    conn->http = http;
    cla_timer_init(&conn->timer, on_timer);
    cla_list_push(&http->conns, &conn->link);
    http->conn_count++;
    if (cla_stream_open(&conn->stream, http->loop, fd, &stream_events) != 0) {
        close(fd); /* on_closed frees it */
        return;
    }
    start_timer(conn, CLA_OPS_IDLE_NS);
    cla_stream_read(&conn->stream);
}

static void on_shortage(void *arg)
{
    (void)arg;
}

static const struct cla_listener_events listener_events = {on_accept, on_shortage};

/* --- Opening. --- */

static void explain(const char *name, const char *where, int rc, struct cla_config_error *error)
{
    const char *why = cla_error_text(rc);

    if (rc == -CLA_EADDRINUSE)
        why = "it is in use; choose another address";
    else if (rc == -CLA_ENOTFOUND)
        why = "there is no such address or folder here";
    else if (rc == -CLA_EIO && errno != 0)
        why = strerror(errno);
    snprintf(error->text, sizeof error->text, "cannot listen on '%s' (%s): %s", where, name, why);
}

int cla_ops_http_open(struct cla_ops_http *http, struct cla_loop *loop, const char *name,
                      const char *where, cla_ops_http_cb *on_request, void *arg,
                      struct cla_config_error *error)
{
    struct cla_listen listen;
    int rc;

    *http = (struct cla_ops_http){.loop = loop, .on_request = on_request, .arg = arg};
    cla_list_init(&http->conns);
    (void)cla_listen_read(cla_slice_str(where), &listen);
    errno = 0;
    if (listen.local)
        rc = cla_listener_open_local(&http->listener, loop, listen.host, listen.mode,
                                     &listener_events, http);
    else
        rc = cla_listener_open(&http->listener, loop, listen.host, listen.port, &listener_events,
                               http);
    http->open = rc == 0;
    if (rc != 0)
        explain(name, where, rc, error);
    return rc;
}

void cla_ops_http_close(struct cla_ops_http *http)
{
    if (!http->open)
        return;
    http->open = false;
    cla_listener_close(&http->listener);
    CLA_LIST_EACH (link, &http->conns) {
        cla_stream_close(&CLA_CONTAINER(link, struct cla_ops_conn, link)->stream);
    }
}
