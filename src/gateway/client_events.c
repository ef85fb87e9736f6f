#include "gateway/client_events.h"

#include "base/error.h"
#include "rpc/connect.h"

static void take_end(struct cla_client_events *events, struct cla_slice data)
{
    if (cla_buf_add(&events->end, data) != 0)
        events->why = "no memory for the server's answer";
    else if (cla_connect_end_read(cla_buf_slice(&events->end), &events->response) != 0)
        events->why = "the end of the stream makes no sense";
    else
        events->ended = true;
}

static void take_part(struct cla_client_events *events, enum cla_client_part kind,
                      struct cla_slice data)
{
    if (cla_connect_item_check(data) == 0)
        events->on_part(events->arg, kind, data);
    else
        events->why = "an event of the stream is not JSON";
}

/* Events of other types are for others. */
static void on_event(void *arg, struct cla_slice type, struct cla_slice data)
{
    struct cla_client_events *events = arg;

    if (events->ended || events->why != NULL)
        return;
    if (type.n == 0 || cla_slice_eq(type, CLA_LIT("message")))
        take_part(events, CLA_CLIENT_ITEM, data);
    else if (cla_slice_eq(type, CLA_LIT("progress")))
        take_part(events, CLA_CLIENT_PROGRESS, data);
    else if (cla_slice_eq(type, CLA_LIT("end")))
        take_end(events, data);
}

void cla_client_events_init(struct cla_client_events *events, cla_client_part_cb *on_part,
                            void *arg)
{
    *events = (struct cla_client_events){.on_part = on_part, .arg = arg};
    cla_events_init(&events->events, CLA_CLIENT_BODY_BYTES_MAX, on_event, events);
}

void cla_client_events_feed(struct cla_client_events *events, struct cla_slice bytes)
{
    int rc;

    if (events->ended || events->why != NULL)
        return;
    rc = cla_events_feed(&events->events, bytes);
    if (rc == -CLA_ELIMIT)
        events->why = "an event of the stream is too large";
    else if (rc != 0)
        events->why = "no memory for the server's answer";
}

void cla_client_events_fini(struct cla_client_events *events)
{
    cla_events_fini(&events->events);
    cla_buf_fini(&events->end);
}
