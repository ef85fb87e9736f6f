#include "gateway/pattern.h"

#include <stdio.h>

#include "base/error.h"
#include "base/mem.h"
#include "http/path.h"
#include "http/url.h"

#define GET (CLA_METHOD(CLA_HTTP_GET) | CLA_METHOD(CLA_HTTP_HEAD))
#define ANY                                                                                    \
    (GET | CLA_METHOD(CLA_HTTP_POST) | CLA_METHOD(CLA_HTTP_PUT) | CLA_METHOD(CLA_HTTP_PATCH) | \
     CLA_METHOD(CLA_HTTP_DELETE))

static const struct {
    struct cla_slice name;
    unsigned methods;
    unsigned bit; /* of it alone; 0: it is none */
} names[] = {
    {{"GET", 3}, GET, CLA_METHOD(CLA_HTTP_GET)},
    {{"HEAD", 4}, CLA_METHOD(CLA_HTTP_HEAD), CLA_METHOD(CLA_HTTP_HEAD)},
    {{"POST", 4}, CLA_METHOD(CLA_HTTP_POST), CLA_METHOD(CLA_HTTP_POST)},
    {{"PUT", 3}, CLA_METHOD(CLA_HTTP_PUT), CLA_METHOD(CLA_HTTP_PUT)},
    {{"PATCH", 5}, CLA_METHOD(CLA_HTTP_PATCH), CLA_METHOD(CLA_HTTP_PATCH)},
    {{"DELETE", 6}, CLA_METHOD(CLA_HTTP_DELETE), CLA_METHOD(CLA_HTTP_DELETE)},
    {{"OPTIONS", 7}, CLA_METHOD(CLA_HTTP_OPTIONS), CLA_METHOD(CLA_HTTP_OPTIONS)},
    {{"ANY", 3}, ANY, 0},
};

/* --- Reading keys. --- */

/* Cuts the method off the key; 0: there is none. */
static unsigned read_methods(struct cla_slice *key)
{
    for (size_t i = 0; i < CLA_ARRAY_LEN(names); i++) {
        size_t n = names[i].name.n;

        if (key->n > n && key->p[n] == ' ' && cla_slice_starts(*key, names[i].name)) {
            *key = cla_slice(key->p + n + 1, key->n - n - 1);
            return names[i].methods;
        }
    }
    return 0;
}

static bool is_name(struct cla_slice text)
{
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';

        if (!letter && (i == 0 || c < '0' || c > '9'))
            return false;
    }
    return text.n > 0;
}

static const char *check_bytes(struct cla_slice path)
{
    for (size_t i = 0; i < path.n; i++) {
        unsigned char c = (unsigned char)path.p[i];

        if (c <= ' ' || c == 0x7f)
            return "the path holds a space or a control character: write it as %20";
        if (c == '?' || c == '#')
            return "the path holds a query or a fragment: read request.query instead";
    }
    return NULL;
}

static bool is_taken(const struct cla_pattern *pattern, struct cla_slice name)
{
    for (size_t i = 0; i < pattern->count; i++) {
        if (pattern->segments[i].kind == CLA_PATTERN_NAME &&
            cla_slice_eq(pattern->segments[i].text, name))
            return true;
    }
    return false;
}

/* Adds what 'segment' means. Returns what is wrong with it, or NULL. */
static const char *add_segment(struct cla_pattern *pattern, struct cla_slice segment, bool last)
{
    struct cla_pattern_segment *to = &pattern->segments[pattern->count];
    size_t from = pattern->text.n;

    if (segment.n == 0 && !last)
        return "the path holds '//': write one slash";
    if (cla_slice_eq(segment, CLA_LIT("*")) && last) {
        to->kind = CLA_PATTERN_REST;
    } else if (segment.n > 0 && memchr(segment.p, '*', segment.n) != NULL) {
        return "'*' stands alone, at the end, as in 'GET /files/*' (write a star itself as %2A)";
    } else if (segment.n > 0 && segment.p[0] == ':') {
        to->kind = CLA_PATTERN_NAME;
        segment = cla_slice(segment.p + 1, segment.n - 1);
        if (!is_name(segment))
            return "behind ':' stands a name of letters, digits and '_', as in 'GET /users/:id'";
        if (is_taken(pattern, segment))
            return "two of its parameters have one name: give them different names";
    }
    (void)cla_http_percent_decode(&pattern->text, segment); /* there is room, and it was checked */
    to->text = cla_slice(pattern->text.p + from, pattern->text.n - from);
    pattern->count++;
    return NULL;
}

static const char *read_path(struct cla_pattern *pattern, struct cla_slice path)
{
    const char *why = check_bytes(path);
    struct cla_slice segment;

    if (why == NULL)
        why = cla_http_path_problem(path);
    while (why == NULL && cla_http_path_next(&path, &segment))
        why = add_segment(pattern, segment, path.n == 0);
    return why;
}

int cla_pattern_read(struct cla_pattern *pattern, struct cla_slice key, const char **why)
{
    *pattern = (struct cla_pattern){.methods = read_methods(&key)};
    if (pattern->methods == 0 || key.n == 0 || key.p[0] != '/') {
        *why = "write a method (GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS or ANY), a space and "
               "a path, as in 'GET /users/:id'";
        return -CLA_EINVAL;
    }
    pattern->segments = cla_mem_zalloc(cla_http_path_count(key) * sizeof *pattern->segments);
    if (pattern->segments == NULL || cla_buf_reserve(&pattern->text, key.n) != 0) {
        cla_pattern_fini(pattern);
        return -CLA_ENOMEM;
    }
    *why = read_path(pattern, key);
    if (*why == NULL)
        return 0;
    cla_pattern_fini(pattern);
    return -CLA_EINVAL;
}

void cla_pattern_fini(struct cla_pattern *pattern)
{
    cla_mem_free(pattern->segments);
    cla_buf_fini(&pattern->text);
    *pattern = (struct cla_pattern){0};
}

/* --- Choosing. --- */

static int compare_text(struct cla_slice a, struct cla_slice b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int order = n > 0 ? memcmp(a.p, b.p, n) : 0;

    return order != 0 ? order : (a.n > b.n) - (a.n < b.n);
}

static int compare_segments(const struct cla_pattern_segment *a,
                            const struct cla_pattern_segment *b)
{
    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    return a->kind == CLA_PATTERN_LITERAL ? compare_text(a->text, b->text) : 0;
}

static int compare_methods(unsigned a, unsigned b)
{
    int fewer = __builtin_popcount(a) - __builtin_popcount(b);

    return fewer != 0 ? fewer : (a > b) - (a < b);
}

int cla_pattern_compare(const struct cla_pattern *a, const struct cla_pattern *b)
{
    for (size_t i = 0; i < a->count && i < b->count; i++) {
        int order = compare_segments(&a->segments[i], &b->segments[i]);

        if (order != 0)
            return order;
    }
    if (a->count != b->count)
        return a->count < b->count ? -1 : 1;
    return compare_methods(a->methods, b->methods);
}

bool cla_pattern_matches(const struct cla_pattern *pattern, struct cla_slice path)
{
    struct cla_slice segment;

    for (size_t i = 0; i < pattern->count; i++) {
        const struct cla_pattern_segment *want = &pattern->segments[i];

        if (!cla_http_path_next(&path, &segment))
            return false;
        if (want->kind == CLA_PATTERN_REST)
            return true;
        if (want->kind == CLA_PATTERN_NAME ? segment.n == 0
                                           : !cla_http_segment_is(segment, want->text))
            return false;
    }
    return path.n == 0;
}

const struct cla_pattern *cla_pattern_find(const struct cla_pattern *const *patterns, size_t count,
                                           enum cla_http_method method, struct cla_slice path,
                                           unsigned *methods)
{
    *methods = 0;
    for (size_t i = 0; i < count; i++) {
        if (!cla_pattern_matches(patterns[i], path))
            continue;
        if ((patterns[i]->methods & CLA_METHOD(method)) != 0)
            return patterns[i];
        *methods |= patterns[i]->methods;
    }
    return NULL;
}

bool cla_pattern_param(const struct cla_pattern *pattern, struct cla_slice path, size_t *at,
                       struct cla_slice *name, struct cla_slice *value)
{
    struct cla_slice rest = path;

    for (size_t i = 0; i < pattern->count && cla_http_path_next(&rest, value); i++) {
        const struct cla_pattern_segment *segment = &pattern->segments[i];

        if (i < *at || segment->kind == CLA_PATTERN_LITERAL)
            continue;
        if (segment->kind == CLA_PATTERN_REST)
            value->n = (size_t)(path.p + path.n - value->p);
        *name = segment->text;
        *at = i + 1;
        return true;
    }
    return false;
}

void cla_pattern_allow(char text[CLA_PATTERN_ALLOW_MAX], unsigned methods)
{
    size_t n = 0;

    methods |= CLA_METHOD(CLA_HTTP_OPTIONS);
    for (size_t i = 0; i < CLA_ARRAY_LEN(names); i++) {
        if ((names[i].bit & methods) != 0)
            n += (size_t)snprintf(text + n, CLA_PATTERN_ALLOW_MAX - n, "%s%s", n > 0 ? ", " : "",
                                  names[i].name.p);
    }
}
