#include "gateway/exchange_pool.h"

#include "base/mem.h"
#include "gateway/socket.h"
#include "gateway/worker.h"

/* Memory that an idle exchange keeps in each of its buffers. */
#define KEEP_BYTES 4096
/* Idle exchanges kept; what is above is freed at once. */
#define POOL_MAX 1024

static struct cla_exchange *pop(struct cla_worker *worker)
{
    struct cla_link *link = cla_list_pop(&worker->exchange_pool);

    if (link == NULL)
        return NULL;
    worker->exchange_pooled--;
    return CLA_CONTAINER(link, struct cla_exchange, link);
}

struct cla_exchange *cla_exchange_pool_take(struct cla_worker *worker)
{
    struct cla_exchange *exchange = pop(worker);

    if (exchange != NULL)
        return exchange;
    exchange = cla_mem_zalloc(sizeof *exchange);
    if (exchange != NULL)
        cla_list_init(&exchange->link);
    return exchange;
}

static void destroy(struct cla_exchange *exchange)
{
    if (exchange->http != NULL) {
        cla_buf_fini(&exchange->http->head);
        cla_plain_fini(&exchange->http->plain);
    }
    cla_mem_free(exchange->http);
    cla_buf_fini(&exchange->body);
    cla_buf_fini(&exchange->reply);
    cla_mem_free(exchange);
}

static void empty(struct cla_buf *buf)
{
    buf->n = 0;
    if (buf->cap > KEEP_BYTES)
        cla_buf_fini(buf);
}

void cla_exchange_pool_put(struct cla_exchange *exchange)
{
    struct cla_worker *worker = exchange->worker;

    cla_list_remove(&exchange->link);
    cla_app_unpin(cla_exchange_app(exchange));
    if (exchange->origin != NULL)
        cla_socket_release(exchange->origin);
    if (exchange->http != NULL)
        cla_certificate_put(&exchange->http->request.certificate);
    exchange->origin = NULL;
    cla_mem_free(exchange->text);
    exchange->text = NULL;
    if (worker->exchange_pooled == POOL_MAX) {
        destroy(exchange);
        return;
    }
    if (exchange->http != NULL) {
        empty(&exchange->http->head);
        empty(&exchange->http->plain.type);
        empty(&exchange->http->plain.fields);
    }
    empty(&exchange->body);
    empty(&exchange->reply);
    cla_list_push_front(&worker->exchange_pool, &exchange->link);
    worker->exchange_pooled++;
}

bool cla_exchange_pool_trim(struct cla_worker *worker, unsigned keep, unsigned most)
{
    while (worker->exchange_pooled > keep && most-- > 0)
        destroy(pop(worker));
    return worker->exchange_pooled > keep;
}
