/* Who waits until a client has taken some of what is queued for it.
 *
 * Worker thread. Depends on: base/list.
 *
 * Where bytes go out there is a queue of writers. One who may not write at once takes its place
 * there; when there is room the first is called, and must write, or pass its turn on. Who is called
 * and finds that something which could not wait has taken the room is the first again. Until then
 * nobody else may write, so that one who never has to wait does not keep others waiting for ever.
 */
#ifndef CLA_GATEWAY_WRITER_H
#define CLA_GATEWAY_WRITER_H

#include "base/list.h"

struct cla_writer {
    struct cla_link link; /* in the list of who waits; cla_list_remove() ends the wait */
    /* It is this one's turn, or there is nobody to write for any more: ask again. */
    void (*on_room)(struct cla_writer *writer);
    bool called; /* on_room was, and it has not asked again yet */
    struct cla_link
        of_call; /* among the senders of a call: who writes for it, and is over with it */
};

struct cla_writers {
    struct cla_link waiting;
    /* True if there is room, or nobody to write for. */
    bool (*has_room)(const struct cla_writers *writers);
    bool turn; /* somebody was called, and has not asked again yet */
};

/* Makes an empty queue. */
void cla_writers_init(struct cla_writers *writers,
                      bool (*has_room)(const struct cla_writers *writers));

/* True if one who has not waited may write now: there is room, and nobody waits or was called. */
bool cla_writers_may_write(const struct cla_writers *writers);

/* Asks for a turn to write. True: it has it, and must write or call cla_writers_pass(). False: it
 * waits, in order, until writer->on_room. */
bool cla_writers_take_turn(struct cla_writers *writers, struct cla_writer *writer);

/* The turn of who was called is over: calls the next who waits, if there is room. */
void cla_writers_pass(struct cla_writers *writers);

/* Calls all who wait: there is nobody to write for any more. */
void cla_writers_release(struct cla_writers *writers);

#endif
