#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/route.h"

static const struct cla_procedure add = {.name = {"math.add", 8}};
static const struct cla_procedure look = {.name = {"look", 4}, .read_only = true};

static const struct cla_procedure *find(struct cla_app *app, struct cla_slice name)
{
    if (cla_slice_eq(name, add.name))
        return &add;
    return cla_slice_eq(name, look.name) ? &look : NULL;
}

static const struct cla_socket_route *find_socket(struct cla_app *app, struct cla_slice path)
{
    static const struct cla_socket_route feed = {.path = {"/feed", 5}};

    return cla_slice_eq(path, feed.path) ? &feed : NULL;
}

static const struct cla_app_ops ops = {.find = find, .find_socket = find_socket};
static struct cla_app app = {.ops = &ops};

struct request {
    enum cla_http_method method;
    const char *target, *host, *content_type;
    const char *field, *value; /* one more, or NULL */
};

static struct cla_slice slice(const char *text)
{
    return text != NULL ? cla_slice_str(text) : cla_slice(NULL, 0);
}

static void route_with(struct cla_route *route, const struct request *request,
                       const struct cla_route_rules *rules, bool loopback)
{
    struct cla_http_head head = {
        .method = request->method,
        .target = slice(request->target),
        .host = slice(request->host),
        .content_type = slice(request->content_type),
        .has_body = request->content_type != NULL,
        .version_minor = 1,
    };
    struct cla_buf name = {0};

    if (request->field != NULL)
        head.fields[head.field_count++] =
            (struct cla_http_field){slice(request->field), slice(request->value)};
    cla_route_find(route, &head, rules, loopback, &name);
    cla_buf_fini(&name);
}

#define JSON "application/json"
#define CONNECT "application/connect+json"

static const struct {
    struct request request;
    enum cla_route_kind kind;
    int status; /* REFUSE */
} decisions[] = {
    {{CLA_HTTP_POST, "/rpc", "a", JSON, NULL, NULL}, CLA_ROUTE_JSONRPC, 0},
    {{CLA_HTTP_POST, "/rpc?x=1", "a", JSON, NULL, NULL}, CLA_ROUTE_JSONRPC, 0},
    {{CLA_HTTP_POST, "http://a/rpc", "a", JSON, NULL, NULL}, CLA_ROUTE_JSONRPC, 0},
    {{CLA_HTTP_POST, "/rpc", "a", "application/json; charset=utf-8", NULL, NULL},
     CLA_ROUTE_JSONRPC,
     0},
    {{CLA_HTTP_POST, "/rpc", "a", "Application/JSON;charset=\"UTF-8\"", NULL, NULL},
     CLA_ROUTE_JSONRPC,
     0},
    {{CLA_HTTP_POST, "/rpc", "a", "application/json; charset=latin1", NULL, NULL},
     CLA_ROUTE_REFUSE,
     415},
    {{CLA_HTTP_POST, "/rpc", "a", "application/jsonp", NULL, NULL}, CLA_ROUTE_REFUSE, 415},
    {{CLA_HTTP_POST, "/rpc", "a", "text/plain", NULL, NULL}, CLA_ROUTE_REFUSE, 415},
    {{CLA_HTTP_POST, "/rpc", "a", NULL, NULL, NULL}, CLA_ROUTE_REFUSE, 415},
    {{CLA_HTTP_POST, "/rpc", "a", JSON, "content-encoding", "gzip"}, CLA_ROUTE_REFUSE, 415},
    {{CLA_HTTP_POST, "/rpc", "a", JSON, "Content-Encoding", "identity"}, CLA_ROUTE_JSONRPC, 0},
    {{CLA_HTTP_GET, "/rpc", "a", NULL, NULL, NULL}, CLA_ROUTE_REFUSE, 405},
    {{CLA_HTTP_PUT, "/rpc", "a", JSON, NULL, NULL}, CLA_ROUTE_REFUSE, 405},
    {{CLA_HTTP_OPTIONS, "/rpc", "a", NULL, NULL, NULL}, CLA_ROUTE_OPTIONS, 0},
    {{CLA_HTTP_OPTIONS, "*", "a", NULL, NULL, NULL}, CLA_ROUTE_OPTIONS, 0},
    {{CLA_HTTP_POST, "/rpc/math.add", "a", JSON, NULL, NULL}, CLA_ROUTE_UNARY, 0},
    {{CLA_HTTP_POST, "/rpc/math/add", "a", JSON, NULL, NULL}, CLA_ROUTE_UNARY, 0},
    {{CLA_HTTP_POST, "/rpc/math%2Eadd", "a", JSON, NULL, NULL}, CLA_ROUTE_UNARY, 0},
    {{CLA_HTTP_POST, "/rpc/math/add", "a", NULL, NULL, NULL},
     CLA_ROUTE_UNARY,
     0}, /* no body: no params */
    {{CLA_HTTP_POST, "/rpc/math/add", "a", "text/plain", NULL, NULL}, CLA_ROUTE_REFUSE, 415},
    {{CLA_HTTP_GET, "/rpc/math/add", "a", NULL, NULL, NULL}, CLA_ROUTE_REFUSE, 405},
    {{CLA_HTTP_GET, "/rpc/look", "a", NULL, NULL, NULL}, CLA_ROUTE_GET, 0},
    {{CLA_HTTP_HEAD, "/rpc/look?message=1", "a", NULL, NULL, NULL}, CLA_ROUTE_GET, 0},
    {{CLA_HTTP_POST, "/rpc/look", "a", JSON, NULL, NULL}, CLA_ROUTE_UNARY, 0},
    {{CLA_HTTP_DELETE, "/rpc/look", "a", NULL, NULL, NULL}, CLA_ROUTE_REFUSE, 405},
    {{CLA_HTTP_OTHER, "/rpc/look", "a", NULL, NULL, NULL}, CLA_ROUTE_REFUSE, 405},
    {{CLA_HTTP_OPTIONS, "/rpc/look", "a", NULL, NULL, NULL}, CLA_ROUTE_OPTIONS, 0},
    {{CLA_HTTP_POST, "/rpc/nope", "a", JSON, NULL, NULL}, CLA_ROUTE_REFUSE, 404},
    {{CLA_HTTP_POST, "/rpc/", "a", JSON, NULL, NULL}, CLA_ROUTE_REFUSE, 404},
    {{CLA_HTTP_POST, "/rpcx", "a", JSON, NULL, NULL}, CLA_ROUTE_REFUSE, 404},
    {{CLA_HTTP_GET, "/", "a", NULL, NULL, NULL}, CLA_ROUTE_REFUSE, 404},
    {{CLA_HTTP_GET, "/socket", "a", NULL, NULL, NULL}, CLA_ROUTE_REFUSE, 426},
    {{CLA_HTTP_POST, "/socket", "a", JSON, NULL, NULL}, CLA_ROUTE_REFUSE, 405},
    {{CLA_HTTP_OPTIONS, "/socket", "a", NULL, NULL, NULL}, CLA_ROUTE_REFUSE, 405},
    {{CLA_HTTP_GET, "/socket/", "a", NULL, NULL, NULL}, CLA_ROUTE_REFUSE, 404},
    {{CLA_HTTP_POST, "/rpc/%zz", "a", JSON, NULL, NULL}, CLA_ROUTE_REFUSE, 400},
    {{CLA_HTTP_POST, "/rpc/look", "a", JSON, "connect-protocol-version", "2"},
     CLA_ROUTE_REFUSE,
     400},
    {{CLA_HTTP_POST, "/rpc/look", "a", JSON, "connect-protocol-version", "1"}, CLA_ROUTE_UNARY, 0},
    {{CLA_HTTP_POST, "/rpc", "a", JSON, "connect-timeout-ms", "12345678901"},
     CLA_ROUTE_REFUSE,
     400},
    {{CLA_HTTP_POST, "/rpc", "a", JSON, "connect-timeout-ms", ""}, CLA_ROUTE_REFUSE, 400},
    {{CLA_HTTP_GET, "/rpc/look", "a", NULL, "grpc-timeout", "1X"}, CLA_ROUTE_REFUSE, 400},
};

static void heads_become_decisions(void **state)
{
    const struct cla_route_rules rules = {.app = &app};

    for (size_t i = 0; i < CLA_ARRAY_LEN(decisions); i++) {
        struct cla_route route;

        route_with(&route, &decisions[i].request, &rules, false);
        if (route.kind != decisions[i].kind || route.status != decisions[i].status)
            fail_msg("case %zu, %s: kind %d, status %d (%s)", i, decisions[i].request.target,
                     (int)route.kind, route.status, route.why != NULL ? route.why : "");
        assert_int_equal(route.kind == CLA_ROUTE_REFUSE, route.why != NULL);
        if (route.kind == CLA_ROUTE_OPTIONS || route.status == 405)
            assert_non_null(route.allow);
    }
}

static const struct {
    struct request request;
    enum cla_route_format format;
} formats[] = {
    {{CLA_HTTP_POST, "/rpc/math.add", "a", JSON, NULL, NULL}, CLA_ROUTE_PLAIN},
    {{CLA_HTTP_POST, "/rpc/math.add", "a", JSON, "Accept", "*/*"}, CLA_ROUTE_PLAIN},
    {{CLA_HTTP_POST, "/rpc/math.add", "a", JSON, "Accept", "text/event-stream"}, CLA_ROUTE_SSE},
    {{CLA_HTTP_POST, "/rpc/math.add", "a", JSON, "accept", "a/b, Text/Event-Stream;q=1"},
     CLA_ROUTE_SSE},
    {{CLA_HTTP_POST, "/rpc/math.add", "a", JSON, "Accept", "text/event-streams"}, CLA_ROUTE_PLAIN},
    {{CLA_HTTP_GET, "/rpc/look", "a", NULL, "Accept", "text/event-stream"}, CLA_ROUTE_SSE},
    {{CLA_HTTP_HEAD, "/rpc/look", "a", NULL, "Accept", "text/event-stream"}, CLA_ROUTE_PLAIN},
    {{CLA_HTTP_GET, "/rpc/nope", "a", NULL, "Accept", "text/event-stream"}, CLA_ROUTE_PLAIN},
    {{CLA_HTTP_POST, "/rpc", "a", JSON, "Accept", "text/event-stream"}, CLA_ROUTE_PLAIN},
    {{CLA_HTTP_POST, "/rpc/math.add", "a", CONNECT, NULL, NULL}, CLA_ROUTE_CONNECT_STREAM},
    {{CLA_HTTP_POST, "/rpc/math.add", "a", CONNECT "; charset=utf-8", NULL, NULL},
     CLA_ROUTE_CONNECT_STREAM},
    {{CLA_HTTP_POST, "/rpc/nope", "a", CONNECT, NULL, NULL}, CLA_ROUTE_CONNECT_STREAM},
    {{CLA_HTTP_POST, "/rpc/math.add", "a", CONNECT, "Accept", "text/event-stream"},
     CLA_ROUTE_CONNECT_STREAM},
};

static void type_and_accept_say_how_a_procedure_answers(void **state)
{
    for (size_t i = 0; i < CLA_ARRAY_LEN(formats); i++) {
        const struct cla_route_rules rules = {.app = &app};
        struct cla_route route;

        route_with(&route, &formats[i].request, &rules, false);
        assert_int_equal(route.format, formats[i].format);
    }
}

static void streams_of_connect_are_not_compressed(void **state)
{
    const struct cla_route_rules rules = {.app = &app};
    struct request request = {
        CLA_HTTP_POST, "/rpc/math.add", "a", CONNECT, "Connect-Content-Encoding", "identity"};
    struct cla_route route;

    route_with(&route, &request, &rules, false);
    assert_int_equal(route.kind, CLA_ROUTE_UNARY);
    request.value = "gzip";
    route_with(&route, &request, &rules, false);
    assert_int_equal(route.kind, CLA_ROUTE_REFUSE);
    assert_int_equal(route.code, CLA_CODE_UNIMPLEMENTED);
}

static void timeout_headers_are_read(void **state)
{
    static const struct {
        const char *field, *value;
        uint64_t ms;
    } cases[] = {{"Connect-Timeout-Ms", "0", 0},
                 {"Connect-Timeout-Ms", "9999999999", 9999999999},
                 {"Grpc-Timeout", "3S", 3000}};
    const struct cla_route_rules rules = {.app = &app};

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        const struct request request = {CLA_HTTP_POST, "/rpc",         "a",
                                        JSON,          cases[i].field, cases[i].value};
        struct cla_route route;

        route_with(&route, &request, &rules, false);
        assert_true(route.has_timeout);
        assert_int_equal(route.timeout_ms, cases[i].ms);
    }
}

static void host_must_be_a_loopback_name_on_a_loopback_bind(void **state)
{
    static const struct {
        const char *host;
        bool loopback, listed; /* allowed with no list, and with one */
    } cases[] = {
        {"localhost", true, true},
        {"LOCALHOST:3000", true, true},
        {"app.localhost", true, true},
        {".localhost", false, false},
        {"127.0.0.1", true, true},
        {"127.8.9.1:80", true, true},
        {"[::1]", true, true},
        {"[::1]:3000", true, true},
        {"", true, true}, /* HTTP/1.0 need not send one */
        {"127.0.0.1.evil.example", false, false},
        {"localhost.evil.example", false, false},
        {"notlocalhost", false, false},
        {"evil.example", false, false},
        {"[::2]", false, false},
        {"[::1", false, false},
        {"mine.example", false, true},
        {"Mine.Example:99", false, true},
        {"ported.example:80", false, true},
        {"ported.example", false, false},
        {"0.0.0.0", false, false},
    };
    static const struct cla_slice hosts[] = {{"mine.example", 12}, {"ported.example:80", 17}};
    static const struct cla_slice any[] = {{"*", 1}};
    const struct cla_route_rules none = {.app = &app};
    const struct cla_route_rules some = {.app = &app, .hosts = hosts, .host_count = 2};
    const struct cla_route_rules all = {.app = &app, .hosts = any, .host_count = 1};

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        const struct request request = {CLA_HTTP_POST, "/rpc", cases[i].host, JSON, NULL, NULL};
        struct cla_route route;

        route_with(&route, &request, &none, true);
        assert_int_equal(route.status, cases[i].loopback ? 0 : 403);
        route_with(&route, &request, &some, true);
        assert_int_equal(route.status, cases[i].listed ? 0 : 403);
        route_with(&route, &request, &all, true);
        assert_int_equal(route.status, 0);
        route_with(&route, &request, &none, false); /* not bound to loopback */
        assert_int_equal(route.status, 0);
    }
}

static void query_becomes_params(void **state)
{
    static const struct {
        const char *query, *params; /* NULL: refused */
    } cases[] = {
        {"", ""},
        {"message=%7B%22a%22%3A1%7D", "{\"a\":1}"},
        {"message={}", "{}"},
        {"encoding=json&message=%5B%5D&connect=v1", "[]"},
        {"base64=1&message=eyJhIjoxfQ==", "{\"a\":1}"},
        {"base64=1&message=eyJhIjoxfQ", "{\"a\":1}"},
        {"base64=1&message=eyJhIjoxfQ%3D%3D", "{\"a\":1}"},
        {"base64=1&message=Ij4-Pz8i", "\">>??\""}, /* base64url */
        {"base64=1&message=Ij4%2BPz8i", "\">>??\""},
        {"base64=0&message=abc", "abc"},
        {"base64=1&message=", ""},
        {"unknown=1&message=1", "1"},
        {"encoding=proto&message=1", NULL},
        {"connect=v2&message=1", NULL},
        {"message=%zz", NULL},
        {"message=%7", NULL},
        {"base64=1&message=e", NULL},
        {"base64=1&message=a!aa", NULL},
        {"base64=1&message=ab=a", NULL},
    };

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        struct cla_buf out = {0};
        const char *why = NULL;
        int rc = cla_route_query_params(cla_slice_str(cases[i].query), &out, &why);

        if ((rc == 0) != (cases[i].params != NULL))
            fail_msg("%s: %d", cases[i].query, rc);
        if (rc == 0) {
            assert_int_equal(out.n, strlen(cases[i].params));
            assert_true(cla_slice_eq(cla_buf_slice(&out), cla_slice_str(cases[i].params)));
        } else {
            assert_int_equal(rc, -CLA_EINVAL);
            assert_non_null(why);
        }
        cla_buf_fini(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heads_become_decisions),
        cmocka_unit_test(type_and_accept_say_how_a_procedure_answers),
        cmocka_unit_test(streams_of_connect_are_not_compressed),
        cmocka_unit_test(timeout_headers_are_read),
        cmocka_unit_test(host_must_be_a_loopback_name_on_a_loopback_bind),
        cmocka_unit_test(query_becomes_params),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
