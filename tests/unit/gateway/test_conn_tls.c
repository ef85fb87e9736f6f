/* Connections with TLS: the handshake and its limit, who the client is, and how it ends; in virtual
 * time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/mman.h>

#include "gateway_fixture.h"
#include "io/tls.h"
#include "mem_fault.h"
#include "tls_fixture.h"

static struct gate gate;
static struct client client;                /* its 'in' holds plaintext */
static struct cla_tls *tls;                 /* the client's engine */
static struct cla_tls_context *contexts[2]; /* the server's, the client's */
static enum cla_tls_result result;          /* of the client's engine */

static int open_gate(void **state)
{
    gate_init(&gate);
    gate.log = (struct cla_log){.fd = memfd_create("log", 0), .level = CLA_LOG_INFO};
    gate_set(&gate, "handshake_timeout", "5s");
    gate_set(&gate, "header_timeout", "10s");
    gate_set(&gate, "write_timeout", "20s");
    gate_set(&gate, "access_log", "all");
    gate_open_worker(&gate);
    contexts[0] = tls_server(CLA_TLS_CLIENT_OPTIONAL);
    contexts[1] = tls_client("client");
    assert_int_equal(cla_tls_new_client(&tls, contexts[1], "localhost"), 0);
    result = CLA_TLS_MORE;
    return 0;
}

static int close_gate(void **state)
{
    if (client.fd >= 0)
        client_close(&client);
    gate_fini(&gate);
    close(gate.log.fd);
    cla_tls_free(tls);
    cla_tls_context_put(contexts[0]);
    cla_tls_context_put(contexts[1]);
    assert_int_equal(mem_fault.live, 0);
    return 0;
}

static struct cla_message arrival(int fd, const char *refusal)
{
    return (struct cla_message){.kind = CLA_MESSAGE_CONNECTION,
                                .arrival = {.fd = fd,
                                            .via = &gate.via,
                                            .tls = cla_tls_context_ref(contexts[0]),
                                            .refusal = refusal,
                                            .peer_n = 14,
                                            .peer = "192.0.2.1:1234"}};
}

static void arrive(const char *refusal)
{
    struct cla_message message;
    int fd;

    client = (struct client){.gate = &gate};
    tcp_pair(&fd, &client.fd);
    message = arrival(fd, refusal);
    cla_worker_expect(&gate.worker, &message.arrival);
    cla_worker_on_message(&gate.worker, &message);
    gate_turns(&gate);
}

static void send_all(struct cla_buf *bytes)
{
    if (bytes->n > 0)
        tcp_require(send(client.fd, bytes->p, bytes->n, MSG_NOSIGNAL) == (ssize_t)bytes->n);
    bytes->n = 0;
    gate_turns(&gate);
}

/* Decrypts 'bytes', and sends what that has the client say. */
static void decrypt(struct cla_slice bytes)
{
    static char text[65536];
    struct cla_buf out = {0};
    size_t n;

    cla_tls_feed(tls, bytes);
    do {
        result = cla_tls_read(tls, text, sizeof text, &n, &out);
        tcp_require(cla_buf_append(&client.in, text, n) == 0);
    } while (result == CLA_TLS_SECURED || result == CLA_TLS_FULL);
    send_all(&out);
    cla_buf_fini(&out);
}

/* Goes on with whatever has come, until nothing comes any more. */
static void pump(void)
{
    static char bytes[65536];
    ssize_t n;

    gate_turns(&gate);
    while ((n = recv(client.fd, bytes, sizeof bytes, MSG_DONTWAIT)) > 0 && result == CLA_TLS_MORE)
        decrypt(cla_slice(bytes, (size_t)n));
    client.ended = n == 0 || (n < 0 && errno != EAGAIN);
}

static void shake_hands(void)
{
    decrypt(cla_slice(NULL, 0));
    pump();
    assert_true(cla_tls_is_secured(tls));
}

static void ask(const char *text)
{
    struct cla_buf out = {0};

    assert_int_equal(cla_tls_write(tls, cla_slice_str(text), &out), 0);
    send_all(&out);
    cla_buf_fini(&out);
    pump();
}

static void post(const char *method, int id)
{
    char body[128], text[512];

    snprintf(body, sizeof body, "{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":\"%s\"}", id, method);
    snprintf(text, sizeof text,
             "POST /rpc HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
             "Content-Length: %zu\r\n\r\n%s",
             strlen(body), body);
    ask(text);
}

static void require_in(const char *part)
{
    tcp_require(cla_buf_push(&client.in, '\0') == 0);
    client.in.n--;
    if (strstr(client.in.p, part) == NULL)
        fail_msg("'%s' is not in: %s", part, client.in.p);
}

/* Requires that the log has, or has not, a line with 'part'. */
static void require_logged(const char *part, bool there)
{
    char text[8192];
    ssize_t n = pread(gate.log.fd, text, sizeof text - 1, 0);

    text[n > 0 ? n : 0] = '\0';
    if ((strstr(text, part) != NULL) != there)
        fail_msg("'%s': %s", part, text);
}

#define S 1000 /* milliseconds in a second */

/* --- Calls. --- */

static void a_call_is_answered_with_its_client_known(void **state)
{
    arrive(NULL);
    shake_hands();
    post("hold", 1);
    assert_int_equal(gate.app.held_n, 1);
    assert_string_equal(gate.app.held[0]->request->certificate->serial, "C11E");
    gate_answer(&gate, 0);
    pump();
    require_in("\"result\":\"held\"");
}

static void a_certificate_outlives_its_connection_with_the_call(void **state)
{
    arrive(NULL);
    shake_hands();
    gate.app.slow_cleanup = true;
    post("hold", 1);
    client_close(&client);
    assert_int_equal(gate.worker.conn_count, 0);
    assert_int_equal(gate.app.over_n, 1);
    assert_string_equal(gate.app.over[0]->request->certificate->serial, "C11E");
    gate.app.slow_cleanup = false;
    gate_turns(&gate);
}

static void a_plain_connection_has_no_certificate(void **state)
{
    client_open(&client, &gate);
    client_call(&client, "hold", 1);
    assert_null(gate.app.held[0]->request->certificate);
}

static void close_notify_cancels_the_call(void **state)
{
    struct cla_buf out = {0};

    arrive(NULL);
    shake_hands();
    post("hold", 1);
    cla_tls_close(tls, &out);
    send_all(&out);
    cla_buf_fini(&out);
    assert_int_equal(gate.app.cancels, 1);
    assert_int_equal(gate.app.kind, CLA_CANCEL_DISCONNECT);
    assert_int_equal(gate.worker.conn_count, 0);
}

/* --- Time limits. --- */

static void a_handshake_that_takes_too_long_is_cut_and_logged(void **state)
{
    arrive(NULL);
    gate_pass(&gate, 5 * S - 1);
    assert_int_equal(gate.worker.conn_count, 1);
    gate_pass(&gate, 1);
    assert_int_equal(gate.worker.conn_count, 0);
    require_logged("tls failed why=\"the handshake took too long (handshake_timeout)\" "
                   "peer=192.0.2.1:1234",
                   true);
}

static void some_progress_of_the_handshake_does_not_help(void **state)
{
    arrive(NULL);
    gate_pass(&gate, 4 * S);
    client_send_bytes(&client, "\x16\x03\x01", 3);
    gate_pass(&gate, 1 * S);
    assert_int_equal(gate.worker.conn_count, 0);
}

static void the_head_has_its_time_from_the_end_of_the_handshake(void **state)
{
    arrive(NULL);
    gate_pass(&gate, 4 * S);
    shake_hands();
    gate_pass(&gate, 10 * S - 1);
    assert_int_equal(gate.worker.conn_count, 1);
    gate_pass(&gate, 1);
    pump();
    assert_int_equal(result, CLA_TLS_ENDED); /* close_notify, and nothing else */
    assert_int_equal(client.in.n, 0);
    require_logged("tls failed", false);
}

static void a_quick_handshake_does_not_shorten_the_wait_for_the_head(void **state)
{
    arrive(NULL);
    shake_hands();
    gate_pass(&gate, 6 * S); /* handshake_timeout is over */
    assert_int_equal(gate.worker.conn_count, 1);
    post("echo", 1);
    require_in("\"result\":null");
}

/* --- Refusals. --- */

static void who_is_not_let_in_is_told_so_behind_the_handshake(void **state)
{
    arrive("too many");
    assert_int_equal(gate.worker.conn_count, 1);
    shake_hands();
    pump();
    require_in("HTTP/1.1 503 ");
    require_in("too many");
    assert_int_equal(result, CLA_TLS_ENDED);
}

static void who_is_not_let_in_and_says_nothing_is_cut_at_the_handshakes_limit(void **state)
{
    arrive("too many");
    gate_pass(&gate, 5 * S);
    assert_int_equal(gate.worker.conn_count, 0);
}

static void plain_http_is_answered_in_plain_text(void **state)
{
    arrive(NULL);
    client_send(&client, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    client_require_refusal(&client, 400, "write https:// in the URL");
    client_require_end(&client);
    require_logged("refused status=400 why=\"this address speaks HTTPS", true);
}

static void plain_http_of_who_is_not_let_in_is_cut(void **state)
{
    arrive("too many");
    client_send(&client, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    client_require_end(&client);
    assert_int_equal(gate.worker.conn_count, 0);
}

static void a_handshake_that_fails_is_logged_with_why(void **state)
{
    arrive(NULL);
    client_send_bytes(&client, "\x01\x02\x03\x04\x05\x06\x07\x08", 8);
    assert_int_equal(gate.worker.conn_count, 0);
    require_logged("tls failed why=\"wrong version number\" peer=192.0.2.1:1234", true);
}

static void a_client_that_goes_during_the_handshake_is_not_worth_a_line(void **state)
{
    arrive(NULL);
    client_close(&client);
    assert_int_equal(gate.worker.conn_count, 0);
    require_logged("tls failed", false);
}

static void access_log_off_leaves_failures_out(void **state)
{
    gate.worker.env.access_log = CLA_ACCESS_LOG_OFF;
    arrive(NULL);
    client_send_bytes(&client, "\x01\x02\x03\x04\x05\x06\x07\x08", 8);
    require_logged("tls failed", false);
}

/* --- Drain, and no memory. --- */

static void a_drain_cuts_handshakes(void **state)
{
    arrive(NULL);
    gate_post(&gate, CLA_MESSAGE_DRAIN);
    gate_turns(&gate);
    assert_int_equal(gate.worker.conn_count, 0);
}

static void who_arrives_during_a_drain_leaves_nothing_behind(void **state)
{
    gate_post(&gate, CLA_MESSAGE_DRAIN);
    arrive(NULL);
    client_drain(&client);
    assert_true(client.ended);
}

static void without_memory_a_connection_is_closed(void **state)
{
    for (long n = 0; n < 4; n++) {
        cla_mem_free(gate.loop.plain_buf);
        gate.loop.plain_buf = NULL;
        mem_fault_after(n);
        arrive(NULL);
        assert_true(mem_fault.failed);
        assert_int_equal(gate.worker.conn_count, 0);
        client_close(&client);
    }
}

static void a_message_that_nobody_receives_leaves_nothing_behind(void **state)
{
    struct cla_mailbox box;
    struct cla_message message;
    int fd;

    client = (struct client){.gate = &gate};
    tcp_pair(&fd, &client.fd);
    message = arrival(fd, NULL);
    assert_int_equal(cla_mailbox_open(&box, &gate.loop, cla_worker_on_message, &gate.worker), 0);
    assert_int_equal(cla_mailbox_post(&box, &message), 0);
    cla_mailbox_close(&box);
    gate_turns(&gate);
    client_drain(&client);
    assert_true(client.ended);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_gate, close_gate)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_call_is_answered_with_its_client_known),
        TEST(a_certificate_outlives_its_connection_with_the_call),
        TEST(a_plain_connection_has_no_certificate),
        TEST(close_notify_cancels_the_call),
        TEST(a_handshake_that_takes_too_long_is_cut_and_logged),
        TEST(some_progress_of_the_handshake_does_not_help),
        TEST(the_head_has_its_time_from_the_end_of_the_handshake),
        TEST(a_quick_handshake_does_not_shorten_the_wait_for_the_head),
        TEST(who_is_not_let_in_is_told_so_behind_the_handshake),
        TEST(who_is_not_let_in_and_says_nothing_is_cut_at_the_handshakes_limit),
        TEST(plain_http_is_answered_in_plain_text),
        TEST(plain_http_of_who_is_not_let_in_is_cut),
        TEST(a_handshake_that_fails_is_logged_with_why),
        TEST(a_client_that_goes_during_the_handshake_is_not_worth_a_line),
        TEST(access_log_off_leaves_failures_out),
        TEST(a_drain_cuts_handshakes),
        TEST(who_arrives_during_a_drain_leaves_nothing_behind),
        TEST(without_memory_a_connection_is_closed),
        TEST(a_message_that_nobody_receives_leaves_nothing_behind),
    };

    return cmocka_run_group_tests(tests, tls_make_certificates, tls_remove_certificates);
}
