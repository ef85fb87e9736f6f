#include "http/fault.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/error.h"

int cla_http_fault_set(struct cla_http_fault *fault, int status, const char *format, ...)
{
    va_list args;

    fault->status = status;
    va_start(args, format);
    vsnprintf(fault->text, sizeof(fault->text), format, args);
    va_end(args);
    return -CLA_EPROTO;
}
