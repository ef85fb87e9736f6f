#include "gateway/arrival.h"

#include <unistd.h>

void cla_arrival_drop(const struct cla_arrival *arrival)
{
    close(arrival->fd);
    cla_tls_context_put(arrival->tls);
}
