/* Happy path: a thread of the pool opens the file and looks at it; the head goes out; then a thread
 * reads a piece, it goes out, and the next is read when there is room.
 * Failure modes: what cannot be opened is not there (404); a file that is shorter than it was, or
 * cannot be read any more, cuts the connection, so that the client sees it.
 * On close: the client's end is seen when the thread is back; a thread closes the file, and the
 * operation frees itself. It may outlive the exchange, the connection and the worker, but not the
 * loop. */
#include "gateway/file_send.h"

#include <stdio.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "gateway/access.h"
#include "gateway/conn.h"
#include "gateway/exchange_answer.h"
#include "gateway/exchange_stream.h"
#include "gateway/worker.h"
#include "http/conditional.h"
#include "http/media_type.h"
#include "http/path.h"
#include "io/folder.h"

/* Read at a time. */
#define PIECE_BYTES 65536

enum step {
    OPEN,
    READ,
    CLOSE,
};

struct cla_file_send {
    uv_work_t work; /* under way, unless it waits for room */
    struct cla_loop *loop;
    struct cla_exchange *x; /* NULL: the client has gone, or has its answer */
    struct cla_folder *folder;
    struct cla_buf name; /* with its NUL */
    struct cla_writer writer;
    enum step step;
    bool working;              /* a step is under way … */
    bool handling;             /* … or its outcome is being looked at */
    enum cla_folder_kind kind; /* what OPEN has found */
    struct cla_folder_file file;
    uint64_t at, left; /* of the file, to be read */
    uint64_t sent;     /* bytes */
    ssize_t got;       /* by READ; below 1: no more can be */
    char *piece;       /* PIECE_BYTES; NULL until the first READ */
    char etag[64];
};

/* --- In a thread of the pool. --- */

static ssize_t read_piece(struct cla_file_send *file)
{
    size_t wanted = file->left < PIECE_BYTES ? (size_t)file->left : PIECE_BYTES;

    if (file->piece == NULL)
        file->piece = cla_mem_alloc(PIECE_BYTES);
    return file->piece != NULL ? pread(file->file.fd, file->piece, wanted, (off_t)file->at) : -1;
}

static void do_work(uv_work_t *work)
{
    struct cla_file_send *file = work->data;

    switch (file->step) {
    case OPEN:
        file->kind = cla_folder_find(file->folder, file->name.p, &file->file);
        break;
    case READ:
        file->got = read_piece(file);
        break;
    case CLOSE:
        close(file->file.fd);
        break;
    }
}

/* --- In the loop. --- */

static void free_send(struct cla_file_send *file)
{
    cla_folder_put(file->folder);
    cla_buf_fini(&file->name);
    cla_mem_free(file->piece);
    cla_mem_free(file);
}

static void on_worked(uv_work_t *work, int status);

static void begin_step(struct cla_file_send *file, enum step step)
{
    int rc;

    file->step = step;
    file->working = true;
    file->loop->pending++;
    rc = uv_queue_work(&file->loop->uv, &file->work, do_work, on_worked);
    CLA_PRE(rc == 0); /* it has no way to fail */
}

/* Nobody waits for it any more. */
static void dispose(struct cla_file_send *file)
{
    if (file->file.fd >= 0)
        begin_step(file, CLOSE);
    else
        free_send(file);
}

/* Lets go of the exchange. */
static struct cla_exchange *take_exchange(struct cla_file_send *file)
{
    struct cla_exchange *x = file->x;

    cla_list_remove(&file->writer.link);
    cla_exchange_http(x)->file = NULL;
    file->x = NULL;
    return x;
}

void cla_file_send_forsake(struct cla_file_send *file)
{
    (void)take_exchange(file);
    if (!file->working && !file->handling)
        dispose(file);
}

static void answer_text(struct cla_file_send *file, int status, const char *text)
{
    struct cla_exchange *x = take_exchange(file);
    const struct cla_exchange_http *http = cla_exchange_http(x);

    cla_access_file(&http->request, x->first.received_ns, http->route.path, status, 0);
    cla_exchange_answer_text(x, status, text);
}

/* All has been sent that will be. */
static void finish(struct cla_file_send *file, bool whole)
{
    struct cla_exchange *x = take_exchange(file);
    const struct cla_exchange_http *http = cla_exchange_http(x);

    cla_access_file(&http->request, x->first.received_ns, http->route.path, http->status,
                    file->sent);
    cla_exchange_stream_close(x, whole);
}

/* Reads on if there is room. */
static void go_on(struct cla_file_send *file)
{
    if (cla_writers_take_turn(&cla_exchange_http(file->x)->stream.writers, &file->writer))
        begin_step(file, READ);
}

static void on_room(struct cla_writer *writer)
{
    struct cla_file_send *file = CLA_CONTAINER(writer, struct cla_file_send, writer);

    if (file->x != NULL && cla_exchange_http(file->x)->conn != NULL && !file->working)
        go_on(file);
}

/* --- The head. --- */

static void write_validators(struct cla_file_send *file, struct cla_buf *fields)
{
    struct cla_http_date date = {0};
    struct cla_slice line;

    if (file->file.modified_s > 0) {
        line = cla_http_date_line(&date, (uint64_t)file->file.modified_s * CLA_NS_PER_S);
        (void)cla_buf_printf(fields, "Last-Modified: %.*s", (int)line.n - 6, line.p + 6);
    }
    (void)cla_buf_printf(fields,
                         "ETag: %s\r\n"
                         "Accept-Ranges: bytes\r\n"
                         "Cache-Control: no-cache\r\n"
                         "X-Content-Type-Options: nosniff\r\n",
                         file->etag);
}

static void write_range(const struct cla_file_send *file, const struct cla_http_verdict *verdict,
                        struct cla_buf *fields)
{
    unsigned long long size = file->file.size, first = verdict->first;

    if (verdict->status == 206)
        (void)cla_buf_printf(fields, "Content-Range: bytes %llu-%llu/%llu\r\n", first,
                             first + verdict->size - 1, size);
    else if (verdict->status == 416)
        (void)cla_buf_printf(fields, "Content-Range: bytes */%llu\r\n", size);
}

static struct cla_http_verdict judge(struct cla_file_send *file)
{
    const struct cla_exchange_http *http = cla_exchange_http(file->x);
    struct cla_http_conditions conditions = cla_http_conditions_read(cla_buf_slice(&http->head));
    struct cla_http_entity entity = {
        .etag = cla_slice_str(file->etag),
        .modified_s = file->file.modified_s > 0 ? (uint64_t)file->file.modified_s : 0,
        .size = file->file.size,
    };

    return cla_http_conditions_judge(&conditions, &entity, !http->head_only);
}

/* Begins the response; false if that was the end of the connection. */
static bool begin_head(struct cla_file_send *file, int status, const char *type, uint64_t bytes)
{
    struct cla_exchange *x = file->x;
    struct cla_buf *fields = &cla_worker_of(x)->scratch;

    cla_exchange_http(x)->status = status;
    cla_conn_add_fields(fields, x);
    cla_conn_stream_begin_sized(x, type, cla_buf_slice(fields), bytes);
    return file->x != NULL;
}

static void send_file(struct cla_file_send *file)
{
    struct cla_buf *fields = &cla_worker_of(file->x)->scratch;
    struct cla_http_verdict verdict;
    const char *type = cla_http_media_type(cla_slice(file->name.p, file->name.n - 1));
    bool content;

    snprintf(file->etag, sizeof file->etag, "\"%llx-%llx.%x\"", (unsigned long long)file->file.size,
             (unsigned long long)file->file.modified_s, file->file.modified_ns);
    verdict = judge(file);
    content = verdict.status == 200 || verdict.status == 206;
    fields->n = 0;
    write_validators(file, fields);
    write_range(file, &verdict, fields);
    if (!begin_head(file, verdict.status, content ? type : NULL, content ? verdict.size : 0))
        return;
    file->at = verdict.first;
    file->left = content && !cla_exchange_http(file->x)->head_only ? verdict.size : 0;
    if (file->left > 0)
        go_on(file);
    else
        finish(file, true);
}

/* A folder without the slash behind it: links in its index would lead elsewhere. */
static void redirect(struct cla_file_send *file)
{
    const struct cla_route *route = &cla_exchange_http(file->x)->route;
    struct cla_buf *fields = &cla_worker_of(file->x)->scratch;
    struct cla_slice path = route->path;

    fields->n = 0;
    (void)cla_buf_printf(fields, "Location: %.*s/%s%.*s\r\n", (int)path.n, path.p,
                         route->query.n > 0 ? "?" : "", (int)route->query.n,
                         route->query.n > 0 ? route->query.p : "");
    if (begin_head(file, 301, NULL, 0))
        finish(file, true);
}

static void not_found(struct cla_file_send *file)
{
    if (cla_exchange_http(file->x)->route.handlers_only)
        answer_text(file, 405, "this path takes other methods: see Allow");
    else
        answer_text(file, 404, "nothing here");
}

static void opened(struct cla_file_send *file)
{
    struct cla_slice path = cla_exchange_http(file->x)->route.path;
    bool index = path.p[path.n - 1] == '/';

    if (file->kind == CLA_FOLDER_FILE)
        send_file(file);
    else if (file->kind == CLA_FOLDER_FOLDER && !index)
        redirect(file);
    else if (file->kind == CLA_FOLDER_ERROR)
        answer_text(file, 503, "the file cannot be read now");
    else
        not_found(file);
}

static void piece_read(struct cla_file_send *file)
{
    if (file->got <= 0) {
        finish(file, false);
        return;
    }
    file->at += (uint64_t)file->got;
    file->left -= (uint64_t)file->got;
    file->sent += (uint64_t)file->got;
    cla_conn_stream_piece(&cla_exchange_http(file->x)->stream,
                          cla_slice(file->piece, (size_t)file->got), cla_slice(NULL, 0));
    if (file->x == NULL)
        return; /* there was no memory */
    if (file->left == 0)
        finish(file, true);
    else
        go_on(file);
}

static void on_worked(uv_work_t *work, int status)
{
    struct cla_file_send *file = work->data;

    (void)status;
    file->loop->pending--;
    if (file->step == CLOSE) {
        free_send(file);
        return;
    }
    file->working = false;
    file->handling = true;
    if (file->x != NULL && file->step == OPEN)
        opened(file);
    else if (file->x != NULL)
        piece_read(file);
    file->handling = false;
    if (file->x == NULL)
        dispose(file);
}

void cla_file_send_start(struct cla_exchange *x)
{
    struct cla_exchange_http *http = cla_exchange_http(x);
    struct cla_file_send *file = cla_mem_zalloc(sizeof *file);
    int rc;

    if (file == NULL) {
        cla_exchange_answer_text(x, 503, "out of memory");
        return;
    }
    file->work.data = file;
    file->loop = cla_worker_of(x)->loop;
    file->folder = cla_folder_ref(cla_exchange_app(x)->folder);
    file->file.fd = -1;
    file->writer.on_room = on_room;
    cla_list_init(&file->writer.link);
    file->x = x;
    http->file = file;
    rc = cla_http_path_file(http->route.path, &file->name);
    if (rc == 0) {
        begin_step(file, OPEN);
        return;
    }
    if (rc == -CLA_ENOMEM)
        answer_text(file, 503, "out of memory");
    else
        not_found(file);
    free_send(file);
}
