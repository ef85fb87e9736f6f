#include "rpc/timeout.h"

#include "base/error.h"

#define CONNECT_DIGITS 10
#define GRPC_DIGITS 8

/* Reads all of 's' as 1 to 'most' digits. */
static int read_digits(struct cla_slice s, size_t most, uint64_t *value)
{
    if (s.n == 0 || s.n > most)
        return -CLA_EINVAL;
    *value = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return -CLA_EINVAL;
        *value = *value * 10 + (uint64_t)(s.p[i] - '0');
    }
    return 0;
}

int cla_rpc_timeout_connect(struct cla_slice value, uint64_t *ms)
{
    return read_digits(value, CONNECT_DIGITS, ms);
}

static uint64_t divide_up(uint64_t value, uint64_t by)
{
    return (value + by - 1) / by;
}

int cla_rpc_timeout_grpc(struct cla_slice value, uint64_t *ms)
{
    uint64_t n;

    if (value.n == 0 || read_digits(cla_slice(value.p, value.n - 1), GRPC_DIGITS, &n) != 0)
        return -CLA_EINVAL;
    switch (value.p[value.n - 1]) {
    case 'H':
        *ms = n * 3600000;
        return 0;
    case 'M':
        *ms = n * 60000;
        return 0;
    case 'S':
        *ms = n * 1000;
        return 0;
    case 'm':
        *ms = n;
        return 0;
    case 'u':
        *ms = divide_up(n, 1000);
        return 0;
    case 'n':
        *ms = divide_up(n, 1000000);
        return 0;
    default:
        return -CLA_EINVAL;
    }
}

int cla_rpc_timeout_header(struct cla_slice connect, struct cla_slice grpc, uint64_t *ms)
{
    int rc = -CLA_ENOTFOUND;

    if (grpc.p != NULL)
        rc = cla_rpc_timeout_grpc(grpc, ms);
    if (connect.p != NULL && rc != -CLA_EINVAL)
        rc = cla_rpc_timeout_connect(connect, ms);
    return rc;
}
