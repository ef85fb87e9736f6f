#include "gateway/route.h"

#include "gateway/route_query.h"
#include "http/path.h"
#include "http/url.h"
#include "rpc/timeout.h"

static void refuse(struct cla_route *route, int status, const char *why)
{
    route->kind = CLA_ROUTE_REFUSE;
    route->status = status;
    route->why = why;
}

/* Who sends such a target means harm, or is not understood in what follows either. */
static void refuse_malformed(struct cla_route *route, const char *why)
{
    refuse(route, 400, why);
    route->closes = true;
}

static void refuse_unary(struct cla_route *route, int status, enum cla_code code, const char *why)
{
    refuse(route, status, why);
    route->unary_error = true;
    route->code = code;
}

/* Of a procedure that the path names, with an error object. */
static void refuse_call(struct cla_route *route, int status, enum cla_code code, const char *why)
{
    if (route->procedure != NULL)
        refuse_unary(route, status, code, why);
    else
        refuse(route, status, why);
}

/* The header fields that matter here, of all that a head may hold. */
struct fields {
    struct cla_slice connect_timeout, grpc_timeout, connect_version, content_encoding, origin;
    struct cla_slice stream_encoding;
    struct cla_slice ask_method, ask_headers, ask_private_network; /* Access-Control-Request-… */
    bool accepts_events;
};

static void take_field(const struct cla_http_field *field, struct cla_slice name,
                       struct cla_slice *to)
{
    if (cla_slice_eq_nocase(field->name, name))
        *to = field->value.p != NULL ? field->value : cla_slice("", 0);
}

/* True for Accept with text/event-stream in its list, whatever its parameters. */
static bool accepts_events(const struct cla_http_field *field)
{
    struct cla_slice list = field->value, item, type;

    if (!cla_slice_eq_nocase(field->name, CLA_LIT("accept")))
        return false;
    while (cla_slice_next(&list, ',', &item)) {
        if (cla_slice_next(&item, ';', &type) &&
            cla_slice_eq_nocase(type, CLA_LIT("text/event-stream")))
            return true;
    }
    return false;
}

static struct fields read_fields(const struct cla_http_head *head)
{
    struct fields f = {0};

    for (unsigned i = 0; i < head->field_count; i++) {
        const struct cla_http_field *field = &head->fields[i];

        switch (field->name.n) { /* the lengths sort out nearly all other fields */
        case 6:
            take_field(field, CLA_LIT("origin"), &f.origin);
            f.accepts_events |= accepts_events(field);
            break;
        case 12:
            take_field(field, CLA_LIT("grpc-timeout"), &f.grpc_timeout);
            break;
        case 16:
            take_field(field, CLA_LIT("content-encoding"), &f.content_encoding);
            break;
        case 18:
            take_field(field, CLA_LIT("connect-timeout-ms"), &f.connect_timeout);
            break;
        case 24:
            take_field(field, CLA_LIT("connect-protocol-version"), &f.connect_version);
            take_field(field, CLA_LIT("connect-content-encoding"), &f.stream_encoding);
            break;
        case 29:
            take_field(field, CLA_LIT("access-control-request-method"), &f.ask_method);
            break;
        case 30:
            take_field(field, CLA_LIT("access-control-request-headers"), &f.ask_headers);
            break;
        case 38:
            take_field(field, CLA_LIT("access-control-request-private-network"),
                       &f.ask_private_network);
            break;
        default:
            break;
        }
    }
    return f;
}

/* application/json, with no parameter but charset=utf-8 (RFC 8259 has no other). */
static bool is_json(struct cla_slice content_type)
{
    struct cla_slice part;

    if (!cla_slice_next(&content_type, ';', &part) ||
        !cla_slice_eq_nocase(part, CLA_LIT("application/json")))
        return false;
    while (cla_slice_next(&content_type, ';', &part)) {
        if (!cla_slice_eq_nocase(part, CLA_LIT("charset=utf-8")) &&
            !cla_slice_eq_nocase(part, CLA_LIT("charset=\"utf-8\"")))
            return false;
    }
    return true;
}

/* A message of Connect's streaming, which has a compression of its own. */
static bool is_connect_stream(struct cla_slice content_type)
{
    struct cla_slice type;

    return cla_slice_next(&content_type, ';', &type) &&
           cla_slice_eq_nocase(type, CLA_LIT("application/connect+json"));
}

static bool is_identity(struct cla_slice encoding)
{
    return encoding.n == 0 || cla_slice_eq_nocase(encoding, CLA_LIT("identity"));
}

/* Connect has an unknown encoding be 'unimplemented', and an unknown type 415. */
static bool check_body(struct cla_route *route, const struct cla_http_head *head,
                       const struct fields *fields)
{
    bool call = route->procedure != NULL, stream = route->format == CLA_ROUTE_CONNECT_STREAM;

    if (stream && !is_identity(fields->stream_encoding)) {
        refuse_unary(
            route, 501, CLA_CODE_UNIMPLEMENTED,
            "Connect-Content-Encoding is not supported: send the JSON as it is (identity)");
        return false;
    }
    if (!is_identity(fields->content_encoding)) {
        refuse_call(route, call ? 501 : 415, CLA_CODE_UNIMPLEMENTED,
                    "Content-Encoding is not supported: send the JSON as it is (identity)");
        return false;
    }
    if ((head->has_body || !call) && !stream && !is_json(head->content_type)) {
        refuse_call(route, 415, CLA_CODE_UNIMPLEMENTED,
                    "send Content-Type: application/json (use curl --json)");
        return false;
    }
    return true;
}

/* The name in a Host value: "[::1]:3000" -> "[::1]", "localhost:3000" -> "localhost". */
static struct cla_slice host_name(struct cla_slice host)
{
    bool bracket = host.n > 0 && host.p[0] == '[';
    const char *end = host.n > 0 ? memchr(host.p, bracket ? ']' : ':', host.n) : NULL;

    if (end != NULL)
        host.n = (size_t)(end - host.p) + bracket;
    return host;
}

static bool is_digits_and_dots(struct cla_slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] != '.' && (s.p[i] < '0' || s.p[i] > '9'))
            return false;
    }
    return true;
}

static bool is_loopback_name(struct cla_slice name)
{
    struct cla_slice suffix = CLA_LIT(".localhost");

    if (cla_slice_eq_nocase(name, CLA_LIT("localhost")) || cla_slice_eq(name, CLA_LIT("[::1]")))
        return true;
    if (cla_slice_starts(name, CLA_LIT("127.")))
        return is_digits_and_dots(name);
    return name.n > suffix.n &&
           cla_slice_eq_nocase(cla_slice(name.p + name.n - suffix.n, suffix.n), suffix);
}

/* On a loopback bind, a page from elsewhere may have its own name point here (DNS rebinding): its
 * requests carry that name. */
static inline bool host_allowed(struct cla_slice host, const struct cla_route_rules *rules)
{
    struct cla_slice name = host_name(host);

    if (host.n == 0 || is_loopback_name(name))
        return true;
    for (size_t i = 0; i < rules->host_count; i++) {
        if (cla_slice_eq(rules->hosts[i], CLA_LIT("*")) ||
            cla_slice_eq_nocase(rules->hosts[i], name) ||
            cla_slice_eq_nocase(rules->hosts[i], host))
            return true;
    }
    return false;
}

bool cla_route_host_allowed(struct cla_slice host, const struct cla_route_rules *rules)
{
    return host_allowed(host, rules);
}

/* False for pages of other sites that are not listed. A private network is for those that are
 * listed by name: whoever lists all has not thought of it. */
static bool check_origin(struct cla_route *route, struct cla_slice host,
                         const struct cla_route_rules *rules, const struct fields *fields)
{
    enum cla_origin verdict =
        cla_origin_check(fields->origin, host, rules->origins, rules->origin_count);

    if (verdict == CLA_ORIGIN_ALLOWED || verdict == CLA_ORIGIN_ANY)
        route->cors = (struct cla_cors){
            .origin = fields->origin,
            .headers = fields->ask_headers,
            .preflight = fields->ask_method.n > 0,
            .private_network = verdict == CLA_ORIGIN_ALLOWED &&
                               cla_slice_eq(fields->ask_private_network, CLA_LIT("true"))};
    return verdict != CLA_ORIGIN_REFUSED;
}

static void read_timeout(struct cla_route *route, const struct fields *fields)
{
    static const char why[] = "malformed timeout: Connect-Timeout-Ms takes 1 to 10 digits, "
                              "Grpc-Timeout 1 to 8 digits and a unit of H M S m u n";
    int rc =
        cla_rpc_timeout_header(fields->connect_timeout, fields->grpc_timeout, &route->timeout_ms);

    route->has_timeout = rc == 0;
    if (rc == -CLA_EINVAL)
        refuse_call(route, 400, CLA_CODE_INVALID_ARGUMENT, why);
}

static void find_jsonrpc(struct cla_route *route, const struct cla_http_head *head,
                         const struct fields *fields)
{
    route->allow = "POST, OPTIONS";
    if (head->method == CLA_HTTP_OPTIONS) {
        route->kind = CLA_ROUTE_OPTIONS;
    } else if (head->method == CLA_HTTP_POST) {
        route->kind = CLA_ROUTE_JSONRPC;
        if (check_body(route, head, fields))
            read_timeout(route, fields);
    } else if (head->upgrade && head->method == CLA_HTTP_GET) {
        route->kind = CLA_ROUTE_WEBSOCKET;
    } else {
        refuse(route, 405, "send JSON-RPC with POST, or on a WebSocket");
    }
}

/* A path of the script's WebSocket handlers, or that of binary frames. */
static void find_socket(struct cla_route *route, const struct cla_http_head *head)
{
    route->allow = "GET";
    if (head->method != CLA_HTTP_GET)
        refuse(route, 405, "connect a WebSocket here");
    else if (!head->upgrade)
        refuse(route, 426, "connect a WebSocket here");
    else
        route->kind = CLA_ROUTE_WEBSOCKET;
}

static void find_get(struct cla_route *route, const struct fields *fields)
{
    struct cla_route_fault fault;

    route->kind = CLA_ROUTE_GET;
    if (cla_route_query_check(route->query, &route->connect, &fault) == 0)
        read_timeout(route, fields);
    else
        refuse_unary(route, fault.status, fault.code, fault.why);
}

static void find_method(struct cla_route *route, const struct cla_http_head *head,
                        const struct fields *fields)
{
    bool read_only = route->procedure->read_only;

    route->allow = read_only ? "GET, HEAD, POST, OPTIONS" : "POST, OPTIONS";
    if (head->method == CLA_HTTP_OPTIONS) {
        route->kind = CLA_ROUTE_OPTIONS;
    } else if (head->method == CLA_HTTP_POST) {
        route->kind = CLA_ROUTE_UNARY;
        if (check_body(route, head, fields))
            read_timeout(route, fields);
    } else if (read_only && (head->method == CLA_HTTP_GET || head->method == CLA_HTTP_HEAD)) {
        find_get(route, fields);
    } else {
        refuse_unary(route, 405, CLA_CODE_UNIMPLEMENTED,
                     read_only ? "call this procedure with GET or POST"
                               : "call this procedure with POST (GET needs read_only = true)");
    }
    if (fields->accepts_events && route->format == CLA_ROUTE_PLAIN && !route->unary_error &&
        head->method != CLA_HTTP_HEAD)
        route->format = CLA_ROUTE_SSE;
}

/* The methods that there are at a path of the script's routes. */
static void allow(struct cla_route *route, unsigned methods)
{
    cla_pattern_allow(route->allow_text, methods);
    route->allow = route->allow_text;
}

#define FILE_METHODS (CLA_METHOD(CLA_HTTP_GET) | CLA_METHOD(CLA_HTTP_HEAD))

static void find_route(struct cla_route *route, const struct cla_http_head *head,
                       const struct fields *fields, struct cla_app *app)
{
    unsigned methods;

    route->procedure = app->ops->find_route(app, head->method, route->path, &methods);
    if (route->procedure != NULL) {
        route->kind = CLA_ROUTE_HANDLER;
        route->method = head->method_name;
        read_timeout(route, fields);
    } else if (app->folder != NULL && (CLA_METHOD(head->method) & FILE_METHODS) != 0) {
        route->kind = CLA_ROUTE_FILE;
        route->handlers_only = methods != 0;
        allow(route, methods);
    } else if (methods == 0 && app->folder == NULL) {
        refuse(route, 404, "nothing here: procedures are called at /rpc");
    } else {
        allow(route, methods | (app->folder != NULL ? FILE_METHODS : 0));
        if (head->method == CLA_HTTP_OPTIONS)
            route->kind = CLA_ROUTE_OPTIONS;
        else
            refuse(route, 405, "this path takes other methods: see Allow");
    }
}

/* What is not the gateway's own. */
static void find_plain(struct cla_route *route, const struct cla_http_head *head,
                       const struct fields *fields, struct cla_app *app)
{
    const char *why = cla_http_path_problem(route->path);

    if (app->ops->find_route == NULL)
        refuse(route, 404, "nothing here: procedures are called at /rpc");
    else if (why != NULL)
        refuse_malformed(route, why);
    else
        find_route(route, head, fields, app);
}

/* Builds the dotted name of /rpc/NAME: slashes and dots name the same path of tables. */
static int dotted_name(struct cla_slice path, struct cla_buf *name)
{
    int rc;

    name->n = 0;
    rc = cla_http_percent_decode(name, path);
    for (size_t i = 0; rc == 0 && i < name->n; i++) {
        if (name->p[i] == '/')
            name->p[i] = '.';
    }
    return rc;
}

static void find_unary(struct cla_route *route, const struct cla_http_head *head,
                       struct cla_slice path, struct cla_app *app, const struct fields *fields,
                       struct cla_buf *name)
{
    int rc = dotted_name(path, name);

    if (head->method == CLA_HTTP_POST && is_connect_stream(head->content_type))
        route->format = CLA_ROUTE_CONNECT_STREAM;
    if (rc == -CLA_ENOMEM) {
        refuse(route, 503, "out of memory");
        return;
    }
    if (rc != 0) {
        refuse_unary(route, 400, CLA_CODE_INVALID_ARGUMENT,
                     "the path holds a malformed percent escape");
        return;
    }
    route->connect = fields->connect_version.p != NULL;
    route->procedure = app->ops->find(app, cla_buf_slice(name));
    if (route->procedure == NULL && head->method == CLA_HTTP_OPTIONS && route->cors.preflight)
        find_jsonrpc(route, head, fields); /* so that the page gets the error of the call itself */
    else if (route->procedure == NULL)
        refuse_unary(route, 404, CLA_CODE_UNIMPLEMENTED, "no such procedure");
    else if (route->connect && !cla_slice_eq(fields->connect_version, CLA_LIT("1")))
        refuse_unary(route, 400, CLA_CODE_INVALID_ARGUMENT, "Connect-Protocol-Version must be 1");
    else
        find_method(route, head, fields);
}

void cla_route_find(struct cla_route *route, const struct cla_http_head *head,
                    const struct cla_route_rules *rules, bool loopback, struct cla_buf *name)
{
    static const struct cla_slice prefix = {"/rpc/", 5};
    struct cla_http_target target;
    struct fields fields = read_fields(head);

    bool allowed;

    *route = (struct cla_route){0};
    allowed = check_origin(route, head->host, rules, &fields);
    if (cla_http_target_split(head->target, &target) != 0) {
        refuse_malformed(route, "malformed request target");
    } else if (loopback && !host_allowed(head->host, rules)) {
        refuse(route, 403, "Host is not a loopback name: list it in the setting 'hosts'");
    } else if (!allowed) {
        refuse(route, 403,
               "the Origin of this page is not allowed: list it in the setting 'origins'");
    } else if (cla_slice_eq(target.path, CLA_LIT("/rpc"))) {
        route->path = target.path;
        route->query = target.query;
        find_jsonrpc(route, head, &fields);
    } else if (cla_slice_starts(target.path, prefix)) {
        route->query = target.query;
        find_unary(route, head, cla_slice(target.path.p + prefix.n, target.path.n - prefix.n),
                   rules->app, &fields, name);
    } else if (cla_slice_eq(target.path, CLA_LIT("*"))) {
        route->kind = CLA_ROUTE_OPTIONS;
        route->allow = "GET, HEAD, POST, OPTIONS";
    } else if ((route->socket = rules->app->ops->find_socket(rules->app, target.path)) != NULL) {
        route->path = target.path;
        route->query = target.query;
        find_socket(route, head);
    } else if (cla_slice_eq(target.path, CLA_LIT("/socket"))) {
        route->path = target.path;
        route->query = target.query;
        route->framed = true;
        find_socket(route, head);
    } else {
        route->path = target.path;
        route->query = target.query;
        find_plain(route, head, &fields, rules->app);
    }
}
