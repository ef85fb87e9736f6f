/* Why a message was refused: the status to answer with, and one line for people.
 *
 * One thread. Depends on: base/check. */
#ifndef CLA_HTTP_FAULT_H
#define CLA_HTTP_FAULT_H

#include "base/check.h"

struct cla_http_fault {
    int status;     /* 0: nothing was refused */
    char text[116]; /* names the element and, for a limit, its value */
};

/* Fills 'fault'. Returns -CLA_EPROTO, for the caller to pass on. */
int cla_http_fault_set(struct cla_http_fault *fault, int status, const char *format, ...)
    CLA_PRINTF(3, 4);

#endif
