#include "gateway/origin.h"

#include "http/token.h"

/* What a page may send without asking for it by name. So a page that has asked once need not ask
 * again for a call with a timeout. */
#define HEADERS \
    "Authorization, Content-Type, Connect-Protocol-Version, Connect-Timeout-Ms, Grpc-Timeout"
/* Seconds a browser may remember a preflight. */
#define MAX_AGE "7200"
#define VARY_OF_PREFLIGHT                            \
    "Vary: Origin, Access-Control-Request-Headers, " \
    "Access-Control-Request-Private-Network\r\n"

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
    bool any = false;

    if (origin.n == 0)
        return CLA_ORIGIN_OWN;
    for (size_t i = 0; i < count; i++) {
        any = any || cla_slice_eq(list[i], CLA_LIT("*"));
        if (cla_slice_eq_nocase(list[i], origin))
            return CLA_ORIGIN_ALLOWED;
    }
    if (any)
        return CLA_ORIGIN_ANY;
    return host.n > 0 && cla_slice_eq_nocase(host_of(origin), host) ? CLA_ORIGIN_OWN
                                                                    : CLA_ORIGIN_REFUSED;
}

static bool is_token(struct cla_slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (!cla_http_is_token_char(s.p[i]))
            return false;
    }
    return s.n > 0;
}

static bool is_known(struct cla_slice name)
{
    struct cla_slice known = CLA_LIT(HEADERS), item;

    while (cla_slice_next(&known, ',', &item)) {
        if (cla_slice_eq_nocase(item, name))
            return true;
    }
    return false;
}

/* Appends our own names and those that are asked for; if these are no list of names, ours alone. */
static int add_headers(struct cla_buf *to, struct cla_slice asked)
{
    struct cla_slice name;
    int rc = cla_buf_add(to, CLA_LIT("Access-Control-Allow-Headers: " HEADERS));
    size_t ours = to->n;

    while (rc == 0 && cla_slice_next(&asked, ',', &name)) {
        if (!is_token(name)) {
            to->n = ours;
            break;
        }
        if (!is_known(name))
            rc = cla_buf_printf(to, ", %.*s", (int)name.n, name.p);
    }
    return rc == 0 ? cla_buf_add(to, CLA_LIT("\r\n")) : rc;
}

static int add_preflight(struct cla_buf *to, const struct cla_cors *cors, const char *methods)
{
    int rc = cla_buf_printf(to,
                            "Access-Control-Allow-Methods: %s\r\n"
                            "Access-Control-Max-Age: " MAX_AGE "\r\n",
                            methods);

    if (rc == 0)
        rc = add_headers(to, cors->headers);
    if (rc == 0 && cors->private_network)
        rc = cla_buf_add(to, CLA_LIT("Access-Control-Allow-Private-Network: true\r\n"));
    return rc;
}

int cla_origin_fields(struct cla_buf *to, const struct cla_cors *cors, const char *methods)
{
    int rc = methods != NULL ? cla_buf_add(to, CLA_LIT(VARY_OF_PREFLIGHT))
                             : cla_buf_add(to, CLA_LIT("Vary: Origin\r\n"));

    if (rc != 0 || cors->origin.n == 0)
        return rc;
    rc = cla_buf_printf(to, "Access-Control-Allow-Origin: %.*s\r\n", (int)cors->origin.n,
                        cors->origin.p);
    if (rc == 0 && methods != NULL)
        rc = add_preflight(to, cors, methods);
    else if (rc == 0)
        rc = cla_buf_add(to, CLA_LIT("Access-Control-Expose-Headers: *\r\n"));
    return rc;
}
