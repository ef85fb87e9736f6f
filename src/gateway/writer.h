/* Somebody who waits until a client has taken some of what is queued for it.
 *
 * Worker thread. Depends on: base/list. */
#ifndef CLA_GATEWAY_WRITER_H
#define CLA_GATEWAY_WRITER_H

#include "base/list.h"

struct cla_writer {
    struct cla_link link; /* in the list of who waits; cla_list_remove() ends the wait */
    /* There may be room now, or nobody to write for any more: look again. The wait is over. */
    void (*on_room)(struct cla_writer *writer);
};

#endif
