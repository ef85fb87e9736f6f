/* Conditional and range requests for something with a strong entity tag and a date (RFC 9110
 * sections 13 and 14).
 *
 * Any thread. Depends on: base. Pure. */
#ifndef CLA_HTTP_CONDITIONAL_H
#define CLA_HTTP_CONDITIONAL_H

#include <stdint.h>

#include "base/slice.h"

struct cla_http_conditions {
    struct cla_slice if_match, if_unmodified_since, if_none_match, if_modified_since;
    struct cla_slice range, if_range; /* all as sent; p NULL: absent */
};

/* Finds them in a raw head; of a field that stands twice the first. They point into it. */
struct cla_http_conditions cla_http_conditions_read(struct cla_slice head);

/* What is asked for. */
struct cla_http_entity {
    struct cla_slice etag; /* with its quotes */
    uint64_t modified_s;   /* since 1970 */
    uint64_t size;         /* bytes */
};

struct cla_http_verdict {
    int status;           /* 200, 206, 304, 412, or 416 */
    uint64_t first, size; /* what to send of it: of 206 less than all; else 0 and all */
};

/* Decides, for GET and HEAD; 'get': a range counts. Of several ranges, and of what is malformed,
 * nothing is taken notice. */
struct cla_http_verdict cla_http_conditions_judge(const struct cla_http_conditions *conditions,
                                                  const struct cla_http_entity *entity, bool get);

/* Reads "Sun, 06 Nov 1994 08:49:37 GMT" as seconds since 1970, or 0. The two forms that are
 * obsolete are not read. */
uint64_t cla_http_date_read(struct cla_slice text);

#endif
