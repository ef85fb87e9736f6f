#include "gateway/origin.h"

/* What a page may send, beyond what every page may. */
#define HEADERS \
    "Authorization, Content-Type, Connect-Protocol-Version, Connect-Timeout-Ms, Grpc-Timeout"
/* Seconds a browser may remember a preflight. */
#define MAX_AGE "7200"

/* "http://localhost:3000" -> "localhost:3000"; both leave out the scheme's own port. */
static struct cla_slice host_of(struct cla_slice origin)
{
    const char *slashes = origin.n > 3 ? memmem(origin.p, origin.n, "://", 3) : NULL;

    if (slashes == NULL)
        return cla_slice("", 0);
    return cla_slice(slashes + 3, origin.n - (size_t)(slashes + 3 - origin.p));
}

enum cla_origin cla_origin_check(struct cla_slice origin, struct cla_slice host,
                                 const struct cla_slice *list, size_t count)
{
    if (origin.n == 0)
        return CLA_ORIGIN_OWN;
    for (size_t i = 0; i < count; i++) {
        if (cla_slice_eq(list[i], CLA_LIT("*")) || cla_slice_eq_nocase(list[i], origin))
            return CLA_ORIGIN_ALLOWED;
    }
    return host.n > 0 && cla_slice_eq_nocase(host_of(origin), host) ? CLA_ORIGIN_OWN
                                                                    : CLA_ORIGIN_REFUSED;
}

int cla_origin_fields(struct cla_buf *to, struct cla_slice origin, const char *methods)
{
    int rc = cla_buf_printf(to, "Access-Control-Allow-Origin: %.*s\r\nVary: Origin\r\n",
                            (int)origin.n, origin.p);

    if (rc != 0 || methods == NULL)
        return rc;
    return cla_buf_printf(to,
                          "Access-Control-Allow-Methods: %s\r\n"
                          "Access-Control-Allow-Headers: " HEADERS "\r\n"
                          "Access-Control-Max-Age: " MAX_AGE "\r\n",
                          methods);
}
