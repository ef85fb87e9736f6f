/* Memory in pieces of one size, spans, that comes from the system and goes back to it.
 *
 * One thread at a time. Depends on: base/mem, base/list. Spans are cut from larger chunks. What one
 * owner has in them shares no page with what another has: when it ends, all of it is gone. */
#ifndef CLA_BASE_SPANS_H
#define CLA_BASE_SPANS_H

#include <stdint.h>

#include "base/list.h"

/* Each begins at a multiple of its size, so that what is inside finds its beginning. */
#define CLA_SPAN_BYTES 32768

struct cla_chunk;

/* What a span begins with; the rest is its owner's. */
struct cla_span {
    struct cla_chunk *chunk;
};

struct cla_spans {
    struct cla_link roomy; /* chunks of which spans are free */
    struct cla_link full;
};

/* Makes an owner of no spans. */
void cla_spans_init(struct cla_spans *spans);

/* Takes a span, of which all but the struct may hold anything. NULL: out of memory. */
struct cla_span *cla_spans_take(struct cla_spans *spans);

/* Gives a span back, for the next to take. */
void cla_spans_give(struct cla_spans *spans, struct cla_span *span);

/* Gives the memory of some spans that are free, those of one chunk, back to the system. Returns
 * true if there may be more. Takes about a tenth of a millisecond. */
bool cla_spans_trim(struct cla_spans *spans);

/* Frees all spans, taken or not. */
void cla_spans_fini(struct cla_spans *spans);

#endif
