/* The keys of a script's routes, and which of them a request is for.
 *
 * Any thread. Depends on: base, http. Pure.
 *
 *   "GET /users/:id"   a method and a path; GET answers HEAD too; ANY: all methods but OPTIONS
 *   users              matches itself, :id one segment that is not empty, a last * all that is left
 *
 * Of several that match, the first segment in which they differ decides: itself comes before :id,
 * and :id before *; then the one that names fewer methods. */
#ifndef CLA_GATEWAY_PATTERN_H
#define CLA_GATEWAY_PATTERN_H

#include "base/buf.h"
#include "http/parser.h"

/* The bit of a method in a set of methods. */
#define CLA_METHOD(method) (1U << (method))

enum cla_pattern_kind {
    CLA_PATTERN_LITERAL,
    CLA_PATTERN_NAME,
    CLA_PATTERN_REST,
};

struct cla_pattern_segment {
    enum cla_pattern_kind kind;
    struct cla_slice text; /* decoded; of REST "*" */
};

struct cla_pattern {
    unsigned methods;                     /* that it answers */
    struct cla_pattern_segment *segments; /* owned, as is 'text' */
    size_t count;
    struct cla_buf text; /* what the segments point into */
};

/* Reads 'key'. Returns 0, -CLA_ENOMEM, or -CLA_EINVAL with '*why', which names the remedy. */
int cla_pattern_read(struct cla_pattern *pattern, struct cla_slice key, const char **why);

/* Frees what it holds; a zeroed one is fine. */
void cla_pattern_fini(struct cla_pattern *pattern);

/* Below 0: 'a' comes first where both match; 0: nothing tells the requests for them apart. */
int cla_pattern_compare(const struct cla_pattern *a, const struct cla_pattern *b);

/* True if it matches 'path', which cla_http_path_problem() has allowed. */
bool cla_pattern_matches(const struct cla_pattern *pattern, struct cla_slice path);

/* The first of 'count' patterns, in the order of cla_pattern_compare(), that is for 'method' and
 * 'path', or NULL; then '*methods' are those that there are at that path. */
const struct cla_pattern *cla_pattern_find(const struct cla_pattern *const *patterns, size_t count,
                                           enum cla_http_method method, struct cla_slice path,
                                           unsigned *methods);

/* Reads the next parameter of a path that matches: its name ("*" of the rest) and its value, still
 * encoded. '*at' begins at 0. False: there are no more. */
bool cla_pattern_param(const struct cla_pattern *pattern, struct cla_slice path, size_t *at,
                       struct cla_slice *name, struct cla_slice *value);

#define CLA_PATTERN_ALLOW_MAX sizeof("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")

/* Writes the methods as in Allow, with OPTIONS, which the gateway answers. */
void cla_pattern_allow(char text[CLA_PATTERN_ALLOW_MAX], unsigned methods);

#endif
