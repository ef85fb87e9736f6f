#include "http/rules.h"

#include <inttypes.h>

#include "http/url.h"

/* What was seen of the fields that decide about the message. */
struct seen {
    unsigned hosts, lengths, codings, expects;
    bool close, keep_alive, upgrade; /* tokens of Connection */
    bool websocket;                  /* a protocol of Upgrade */
};

/* True if 'name' is 'lower' (lower case, no '_') but for case. */
static bool is(struct cla_slice name, const char *lower)
{
    for (size_t i = 0; i < name.n; i++) {
        if ((name.p[i] | 0x20) != lower[i])
            return false;
    }
    return true;
}

static int note_length(struct cla_http_head *head, struct seen *seen, struct cla_slice value,
                       struct cla_http_fault *fault)
{
    uint64_t length = 0;

    if (seen->lengths++ > 0)
        return cla_http_fault_set(fault, 400, "more than one Content-Length");
    if (value.n == 0)
        return cla_http_fault_set(fault, 400, "Content-Length is empty");
    for (size_t i = 0; i < value.n; i++) {
        unsigned digit = (unsigned)(value.p[i] - '0');

        if (digit > 9)
            return cla_http_fault_set(fault, 400, "Content-Length is not a number");
        if (length > (UINT64_MAX - 9) / 10)
            return cla_http_fault_set(fault, 400, "Content-Length is too large to be one");
        length = length * 10 + digit;
    }
    head->content_length = length;
    return 0;
}

static int note_coding(struct seen *seen, struct cla_slice value, struct cla_http_fault *fault)
{
    if (seen->codings++ > 0)
        return cla_http_fault_set(fault, 400, "more than one Transfer-Encoding");
    if (value.n != 7 || !is(value, "chunked"))
        return cla_http_fault_set(fault, 400, "Transfer-Encoding is not 'chunked'");
    return 0;
}

static int note_host(struct cla_http_head *head, struct seen *seen, struct cla_slice value,
                     struct cla_http_fault *fault)
{
    if (seen->hosts++ > 0)
        return cla_http_fault_set(fault, 400, "more than one Host");
    head->host = value;
    return 0;
}

static void note_connection(struct seen *seen, struct cla_slice list)
{
    struct cla_slice token;

    while (cla_slice_next(&list, ',', &token)) {
        if (token.n == 5 && is(token, "close"))
            seen->close = true;
        else if (token.n == 7 && is(token, "upgrade"))
            seen->upgrade = true;
        else if (token.n == 10 && is(token, "keep-alive"))
            seen->keep_alive = true;
    }
}

static void note_upgrade(struct seen *seen, struct cla_slice list)
{
    struct cla_slice protocol;

    while (cla_slice_next(&list, ',', &protocol))
        seen->websocket |= protocol.n == 9 && is(protocol, "websocket");
}

static int note_expect(struct cla_http_head *head, struct seen *seen, struct cla_slice value,
                       struct cla_http_fault *fault)
{
    if (head->version_minor == 0)
        return 0;
    if (value.n != 12 || !is(value, "100-continue"))
        return cla_http_fault_set(fault, 417, "Expect is not '100-continue'");
    seen->expects++;
    return 0;
}

/* Looks at one field; the length of its name tells most of them apart. */
static int note(struct cla_http_head *head, struct seen *seen, const struct cla_http_field *field,
                struct cla_http_fault *fault)
{
    switch (field->name.n) {
    case 4:
        return is(field->name, "host") ? note_host(head, seen, field->value, fault) : 0;
    case 6:
        return is(field->name, "expect") ? note_expect(head, seen, field->value, fault) : 0;
    case 7:
        if (is(field->name, "upgrade"))
            note_upgrade(seen, field->value);
        return 0;
    case 10:
        if (is(field->name, "connection"))
            note_connection(seen, field->value);
        return 0;
    case 12:
        if (is(field->name, "content-type"))
            head->content_type = field->value;
        return 0;
    case 14:
        return is(field->name, "content-length") ? note_length(head, seen, field->value, fault) : 0;
    case 17:
        return is(field->name, "transfer-encoding") ? note_coding(seen, field->value, fault) : 0;
    default:
        return 0;
    }
}

/* Transfer-Encoding beside Content-Length, or from HTTP/1.0, is how requests are smuggled. */
static int read_framing(struct cla_http_head *head, const struct seen *seen,
                        const struct cla_http_limits *limits, struct cla_http_fault *fault)
{
    if (seen->codings > 0 && seen->lengths > 0)
        return cla_http_fault_set(fault, 400, "both Content-Length and Transfer-Encoding");
    if (seen->codings > 0 && head->version_minor == 0)
        return cla_http_fault_set(fault, 400, "Transfer-Encoding in HTTP/1.0");
    if (head->content_length > limits->body_bytes)
        return cla_http_fault_set(fault, 413, "the body is larger than %" PRIu64 " bytes",
                                  limits->body_bytes);
    head->chunked = seen->codings > 0;
    head->has_body = head->chunked || head->content_length > 0;
    return 0;
}

static int read_fields(struct cla_http_head *head, struct seen *seen, struct cla_http_fault *fault)
{
    int rc = 0;

    for (unsigned i = 0; i < head->field_count && rc == 0; i++)
        rc = note(head, seen, &head->fields[i], fault);
    head->keep_alive = (head->version_minor > 0 || seen->keep_alive) && !seen->close;
    return rc;
}

static int check_host(const struct cla_http_head *head, const struct seen *seen,
                      struct cla_http_fault *fault)
{
    if (seen->hosts == 0 && head->version_minor > 0)
        return cla_http_fault_set(fault, 400, "there is no Host");
    if (seen->hosts > 0 && !cla_http_host_valid(head->host))
        return cla_http_fault_set(fault, 400, "Host is empty or malformed");
    return 0;
}

/* '*' belongs to OPTIONS, and to M-SEARCH and its like. The authority of an absolute target
 * replaces Host (RFC 9112 section 3.2.2). */
static int read_target(struct cla_http_head *head, struct cla_http_fault *fault)
{
    struct cla_http_target target;

    if (head->target.p[0] == '/')
        return 0;
    if (cla_http_target_split(head->target, &target) != 0)
        return cla_http_fault_set(fault, 400, "the target is no path, http URL or '*'");
    if (target.host.n > 0)
        head->host = target.host;
    else if (head->method != CLA_HTTP_OPTIONS && head->method != CLA_HTTP_OTHER)
        return cla_http_fault_set(fault, 400, "the target '*' is for OPTIONS");
    return 0;
}

int cla_http_rules_request(struct cla_http_head *head, const struct cla_http_limits *limits,
                           struct cla_http_fault *fault)
{
    struct seen seen = {0};
    int rc = read_fields(head, &seen, fault);

    if (rc == 0)
        rc = check_host(head, &seen, fault);
    if (rc == 0)
        rc = read_target(head, fault);
    if (rc == 0)
        rc = read_framing(head, &seen, limits, fault);
    head->expect_continue = seen.expects > 0 && head->has_body;
    head->upgrade = seen.upgrade && seen.websocket && head->version_minor > 0 && !head->has_body;
    return rc;
}

static bool status_has_no_body(int status)
{
    return status < 200 || status == 204 || status == 304;
}

int cla_http_rules_response(struct cla_http_head *head, const struct cla_http_limits *limits,
                            bool no_body, struct cla_http_fault *fault)
{
    struct seen seen = {0};
    int rc = read_fields(head, &seen, fault);

    if (rc != 0)
        return rc;
    if (no_body || status_has_no_body(head->status)) {
        head->upgrade = head->status == 101;
        return 0;
    }
    rc = read_framing(head, &seen, limits, fault);
    if (rc == 0 && seen.codings == 0 && seen.lengths == 0) {
        head->has_body = true;
        head->keep_alive = false;
    }
    return rc;
}
