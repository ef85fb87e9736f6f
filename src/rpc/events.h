/* Reads server-sent events (HTML, section 9.2.6): the client's half of what rpc/connect_stream
 * writes, and of what anybody else does.
 *
 * One thread. Depends on: base. Bytes in, events out; the ids and reconnection times of events are
 * not looked at. An event ends with its empty line: what stands behind the last one is none. */
#ifndef CLA_RPC_EVENTS_H
#define CLA_RPC_EVENTS_H

#include "base/buf.h"

/* An event with data. 'type' is empty for a "message"; both are borrowed for the call. */
typedef void cla_events_cb(void *arg, struct cla_slice type, struct cla_slice data);

struct cla_events {
    cla_events_cb *cb;
    void *arg;
    size_t event_bytes;  /* the most of one event, or of one line */
    struct cla_buf line; /* the beginning of one that is not complete */
    struct cla_buf type, data;
    bool began;    /* the first line has been read: there is no byte-order mark any more */
    bool has_data; /* the event has a line of data, though it may be empty */
    bool after_cr; /* a line feed that follows belongs to the line before */
};

/* Begins. */
void cla_events_init(struct cla_events *events, size_t event_bytes, cla_events_cb *cb, void *arg);

/* Takes bytes, and calls back for each event that they complete. Returns 0, -CLA_ENOMEM, or
 * -CLA_ELIMIT (more than event_bytes): then it cannot go on. */
int cla_events_feed(struct cla_events *events, struct cla_slice bytes);

/* Frees. */
void cla_events_fini(struct cla_events *events);

#endif
