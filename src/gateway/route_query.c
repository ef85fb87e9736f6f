#include "gateway/route_query.h"

#include "base/base64.h"
#include "http/url.h"

static int refuse(struct cla_route_fault *to, int status, enum cla_code code, const char *why)
{
    *to = (struct cla_route_fault){status, code, why};
    return -CLA_EINVAL;
}

int cla_route_query_check(struct cla_slice query, bool *connect, struct cla_route_fault *fault)
{
    struct cla_slice name, value;

    while (cla_http_query_next(&query, &name, &value)) {
        if (cla_slice_eq(name, CLA_LIT("encoding")) && !cla_slice_eq(value, CLA_LIT("json")))
            return refuse(fault, 415, CLA_CODE_UNIMPLEMENTED, "encoding must be json");
        if (cla_slice_eq(name, CLA_LIT("compression")) && value.n > 0 &&
            !cla_slice_eq(value, CLA_LIT("identity")))
            return refuse(fault, 501, CLA_CODE_UNIMPLEMENTED,
                          "compression is not supported: send the message as it is (identity)");
        if (cla_slice_eq(name, CLA_LIT("connect")) && !cla_slice_eq(value, CLA_LIT("v1")))
            return refuse(fault, 400, CLA_CODE_INVALID_ARGUMENT, "connect must be v1");
        *connect = *connect || cla_slice_eq(name, CLA_LIT("connect"));
    }
    return 0;
}

struct message {
    struct cla_slice text; /* still encoded */
    bool base64;
};

static struct message find_message(struct cla_slice query)
{
    struct message message = {0};
    struct cla_slice name, value;

    while (cla_http_query_next(&query, &name, &value)) {
        if (cla_slice_eq(name, CLA_LIT("message")))
            message.text = value;
        else if (cla_slice_eq(name, CLA_LIT("base64")))
            message.base64 = cla_slice_eq(value, CLA_LIT("1"));
    }
    return message;
}

/* As percent escapes, and with the '+' for a space that forms and URLSearchParams write. */
static int decode_text(struct cla_buf *out, struct cla_slice text)
{
    int rc = 0;

    while (rc == 0 && text.n > 0) {
        const char *plus = memchr(text.p, '+', text.n);
        size_t n = plus != NULL ? (size_t)(plus - text.p) : text.n;

        rc = cla_http_percent_decode(out, cla_slice(text.p, n));
        if (rc == 0 && plus != NULL)
            rc = cla_buf_push(out, ' ');
        n += plus != NULL;
        text = cla_slice(text.p + n, text.n - n);
    }
    return rc;
}

int cla_route_query_params(struct cla_slice query, struct cla_buf *out, const char **why)
{
    struct message message = find_message(query);
    int rc = message.base64 ? cla_http_percent_decode(out, message.text)
                            : decode_text(out, message.text);

    if (rc == -CLA_EINVAL)
        *why = "message holds a malformed percent escape";
    if (rc == 0 && message.base64) {
        rc = cla_base64_decode(out);
        if (rc != 0)
            *why = "message is not base64";
    }
    return rc;
}
