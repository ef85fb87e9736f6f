/* Calls on a WebSocket, against a scripted server on the same loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <signal.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/error.h"
#include "gateway/socket_client.h"
#include "mem_fault.h"
#include "ws/conn.h"
#include "ws/handshake.h"

#define MS CLA_NS_PER_MS
#define STEPS_MAX 8

/* What the server does for a text: it sends 'answer'; or with one of these answers something else.
 */
#define NOTHING ""
#define END "end"     /* ends the connection */
#define RESET "reset" /* resets it */
#define CLOSE "close" /* closes with 1001 and a reason */
#define BREAK "break" /* sends a frame that breaks the protocol */

struct fixture {
    struct cla_loop loop;
    /* The server. */
    uv_tcp_t listener, peer;
    bool has_peer, peer_ended;
    const char *refusal;            /* sent instead of the 101; NULL: it is sent */
    const char *greeting;           /* a text sent in one piece with the 101; NULL: none */
    const char *answers[STEPS_MAX]; /* to each text in turn */
    unsigned texts;                 /* received */
    uint64_t upgrade_ns;            /* that the upgrade takes … */
    uint64_t think_ns;              /* … and the answer to the first text */
    struct cla_buf request, got;    /* the upgrade; texts and ends as they came, a line each */
    struct cla_ws_conn ws;
    bool upgraded;
    /* The client. */
    struct cla_client_call to;
    struct cla_socket_client *client;
    const char *calls[STEPS_MAX]; /* procedures, made one after the other */
    unsigned made;
    uint64_t timeout_ns; /* of each call */
    bool cancels;        /* each call at once */
    struct cla_buf said; /* what the client reported, a line each */
    bool opened, closed;
};

/* Notes a line: 'what', which ends with a space or is empty, and a text. */
static void say(struct cla_buf *to, const char *what, struct cla_slice text)
{
    assert_int_equal(cla_buf_printf(to, "%s%.*s\n", what, (int)text.n, text.n > 0 ? text.p : ""),
                     0);
}

/* --- The server. --- */

static void close_peer(struct fixture *f)
{
    if (f->has_peer && !uv_is_closing((uv_handle_t *)&f->peer))
        uv_close((uv_handle_t *)&f->peer, NULL);
}

static void send_bytes(struct fixture *f, struct cla_buf *out)
{
    uv_buf_t buf = uv_buf_init(out->p, (unsigned)out->n);

    if (out->n > 0 && !uv_is_closing((uv_handle_t *)&f->peer))
        uv_try_write((uv_stream_t *)&f->peer, &buf, 1);
    cla_buf_fini(out);
}

static void act(struct fixture *f, const char *answer)
{
    struct cla_buf out = {0};

    if (f->texts == 1)
        f->loop.virtual_ns += f->think_ns;
    if (strcmp(answer, END) == 0)
        close_peer(f);
    else if (strcmp(answer, RESET) == 0)
        uv_tcp_close_reset(&f->peer, NULL);
    else if (strcmp(answer, CLOSE) == 0)
        cla_ws_conn_close(&f->ws, &out, CLA_WS_GOING_AWAY, CLA_LIT("later"));
    else if (strcmp(answer, BREAK) == 0)
        cla_buf_add(&out, CLA_LIT("\x83\x00"));
    else if (answer[0] != '\0')
        cla_ws_conn_send(&f->ws, &out, CLA_WS_KIND_TEXT, cla_slice_str(answer));
    send_bytes(f, &out);
}

static void on_text(void *arg, enum cla_ws_kind kind, struct cla_slice text)
{
    struct fixture *f = arg;
    const char *answer = f->texts < STEPS_MAX ? f->answers[f->texts] : NULL;

    assert_int_equal(kind, CLA_WS_KIND_TEXT);
    say(&f->got, "", text);
    f->texts++;
    act(f, answer != NULL ? answer : NOTHING);
}

static void on_pong(void *arg, struct cla_slice payload)
{
    say(&((struct fixture *)arg)->got, "pong ", payload);
}

static void on_close_frame(void *arg, unsigned code, struct cla_slice reason)
{
    struct fixture *f = arg;
    struct cla_buf out = {0};

    assert_int_equal(cla_buf_printf(&f->got, "close %u\n", code), 0);
    cla_ws_conn_close(&f->ws, &out, code, cla_slice("", 0));
    send_bytes(f, &out);
    close_peer(f);
}

static const struct cla_ws_events ws_events = {on_text, on_pong, on_pong, on_close_frame};
static const struct cla_ws_settings settings = {
    .message_bytes = 1 << 20, .fragments = 100, .deflate = CLA_WS_DEFLATE_DEFAULTS};

/* The value of a field of the upgrade. */
static struct cla_slice field(const struct fixture *f, const char *name)
{
    const char *p = strstr(f->request.p, name);

    assert_non_null(p);
    p += strlen(name) + 2;
    return cla_slice(p, strcspn(p, "\r"));
}

static void add_101(struct fixture *f, struct cla_buf *out)
{
    const struct cla_ws_offer offer = {.deflate = settings.deflate};
    struct cla_ws_request request = {.method = CLA_LIT("GET"),
                                     .version_minor = 1,
                                     .connection = CLA_LIT("Upgrade"),
                                     .upgrade = CLA_LIT("websocket"),
                                     .version = CLA_LIT("13"),
                                     .key = field(f, "Sec-WebSocket-Key"),
                                     .extensions = field(f, "Sec-WebSocket-Extensions")};
    struct cla_ws_accept accept;
    const char *why;

    assert_int_equal(cla_ws_handshake_read(&request, &offer, &accept, &why), 0);
    cla_ws_conn_init(&f->ws, false, &settings, &accept.agreed, &ws_events, f);
    cla_buf_add(out, CLA_LIT("HTTP/1.1 101 Switching Protocols\r\n"));
    cla_ws_handshake_answer(out, &accept);
    cla_buf_add(out, CLA_LIT("\r\n"));
    f->upgraded = true;
}

static void answer_upgrade(struct fixture *f)
{
    struct cla_buf out = {0};

    f->loop.virtual_ns += f->upgrade_ns;
    if (f->refusal == NULL)
        add_101(f, &out);
    else
        cla_buf_add(&out, cla_slice_str(f->refusal));
    if (f->greeting != NULL)
        cla_ws_conn_send(&f->ws, &out, CLA_WS_KIND_TEXT, cla_slice_str(f->greeting));
    send_bytes(f, &out);
    if (f->refusal != NULL)
        close_peer(f);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    static char bytes[65536];

    *buf = uv_buf_init(bytes, sizeof bytes);
}

static void on_bytes(uv_stream_t *peer, ssize_t n, const uv_buf_t *buf)
{
    struct fixture *f = peer->data;
    long countdown = mem_fault.countdown; /* it is the client's memory that may fail */
    size_t taken;

    mem_fault_off();
    if (n < 0) {
        f->peer_ended = true;
        close_peer(f);
    } else if (f->upgraded) {
        cla_ws_conn_feed(&f->ws, buf->base, (size_t)n, &taken);
    } else {
        assert_int_equal(cla_buf_append(&f->request, buf->base, (size_t)n), 0);
        assert_int_equal(cla_buf_push(&f->request, '\0'), 0); /* it comes in one piece */
        answer_upgrade(f);
    }
    mem_fault.countdown = countdown;
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct fixture *f = listener->data;

    assert_int_equal(status, 0);
    uv_tcp_init(&f->loop.uv, &f->peer);
    f->peer.data = f;
    f->has_peer = true;
    assert_int_equal(uv_accept(listener, (uv_stream_t *)&f->peer), 0);
    uv_read_start((uv_stream_t *)&f->peer, on_alloc, on_bytes);
}

static void listen_on_loopback(struct fixture *f)
{
    struct sockaddr_in address;
    int n = sizeof address;

    uv_tcp_init(&f->loop.uv, &f->listener);
    f->listener.data = f;
    uv_ip4_addr("127.0.0.1", 0, &address);
    assert_int_equal(uv_tcp_bind(&f->listener, (struct sockaddr *)&address, 0), 0);
    assert_int_equal(uv_listen((uv_stream_t *)&f->listener, 64, on_connection), 0);
    assert_int_equal(uv_tcp_getsockname(&f->listener, (struct sockaddr *)&address, &n), 0);
    f->to.port = ntohs(address.sin_port);
}

/* --- The client. --- */

/* Makes the next call, or closes behind the last. */
static void next(struct fixture *f)
{
    const char *procedure = f->made < STEPS_MAX ? f->calls[f->made] : NULL;
    uint64_t deadline_ns = cla_clock_add(f->loop.virtual_ns, f->timeout_ns);
    int rc;

    if (procedure == NULL) {
        cla_socket_client_close(f->client);
        return;
    }
    f->made++;
    rc = cla_socket_client_call(f->client, cla_slice_str(procedure), f->to.params, deadline_ns);
    if (rc != 0)
        assert_int_equal(cla_buf_printf(&f->said, "no call: %s\n", cla_error_text(rc)), 0);
    else if (f->cancels)
        cla_socket_client_cancel(f->client);
}

static void on_open(void *arg)
{
    struct fixture *f = arg;

    f->opened = true;
    next(f);
}

static void on_answer(void *arg, const struct cla_client_answer *answer)
{
    struct fixture *f = arg;

    if (answer->end == CLA_CLIENT_RESULT)
        say(&f->said, "result ", answer->response.result);
    else if (answer->end == CLA_CLIENT_ERROR)
        say(&f->said, "error ", answer->response.message);
    else
        say(&f->said, "timeout ", cla_slice_str(answer->detail));
    next(f);
}

static void on_notice(void *arg, struct cla_slice text, const struct cla_rpc_notice *notice)
{
    struct fixture *f = arg;

    say(&f->said, notice != NULL ? "notice " : "text ", notice != NULL ? notice->method : text);
}

static void on_closed(void *arg, const struct cla_client_answer *end)
{
    static const char *const names[] = {"result ", "error ",   "status ",   "unreachable ",
                                        "broken ", "timeout ", "cancelled "};
    struct fixture *f = arg;
    struct cla_slice text = end->end == CLA_CLIENT_STATUS ? end->body : cla_slice_str(end->detail);

    assert_false(f->closed);
    f->closed = true;
    say(&f->said, names[end->end], text);
    cla_loop_stop(&f->loop);
}

static const struct cla_socket_client_events events = {on_open, on_answer, on_notice, on_closed};

static void start(struct fixture *f)
{
    assert_int_equal(cla_socket_client_start(&f->client, &f->loop, &f->to, &events, f), 0);
}

static const char *text_of(struct cla_buf *buf)
{
    if (buf->n == 0 || buf->p[buf->n - 1] != '\0')
        assert_int_equal(cla_buf_push(buf, '\0'), 0);
    return buf->p;
}

/* Runs to the end and requires what the client reported. */
static void run(struct fixture *f, const char *said)
{
    start(f);
    cla_loop_run(&f->loop);
    assert_string_equal(text_of(&f->said), said);
}

static int set_up(void **state)
{
    static struct fixture fixture;

    fixture = (struct fixture){
        .to = {.host = "127.0.0.1",
               .authority = CLA_LIT("gate:3000"),
               .target = CLA_LIT("/rpc"),
               .timeout_ns = CLA_NEVER},
        .timeout_ns = CLA_NEVER,
        .calls = {"add"},
    };
    assert_int_equal(cla_loop_init(&fixture.loop), 0);
    cla_loop_use_virtual_time(&fixture.loop);
    listen_on_loopback(&fixture);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    close_peer(f);
    uv_close((uv_handle_t *)&f->listener, NULL);
    assert_int_equal(f->loop.pending, 0);
    assert_null(f->loop.timers.root);
    cla_loop_fini(&f->loop);
    if (f->upgraded)
        cla_ws_conn_fini(&f->ws);
    cla_buf_fini(&f->request);
    cla_buf_fini(&f->got);
    cla_buf_fini(&f->said);
    return 0;
}

#define RESULT(id, result) "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"result\":" result "}"
#define CANCELED(id) \
    "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"error\":{\"code\":-32800,\"message\":\"gone\"}}"
#define CALL(id) "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"method\":\"add\"}\n"
#define CANCEL(id) \
    "{\"jsonrpc\":\"2.0\",\"method\":\"$/cancelRequest\",\"params\":{\"id\":" id "}}\n"
#define EVENT "{\"jsonrpc\":\"2.0\",\"method\":\"tick\",\"params\":{\"n\":1}}"

/* --- Calls. --- */

static void the_upgrade_has_host_path_and_fields(void **state)
{
    struct fixture *f = *state;

    f->to.fields = CLA_LIT("X-Tenant: a\r\n");
    f->answers[0] = RESULT("1", "42");
    run(f, "result 42\ncancelled cancelled\n");
    assert_memory_equal(f->request.p, "GET /rpc HTTP/1.1\r\nHost: gate:3000\r\n", 36);
    assert_non_null(strstr(f->request.p, "\r\nX-Tenant: a\r\n"));
    assert_null(strstr(f->request.p, "Content-Length"));
}

static void calls_follow_each_other_and_a_close_frame_them(void **state)
{
    struct fixture *f = *state;

    f->calls[1] = f->calls[2] = "add";
    f->answers[0] = RESULT("1", "42");
    f->answers[1] = CANCELED("2");
    f->answers[2] = RESULT("3", "[1]");
    run(f, "result 42\nerror \"gone\"\nresult [1]\ncancelled cancelled\n");
    assert_string_equal(text_of(&f->got), CALL("1") CALL("2") CALL("3") "close 1000\n");
}

static void large_messages_are_compressed_both_ways(void **state)
{
    static char params[3000], answer[3100];
    struct fixture *f = *state;

    memset(params, ' ', sizeof params - 1);
    params[0] = '[';
    params[sizeof params - 2] = ']';
    snprintf(answer, sizeof answer, RESULT("1", "%s"), params);
    f->to.params = cla_slice_str(params);
    f->answers[0] = answer;
    start(f);
    cla_loop_run(&f->loop);
    assert_true(f->ws.inflate != NULL && f->ws.deflate != NULL);
    assert_non_null(strstr(text_of(&f->said), params));
}

static void what_is_left_of_the_time_is_said(void **state)
{
    struct fixture *f = *state;

    f->timeout_ns = 500 * MS;
    f->to.params = CLA_LIT("{\"a\":1}");
    f->answers[0] = RESULT("1", "42");
    run(f, "result 42\ncancelled cancelled\n");
    assert_non_null(
        strstr(text_of(&f->got), "\"params\":{\"_meta\":{\"timeout_ms\":500},\"a\":1}"));
}

static void a_name_that_is_not_utf8_is_refused_at_once(void **state)
{
    struct fixture *f = *state;

    f->calls[0] = "\xff";
    start(f);
    while (!f->opened)
        cla_loop_step(&f->loop, true);
    assert_string_equal(text_of(&f->said), "no call: not valid UTF-8\n");
    cla_socket_client_close(f->client);
    cla_loop_run(&f->loop);
}

static void what_the_server_sends_by_itself_is_told(void **state)
{
    struct fixture *f = *state;

    f->greeting = EVENT;
    f->calls[1] = "add";
    f->answers[0] = "no JSON-RPC";
    f->timeout_ns = 500 * MS;
    f->think_ns = 1000 * MS;
    f->answers[2] = RESULT("2", "42"); /* behind the cancel of the first */
    f->answers[1] = NOTHING;
    start(f);
    cla_loop_run(&f->loop);
    assert_non_null(strstr(text_of(&f->said), "notice \"tick\"\n"));
    assert_non_null(strstr(text_of(&f->said), "text no JSON-RPC\n"));
}

static void pings_are_answered_between_calls(void **state)
{
    struct fixture *f = *state;
    struct cla_buf out = {0};

    f->answers[0] = NOTHING;
    start(f);
    while (f->texts == 0)
        cla_loop_step(&f->loop, true);
    cla_ws_conn_ping(&f->ws, &out, CLA_LIT("there?"));
    send_bytes(f, &out);
    while (strstr(text_of(&f->got), "pong there?") == NULL) {
        f->got.n--;
        cla_loop_step(&f->loop, true);
    }
    cla_socket_client_close(f->client);
    cla_loop_run(&f->loop);
}

/* --- Cancel and time. --- */

static void a_cancel_is_a_message_and_its_answer_counts(void **state)
{
    struct fixture *f = *state;

    f->cancels = true;
    f->answers[1] = CANCELED("1");
    run(f, "error \"gone\"\ncancelled cancelled\n");
    assert_string_equal(text_of(&f->got), CALL("1") CANCEL("1") "close 1000\n");
}

static void a_silent_server_is_given_up_on_and_its_late_answer_ignored(void **state)
{
    struct fixture *f = *state;

    f->timeout_ns = 500 * MS;
    f->think_ns = 1000 * MS;
    f->calls[1] = "add";
    f->answers[1] = RESULT("1", "\"late\""); /* to the cancel */
    f->answers[2] = RESULT("2", "42");
    run(f, "timeout the server did not answer in time\nresult 42\ncancelled cancelled\n");
    assert_non_null(strstr(text_of(&f->got), CANCEL("1")));
}

static void an_upgrade_that_takes_too_long_is_given_up(void **state)
{
    struct fixture *f = *state;

    f->refusal = "HTTP/1.1 ";
    f->upgrade_ns = 11 * CLA_NS_PER_S;
    run(f, "unreachable the server did not answer the upgrade in time\n");
}

static void a_limit_makes_that_a_timeout(void **state)
{
    struct fixture *f = *state;

    f->refusal = "HTTP/1.1 ";
    f->to.timeout_ns = 500 * MS;
    f->upgrade_ns = 1000 * MS;
    run(f, "timeout the server did not answer the upgrade in time\n");
}

/* --- Ends. --- */

static void each_end_is_told(void **state)
{
    static const struct {
        const char *answer, *said;
    } cases[] = {
        {END, "broken the server ended the connection without a close frame\n"},
        {RESET, "broken the connection broke\n"},
        {CLOSE, "broken the server closed the connection with code 1001: later\n"},
        {BREAK, "broken the server broke the WebSocket protocol: the opcode is reserved\n"},
    };

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        struct fixture *f = *state;

        f->answers[0] = cases[i].answer;
        run(f, cases[i].said);
        tear_down(state);
        set_up(state);
    }
}

static void each_answer_that_is_no_upgrade_is_told(void **state)
{
    static const struct {
        const char *answer, *said;
    } cases[] = {
        {"HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\nno!\n", "status no!\n\n"},
        {"HTTP/1.1 200 OK\r\n\r\nhello", "status hello\n"},
        {"HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
         "broken Sec-WebSocket-Accept is not the answer to our key\n"},
        {"HTTP/1.1 101 S\r\nConnection: x\r\nUpgrade: websocket\r\n\r\n",
         "broken the server did not upgrade to WebSocket\n"},
        {"HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: websocket\r\nUpgrade: x\r\n\r\n",
         "broken a field of the server's upgrade came twice\n"},
        {"HTTP/1.1 4", "broken the server ended the connection without a close frame\n"},
    };

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        struct fixture *f = *state;

        f->refusal = cases[i].answer;
        run(f, cases[i].said);
        assert_false(f->opened);
        tear_down(state);
        set_up(state);
    }
}

static void a_refused_connection_is_said(void **state)
{
    struct fixture *f = *state;

    uv_close((uv_handle_t *)&f->listener, NULL);
    cla_loop_step(&f->loop, false);
    run(f, "unreachable connection refused (127.0.0.1)\n");
    listen_on_loopback(f);
}

static void a_close_after_any_turn_is_told_once(void **state)
{
    for (unsigned turns = 0; turns < 14; turns++) {
        struct fixture *f = *state;

        f->answers[0] = NOTHING;
        start(f);
        for (unsigned i = 0; i < turns; i++)
            cla_loop_step(&f->loop, false);
        cla_socket_client_close(f->client);
        if (turns % 2 > 0)
            cla_socket_client_close(f->client);
        cla_loop_run(&f->loop);
        assert_string_equal(text_of(&f->said), "cancelled cancelled\n");
        tear_down(state);
        set_up(state);
    }
}

static void a_server_that_ignores_the_close_is_left_after_a_second(void **state)
{
    struct fixture *f = *state;

    start(f);
    while (f->texts == 0)
        cla_loop_step(&f->loop, true);
    uv_read_stop((uv_stream_t *)&f->peer);
    cla_socket_client_close(f->client);
    f->loop.virtual_ns += CLA_NS_PER_S - 1;
    for (unsigned i = 0; i < 10; i++)
        cla_loop_step(&f->loop, false);
    assert_false(f->closed);
    f->loop.virtual_ns++;
    cla_loop_run(&f->loop);
    assert_true(f->closed);
}

/* --- Memory. --- */

/* Runs a session whose allocation number 'n' fails. False if it has none such. */
static bool run_without(struct fixture *f, long n)
{
    int rc;

    assert_int_equal(cla_buf_reserve(&f->said, 4096), 0); /* the test's own */
    f->answers[0] = RESULT("1", "42");
    mem_fault_after(n);
    rc = cla_socket_client_start(&f->client, &f->loop, &f->to, &events, f);
    while (rc == 0 && !f->closed) {
        cla_loop_step(&f->loop, false);
        if (strstr(text_of(&f->said), "no call") != NULL && !f->closed)
            cla_socket_client_close(f->client);
        f->said.n--;
    }
    mem_fault_off();
    return mem_fault.failed;
}

static void each_allocation_may_fail(void **state)
{
    bool failed = true;

    for (long n = 0; failed; n++) {
        failed = run_without(*state, n);
        assert_true(failed || n > 6);
        tear_down(state);
        assert_int_equal(mem_fault.live, 0);
        set_up(state);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_upgrade_has_host_path_and_fields),
        TEST(calls_follow_each_other_and_a_close_frame_them),
        TEST(large_messages_are_compressed_both_ways),
        TEST(what_is_left_of_the_time_is_said),
        TEST(a_name_that_is_not_utf8_is_refused_at_once),
        TEST(what_the_server_sends_by_itself_is_told),
        TEST(pings_are_answered_between_calls),
        TEST(a_cancel_is_a_message_and_its_answer_counts),
        TEST(a_silent_server_is_given_up_on_and_its_late_answer_ignored),
        TEST(an_upgrade_that_takes_too_long_is_given_up),
        TEST(a_limit_makes_that_a_timeout),
        TEST(each_end_is_told),
        TEST(each_answer_that_is_no_upgrade_is_told),
        TEST(a_refused_connection_is_said),
        TEST(a_close_after_any_turn_is_told_once),
        TEST(a_server_that_ignores_the_close_is_left_after_a_second),
        TEST(each_allocation_may_fail),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
