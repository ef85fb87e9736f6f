/* Happy path: a line is read and answered, at once or when the workers have said what they know;
 * the next line is looked at after that.
 * Failure modes: a worker that does not answer within CLA_SURVEY_NS is told of as such; a line that
 * is too long, or a connection too many, is closed. On close: a survey under way is let go of; the
 * stream's last callback frees the connection. */
#include "gateway/admin.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "gateway/reload.h"
#include "io/stream.h"
#include "rpc/jsonrpc.h"

struct cla_admin_conn {
    struct cla_stream stream;
    struct cla_link link;
    struct cla_admin *admin;
    struct cla_buf in;            /* what was read and not answered */
    struct cla_buf id;            /* of the request that waits for the survey, or the reload */
    enum cla_admin_method method; /* likewise */
    struct cla_survey *survey;    /* NULL: none is under way */
    uint64_t ticket;              /* of the reload that is waited for; 0: none */
    struct cla_timer timer;       /* of the survey */
};

/* --- Answers. --- */

static void write_line(struct cla_admin_conn *conn, struct cla_buf *line)
{
    if (cla_buf_push(line, '\n') == 0)
        cla_stream_write(&conn->stream, line);
    else
        cla_stream_close(&conn->stream);
    cla_buf_fini(line);
}

static void answer_error(struct cla_admin_conn *conn, struct cla_slice id, enum cla_code code,
                         const char *why)
{
    const struct cla_rpc_error error = {.code = code, .message = cla_slice_str(why)};
    struct cla_buf line = {0};

    if (cla_jsonrpc_error(&line, id, &error) != 0)
        line.n = 0;
    write_line(conn, &line);
}

/* 'rc' and 'result' say what came of building the result. */
static void answer(struct cla_admin_conn *conn, struct cla_slice id, int rc,
                   struct cla_slice result)
{
    struct cla_buf line = {0};

    if (rc == 0)
        rc = cla_jsonrpc_reply_begin(&line, id);
    if (rc == 0)
        rc = cla_buf_add(&line, result);
    if (rc == 0)
        rc = cla_jsonrpc_reply_end(&line, id);
    if (rc == 0)
        write_line(conn, &line);
    else
        answer_error(conn, id, CLA_CODE_UNAVAILABLE, "out of memory");
    cla_buf_fini(&line);
}

/* What is known of those that have not answered. Returns how many there are. */
static unsigned find_stuck(const struct cla_admin_conn *conn, struct cla_admin_stuck *stuck)
{
    const struct cla_admin *admin = conn->admin;
    unsigned count = 0;

    for (unsigned i = 0; i < conn->survey->count; i++) {
        if (!conn->survey->answers[i].given && admin->events->stuck(admin->arg, i, &stuck[count]))
            count++;
    }
    return count;
}

static void read_answers(const struct cla_survey *survey, struct cla_admin_worker *workers)
{
    for (unsigned i = 0; i < survey->count; i++) {
        const struct cla_survey_answer *given = &survey->answers[i];

        workers[i].answers = given->given;
        if (!given->given)
            continue; /* it may be writing to it just now */
        workers[i].connections = given->connections;
        workers[i].calls = given->calls;
        workers[i].vm_bytes = given->vm_bytes;
    }
}

static int add_status(const struct cla_admin_conn *conn, struct cla_buf *to)
{
    const struct cla_admin *admin = conn->admin;
    const struct cla_survey *survey = conn->survey;
    struct cla_admin_worker *workers = cla_mem_zalloc(survey->count * sizeof *workers);
    struct cla_admin_stuck *stuck = cla_mem_zalloc(survey->count * sizeof *stuck);
    struct cla_admin_status status = {
        .workers = workers, .worker_count = survey->count, .stuck = stuck};
    int rc = -CLA_ENOMEM;

    if (workers != NULL && stuck != NULL) {
        read_answers(survey, workers);
        status.stuck_count = find_stuck(conn, stuck);
        admin->events->describe(admin->arg, &status);
        rc = cla_admin_write_status(to, &status);
    }
    cla_mem_free(workers);
    cla_mem_free(stuck);
    return rc;
}

static int add_stuck(const struct cla_admin_conn *conn, struct cla_buf *to)
{
    struct cla_admin_stuck *stuck = cla_mem_zalloc(conn->survey->count * sizeof *stuck);
    int rc;

    if (stuck == NULL)
        return -CLA_ENOMEM;
    rc = cla_admin_write_stuck(to, stuck, find_stuck(conn, stuck));
    cla_mem_free(stuck);
    return rc;
}

static int add_silent(const struct cla_survey *survey, struct cla_buf *to)
{
    const char *comma = "";
    int rc = cla_buf_add(to, CLA_LIT("],\"silent_workers\":["));

    for (unsigned i = 0; rc == 0 && i < survey->count; i++) {
        if (survey->answers[i].given)
            continue;
        rc = cla_buf_printf(to, "%s%u", comma, i);
        comma = ",";
    }
    return rc == 0 ? cla_buf_push(to, ']') : rc;
}

static int add_calls(const struct cla_admin_conn *conn, struct cla_buf *to)
{
    const struct cla_survey *survey = conn->survey;
    bool any = false;
    int rc = cla_buf_add(to, CLA_LIT("{\"calls\":["));

    for (unsigned i = 0; rc == 0 && i < survey->count; i++) {
        const struct cla_survey_answer *given = &survey->answers[i];

        if (!given->given || given->texts.n == 0)
            continue;
        if (any)
            rc = cla_buf_push(to, ',');
        if (rc == 0)
            rc = cla_buf_add(to, cla_buf_slice(&given->texts));
        any = true;
    }
    if (rc == 0)
        rc = add_silent(survey, to);
    if (rc == 0)
        rc = add_stuck(conn, to);
    return rc == 0 ? cla_buf_push(to, '}') : rc;
}

static void answer_kill(struct cla_admin_conn *conn)
{
    const struct cla_survey *survey = conn->survey;
    struct cla_slice id = cla_buf_slice(&conn->id);

    for (unsigned i = 0; i < survey->count; i++) {
        if (survey->answers[i].given && survey->answers[i].found) {
            answer(conn, id, 0, CLA_LIT("{\"killed\":true}"));
            return;
        }
    }
    if (survey->given < survey->count)
        answer_error(conn, id, CLA_CODE_UNAVAILABLE,
                     "a worker computes what nothing can interrupt, and does not answer: if the "
                     "call is its, it is killed when that ends");
    else
        answer_error(conn, id, CLA_CODE_NOT_FOUND, "no call with this id is in flight: see ps");
}

/* --- Requests. --- */

static void look_at_lines(struct cla_admin_conn *conn);

static void end_survey(struct cla_admin_conn *conn)
{
    cla_timer_stop(&conn->admin->loop->timers, &conn->timer);
    cla_survey_release(conn->survey);
    conn->survey = NULL;
}

static void answer_survey(struct cla_admin_conn *conn)
{
    struct cla_buf result = {0};
    int rc;

    if (conn->method == CLA_ADMIN_KILL) {
        answer_kill(conn);
    } else {
        rc = conn->method == CLA_ADMIN_PS ? add_calls(conn, &result) : add_status(conn, &result);
        answer(conn, cla_buf_slice(&conn->id), rc, cla_buf_slice(&result));
    }
    cla_buf_fini(&result);
    end_survey(conn);
    look_at_lines(conn);
}

static void on_timer(struct cla_timer *timer)
{
    answer_survey(CLA_CONTAINER(timer, struct cla_admin_conn, timer));
}

void cla_admin_surveyed(struct cla_admin *admin, struct cla_survey *survey)
{
    CLA_LIST_EACH (link, &admin->conns) {
        struct cla_admin_conn *conn = CLA_CONTAINER(link, struct cla_admin_conn, link);

        if (conn->survey == survey && survey->given == survey->count) {
            answer_survey(conn);
            return;
        }
    }
}

static enum cla_survey_kind kind_of(enum cla_admin_method method)
{
    if (method == CLA_ADMIN_KILL)
        return CLA_SURVEY_KILL;
    return method == CLA_ADMIN_PS ? CLA_SURVEY_CALLS : CLA_SURVEY_COUNT;
}

static void ask(struct cla_admin_conn *conn, const struct cla_admin_request *request)
{
    struct cla_admin *admin = conn->admin;

    conn->id.n = 0;
    conn->method = request->method;
    conn->survey = cla_survey_new(kind_of(request->method), admin->workers);
    if (conn->survey == NULL || cla_buf_add(&conn->id, request->id) != 0) {
        cla_stream_close(&conn->stream);
        return;
    }
    conn->survey->call = request->call;
    conn->survey->now = request->now;
    cla_timer_start(&admin->loop->timers, &conn->timer,
                    cla_clock_add(cla_loop_now_ns(admin->loop), CLA_SURVEY_NS));
    admin->events->ask(admin->arg, conn->survey);
}

static void ask_reload(struct cla_admin_conn *conn, const struct cla_admin_request *request)
{
    struct cla_admin *admin = conn->admin;

    conn->id.n = 0;
    if (cla_buf_add(&conn->id, request->id) != 0) {
        cla_stream_close(&conn->stream);
        return;
    }
    conn->ticket = admin->events->reload(admin->arg);
    if (conn->ticket == 0)
        answer_error(conn, request->id, CLA_CODE_UNAVAILABLE,
                     "the gateway is shutting down, or out of memory");
}

static void answer_reload(struct cla_admin_conn *conn, const struct cla_reload_outcome *outcome)
{
    const struct cla_admin_reload reload = {.generation = outcome->generation,
                                            .took_ms = outcome->took_ns / CLA_NS_PER_MS,
                                            .older_calls = outcome->older_calls,
                                            .sockets = outcome->sockets,
                                            .stall_us = outcome->stall_ns / 1000};
    struct cla_slice id = cla_buf_slice(&conn->id);
    struct cla_buf result = {0};
    int rc;

    conn->ticket = 0;
    if (outcome->error != NULL) {
        answer_error(conn, id, CLA_CODE_FAILED_PRECONDITION, outcome->error);
    } else {
        rc = cla_admin_write_reload(&result, &reload);
        answer(conn, id, rc, cla_buf_slice(&result));
    }
    cla_buf_fini(&result);
    look_at_lines(conn);
}

void cla_admin_reloaded(struct cla_admin *admin, const struct cla_reload_outcome *outcome)
{
    CLA_LIST_EACH (link, &admin->conns) {
        struct cla_admin_conn *conn = CLA_CONTAINER(link, struct cla_admin_conn, link);

        if (conn->ticket != 0 && conn->ticket == outcome->ticket)
            answer_reload(conn, outcome);
    }
}

static void set_level(struct cla_admin_conn *conn, const struct cla_admin_request *request)
{
    struct cla_admin *admin = conn->admin;
    enum cla_log_level level;

    if (!cla_log_level_by_name(request->level, &level)) {
        answer_error(conn, request->id, CLA_CODE_INVALID_ARGUMENT,
                     "there is no such level: debug, info, warn, error or off");
        return;
    }
    admin->events->set_log_level(admin->arg, level);
    answer(conn, request->id, 0, CLA_LIT("{}"));
}

static void run(struct cla_admin_conn *conn, const struct cla_admin_request *request)
{
    struct cla_admin *admin = conn->admin;

    switch (request->method) {
    case CLA_ADMIN_STATUS:
    case CLA_ADMIN_PS:
    case CLA_ADMIN_KILL:
        ask(conn, request);
        break;
    case CLA_ADMIN_DRAIN:
        admin->events->drain(admin->arg);
        answer(conn, request->id, 0, CLA_LIT("{}"));
        break;
    case CLA_ADMIN_RELOAD:
        ask_reload(conn, request);
        break;
    case CLA_ADMIN_LOG_LEVEL:
        set_level(conn, request);
        break;
    }
}

static void read_line(struct cla_admin_conn *conn, struct cla_slice line)
{
    struct cla_admin_request request;
    struct cla_buf mistake = {0};

    if (cla_admin_read(line, &request, &mistake) == 0)
        run(conn, &request);
    else
        write_line(conn, &mistake);
    cla_buf_fini(&mistake);
}

static void look_at_lines(struct cla_admin_conn *conn)
{
    const char *end;

    while (conn->survey == NULL && conn->ticket == 0 && !conn->stream.closing && conn->in.n > 0 &&
           (end = memchr(conn->in.p, '\n', conn->in.n)) != NULL) {
        size_t n = (size_t)(end - conn->in.p);

        read_line(conn, cla_slice(conn->in.p, n));
        cla_buf_drop(&conn->in, n + 1);
    }
    if (conn->in.n > CLA_ADMIN_LINE_MAX)
        cla_stream_close(&conn->stream);
}

/* --- Connections. --- */

static struct cla_admin_conn *conn_of(struct cla_stream *stream)
{
    return CLA_CONTAINER(stream, struct cla_admin_conn, stream);
}

static void on_read(struct cla_stream *stream, struct cla_slice bytes)
{
    struct cla_admin_conn *conn = conn_of(stream);

    if (stream->closing)
        return;
    if (cla_buf_add(&conn->in, bytes) != 0)
        cla_stream_close(stream);
    else
        look_at_lines(conn);
}

static void on_end(struct cla_stream *stream, int rc)
{
    (void)rc;
    cla_stream_close(stream);
}

static void on_drained(struct cla_stream *stream)
{
    (void)stream;
}

static void on_closed(struct cla_stream *stream)
{
    struct cla_admin_conn *conn = conn_of(stream);

    if (conn->survey != NULL)
        end_survey(conn);
    cla_list_remove(&conn->link);
    conn->admin->conn_count--;
    cla_buf_fini(&conn->in);
    cla_buf_fini(&conn->id);
    cla_mem_free(conn);
}

static const struct cla_stream_events stream_events = {on_read, on_end, on_drained, on_closed};

static void on_accept(void *arg, int fd, const struct cla_listener_peer *peer)
{
    struct cla_admin *admin = arg;
    struct cla_admin_conn *conn = NULL;

    (void)peer;
    if (admin->conn_count < CLA_ADMIN_CONNECTIONS_MAX)
        conn = cla_mem_zalloc(sizeof *conn);
    if (conn == NULL) {
        close(fd);
        return;
    }
    conn->admin = admin;
    cla_timer_init(&conn->timer, on_timer);
    cla_list_push(&admin->conns, &conn->link);
    admin->conn_count++;
    if (cla_stream_open(&conn->stream, admin->loop, fd, &stream_events) != 0)
        close(fd); /* on_closed frees it */
    else
        cla_stream_read(&conn->stream);
}

static void on_shortage(void *arg)
{
    (void)arg;
}

static const struct cla_listener_events listener_events = {on_accept, on_shortage};

/* --- Opening. --- */

int cla_admin_folder(char *to, size_t bytes)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    int n;

    if (runtime != NULL && runtime[0] == '/')
        n = snprintf(to, bytes, "%s/cancela", runtime);
    else if (geteuid() == 0)
        n = snprintf(to, bytes, "/run/cancela");
    else
        n = snprintf(to, bytes, "/tmp/cancela-%u", (unsigned)geteuid());
    return n >= 0 && (size_t)n < bytes ? 0 : -CLA_ELIMIT;
}

/* Makes the folder if it is missing. It must be this user's own, and nobody else's to write to. */
static const char *prepare_folder(const char *path)
{
    struct stat st;

    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return strerror(errno);
    if (lstat(path, &st) != 0)
        return strerror(errno);
    if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 022) != 0)
        return "it is no folder of this user's own";
    return NULL;
}

/* Finds the path for "auto"; else why there is none. */
static const char *choose_path(struct cla_admin *admin)
{
    char folder[CLA_LISTEN_PATH];
    const char *why = "its path is too long";
    int n;

    if (cla_admin_folder(folder, sizeof folder) != 0)
        return why;
    n = snprintf(admin->path, sizeof admin->path, "%s/%d.sock", folder, (int)getpid());
    if (n < 0 || (size_t)n >= sizeof admin->path)
        return why;
    return prepare_folder(folder);
}

static int listen_at_path(struct cla_admin *admin)
{
    int rc;

    errno = 0;
    rc = cla_listener_open_local(&admin->listener, admin->loop, admin->path, 0600, &listener_events,
                                 admin);
    admin->open = rc == 0;
    return rc;
}

static const char *reason(int rc)
{
    return rc == -CLA_EIO && errno != 0 ? strerror(errno) : cla_error_text(rc);
}

static void open_auto(struct cla_admin *admin)
{
    const char *why = choose_path(admin);
    int rc = why == NULL ? listen_at_path(admin) : 0;

    if (rc != 0)
        why = reason(rc);
    if (why != NULL)
        cla_log_line(admin->log, CLA_LOG_WARN,
                     "no admin socket at %s: %s; set 'admin' to a path, or to off", admin->path,
                     why);
}

int cla_admin_open(struct cla_admin *admin, struct cla_loop *loop, const char *setting,
                   unsigned workers, struct cla_log *log, const struct cla_admin_events *events,
                   void *arg, struct cla_config_error *error)
{
    int rc;

    *admin = (struct cla_admin){
        .loop = loop, .log = log, .events = events, .arg = arg, .workers = workers};
    cla_list_init(&admin->conns);
    if (strcmp(setting, "off") == 0)
        return 0;
    if (strcmp(setting, "auto") == 0) {
        open_auto(admin);
        return 0;
    }
    if (strlen(setting) >= sizeof admin->path) {
        snprintf(error->text, sizeof error->text,
                 "the path of the admin socket is too long: at most %zu bytes",
                 sizeof admin->path - 1);
        return -CLA_EINVAL;
    }
    snprintf(admin->path, sizeof admin->path, "%s", setting);
    rc = listen_at_path(admin);
    if (rc != 0)
        snprintf(error->text, sizeof error->text, "cannot listen on the admin socket %s: %s",
                 admin->path, reason(rc));
    return rc;
}

void cla_admin_close(struct cla_admin *admin)
{
    if (admin->loop == NULL)
        return; /* it was never to be opened */
    if (admin->open)
        cla_listener_close(&admin->listener);
    admin->open = false;
    CLA_LIST_EACH (link, &admin->conns) {
        cla_stream_close(&CLA_CONTAINER(link, struct cla_admin_conn, link)->stream);
    }
}
