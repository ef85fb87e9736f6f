#include "gateway/worker_trim.h"

#include "base/mem_trim.h"
#include "gateway/exchange_pool.h"
#include "gateway/generations.h"

/* Fewer calls and connections than these leave nothing that is worth it. */
#define LEAST_LOAD 64
/* How long the load must have been low before memory is given back … */
#define WATCH_NS (200 * CLA_NS_PER_MS)
/* … and the backlog of input, which is the worker's own to work off: some KB for each of … */
#define BACKLOG_WATCH_NS (50 * CLA_NS_PER_MS)
/* … at least so many connections. */
#define LEAST_BACKLOG 8
/* Exchanges of HTTP, buffers and parsers that are kept even so … */
#define KEPT_EXCHANGES 32
#define KEPT_BUFS 4
#define KEPT_PARSERS 8
/* … and how many exchanges are freed in a slice. */
#define SLICE_EXCHANGES 256

/* Calls and connections. */
static unsigned load_of(const struct cla_worker *worker)
{
    return worker->env.in_flight + worker->conn_count;
}

static void drop_pools(struct cla_worker *worker, unsigned bufs, unsigned parsers)
{
    while (worker->buf_count > bufs)
        cla_buf_fini(&worker->bufs[--worker->buf_count]);
    while (worker->parser_count > parsers)
        cla_http_parser_free(worker->parsers[--worker->parser_count]);
    cla_buf_fini(&worker->scratch);
    cla_buf_fini(&worker->reply);
    cla_text_pool_fini(&worker->text_pool);
}

/* Returns true if there are more. */
static bool trim_exchanges(struct cla_worker *worker)
{
    return cla_blocks_trim(&worker->texts) ||
           cla_exchange_pool_trim(&worker->https, KEPT_EXCHANGES, SLICE_EXCHANGES);
}

static bool trim_all(struct cla_trim *trim)
{
    struct cla_worker *worker = CLA_CONTAINER(trim, struct cla_worker, trim);

    if (trim_exchanges(worker) || cla_generations_trim(worker))
        return true;
    drop_pools(worker, KEPT_BUFS, KEPT_PARSERS);
    cla_mem_trim();
    return false;
}

/* Input that waited on many connections leaves holes in the heap: what its calls need lies in slabs
 * and does not fill them. */
static bool trim_heap(struct cla_trim *trim)
{
    (void)trim;
    cla_mem_trim();
    return false;
}

void cla_worker_trim_init(struct cla_worker *worker)
{
    cla_trim_init(&worker->trim, worker->loop, trim_all, LEAST_LOAD, WATCH_NS);
    cla_trim_init(&worker->backlog_trim, worker->loop, trim_heap, LEAST_BACKLOG, BACKLOG_WATCH_NS);
}

void cla_worker_trim_turn_begins(struct cla_worker *worker)
{
    cla_trim_turn_begins(&worker->trim, load_of(worker));
    cla_trim_turn_begins(&worker->backlog_trim, worker->backlogged);
}

bool cla_worker_trim_turn_ends(struct cla_worker *worker, bool idle)
{
    bool more = cla_trim_turn_ends(&worker->backlog_trim, worker->backlogged, idle);

    return cla_trim_turn_ends(&worker->trim, load_of(worker), idle) || more;
}

void cla_worker_trim_fini(struct cla_worker *worker)
{
    cla_trim_fini(&worker->trim);
    cla_trim_fini(&worker->backlog_trim);
    (void)cla_exchange_pool_trim(&worker->https, 0, worker->https.count);
    drop_pools(worker, 0, 0);
}
