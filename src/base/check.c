#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void cla_check_failed(const char *condition, const char *file, int line)
{
    fprintf(stderr, "cancela: broken precondition '%s' at %s:%d; please report this\n", condition,
            file, line);
    abort();
}
