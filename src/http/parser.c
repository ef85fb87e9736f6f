#include "http/parser.h"

#include <inttypes.h>
#include <llhttp.h>

#include "base/error.h"
#include "base/mem.h"
#include "http/chunk.h"
#include "http/gate.h"
#include "http/rules.h"

/*   IDLE -> HEAD -> LENGTH | CHUNKED | UNTIL_CLOSE -> IDLE
 *            |  \-> IDLE (no body)
 *            v
 *          FAILED (from anywhere)
 * llhttp reads heads only; bodies are framed here, by a count or by http/chunk.h. */
enum state { IDLE, HEAD, LENGTH, CHUNKED, UNTIL_CLOSE, FAILED };

#define EMPTY_LINES_MAX 4 /* before a request (RFC 9112 section 2.2) */

/* A run of bytes of the head. It may be moved while it is gathered, so no pointers. */
struct span {
    uint32_t at, n;
};

struct field_spans {
    struct span name, value;
};

struct cla_http_parser {
    llhttp_t llhttp;
    const struct cla_http_limits *limits;
    const struct cla_http_events *events;
    void *arg;
    enum state state;
    bool response;
    bool no_body; /* the next final response has none */
    bool upgrade; /* the message under way is an upgrade */
    bool head_complete;
    bool empty_line_cr;          /* a CR before the request was taken, its LF not yet */
    unsigned empty_lines;        /* before the request */
    struct cla_http_gate gate;   /* of the head under way */
    struct cla_buf gathered;     /* the head, if it came in pieces */
    const char *head;            /* its first byte, during a call of llhttp_execute() */
    size_t executed;             /* bytes of it that llhttp has read */
    uint64_t left;               /* bytes of body: to come (LENGTH), or so far (UNTIL_CLOSE) */
    struct cla_http_chunk chunk; /* CHUNKED */
    struct cla_http_fault fault;
    unsigned field_count;
    struct field_spans fields[CLA_HTTP_FIELDS_MAX];
};

static struct cla_slice slice_of(const struct cla_http_parser *parser, struct span span)
{
    return cla_slice(parser->head + span.at, span.n);
}

static void method_of(const struct cla_http_parser *parser, struct cla_http_head *head)
{
    static const uint8_t methods[] = {
        [HTTP_GET] = CLA_HTTP_GET,         [HTTP_HEAD] = CLA_HTTP_HEAD,
        [HTTP_POST] = CLA_HTTP_POST,       [HTTP_PUT] = CLA_HTTP_PUT,
        [HTTP_PATCH] = CLA_HTTP_PATCH,     [HTTP_DELETE] = CLA_HTTP_DELETE,
        [HTTP_OPTIONS] = CLA_HTTP_OPTIONS,
    };
    unsigned method = parser->llhttp.method;

    head->method =
        method < CLA_ARRAY_LEN(methods) ? (enum cla_http_method)methods[method] : CLA_HTTP_OTHER;
    head->method_name = cla_slice(parser->head, parser->gate.method_n);
    head->target = cla_slice(parser->head + parser->gate.method_n + 1, parser->gate.target_n);
}

static void fill_head(const struct cla_http_parser *parser, struct cla_http_head *head)
{
    memset(head, 0, offsetof(struct cla_http_head, fields));
    head->raw = cla_slice(parser->head, parser->gate.at);
    head->version_minor = parser->llhttp.http_minor;
    if (parser->response)
        head->status = parser->llhttp.status_code;
    else
        method_of(parser, head);
    head->field_count = parser->field_count;
    for (unsigned i = 0; i < parser->field_count; i++) {
        head->fields[i].name = slice_of(parser, parser->fields[i].name);
        head->fields[i].value = cla_slice_trim(slice_of(parser, parser->fields[i].value));
    }
}

static bool is_interim(const struct cla_http_parser *parser, const struct cla_http_head *head)
{
    return parser->response && head->status < 200 && head->status != 101;
}

static void begin_chunks(struct cla_http_parser *parser)
{
    const struct cla_http_limits *limits = parser->limits;

    parser->chunk = (struct cla_http_chunk){
        .body_left = limits->body_bytes,
        .body_limit = limits->body_bytes,
        .trailer_left = limits->head_bytes - parser->gate.at,
        .head_limit = limits->head_bytes,
        .fields_left = limits->field_count - parser->field_count,
    };
}

static void begin_body(struct cla_http_parser *parser, const struct cla_http_head *head)
{
    parser->upgrade = head->upgrade;
    parser->left = head->content_length;
    if (!head->has_body)
        parser->state = IDLE;
    else if (head->chunked)
        parser->state = CHUNKED;
    else
        parser->state = head->content_length > 0 ? LENGTH : UNTIL_CLOSE;
    if (parser->state == CHUNKED)
        begin_chunks(parser);
}

/* Fills a struct of 4 KiB on the stack rather than keep one in each connection. */
static int on_headers_complete(llhttp_t *llhttp)
{
    struct cla_http_parser *parser = llhttp->data;
    struct cla_http_head head;
    int rc;

    fill_head(parser, &head);
    if (parser->response)
        rc = cla_http_rules_response(&head, parser->limits, parser->no_body, &parser->fault);
    else
        rc = cla_http_rules_request(&head, parser->limits, &parser->fault);
    if (rc != 0) {
        if (parser->fault.status == 413 && parser->events->on_too_large != NULL)
            parser->events->on_too_large(parser->arg, &head);
        return -1;
    }
    llhttp->upgrade = 0; /* ours to decide, or llhttp would refuse to go on */
    parser->head_complete = true;
    begin_body(parser, &head);
    if (!is_interim(parser, &head)) {
        parser->no_body = false;
        parser->events->on_head(parser->arg, &head);
    } else {
        parser->state = HEAD;
    }
    return 1; /* the body is not llhttp's */
}

/* llhttp gives a text in pieces if it came so. */
static bool extend(struct span *span, size_t at, size_t n)
{
    if (span->at + span->n != at)
        return false;
    span->n += (uint32_t)n;
    return true;
}

static int on_name(llhttp_t *llhttp, const char *p, size_t n)
{
    struct cla_http_parser *parser = llhttp->data;
    size_t at = (size_t)(p - parser->head);
    struct field_spans *field = parser->fields + parser->field_count;

    if (parser->field_count > 0 && extend(&field[-1].name, at, n))
        return 0;
    CLA_PRE(parser->field_count < parser->limits->field_count); /* the gate counts */
    field->name = (struct span){(uint32_t)at, (uint32_t)n};
    field->value = (struct span){(uint32_t)(at + n), 0};
    parser->field_count++;
    return 0;
}

static int on_value(llhttp_t *llhttp, const char *p, size_t n)
{
    struct cla_http_parser *parser = llhttp->data;
    size_t at = (size_t)(p - parser->head);
    struct span *value = &parser->fields[parser->field_count - 1].value;

    if (value->n == 0 || !extend(value, at, n))
        *value = (struct span){(uint32_t)at, (uint32_t)n};
    return 0;
}

static const llhttp_settings_t settings = {
    .on_header_field = on_name,
    .on_header_value = on_value,
    .on_headers_complete = on_headers_complete,
};

static enum cla_http_result fail(struct cla_http_parser *parser)
{
    parser->state = FAILED;
    return CLA_HTTP_FAILED;
}

static void refuse_llhttp(struct cla_http_parser *parser, llhttp_errno_t error)
{
    const char *reason = llhttp_get_error_reason(&parser->llhttp);

    if (error == HPE_INVALID_METHOD)
        cla_http_fault_set(&parser->fault, 400, "the method is unknown");
    else
        cla_http_fault_set(&parser->fault, 400, "malformed head: %s", reason != NULL ? reason : "");
}

/* Hands llhttp what the gate let through, up to head[0..n). What it refuses lies before what the
 * gate refused, so its fault replaces the gate's. */
static int execute(struct cla_http_parser *parser, const char *head, size_t n)
{
    bool gate_failed = parser->fault.status != 0;
    llhttp_errno_t error;

    if (n == parser->executed)
        return 0;
    parser->head = head;
    error = llhttp_execute(&parser->llhttp, head + parser->executed, n - parser->executed);
    parser->executed = n;
    if (error == HPE_OK)
        return 0;
    if (gate_failed || parser->fault.status == 0) /* else http/rules.h refused it */
        refuse_llhttp(parser, error);
    return -CLA_EPROTO;
}

static void begin_head(struct cla_http_parser *parser)
{
    llhttp_reset(&parser->llhttp);
    parser->gate = (struct cla_http_gate){.response = parser->response};
    parser->executed = 0;
    parser->field_count = 0;
    parser->head_complete = false;
    parser->empty_lines = 0;
    parser->state = HEAD;
}

static void drop_gathered(struct cla_http_parser *parser)
{
    if (parser->gathered.p != NULL)
        cla_buf_fini(&parser->gathered);
}

static enum cla_http_result end_message(struct cla_http_parser *parser)
{
    parser->state = IDLE;
    parser->events->on_end(parser->arg);
    return parser->upgrade ? CLA_HTTP_UPGRADE : CLA_HTTP_PAUSED;
}

/* The head is over: a body follows, or the message ends, or (interim) the next head begins. */
static enum cla_http_result end_head(struct cla_http_parser *parser)
{
    drop_gathered(parser);
    if (!parser->head_complete) {
        cla_http_fault_set(&parser->fault, 400, "malformed head");
        return fail(parser);
    }
    if (parser->state == IDLE)
        return end_message(parser);
    if (parser->state == HEAD)
        parser->state = IDLE;
    return CLA_HTTP_MORE;
}

/* Empty lines, up to the first byte of a head. */
static enum cla_http_result feed_idle(struct cla_http_parser *parser, struct cla_slice in,
                                      size_t *at)
{
    char c = in.p[*at];

    if (parser->empty_line_cr) {
        if (c != '\n') {
            cla_http_fault_set(&parser->fault, 400, "a CR without LF before the head");
            return fail(parser);
        }
        parser->empty_line_cr = false;
        ++*at;
    } else if (c == '\r' && !parser->response) {
        if (parser->empty_lines++ == EMPTY_LINES_MAX) {
            cla_http_fault_set(&parser->fault, 400, "more than %d empty lines before the head",
                               EMPTY_LINES_MAX);
            return fail(parser);
        }
        parser->empty_line_cr = true;
        ++*at;
    } else {
        begin_head(parser);
    }
    return CLA_HTTP_MORE;
}

/* Adds the bytes that the gate may look at to the gathered head. */
static int gather(struct cla_http_parser *parser, struct cla_slice in, size_t at)
{
    size_t room = parser->limits->head_bytes + 1 - parser->gathered.n;
    size_t n = in.n - at;

    if (cla_buf_append(&parser->gathered, in.p + at, n < room ? n : room) == 0)
        return 0;
    cla_http_fault_set(&parser->fault, 503, "out of memory");
    return -CLA_ENOMEM;
}

/* Gate, then llhttp, over the head's bytes head[0..n). DONE when both have it all. */
static enum cla_http_gate_result read_head(struct cla_http_parser *parser, const char *head,
                                           size_t n)
{
    enum cla_http_gate_result result =
        cla_http_gate_scan(&parser->gate, parser->limits, head, n, &parser->fault);

    if (execute(parser, head, parser->gate.at) != 0)
        return CLA_HTTP_GATE_FAILED;
    return result;
}

/* The head's first bytes: if it is here whole, it is read in place. */
static enum cla_http_result feed_head_in_place(struct cla_http_parser *parser, struct cla_slice in,
                                               size_t *at)
{
    enum cla_http_gate_result result =
        cla_http_gate_scan(&parser->gate, parser->limits, in.p + *at, in.n - *at, &parser->fault);

    if (result == CLA_HTTP_GATE_MORE) {
        if (gather(parser, in, *at) != 0)
            return fail(parser);
        *at = in.n;
        return execute(parser, parser->gathered.p, parser->gate.at) == 0 ? CLA_HTTP_MORE
                                                                         : fail(parser);
    }
    if (execute(parser, in.p + *at, parser->gate.at) != 0 || result == CLA_HTTP_GATE_FAILED)
        return fail(parser);
    *at += parser->gate.at;
    return end_head(parser);
}

static enum cla_http_result feed_head(struct cla_http_parser *parser, struct cla_slice in,
                                      size_t *at)
{
    size_t before = parser->gathered.n;

    if (before == 0)
        return feed_head_in_place(parser, in, at);
    if (gather(parser, in, *at) != 0)
        return fail(parser);
    switch (read_head(parser, parser->gathered.p, parser->gathered.n)) {
    case CLA_HTTP_GATE_MORE:
        *at = in.n;
        return CLA_HTTP_MORE;
    case CLA_HTTP_GATE_DONE:
        *at += parser->gate.at - before;
        return end_head(parser);
    default:
        return fail(parser);
    }
}

static enum cla_http_result feed_length(struct cla_http_parser *parser, struct cla_slice in,
                                        size_t *at)
{
    size_t n = in.n - *at < parser->left ? in.n - *at : (size_t)parser->left;

    parser->events->on_body(parser->arg, cla_slice(in.p + *at, n));
    parser->left -= n;
    *at += n;
    return parser->left == 0 ? end_message(parser) : CLA_HTTP_MORE;
}

static enum cla_http_result feed_chunked(struct cla_http_parser *parser, struct cla_slice in,
                                         size_t *at)
{
    struct cla_slice data;

    switch (cla_http_chunk_feed(&parser->chunk, in.p, in.n, at, &data, &parser->fault)) {
    case CLA_HTTP_CHUNK_DATA:
        parser->events->on_body(parser->arg, data);
        return CLA_HTTP_MORE;
    case CLA_HTTP_CHUNK_END:
        return end_message(parser);
    case CLA_HTTP_CHUNK_FAILED:
        return fail(parser);
    default:
        return CLA_HTTP_MORE;
    }
}

static enum cla_http_result feed_until_close(struct cla_http_parser *parser, struct cla_slice in,
                                             size_t *at)
{
    uint64_t room = parser->limits->body_bytes - parser->left;
    size_t n = in.n - *at < room ? in.n - *at : (size_t)room;

    if (n == 0) {
        cla_http_fault_set(&parser->fault, 413, "the body is larger than %" PRIu64 " bytes",
                           parser->limits->body_bytes);
        return fail(parser);
    }
    parser->left += n;
    parser->events->on_body(parser->arg, cla_slice(in.p + *at, n));
    *at += n;
    return CLA_HTTP_MORE;
}

typedef enum cla_http_result feed_fn(struct cla_http_parser *, struct cla_slice in, size_t *at);

static feed_fn *const feeds[] = {
    [IDLE] = feed_idle,
    [HEAD] = feed_head,
    [LENGTH] = feed_length,
    [CHUNKED] = feed_chunked,
    [UNTIL_CLOSE] = feed_until_close,
};

enum cla_http_result cla_http_parser_feed(struct cla_http_parser *parser, const char *p, size_t n,
                                          size_t *taken)
{
    enum cla_http_result result = CLA_HTTP_MORE;
    size_t at = 0;

    CLA_PRE(parser->state != FAILED);
    while (result == CLA_HTTP_MORE && at < n)
        result = feeds[parser->state](parser, cla_slice(p, n), &at);
    *taken = at;
    return result;
}

int cla_http_parser_finish(struct cla_http_parser *parser)
{
    if (parser->state == UNTIL_CLOSE)
        end_message(parser);
    return parser->state == IDLE && !parser->empty_line_cr ? 0 : -CLA_EPROTO;
}

static int new_parser(struct cla_http_parser **out, llhttp_type_t type,
                      const struct cla_http_limits *limits, const struct cla_http_events *events,
                      void *arg)
{
    struct cla_http_parser *parser;

    CLA_PRE(limits->field_count > 0 && limits->field_count <= CLA_HTTP_FIELDS_MAX);
    CLA_PRE(limits->head_bytes > 0 && limits->head_bytes < UINT32_MAX);
    CLA_PRE(limits->body_bytes <= INT64_MAX);
    parser = cla_mem_alloc(sizeof(*parser));
    if (parser == NULL)
        return -CLA_ENOMEM;
    memset(parser, 0, offsetof(struct cla_http_parser, fields)); /* 'fields' is filled by use */
    llhttp_init(&parser->llhttp, type, &settings);
    parser->llhttp.data = parser;
    parser->limits = limits;
    parser->events = events;
    parser->arg = arg;
    parser->response = type == HTTP_RESPONSE;
    *out = parser;
    return 0;
}

int cla_http_parser_new_request(struct cla_http_parser **out, const struct cla_http_limits *limits,
                                const struct cla_http_events *events, void *arg)
{
    return new_parser(out, HTTP_REQUEST, limits, events, arg);
}

int cla_http_parser_new_response(struct cla_http_parser **out, const struct cla_http_limits *limits,
                                 const struct cla_http_events *events, void *arg)
{
    return new_parser(out, HTTP_RESPONSE, limits, events, arg);
}

void cla_http_parser_set_arg(struct cla_http_parser *parser, void *arg)
{
    CLA_PRE(cla_http_parser_idle(parser));
    parser->arg = arg;
}

void cla_http_parser_free(struct cla_http_parser *parser)
{
    if (parser == NULL)
        return;
    cla_buf_fini(&parser->gathered);
    cla_mem_free(parser);
}

void cla_http_parser_no_body(struct cla_http_parser *parser)
{
    parser->no_body = true;
}

bool cla_http_parser_idle(const struct cla_http_parser *parser)
{
    return parser->state == IDLE && !parser->empty_line_cr && parser->empty_lines == 0;
}

bool cla_http_parser_in_message(const struct cla_http_parser *parser)
{
    return parser->state != IDLE && parser->state != FAILED;
}

int cla_http_parser_status(const struct cla_http_parser *parser)
{
    return parser->fault.status;
}

const char *cla_http_parser_error(const struct cla_http_parser *parser)
{
    return parser->fault.text;
}
