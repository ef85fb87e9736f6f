/* Each allocation of a connection, its exchanges and their calls fails in turn: what the client
 * gets is a whole and honest answer, or a closed connection, and nothing leaks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway_fixture.h"
#include "mem_fault.h"

static struct gate gate;

/* A request that must be gathered, with a body in two pieces. */
struct scenario {
    const char *pieces[3];
    const char *reply; /* when all goes well */
    int status;
};

#define POST(path, length)                                                                       \
    "POST " path " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nX-Padding: " \
    "0123456789012345678901234567890123456789012345678901234567890123456789\r\n"                 \
    "Content-Length: " length "\r\n\r\n"

static const struct scenario scenarios[] = {
    {{POST("/rpc", "40") "{\"jsonrpc\":\"2.0\"", ",\"id\":1,\"method\":\"echo\"}", ""},
     "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":null}",
     200},
    {{POST("/rpc", "40"), "{\"jsonrpc\":\"2.0\"", ",\"id\":1,\"method\":\"fail\"}"},
     "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32005,\"message\":\"none\",\"data\":{"
     "\"code\":\"not_found\"}}}",
     200},
    {{POST("/rpc", "40"), "{\"jsonrpc\":\"2.0\"", ",\"id\":1,\"method\":\"nope\"}"},
     "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32601,\"message\":\"no such procedure: "
     "nope\",\"data\":{\"code\":\"unimplemented\"}}}",
     200},
    {{POST("/rpc", "124"),
      "[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"echo\"},{\"jsonrpc\":\"2.0\",\"id\":2,"
      "\"method\":\"echo\"},",
      "{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"echo\"}]"},
     "[{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":null},{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":"
     "null},{\"jsonrpc\":\"2.0\",\"id\":3,\"result\":null}]",
     200},
    {{POST("/rpc/echo", "7"), "{\"a\"", ":1}"}, "{\"a\":1}", 200},
    {{POST("/rpc/fail", "2"), "{", "}"}, "{\"code\":\"not_found\",\"message\":\"none\"}", 404},
    {{POST("/rpc/nope", "2"), "{", "}"},
     "{\"code\":\"unimplemented\",\"message\":\"no such procedure\"}",
     404},
    {{"GET /rpc/look/at?message=%7B%7D HTTP/1.1\r\n", "Host: localhost\r\n", "\r\n"}, "{}", 200},
    {{"OPTIONS /rpc HTTP/1.1\r\n", "Host: localhost\r\n", "\r\n"}, "", 204},
};

/* Sends it; the response, or status 0 if the connection was closed without one. */
static struct response run(const struct scenario *scenario)
{
    struct client c;
    struct response r = {0};

    client_open(&c, &gate);
    for (int i = 0; i < 3; i++) {
        if (send(c.fd, scenario->pieces[i], strlen(scenario->pieces[i]), MSG_NOSIGNAL) < 0)
            break;
        gate_turns(&gate);
    }
    mem_fault_off();
    r = client_take(&c, true);
    if (r.status == 0)
        assert_true(c.ended);
    client_close(&c);
    return r;
}

static void require_honest(const struct scenario *scenario, const struct response *r, bool failed)
{
    if (r->status == scenario->status && strcmp(r->body, scenario->reply) == 0)
        return;
    assert_true(failed);
    if (r->status == 0 || r->status == 503)
        return;
    if (r->status != 200 && strncmp(r->body, "{\"code\":\"", 9) != 0)
        fail_msg("status %d, body %s", r->status, r->body);
    if (strstr(r->body, "-32014") == NULL && strstr(r->body, "no such procedure") == NULL)
        fail_msg("status %d, body %s", r->status, r->body);
}

static void run_all_failures(const struct scenario *scenario)
{
    bool failed;
    long n = 0;

    do {
        struct response r;

        gate_init(&gate);
        gate_open_worker(&gate);
        mem_fault_after(n);
        r = run(scenario);
        failed = mem_fault.failed;
        require_honest(scenario, &r, failed);
        gate_fini(&gate);
        assert_int_equal(mem_fault.live, 0);
        mem_fault.failed = false;
    } while (failed && n++ < 200);
    assert_in_range(n, 5, 100);
}

static void clients_get_a_whole_answer_or_none_whichever_allocation_fails(void **state)
{
    for (size_t i = 0; i < CLA_ARRAY_LEN(scenarios); i++)
        run_all_failures(&scenarios[i]);
}

/* Requests wait behind a running one, and the reader behind both. */
static void pipelining_survives_each_allocation_failing(void **state)
{
    bool failed;
    long n = 0;

    do {
        struct client c;

        gate_init(&gate);
        gate_set(&gate, "pipeline_bytes", "200");
        gate_open_worker(&gate);
        client_open(&c, &gate);
        mem_fault_after(n);
        for (int i = 0; i < 4 && !c.ended; i++) {
            static const char text[] =
                POST("/rpc", "40") "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"hold\"}";

            if (send(c.fd, text, sizeof text - 1, MSG_NOSIGNAL) < 0)
                break;
            gate_turns(&gate);
        }
        for (int i = 0; i < 4 && gate.app.held_n > 0; i++) {
            gate_answer(&gate, 0);
            gate_turns(&gate);
        }
        failed = mem_fault.failed;
        mem_fault_off();
        client_close(&c);
        gate_fini(&gate);
        assert_int_equal(mem_fault.live, 0);
        mem_fault.failed = false;
    } while (failed && n++ < 200);
    assert_in_range(n, 5, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clients_get_a_whole_answer_or_none_whichever_allocation_fails),
        cmocka_unit_test(pipelining_survives_each_allocation_failing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
