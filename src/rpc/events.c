#include "rpc/events.h"

#include "base/error.h"

#define BYTE_ORDER_MARK CLA_LIT("\xef\xbb\xbf")

void cla_events_init(struct cla_events *events, size_t event_bytes, cla_events_cb *cb, void *arg)
{
    *events = (struct cla_events){.cb = cb, .arg = arg, .event_bytes = event_bytes};
}

void cla_events_fini(struct cla_events *events)
{
    cla_buf_fini(&events->line);
    cla_buf_fini(&events->type);
    cla_buf_fini(&events->data);
}

static int dispatch(struct cla_events *events)
{
    if (events->has_data)
        events->cb(events->arg, cla_buf_slice(&events->type), cla_buf_slice(&events->data));
    events->type.n = 0;
    events->data.n = 0;
    events->has_data = false;
    return 0;
}

static int add_data(struct cla_events *events, struct cla_slice value)
{
    int rc = events->has_data ? cla_buf_push(&events->data, '\n') : 0;

    events->has_data = true;
    if (events->data.n + value.n > events->event_bytes)
        return -CLA_ELIMIT;
    return rc == 0 ? cla_buf_add(&events->data, value) : rc;
}

/* A whole line, without its end. A name alone is a field without a value; no name, a comment. */
static int take_line(struct cla_events *events, struct cla_slice line)
{
    struct cla_slice name, value = cla_slice("", 0);
    const char *colon;

    if (!events->began && cla_slice_starts(line, BYTE_ORDER_MARK))
        line = cla_slice(line.p + BYTE_ORDER_MARK.n, line.n - BYTE_ORDER_MARK.n);
    events->began = true;
    if (line.n == 0)
        return dispatch(events);
    colon = memchr(line.p, ':', line.n);
    name = cla_slice(line.p, colon != NULL ? (size_t)(colon - line.p) : line.n);
    if (colon != NULL)
        value = cla_slice(colon + 1, line.n - name.n - 1);
    if (value.n > 0 && value.p[0] == ' ')
        value = cla_slice(value.p + 1, value.n - 1);
    if (cla_slice_eq(name, CLA_LIT("data")))
        return add_data(events, value);
    if (!cla_slice_eq(name, CLA_LIT("event")))
        return 0;
    events->type.n = 0;
    return cla_buf_add(&events->type, value);
}

/* The length of the line that begins here, up to its CR or LF; bytes.n: it has none yet. */
static size_t line_length(struct cla_slice bytes)
{
    size_t n = 0;

    while (n < bytes.n && bytes.p[n] != '\n' && bytes.p[n] != '\r')
        n++;
    return n;
}

/* A line that came in pieces is put together first. */
static int end_line(struct cla_events *events, struct cla_slice rest)
{
    int rc;

    if (events->line.n == 0)
        return take_line(events, rest);
    rc = cla_buf_add(&events->line, rest);
    if (rc == 0)
        rc = take_line(events, cla_buf_slice(&events->line));
    events->line.n = 0;
    return rc;
}

int cla_events_feed(struct cla_events *events, struct cla_slice bytes)
{
    int rc = 0;

    while (rc == 0 && bytes.n > 0) {
        size_t n = line_length(bytes);

        if (events->after_cr && bytes.p[0] == '\n') {
            events->after_cr = false;
            bytes = cla_slice(bytes.p + 1, bytes.n - 1);
            continue;
        }
        if (events->line.n + n > events->event_bytes)
            return -CLA_ELIMIT;
        if (n == bytes.n) {
            events->after_cr = false;
            return cla_buf_add(&events->line, bytes);
        }
        events->after_cr = bytes.p[n] == '\r';
        rc = end_line(events, cla_slice(bytes.p, n));
        bytes = cla_slice(bytes.p + n + 1, bytes.n - n - 1);
    }
    return rc;
}
