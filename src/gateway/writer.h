/* Somebody who waits until a client has taken some of what is queued for it.
 *
 * Worker thread. Depends on: base/list. */
#ifndef CLA_GATEWAY_WRITER_H
#define CLA_GATEWAY_WRITER_H

#include "base/list.h"

struct cla_writer {
    struct cla_link link; /* in the list of who waits; cla_list_remove() ends the wait */
    /* It is this one's turn, or there is nobody to write for any more: ask again. */
    void (*on_room)(struct cla_writer *writer);
    bool called; /* on_room was, and it has not asked again yet */
};

#endif
