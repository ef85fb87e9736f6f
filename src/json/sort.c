/* Each level is scanned anew for its members, so this is for texts that people write. */
#include "json/sort.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/mem.h"
#include "json/scan.h"

struct member {
    struct cla_slice name; /* raw, with its quotes */
    struct cla_slice value;
};

struct members {
    struct member *all;
    size_t count, room;
};

static int compare(const void *a, const void *b)
{
    const struct cla_slice *x = &((const struct member *)a)->name;
    const struct cla_slice *y = &((const struct member *)b)->name;
    int order = memcmp(x->p, y->p, x->n < y->n ? x->n : y->n);

    return order != 0 ? order : (x->n > y->n) - (x->n < y->n);
}

static int add_member(struct members *m, struct member member)
{
    size_t room = m->room > 0 ? m->room * 2 : 16;
    struct member *grown;

    if (m->count == m->room) {
        grown = cla_mem_realloc(m->all, room * sizeof *grown);
        if (grown == NULL)
            return -CLA_ENOMEM;
        m->all = grown;
        m->room = room;
    }
    m->all[m->count++] = member;
    return 0;
}

static int read_members(struct cla_json_scan *scan, struct members *m)
{
    struct member member;
    int rc = 0;

    while (rc == 0 && cla_json_scan_next(scan) == CLA_JSON_KEY) {
        member.name = cla_slice(scan->token, (size_t)(scan->p - scan->token));
        rc = cla_json_scan_value(scan, &member.value);
        if (rc == 0)
            rc = add_member(m, member);
    }
    if (rc == 0)
        qsort(m->all, m->count, sizeof *m->all, compare);
    return rc;
}

/* The depth was checked once, with the whole. */
static int sort_value(struct cla_slice text, unsigned max_depth, struct cla_buf *out);

static int sort_object(struct cla_json_scan *scan, unsigned max_depth, struct cla_buf *out)
{
    struct members m = {0};
    int rc = add_member(&m, (struct member){0}); /* so that there is something to sort */

    m.count = 0;
    if (rc == 0)
        rc = read_members(scan, &m);
    if (rc == 0)
        rc = cla_buf_push(out, '{');
    for (size_t i = 0; rc == 0 && i < m.count; i++) {
        if (i > 0)
            rc = cla_buf_push(out, ',');
        if (rc == 0)
            rc = cla_buf_add(out, m.all[i].name);
        if (rc == 0)
            rc = cla_buf_push(out, ':');
        if (rc == 0)
            rc = sort_value(m.all[i].value, max_depth, out);
    }
    cla_mem_free(m.all);
    return rc == 0 ? cla_buf_push(out, '}') : rc;
}

static int sort_array(struct cla_json_scan *scan, unsigned max_depth, struct cla_buf *out)
{
    struct cla_slice element;
    bool first = true;
    int rc = cla_buf_push(out, '[');
    int more = 0;

    while (rc == 0 && (more = cla_json_scan_value(scan, &element)) == 0) {
        if (!first)
            rc = cla_buf_push(out, ',');
        first = false;
        if (rc == 0)
            rc = sort_value(element, max_depth, out);
    }
    if (rc == 0 && more != -CLA_EOF)
        rc = more;
    return rc == 0 ? cla_buf_push(out, ']') : rc;
}

static int sort_value(struct cla_slice text, unsigned max_depth, struct cla_buf *out)
{
    struct cla_json_scan scan;
    struct cla_slice whole;
    enum cla_json_event event;
    int rc;

    cla_json_scan_init(&scan, text, max_depth);
    event = cla_json_scan_next(&scan);
    if (event == CLA_JSON_OBJECT_BEGIN)
        return sort_object(&scan, max_depth, out);
    if (event == CLA_JSON_ARRAY_BEGIN)
        return sort_array(&scan, max_depth, out);
    rc = cla_json_scan_rest(&scan, event, &whole);
    return rc == 0 ? cla_buf_add(out, whole) : -CLA_EJSON;
}

int cla_json_sort(struct cla_slice text, unsigned max_depth, struct cla_buf *out)
{
    size_t before = out->n;
    int rc = max_depth > 0 ? cla_json_check(text, max_depth, NULL, NULL) : -CLA_EJSON;

    if (rc == 0)
        rc = sort_value(text, max_depth, out);
    if (rc != 0)
        out->n = before;
    return rc;
}
