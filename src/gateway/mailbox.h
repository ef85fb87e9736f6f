/* The one queue between two threads: messages in, a callback on the other thread's loop.
 *
 * Post: any thread. The rest: the receiving loop's thread. Depends on: base, io/loop. */
#ifndef CLA_GATEWAY_MAILBOX_H
#define CLA_GATEWAY_MAILBOX_H

#include "base/list.h"
#include "gateway/arrival.h"
#include "gateway/survey.h"
#include "io/loop.h"

enum cla_message_kind {
    CLA_MESSAGE_CONNECTION, /* to a worker: 'arrival' */
    CLA_MESSAGE_DRAIN,      /* to a worker: finish what runs, then end */
    CLA_MESSAGE_STOP,       /* to a worker: end now */
    CLA_MESSAGE_SURVEY,     /* to a worker: answer 'survey', even while a script computes */
    CLA_MESSAGE_LOG_LEVEL,  /* to a worker: log from level 'count' on */
    CLA_MESSAGE_ADOPT,      /* to a worker: the app of 'adoption' is current from now on */
    CLA_MESSAGE_ADOPTED,    /* to control: it is, and 'adoption' says what is left of others */
    CLA_MESSAGE_LEFT,       /* to control: the worker has let go of the app of 'adoption' */
    CLA_MESSAGE_SURVEYED,   /* to control: it has answered 'survey' */
    CLA_MESSAGE_DRAINED,    /* to control: a worker has ended; 'count' calls were abandoned */
};

struct cla_adoption;

struct cla_message {
    struct cla_link link;
    enum cla_message_kind kind;
    bool lent; /* it is the sender's: not freed */
    unsigned count;
    unsigned from; /* to control: the worker */
    struct cla_adoption *adoption;
    struct cla_survey *survey; /* holds a reference */
    struct cla_arrival arrival;
};

/* Receives one message, which it need not free. */
typedef void cla_mailbox_cb(void *arg, struct cla_message *message);

struct cla_mailbox {
    uv_async_t async;
    uv_mutex_t mutex; /* guards 'messages' */
    struct cla_link messages;
    cla_mailbox_cb *on_message;
    void *arg;
};

/* Opens a mailbox on 'loop'. Returns 0 or -CLA_EIO. */
int cla_mailbox_open(struct cla_mailbox *box, struct cla_loop *loop, cla_mailbox_cb *on_message,
                     void *arg);

/* Copies 'message' to the other side. Returns 0, or -CLA_ENOMEM: nothing was sent. */
int cla_mailbox_post(struct cla_mailbox *box, const struct cla_message *message);

/* Sends 'message' itself, which must not be sent again before it was received: this cannot fail. */
void cla_mailbox_lend(struct cla_mailbox *box, struct cla_message *message);

/* Receives now the messages of one kind, and leaves the others. From anywhere on the receiving
 * thread but 'on_message'. */
void cla_mailbox_receive(struct cla_mailbox *box, enum cla_message_kind kind);

/* Closes; messages not received are dropped, their descriptors closed. Nobody may post any more.
 * The struct may be freed once the loop has run. */
void cla_mailbox_close(struct cla_mailbox *box);

#endif
