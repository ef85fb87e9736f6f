/* Memory for texts of WebSockets. Most are short, and gone as soon as their call has begun: that of
 * some is kept for the next.
 *
 * Worker thread. Depends on: base/mem. A zeroed struct is an empty pool. */
#ifndef CLA_GATEWAY_TEXT_POOL_H
#define CLA_GATEWAY_TEXT_POOL_H

#include <stdbool.h>
#include <stddef.h>

#define CLA_TEXT_SHORT 120 /* bytes of the longest whose memory is kept */

struct cla_text_spare;

struct cla_text_pool {
    struct cla_text_spare *first;
    unsigned count;
};

/* Memory for 'n' bytes. NULL: there is none. */
char *cla_text_pool_take(struct cla_text_pool *pool, size_t n);

/* Takes back memory that was taken; 'is_short': for up to CLA_TEXT_SHORT bytes. */
void cla_text_pool_put(struct cla_text_pool *pool, char *text, bool is_short);

/* Frees what is spare. */
void cla_text_pool_fini(struct cla_text_pool *pool);

#endif
