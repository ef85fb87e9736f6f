#include "gateway/mailbox.h"

#include "base/error.h"
#include "base/mem.h"

static struct cla_message *take(struct cla_link *messages)
{
    struct cla_link *link = cla_list_pop(messages);

    return link != NULL ? CLA_CONTAINER(link, struct cla_message, link) : NULL;
}

static void take_all(struct cla_mailbox *box, struct cla_link *to)
{
    cla_list_init(to);
    uv_mutex_lock(&box->mutex);
    cla_list_move(to, &box->messages);
    uv_mutex_unlock(&box->mutex);
}

static void drop(struct cla_message *message, bool lent)
{
    if (!lent)
        cla_mem_free(message);
}

static void hand_over(struct cla_mailbox *box, struct cla_message *message)
{
    bool lent = message->lent; /* then it may be on its way again */

    box->on_message(box->arg, message);
    drop(message, lent);
}

static void on_async(uv_async_t *async)
{
    struct cla_mailbox *box = async->data;
    struct cla_link messages;
    struct cla_message *message;

    take_all(box, &messages);
    while ((message = take(&messages)) != NULL)
        hand_over(box, message);
}

int cla_mailbox_open(struct cla_mailbox *box, struct cla_loop *loop, cla_mailbox_cb *on_message,
                     void *arg)
{
    *box = (struct cla_mailbox){.on_message = on_message, .arg = arg};
    cla_list_init(&box->messages);
    if (uv_mutex_init(&box->mutex) != 0)
        return -CLA_EIO;
    if (uv_async_init(&loop->uv, &box->async, on_async) != 0)
        goto destroy_mutex;
    box->async.data = box;
    return 0;
destroy_mutex:
    uv_mutex_destroy(&box->mutex);
    return -CLA_EIO;
}

static void put(struct cla_mailbox *box, struct cla_message *message)
{
    cla_list_init(&message->link);
    uv_mutex_lock(&box->mutex);
    cla_list_push(&box->messages, &message->link);
    uv_async_send(&box->async); /* under the lock: the box cannot be closed in between */
    uv_mutex_unlock(&box->mutex);
}

void cla_mailbox_lend(struct cla_mailbox *box, struct cla_message *message)
{
    message->lent = true;
    put(box, message);
}

int cla_mailbox_post(struct cla_mailbox *box, const struct cla_message *message)
{
    struct cla_message *copy = cla_mem_alloc(sizeof *copy);

    if (copy == NULL)
        return -CLA_ENOMEM;
    *copy = *message;
    put(box, copy);
    return 0;
}

void cla_mailbox_receive(struct cla_mailbox *box, enum cla_message_kind kind)
{
    struct cla_link messages, others;
    struct cla_message *message;

    take_all(box, &messages);
    cla_list_init(&others);
    while ((message = take(&messages)) != NULL) {
        if (message->kind != kind) {
            cla_list_push(&others, &message->link);
            continue;
        }
        hand_over(box, message);
    }
    uv_mutex_lock(&box->mutex); /* in front of what has come meanwhile */
    cla_list_move(&others, &box->messages);
    cla_list_move(&box->messages, &others);
    uv_mutex_unlock(&box->mutex);
}

void cla_mailbox_close(struct cla_mailbox *box)
{
    struct cla_link messages;
    struct cla_message *message;

    take_all(box, &messages);
    while ((message = take(&messages)) != NULL) {
        if (message->kind == CLA_MESSAGE_CONNECTION)
            cla_arrival_drop(&message->arrival);
        if (message->survey != NULL)
            cla_survey_release(message->survey);
        drop(message, message->lent);
    }
    uv_close((uv_handle_t *)&box->async, NULL);
    uv_mutex_destroy(&box->mutex);
}
