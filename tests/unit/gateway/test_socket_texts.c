/* The text of a WebSocket's call: how long it is kept, and what is known of the call without it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <unistd.h>

#include "gateway/exchange_start.h"
#include "gateway/worker_survey.h"
#include "socket_gate.h"

#define ID_15 "\"0123456789abc\""
#define ID_16 "\"0123456789abcd\""

#define WITH_TOKEN                                                                                \
    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"hold\",\"params\":{\"_meta\":{\"progressToken\":" \
    "7}}}"

static struct cla_exchange *exchange_at(unsigned index)
{
    const struct cla_link *link = gate.worker.exchanges.next;

    while (index-- > 0)
        link = link->next;
    assert_ptr_not_equal(link, &gate.worker.exchanges);
    return CLA_CONTAINER((struct cla_link *)link, struct cla_exchange, link);
}

/* Sends 'text', whose call or calls are held. */
static void hold(const char *text)
{
    socket_gate_open();
    socket_send(&c, text);
    gate_turns(&gate);
    assert_true(gate.app.held_n > 0);
}

static void require_reset(const char *id)
{
    char text[200];

    snprintf(text, sizeof text, SOCKET_CANCEL("%s"), id);
    socket_send(&c, text);
    snprintf(text, sizeof text, "\"id\":%s,\"error\":{\"code\":-32800,", id);
    socket_require_part(&c, text);
    assert_int_equal(gate.app.kind, CLA_CANCEL_RESET);
}

static void a_text_goes_when_its_call_has_begun(void **state)
{
    gate.app.waits = true;
    socket_gate_open();
    socket_send(&c, SOCKET_CALL("hold", "1"));
    gate_turns(&gate);
    assert_non_null(exchange_at(0)->text);
    gate.app.waits = false;
    gate_turns(&gate);
    assert_int_equal(gate.app.held_n, 1);
    assert_null(exchange_at(0)->text);
    gate_answer(&gate, 0);
    socket_require(&c, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":\"held\"}");
}

static void a_call_whose_text_has_gone_is_reset_by_its_id(void **state)
{
    hold(SOCKET_CALL("hold", ID_15));
    assert_null(exchange_at(0)->text);
    socket_send(&c, SOCKET_CALL("echo", ID_15));
    socket_require_part(&c, "\"id\":" ID_15 "}}}");
    require_reset(ID_15);
}

static void a_text_with_a_long_id_stays(void **state)
{
    hold(SOCKET_CALL("hold", ID_16));
    assert_non_null(exchange_at(0)->text);
    socket_send(&c, SOCKET_CALL("echo", ID_16));
    socket_require_part(&c, "\"id\":" ID_16 "}}}");
    require_reset(ID_16);
}

static void a_text_with_tokens_stays(void **state)
{
    struct cla_call *call;

    hold(WITH_TOKEN);
    call = gate.app.held[0];
    assert_non_null(exchange_at(0)->text);
    assert_int_equal(cla_call_part(call, CLA_CALL_PROGRESS, CLA_LIT("50")), 0);
    socket_require_part(&c, "\"token\":7,\"value\":50");
    require_reset("1");
}

static void a_batch_stays(void **state)
{
    hold("[" SOCKET_CALL("hold", "1") "," SOCKET_CALL("hold", "2") "]");
    assert_non_null(exchange_at(0)->text);
    socket_send(&c, SOCKET_CANCEL("2"));
    gate_turns(&gate);
    assert_int_equal(gate.app.cancels, 1);
    gate_answer(&gate, 0);
    socket_require_part(&c, "[{\"jsonrpc\":\"2.0\",\"id\":2,\"error\":{\"code\":-32800,");
}

static void a_text_that_waits_for_another_with_its_id_stays_until_it_begins(void **state)
{
    gate.app.waits = true;
    socket_gate_open();
    socket_send(&c, SOCKET_CALL("echo", "1"));
    socket_send(&c, SOCKET_CALL("hold", "1"));
    gate_turns(&gate);
    assert_non_null(exchange_at(1)->text);
    gate.app.waits = false;
    socket_require(&c, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":null}");
    gate_turns(&gate);
    assert_int_equal(gate.app.held_n, 1);
    assert_null(exchange_at(0)->text);
    require_reset("1");
}

static void a_call_whose_text_has_gone_is_told_of_and_killed(void **state)
{
    struct cla_survey *calls = cla_survey_new(CLA_SURVEY_CALLS, 1);
    struct cla_survey *kill = cla_survey_new(CLA_SURVEY_KILL, 1);

    hold(SOCKET_CALL("hold", "1"));
    cla_worker_survey(&gate.worker, calls, 0);
    assert_int_equal(cla_buf_push(&calls->answers[0].texts, '\0'), 0);
    assert_non_null(strstr(calls->answers[0].texts.p, "\"hold\""));
    assert_non_null(strstr(calls->answers[0].texts.p, "192.0.2.1:1234"));
    kill->call = gate.app.held[0]->id;
    cla_worker_survey(&gate.worker, kill, 0);
    assert_true(kill->answers[0].found);
    socket_require_part(&c, "\"id\":1,\"error\":{");
    assert_int_equal(gate.app.kind, CLA_CANCEL_KILLED);
    cla_survey_release(calls);
    cla_survey_release(kill);
}

static void the_log_tells_of_a_call_whose_text_has_gone(void **state)
{
    static const char text[] =
        "{\"jsonrpc\":\"2.0\",\"id\":" ID_15 ",\"method\":\"hold\",\"params\":[1,2,3]}";
    char line[500] = {0};
    int ends[2];

    assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
    gate_set(&gate, "access_log", "all");
    gate.log.fd = ends[1];
    gate.log.level = CLA_LOG_INFO;
    hold(text);
    gate_answer(&gate, 0);
    gate_turns(&gate);
    assert_true(read(ends[0], line, sizeof line - 1) > 0);
    assert_non_null(strstr(line, " procedure=hold outcome=ok "));
    assert_non_null(strstr(line, " in=7 out="));
    assert_non_null(strstr(line, " peer=192.0.2.1:1234 protocol=jsonrpc "));
    assert_non_null(strstr(line, " request_id=\"\\\"0123456789abc\\\"\""));
    gate.log.level = CLA_LOG_OFF;
    close(ends[0]);
    close(ends[1]);
}

static void a_frame_of_no_bytes_is_a_call(void **state)
{
    struct cla_slice none = cla_slice(NULL, 0);
    struct cla_exchange *x;

    socket_gate_open();
    x = cla_exchange_of_message(gate_conn(&gate)->socket, &none, 1);
    assert_non_null(x);
    assert_non_null(x->text);
    cla_exchange_abandon(x, CLA_CANCEL_DISCONNECT);
    assert_true(cla_list_empty(&gate.worker.exchanges));
}

static void a_reply_may_be_written_while_another_is(void **state)
{
    struct cla_call *call;
    struct cla_buf *reply;

    hold(SOCKET_CALL("hold", "1"));
    socket_send(&c, SOCKET_CALL("hold", "2"));
    gate_turns(&gate);
    call = gate.app.held[0];
    gate_remove(gate.app.held, &gate.app.held_n, call);
    reply = cla_call_result_begin(call);
    assert_int_equal(cla_buf_add(reply, CLA_LIT("[1,")), 0);
    gate_answer(&gate, 0);
    assert_int_equal(cla_buf_add(reply, CLA_LIT("2]")), 0);
    cla_call_result_end(call);
    cla_call_release(call);
    assert_int_equal(gate.worker.reply.n, 0);
    socket_require(&c, "{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":\"held\"}");
    socket_require(&c, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":[1,2]}");
}

/* A finalizer may close the socket. */
static void a_reply_is_dropped_when_its_socket_closes_while_it_is_written(void **state)
{
    struct cla_call *call;
    struct cla_buf *reply;

    hold(SOCKET_CALL("hold", "1"));
    gate.app.slow_cleanup = true;
    call = gate.app.held[0];
    reply = cla_call_result_begin(call);
    assert_int_equal(cla_buf_add(reply, CLA_LIT("[1,")), 0);
    cla_socket_close(gate_conn(&gate)->socket, CLA_WS_NORMAL, cla_slice("", 0),
                     CLA_CANCEL_DISCONNECT);
    assert_int_equal(call->state, CLA_CALL_CANCELLED);
    assert_int_equal(gate.worker.reply.n, 0);
    assert_int_equal(cla_buf_add(reply, CLA_LIT("2]")), 0);
    gate_turns(&gate);
    assert_int_equal(gate.worker.reply.n, 0);
    gate.app.slow_cleanup = false;
    socket_require_close(&c, CLA_WS_NORMAL);
}

static void memory_for_a_large_reply_is_not_kept(void **state)
{
    static char text[100000];
    struct cla_call *call;
    struct cla_buf *reply;

    memset(text, '1', sizeof text);
    hold(SOCKET_CALL("hold", "1"));
    call = gate.app.held[0];
    gate_remove(gate.app.held, &gate.app.held_n, call);
    reply = cla_call_result_begin(call);
    assert_int_equal(cla_buf_append(reply, text, sizeof text), 0);
    cla_call_result_end(call);
    cla_call_release(call);
    assert_true(gate.worker.reply.cap > 0);
    gate_turns(&gate);
    assert_int_equal(gate.worker.reply.cap, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_text_goes_when_its_call_has_begun),
        TEST(a_call_whose_text_has_gone_is_reset_by_its_id),
        TEST(a_text_with_a_long_id_stays),
        TEST(a_text_with_tokens_stays),
        TEST(a_batch_stays),
        TEST(a_text_that_waits_for_another_with_its_id_stays_until_it_begins),
        TEST(a_call_whose_text_has_gone_is_told_of_and_killed),
        TEST(the_log_tells_of_a_call_whose_text_has_gone),
        TEST(a_frame_of_no_bytes_is_a_call),
        TEST(a_reply_may_be_written_while_another_is),
        TEST(a_reply_is_dropped_when_its_socket_closes_while_it_is_written),
        TEST(memory_for_a_large_reply_is_not_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
