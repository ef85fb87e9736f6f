/* A request for a route of the script, and what its handler answers.
 *
 * Worker thread. Depends on: base. The request is filled in before the call starts; the answer by
 * the app, before its result is written. An answer that is not sent in pieces is complete with the
 * call's result, which is its body. */
#ifndef CLA_GATEWAY_PLAIN_H
#define CLA_GATEWAY_PLAIN_H

#include "base/buf.h"

struct cla_call;

struct cla_plain {
    /* The answer will come in pieces: sends what is known of it. The pieces are items of the call
     * (cla_call_part()), and its result is their end. */
    void (*begin)(struct cla_call *call);
    struct cla_slice method;
    struct cla_slice path;  /* as sent */
    struct cla_slice query; /* as sent, without '?' */
    int status;             /* of the answer */
    bool has_body;
    bool unsized;          /* to HEAD: what GET would have answered in pieces */
    bool begun;            /* in pieces: its head is out */
    struct cla_buf type;   /* Content-Type, with a NUL behind it; empty: none */
    struct cla_buf fields; /* more header lines, each with its \r\n */
};

/* Begins with no answer. */
void cla_plain_reset(struct cla_plain *plain);

/* Sets the Content-Type. Returns 0 or -CLA_ENOMEM. */
int cla_plain_set_type(struct cla_plain *plain, struct cla_slice type);

/* The Content-Type, or NULL: there is no body. */
const char *cla_plain_type(const struct cla_plain *plain);

/* Frees what it holds. */
void cla_plain_fini(struct cla_plain *plain);

#endif
