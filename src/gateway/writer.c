#include "gateway/writer.h"

void cla_writers_init(struct cla_writers *writers,
                      bool (*has_room)(const struct cla_writers *writers))
{
    cla_list_init(&writers->waiting);
    writers->has_room = has_room;
    writers->turn = false;
}

bool cla_writers_may_write(const struct cla_writers *writers)
{
    return writers->has_room(writers) && cla_list_empty(&writers->waiting) && !writers->turn;
}

bool cla_writers_take_turn(struct cla_writers *writers, struct cla_writer *writer)
{
    bool called = writer->called;

    writer->called = false;
    if (called)
        writers->turn = false;
    if (called ? writers->has_room(writers) : cla_writers_may_write(writers))
        return true;
    if (called) /* something that could not wait has taken the room */
        cla_list_push_front(&writers->waiting, &writer->link);
    else
        cla_list_push(&writers->waiting, &writer->link);
    return false;
}

static bool call_next(struct cla_writers *writers)
{
    struct cla_link *link = cla_list_pop(&writers->waiting);
    struct cla_writer *writer;

    if (link == NULL)
        return false;
    writer = CLA_CONTAINER(link, struct cla_writer, link);
    writer->called = true;
    writers->turn = true;
    writer->on_room(writer);
    return true;
}

void cla_writers_pass(struct cla_writers *writers)
{
    writers->turn = false;
    if (writers->has_room(writers))
        (void)call_next(writers);
}

void cla_writers_release(struct cla_writers *writers)
{
    while (call_next(writers))
        continue;
    writers->turn = false;
}
