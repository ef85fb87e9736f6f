#include "gateway/exchange_pool.h"

#include "base/mem.h"
#include "gateway/socket.h"
#include "gateway/worker.h"

/* Memory that an idle exchange keeps in each of its buffers. */
#define KEEP_BYTES 4096
/* Idle exchanges of HTTP kept; what is above is freed at once. */
#define POOL_MAX 1024

static struct cla_exchange *pop(struct cla_exchange_pool *pool)
{
    struct cla_link *link = cla_list_pop(&pool->idle);

    if (link == NULL)
        return NULL;
    pool->count--;
    return CLA_CONTAINER(link, struct cla_exchange, link);
}

void cla_exchange_pool_init(struct cla_exchange_pool *pool)
{
    cla_list_init(&pool->idle);
    pool->count = 0;
}

struct cla_exchange *cla_exchange_pool_take_http(struct cla_worker *worker)
{
    struct cla_exchange *exchange = pop(&worker->https);
    struct cla_exchange_http *http;

    if (exchange != NULL)
        return exchange;
    http = cla_mem_zalloc(sizeof *http);
    if (http == NULL)
        return NULL;
    cla_list_init(&http->exchange.link);
    return &http->exchange;
}

struct cla_exchange *cla_exchange_pool_take_text(struct cla_worker *worker)
{
    struct cla_exchange *exchange = cla_blocks_take(&worker->texts, sizeof *exchange);

    if (exchange != NULL)
        exchange->batch = NULL;
    return exchange;
}

static void destroy_http(struct cla_exchange_http *http)
{
    cla_buf_fini(&http->head);
    cla_buf_fini(&http->body);
    cla_buf_fini(&http->reply);
    cla_plain_fini(&http->plain);
    cla_mem_free(http);
}

static void empty(struct cla_buf *buf)
{
    buf->n = 0;
    if (buf->cap > KEEP_BYTES)
        cla_buf_fini(buf);
}

static void empty_http(struct cla_exchange_http *http)
{
    cla_certificate_put(&http->request.certificate);
    empty(&http->head);
    empty(&http->body);
    empty(&http->reply);
    empty(&http->plain.type);
    empty(&http->plain.fields);
}

static void drop_batch(struct cla_exchange *exchange)
{
    if (exchange->batch == NULL)
        return;
    cla_buf_fini(&exchange->batch->reply);
    cla_mem_free(exchange->batch);
    exchange->batch = NULL;
}

void cla_exchange_drop_text(struct cla_exchange *exchange)
{
    if (exchange->text == NULL)
        return;
    cla_text_pool_put(&cla_worker_of(exchange)->text_pool, exchange->text, exchange->short_text);
    exchange->text = NULL;
}

static void put_text(struct cla_worker *worker, struct cla_exchange *exchange)
{
    cla_exchange_drop_text(exchange);
    cla_socket_release(exchange->socket);
    cla_blocks_give(&worker->texts, exchange, sizeof *exchange);
}

static void put_http(struct cla_worker *worker, struct cla_exchange_http *http)
{
    struct cla_exchange_pool *pool = &worker->https;

    empty_http(http);
    if (pool->count == POOL_MAX) {
        destroy_http(http);
        return;
    }
    cla_list_push_front(&pool->idle, &http->exchange.link);
    pool->count++;
}

void cla_exchange_pool_put(struct cla_exchange *exchange)
{
    struct cla_worker *worker = cla_worker_of(exchange);

    cla_list_remove(&exchange->link);
    cla_app_unpin(cla_exchange_app(exchange));
    drop_batch(exchange);
    if (cla_exchange_is_http(exchange))
        put_http(worker, cla_exchange_http(exchange));
    else
        put_text(worker, exchange);
}

bool cla_exchange_pool_trim(struct cla_exchange_pool *pool, unsigned keep, unsigned most)
{
    while (pool->count > keep && most-- > 0)
        destroy_http(cla_exchange_http(pop(pool)));
    return pool->count > keep;
}
