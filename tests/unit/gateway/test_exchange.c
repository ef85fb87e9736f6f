/* From an HTTP request to its calls and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway_fixture.h"

static struct gate gate;
static struct client client;

static int open_gate(void **state)
{
    gate_init(&gate);
    gate_set(&gate, "body_bytes", "2KiB");
    gate_open_worker(&gate);
    client_open(&client, &gate);
    return 0;
}

static int close_gate(void **state)
{
    client_close(&client);
    gate_fini(&gate);
    return 0;
}

struct exchange {
    const char *request; /* raw */
    int status;
    const char *head; /* part of it, or NULL */
    const char *body; /* part of it */
};

/* Each on a connection of its own. */
static void run_exchanges(const struct exchange *exchanges, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct client c;
        struct response r;

        client_open(&c, &gate);
        client_send(&c, exchanges[i].request);
        r = client_take(&c, strncmp(exchanges[i].request, "HEAD", 4) != 0);
        assert_int_equal(r.status, exchanges[i].status);
        assert_non_null(strstr(r.body, exchanges[i].body));
        if (exchanges[i].head != NULL)
            assert_non_null(strstr(r.head, exchanges[i].head));
        client_close(&c);
    }
}

static void single_calls_are_answered(void **state)
{
    static const struct {
        const char *request, *reply;
    } cases[] = {
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"echo\",\"params\":[1, 2]}",
         "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":[1, 2]}"},
        {"{\"jsonrpc\":\"2.0\",\"id\":\"x\\u0041\",\"method\":\"echo\"}",
         "{\"jsonrpc\":\"2.0\",\"id\":\"x\\u0041\",\"result\":null}"},
        {"{\"jsonrpc\":\"2.0\",\"id\":123456789012345678901234567890,\"method\":\"echo\"}",
         "{\"jsonrpc\":\"2.0\",\"id\":123456789012345678901234567890,\"result\":null}"},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"fail\"}",
         "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32005,\"message\":\"none\",\"data\":"
         "{\"code\":\"not_found\"}}}"},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"nope\"}",
         "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32601,\"message\":\"no such "
         "procedure: "
         "nope\",\"data\":{\"code\":\"unimplemented\"}}}"},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"full\"}",
         "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32014,\"message\":\"overloaded: "
         "memory "
         "is short (vm_memory)\",\"data\":{\"code\":\"unavailable\"}}}"},
    };

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        client_post(&client, cases[i].request);
        client_require(&client, 200, cases[i].reply);
    }
}

static void invalid_texts_are_errors_with_status_200(void **state)
{
    static const struct {
        const char *text, *part;
    } cases[] = {{"{", "-32700"},
                 {"[]", "-32600"},
                 {"1", "-32600"},
                 {"{}", "-32600"},
                 {"[1]", "-32600"},
                 {"", "-32700"},
                 {"{\"jsonrpc\":\"2.0\",\"id\":1}", "-32600"}};

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        client_post(&client, cases[i].text);
        client_require_refusal(&client, 200, cases[i].part);
    }
    client_call(&client, "echo", 1);
    client_require_result(&client, 1, "null");
}

static void notification_is_204_when_it_has_ended(void **state)
{
    client_post(&client, "{\"jsonrpc\":\"2.0\",\"method\":\"hold\"}");
    client_require_nothing(&client);
    gate_answer(&gate, 0);
    client_require(&client, 204, "");
    client_post(&client, "{\"jsonrpc\":\"2.0\",\"method\":\"fail\"}");
    client_require(&client, 204, "");
    client_post(&client, "{\"jsonrpc\":\"2.0\",\"method\":\"nope\"}");
    client_require(&client, 204, "");
}

static void batch_runs_concurrently_and_is_answered_once(void **state)
{
    client_post(&client, "[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"hold\"},"
                         "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"echo\"},"
                         "{\"jsonrpc\":\"2.0\",\"method\":\"hold\"},7,"
                         "{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"hold\"}]");
    assert_int_equal(gate.app.held_n, 3);
    client_require_nothing(&client);
    gate_answer(&gate, 2);
    gate_answer(&gate, 1);
    client_require_nothing(&client);
    gate_answer(&gate, 0);
    client_require(
        &client, 200,
        "[{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32600,\"message\":\"a request is "
        "an object\",\"data\":{\"code\":\"invalid_argument\"}}},"
        "{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":null},"
        "{\"jsonrpc\":\"2.0\",\"id\":3,\"result\":\"held\"},"
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":\"held\"}]");
}

static void batch_of_notifications_is_204(void **state)
{
    client_post(&client, "[{\"jsonrpc\":\"2.0\",\"method\":\"hold\"},"
                         "{\"jsonrpc\":\"2.0\",\"method\":\"hold\"}]");
    gate_answer(&gate, 0);
    client_require_nothing(&client);
    gate_answer(&gate, 0);
    client_require(&client, 204, "");
}

static void client_that_leaves_cancels_all_of_its_batch(void **state)
{
    client_post(&client, "[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"hold\"},"
                         "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"echo\"},"
                         "{\"jsonrpc\":\"2.0\",\"method\":\"hold\"}]");
    shutdown(client.fd, SHUT_WR);
    gate_turns(&gate);
    assert_int_equal(gate.app.cancels, 2);
    assert_int_equal(gate.worker.env.in_flight, 0);
    assert_true(cla_list_empty(&gate.worker.exchanges));
}

static void unary_calls_have_the_bare_result_and_the_codes_status(void **state)
{
    static const struct exchange exchanges[] = {
        {"POST /rpc/echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
         "Content-Length: 7\r\n\r\n{\"a\":1}",
         200, "application/json", "{\"a\":1}"},
        {"POST /rpc/fail HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
         "Content-Length: 2\r\n\r\n{}",
         404, "application/json", "{\"code\":\"not_found\",\"message\":\"none\"}"},
        {"POST /rpc/echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
         "Content-Length: 1\r\n\r\n{",
         400, "application/json", "\"code\":\"invalid_argument\""},
        {"POST /rpc/full HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
         "Content-Length: 2\r\n\r\n{}",
         503, "application/json", "\"code\":\"unavailable\""},
        {"POST /rpc/nope HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
         "Content-Length: 2\r\n\r\n{}",
         404, "application/json", "\"code\":\"unimplemented\""},
        {"GET /rpc/look.at?message=%7B%22b%22%3A2%7D&encoding=json HTTP/1.1\r\nHost: "
         "localhost\r\n\r\n",
         200, "application/json", "{\"b\":2}"},
        {"GET /rpc/look/at?message=eyJiIjoyfQ&base64=1 HTTP/1.1\r\nHost: localhost\r\n\r\n", 200,
         "application/json", "{\"b\":2}"},
        {"GET /rpc/look/at?message=* HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, NULL,
         "invalid_argument"},
        {"HEAD /rpc/look/at HTTP/1.1\r\nHost: localhost\r\n\r\n", 200, "Content-Length: 4\r\n", ""},
    };

    run_exchanges(exchanges, CLA_ARRAY_LEN(exchanges));
}

static void requests_that_are_no_call_are_refused(void **state)
{
    static const struct exchange exchanges[] = {
        {"GET /rpc HTTP/1.1\r\nHost: localhost\r\n\r\n", 405, "Allow: POST, OPTIONS\r\n", ""},
        {"GET /rpc/echo HTTP/1.1\r\nHost: localhost\r\n\r\n", 405, "Allow: POST, OPTIONS\r\n",
         "read_only"},
        {"DELETE /rpc/look/at HTTP/1.1\r\nHost: localhost\r\n\r\n", 405,
         "Allow: GET, HEAD, POST, OPTIONS\r\n", ""},
        {"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n", 404, NULL, "/rpc"},
        {"OPTIONS /rpc HTTP/1.1\r\nHost: localhost\r\n\r\n", 204, "Allow: POST, OPTIONS\r\n", ""},
        {"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", 204, "Allow: ", ""},
        {"POST /rpc HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n"
         "Content-Length: 2\r\n\r\n{}",
         415, NULL, "--json"},
        {"POST /rpc HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}", 415, NULL, ""},
        {"POST /rpc HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
         "Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
         415, NULL, "Content-Encoding"},
        {"POST /rpc HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
         "Content-Length: 2049\r\n\r\n{",
         413, "Connection: close\r\n", ""},
        {"POST /rpc HTTP/1.1\r\nHost: evil.example\r\nContent-Type: application/json\r\n"
         "Content-Length: 2\r\n\r\n{}",
         403, NULL, "hosts"},
        {"POST /rpc HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
         "Connect-Timeout-Ms: -1\r\nContent-Length: 2\r\n\r\n{}",
         400, NULL, "timeout"},
    };

    run_exchanges(exchanges, CLA_ARRAY_LEN(exchanges));
    assert_int_equal(gate.app.started, 0);
}

static void refused_request_leaves_the_connection_usable(void **state)
{
    client_send(&client, "POST /nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n"
                         "hello");
    client_require_refusal(&client, 404, "");
    client_call(&client, "echo", 1);
    client_require_result(&client, 1, "null");
}

static void body_is_asked_for_only_if_it_is_wanted(void **state)
{
    client_send(&client, "POST /rpc HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
                         "application/json\r\nContent-Length: 40\r\nExpect: 100-continue\r\n\r\n");
    assert_int_equal(client_take(&client, true).status, 100);
    client_send(&client, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"echo\"}");
    client_require_result(&client, 1, "null");
    client_send(&client, "POST /rpc HTTP/1.1\r\nHost: localhost\r\nContent-Length: 40\r\n"
                         "Expect: 100-continue\r\n\r\n");
    client_require_refusal(&client, 415, "");
    client_require_end(&client);
}

static void chunked_body_is_a_body(void **state)
{
    client_send(&client, "POST /rpc HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
                         "application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
                         "a\r\n{\"jsonrpc\"\r\n1e\r\n:\"2.0\",\"id\":1,\"method\":\"echo\"}\r\n"
                         "0\r\n\r\n");
    client_require_result(&client, 1, "null");
}

static void deadline_is_the_clients_the_procedures_or_the_servers(void **state)
{
    static const struct {
        const char *fields, *meta, *method;
        uint64_t want_ms;
    } cases[] = {
        {"", "", "hold", 30000},
        {"Connect-Timeout-Ms: 100\r\n", "", "hold", 100},
        {"Grpc-Timeout: 2S\r\n", "", "hold", 2000},
        {"", ",\"params\":{\"_meta\":{\"timeout_ms\":70}}", "hold", 70},
        {"Connect-Timeout-Ms: 100\r\n", ",\"params\":{\"_meta\":{\"timeout_ms\":70}}", "hold", 70},
        {"Connect-Timeout-Ms: 60\r\n", ",\"params\":{\"_meta\":{\"timeout_ms\":70}}", "hold", 60},
        {"Connect-Timeout-Ms: 9999999999\r\n", "", "hold", 300000},
        {"Connect-Timeout-Ms: 100\r\n", "", "brief", 50},
        {"Connect-Timeout-Ms: 20\r\n", "", "brief", 20},
        {"", "", "brief", 50},
    };

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        char body[256];

        snprintf(body, sizeof body, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"%s\"%s}",
                 cases[i].method, cases[i].meta);
        client_post_with(&client, cases[i].fields, body);
        assert_int_equal(gate.app.held_n, 1);
        assert_int_equal(gate.app.held[0]->deadline_ns,
                         gate.loop.virtual_ns + cases[i].want_ms * CLA_NS_PER_MS);
        gate_answer(&gate, 0);
        client_require_result(&client, 1, "\"held\"");
    }
}

static void deadline_that_passed_before_the_call_began_ends_it(void **state)
{
    client_post_with(&client, "Connect-Timeout-Ms: 0\r\n",
                     "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"echo\"}");
    client_require_refusal(&client, 200, "-32004");
    /* the time that the body took counts */
    client_send(&client, "POST /rpc HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json"
                         "\r\nConnect-Timeout-Ms: 100\r\nContent-Length: 40\r\n\r\n");
    gate_pass(&gate, 100);
    client_send(&client, "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"echo\"}");
    client_require_refusal(&client, 200, "-32004");
    assert_int_equal(gate.app.started, 0);
}

static void exchanges_are_used_again(void **state)
{
    for (int i = 0; i < 20; i++) {
        client_call(&client, "echo", i);
        client_require_result(&client, i, "null");
    }
    assert_true(cla_list_empty(&gate.worker.exchanges));
    assert_int_equal(gate.worker.https.count, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_gate, close_gate)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(single_calls_are_answered),
        TEST(invalid_texts_are_errors_with_status_200),
        TEST(notification_is_204_when_it_has_ended),
        TEST(batch_runs_concurrently_and_is_answered_once),
        TEST(batch_of_notifications_is_204),
        TEST(client_that_leaves_cancels_all_of_its_batch),
        TEST(unary_calls_have_the_bare_result_and_the_codes_status),
        TEST(requests_that_are_no_call_are_refused),
        TEST(refused_request_leaves_the_connection_usable),
        TEST(body_is_asked_for_only_if_it_is_wanted),
        TEST(chunked_body_is_a_body),
        TEST(deadline_is_the_clients_the_procedures_or_the_servers),
        TEST(deadline_that_passed_before_the_call_began_ends_it),
        TEST(exchanges_are_used_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
