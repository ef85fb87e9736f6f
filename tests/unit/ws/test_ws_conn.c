/* What a connection makes of frames (RFC 6455; the cases of the Autobahn suite, sections 1 to 7),
 * and that it does the same however its bytes are cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"
#include "ws_trace.h"

static const struct cla_ws_settings settings = {
    .message_bytes = 1000, .fragments = 20, .random = ws_trace_random};

#define FRAMES_MAX 8

struct frame {
    unsigned char first; /* 0 and an empty payload behind others: no more */
    struct cla_slice payload;
};

struct sequence {
    const char *name; /* what is sent */
    struct frame frames[FRAMES_MAX];
    const char *want; /* what is seen */
};

#define X25 "xxxxxxxxxxxxxxxxxxxxxxxxx"
#define X125 X25 X25 X25 X25 X25
#define X1000 X125 X125 X125 X125 X125 X125 X125 X125
#define L CLA_LIT
#define LOST "\xed\xa0\x80" /* a surrogate */

static const struct sequence sequences[] = {
    {"empty text", {{0x81, L("")}}, "text 0 \n"},
    {"text", {{0x81, L("Hello")}}, "text 5 Hello\n"},
    {"text of 125", {{0x81, L(X125)}}, "text 125 " X125 "\n"},
    {"text of 126", {{0x81, L(X125 "y")}}, "text 126 " X125 "y\n"},
    {"text of 1000", {{0x81, L(X1000)}}, "text 1000 " X1000 "\n"},
    {"empty binary", {{0x82, L("")}}, "binary 0 \n"},
    {"binary", {{0x82, L("\xff\xfe")}}, "binary 2 \xff\xfe\n"},
    {"two texts", {{0x81, L("a")}, {0x81, L("b")}}, "text 1 a\ntext 1 b\n"},

    {"empty ping", {{0x89, L("")}}, "ping 0 \n"},
    {"ping", {{0x89, L("\xff\x01")}}, "ping 2 \xff\x01\n"},
    {"ping of 125", {{0x89, L(X125)}}, "ping 125 " X125 "\n"},
    {"ping of 126",
     {{0x89, L(X125 "y")}},
     "failed 1002 a control frame is longer than 125 bytes\n"},
    {"pong not asked for", {{0x8a, L("p")}, {0x89, L("q")}}, "pong 1 p\nping 1 q\n"},
    {"ten pings",
     {{0x89, L("1")}, {0x89, L("2")}, {0x89, L("3")}, {0x89, L("4")}},
     "ping 1 1\nping 1 2\nping 1 3\nping 1 4\n"},

    {"reserved bit 3", {{0x91, L("a")}}, "failed 1002 a reserved bit is set\n"},
    {"reserved bit 2",
     {{0x81, L("a")}, {0xa1, L("b")}},
     "text 1 a\nfailed 1002 a reserved bit is set\n"},
    {"reserved bit 1",
     {{0x89, L("p")}, {0xc1, L("b")}},
     "ping 1 p\nfailed 1002 a reserved bit is set\n"},
    {"reserved bits on close", {{0xf8, L("")}}, "failed 1002 a reserved bit is set\n"},
    {"opcode 3", {{0x83, L("a")}}, "failed 1002 the opcode is reserved\n"},
    {"opcode 7",
     {{0x81, L("a")}, {0x87, L("a")}},
     "text 1 a\nfailed 1002 the opcode is reserved\n"},
    {"opcode 11", {{0x8b, L("")}}, "failed 1002 the opcode is reserved\n"},
    {"opcode 15", {{0x8f, L("a")}}, "failed 1002 the opcode is reserved\n"},

    {"fragmented ping",
     {{0x09, L("a")}, {0x80, L("b")}},
     "failed 1002 a control frame is fragmented\n"},
    {"fragmented pong",
     {{0x0a, L("a")}, {0x80, L("b")}},
     "failed 1002 a control frame is fragmented\n"},
    {"fragmented close", {{0x08, L("")}}, "failed 1002 a control frame is fragmented\n"},
    {"two fragments", {{0x01, L("ab")}, {0x80, L("cd")}}, "text 4 abcd\n"},
    {"ping between", {{0x01, L("ab")}, {0x89, L("p")}, {0x80, L("cd")}}, "ping 1 p\ntext 4 abcd\n"},
    {"pings between many",
     {{0x02, L("a")},
      {0x00, L("b")},
      {0x89, L("pp")},
      {0x00, L("c")},
      {0x8a, L("q")},
      {0x80, L("d")}},
     "ping 2 pp\npong 1 q\nbinary 4 abcd\n"},
    {"empty fragments", {{0x01, L("")}, {0x00, L("")}, {0x80, L("")}}, "text 0 \n"},
    {"empty but the second", {{0x01, L("")}, {0x00, L("abc")}, {0x80, L("")}}, "text 3 abc\n"},
    {"empty but the last", {{0x01, L("")}, {0x80, L("abc")}}, "text 3 abc\n"},
    {"continuation of nothing", {{0x80, L("a")}}, "failed 1002 a continuation continues nothing\n"},
    {"open continuation of nothing",
     {{0x00, L("a")}},
     "failed 1002 a continuation continues nothing\n"},
    {"continuation behind a text",
     {{0x81, L("a")}, {0x00, L("b")}},
     "text 1 a\nfailed 1002 a continuation continues nothing\n"},
    {"text inside a text",
     {{0x01, L("a")}, {0x81, L("b")}},
     "failed 1002 a message begins inside another\n"},
    {"open message", {{0x01, L("a")}, {0x00, L("b")}}, "in message\n"},

    {"code points whole and cut",
     {{0x01, L("\xce\xba\xe1")}, {0x00, L("\xbd")}, {0x80, L("\xb9")}},
     "text 5 \xce\xba\xe1\xbd\xb9\n"},
    {"not UTF-8", {{0x81, L("ab" LOST "edited")}}, "failed 1007 a text message is not UTF-8\n"},
    {"not UTF-8 behind a ping",
     {{0x89, L("p")}, {0x81, L("\xff")}},
     "ping 1 p\nfailed 1007 a text message is not UTF-8\n"},
    {"not UTF-8 in a fragment",
     {{0x01, L("\xf4")}, {0x00, L("\x90")}, {0x80, L("")}},
     "failed 1007 a text message is not UTF-8\n"},
    {"cut code point at the end",
     {{0x81, L("a\xe2\x82")}},
     "failed 1007 a text message is not UTF-8\n"},
    {"cut code point at the end of fragments",
     {{0x01, L("a\xe2\x82")}, {0x80, L("")}},
     "failed 1007 a text message is not UTF-8\n"},
    {"verdicts do not outlive a message",
     {{0x82, L("\xff")}, {0x81, L("\xc3\xa9")}, {0x02, L("\xc3")}, {0x80, L("")}, {0x81, L("a")}},
     "binary 1 \xff\ntext 2 \xc3\xa9\nbinary 1 \xc3\ntext 1 a\n"},

    {"close", {{0x88, L("")}}, "close 1005 0 \nclosed\n"},
    {"close with a code", {{0x88, L("\x03\xe8")}}, "close 1000 0 \nclosed\n"},
    {"close with a reason", {{0x88, L("\x03\xe8ok")}}, "close 1000 2 ok\nclosed\n"},
    {"text behind a close", {{0x88, L("\x03\xe8")}, {0x81, L("x")}}, "close 1000 0 \nclosed\n"},
    {"ping behind a close",
     {{0x81, L("a")}, {0x88, L("")}, {0x89, L("")}},
     "text 1 a\nclose 1005 0 \nclosed\n"},
    {"close in a message",
     {{0x01, L("a")}, {0x88, L("\x03\xe8")}, {0x80, L("")}},
     "close 1000 0 \nclosed\n"},
    {"close of 1 byte", {{0x88, L("\x03")}}, "failed 1002 a close frame is malformed\n"},
    {"close with 1005", {{0x88, L("\x03\xed")}}, "failed 1002 a close frame is malformed\n"},
    {"close with 2999", {{0x88, L("\x0b\xb7")}}, "failed 1002 a close frame is malformed\n"},
    {"close with 4999", {{0x88, L("\x13\x87")}}, "close 4999 0 \nclosed\n"},
    {"reason not UTF-8",
     {{0x88, L("\x03\xe8" LOST)}},
     "failed 1007 the reason of a close is not UTF-8\n"},
    {"close of 125",
     {{0x88, L("\x03\xe8" X25 X25 X25 X25 "yyyyyyyyyyyyyyyyyyyyyyy")}},
     "close 1000 123 " X25 X25 X25 X25 "yyyyyyyyyyyyyyyyyyyyyyy\nclosed\n"},
    {"close of 126",
     {{0x88, L("\x03\xe8" X125)}},
     "failed 1002 a control frame is longer than 125 bytes\n"},

    {"message over the limit",
     {{0x81, L(X1000 "y")}},
     "failed 1009 a message is longer than message_bytes\n"},
    {"fragments over the limit",
     {{0x01, L(X1000)}, {0x89, L("p")}, {0x00, L("")}, {0x80, L("y")}},
     "ping 1 p\nfailed 1009 a message is longer than message_bytes\n"},
    {"limit is of each message",
     {{0x01, L(X125)}, {0x80, L(X125)}, {0x81, L("")}, {0x01, L("a")}, {0x80, L("b")}},
     "text 250 " X125 X125 "\ntext 0 \ntext 2 ab\n"},
};

#undef L

static void put_frames(struct cla_buf *buf, const struct sequence *sequence)
{
    for (size_t i = 0; i < FRAMES_MAX; i++) {
        const struct frame *frame = &sequence->frames[i];

        if (frame->payload.p != NULL)
            ws_put(buf, frame->first, frame->payload);
    }
}

static void run_once(const struct sequence *sequence, struct cla_slice bytes, struct ws_cut cut,
                     bool pause)
{
    struct ws_trace trace = {.pause = pause};

    ws_trace_init(&trace, false, &settings, NULL);
    ws_trace_run(&trace, bytes, cut);
    if (!cla_slice_eq(cla_buf_slice(&trace.text), cla_slice_str(sequence->want)))
        fail_msg("%s, cut at %zu, step %zu:\n%.*s\nwant:\n%s", sequence->name, cut.at, cut.step,
                 (int)trace.text.n, trace.text.p, sequence->want);
    ws_trace_fini(&trace);
}

static void frames_do_what_the_rfc_says_however_they_are_cut(void **state)
{
    for (size_t i = 0; i < CLA_ARRAY_LEN(sequences); i++) {
        struct cla_buf buf = {0};

        put_frames(&buf, &sequences[i]);
        run_once(&sequences[i], cla_buf_slice(&buf), (struct ws_cut){0}, false);
        run_once(&sequences[i], cla_buf_slice(&buf), (struct ws_cut){0}, true);
        for (size_t step = 1; step <= 9; step += 2)
            run_once(&sequences[i], cla_buf_slice(&buf), (struct ws_cut){.step = step}, false);
        for (size_t at = 1; at < buf.n; at++)
            run_once(&sequences[i], cla_buf_slice(&buf), (struct ws_cut){.at = at}, false);
        cla_buf_fini(&buf);
    }
}

static void fragments_over_the_limit_are_a_policy_violation(void **state)
{
    struct ws_trace trace = {0};
    struct cla_buf buf = {0};

    ws_put(&buf, 0x01, CLA_LIT(""));
    for (unsigned i = 2; i < settings.fragments; i++)
        ws_put(&buf, 0x00, CLA_LIT(""));
    ws_put(&buf, 0x80, CLA_LIT("all"));
    ws_put(&buf, 0x01, CLA_LIT(""));
    for (unsigned i = 1; i <= settings.fragments; i++)
        ws_put(&buf, 0x00, CLA_LIT("x"));
    ws_trace_init(&trace, false, &settings, NULL);
    ws_trace_run(&trace, cla_buf_slice(&buf), (struct ws_cut){.step = 1});
    assert_true(cla_slice_eq(
        cla_buf_slice(&trace.text),
        CLA_LIT(
            "text 3 all\nfailed 1008 a message has more frames than message_fragments allows\n")));
    cla_buf_fini(&buf);
    ws_trace_fini(&trace);
}

static void huge_length_is_refused_at_its_header(void **state)
{
    static const char frame[] = "\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff....";
    struct ws_trace trace = {0};

    ws_trace_init(&trace, false, &settings, NULL);
    ws_trace_run(&trace, cla_slice(frame, 14), (struct ws_cut){0});
    assert_int_equal(trace.conn.code, CLA_WS_TOO_BIG);
    assert_int_equal(trace.conn.message.cap, 0);
    ws_trace_fini(&trace);
}

static void text_is_refused_before_its_frame_is_complete(void **state)
{
    struct ws_trace trace = {0};
    struct cla_buf buf = {0};

    ws_put(&buf, 0x81, CLA_LIT("ab\xf5 and more that never comes"));
    ws_trace_init(&trace, false, &settings, NULL);
    assert_int_equal(ws_trace_feed(&trace, cla_slice(buf.p, 6 + 2)), CLA_WS_MORE);
    assert_int_equal(ws_trace_feed(&trace, cla_slice(buf.p + 6 + 2, 1)), CLA_WS_FAILED);
    assert_int_equal(trace.conn.code, CLA_WS_INVALID);
    cla_buf_fini(&buf);
    ws_trace_fini(&trace);
}

static void frame_without_a_mask_is_refused(void **state)
{
    struct ws_trace trace = {0};

    ws_trace_init(&trace, false, &settings, NULL);
    ws_trace_run(&trace, CLA_LIT("\x81\x05Hello"), (struct ws_cut){0});
    assert_true(cla_slice_eq(cla_buf_slice(&trace.text),
                             CLA_LIT("failed 1002 a client's frame is not masked\n")));
    ws_trace_fini(&trace);
}

static void client_reads_frames_without_a_mask_only(void **state)
{
    struct ws_trace trace = {0};

    ws_trace_init(&trace, true, &settings, NULL);
    ws_trace_run(&trace, CLA_LIT("\x01\x03Hel\x89\x01p\x80\x02lo\x81\x85...."), (struct ws_cut){0});
    assert_true(
        cla_slice_eq(cla_buf_slice(&trace.text),
                     CLA_LIT("ping 1 p\ntext 5 Hello\nfailed 1002 a server's frame is masked\n")));
    ws_trace_fini(&trace);
}

static void message_in_one_piece_is_given_where_it_lies(void **state)
{
    struct ws_trace trace = {0};
    struct cla_buf buf = {0};

    ws_put(&buf, 0x81, CLA_LIT(X125));
    ws_put(&buf, 0x89, CLA_LIT("p"));
    ws_trace_init(&trace, false, &settings, NULL);
    ws_trace_run(&trace, cla_buf_slice(&buf), (struct ws_cut){0});
    assert_int_equal(trace.messages, 1);
    assert_null(trace.conn.message.p);
    cla_buf_fini(&buf);
    ws_trace_fini(&trace);
}

static void nothing_is_held_between_messages(void **state)
{
    struct ws_trace trace = {0};
    struct cla_buf buf = {0};

    ws_put(&buf, 0x01, CLA_LIT("ab"));
    ws_put(&buf, 0x80, CLA_LIT("cd"));
    ws_put(&buf, 0x89, CLA_LIT("ping in pieces"));
    ws_trace_init(&trace, false, &settings, NULL);
    ws_trace_run(&trace, cla_buf_slice(&buf), (struct ws_cut){.step = 1});
    assert_false(cla_ws_conn_in_message(&trace.conn));
    assert_null(trace.conn.message.p);
    cla_buf_fini(&buf);
    ws_trace_fini(&trace);
}

static void message_is_under_way_from_its_first_byte_to_its_last(void **state)
{
    struct ws_trace trace = {0};
    struct cla_buf buf = {0};

    ws_put(&buf, 0x01, CLA_LIT("ab"));
    ws_put(&buf, 0x89, CLA_LIT("ping"));
    ws_put(&buf, 0x80, CLA_LIT("c"));
    ws_put(&buf, 0x89, CLA_LIT("ping"));
    ws_trace_init(&trace, false, &settings, NULL);
    for (size_t i = 0; i < buf.n; i++) {
        bool between = i == 0 || i == 8 + 10 + 7;

        assert_int_equal(cla_ws_conn_in_message(&trace.conn), !between);
        assert_int_equal(ws_trace_feed(&trace, cla_slice(buf.p + i, 1)), CLA_WS_MORE);
    }
    assert_false(cla_ws_conn_in_message(&trace.conn));
    cla_buf_fini(&buf);
    ws_trace_fini(&trace);
}

static void pause_leaves_the_rest_untouched(void **state)
{
    struct ws_trace trace = {.pause = true};
    struct cla_buf buf = {0}, before = {0};
    size_t taken;

    ws_put(&buf, 0x81, CLA_LIT("a"));
    ws_put(&buf, 0x81, CLA_LIT("b"));
    assert_int_equal(cla_buf_add(&before, cla_buf_slice(&buf)), 0);
    ws_trace_init(&trace, false, &settings, NULL);
    assert_int_equal(cla_ws_conn_feed(&trace.conn, buf.p, buf.n, &taken), CLA_WS_PAUSED);
    assert_int_equal(taken, 7);
    assert_memory_equal(buf.p + 7, before.p + 7, 7);
    assert_int_equal(trace.messages, 1);
    assert_int_equal(cla_ws_conn_feed(&trace.conn, buf.p + 7, 7, &taken), CLA_WS_PAUSED);
    assert_int_equal(taken, 7);
    assert_int_equal(cla_ws_conn_feed(&trace.conn, buf.p + 14, 0, &taken), CLA_WS_MORE);
    assert_int_equal(trace.messages, 2);
    cla_buf_fini(&buf);
    cla_buf_fini(&before);
    ws_trace_fini(&trace);
}

static void only_the_close_is_heard_once_we_have_closed(void **state)
{
    for (size_t step = 0; step < 4; step++) {
        struct ws_trace trace = {.close_at = 1};
        struct cla_buf buf = {0};

        ws_put(&buf, 0x81, CLA_LIT("one"));
        ws_put(&buf, 0x81, CLA_LIT("two"));
        ws_put(&buf, 0x01, CLA_LIT("\xff"));
        ws_put(&buf, 0x89, CLA_LIT("p"));
        ws_put(&buf, 0x80, CLA_LIT("three"));
        ws_put(&buf, 0x88, CLA_LIT("\x03\xe9"));
        ws_trace_init(&trace, false, &settings, NULL);
        ws_trace_run(&trace, cla_buf_slice(&buf), (struct ws_cut){.step = step});
        assert_true(cla_slice_eq(cla_buf_slice(&trace.text),
                                 CLA_LIT("text 3 one\nclose 1001 0 \nclosed\n")));
        assert_true(cla_slice_eq(cla_buf_slice(&trace.out), CLA_LIT("\x88\x05\x03\xe9"
                                                                    "bye")));
        assert_int_equal(cla_ws_conn_close(&trace.conn, &trace.out, 1000, CLA_LIT("")),
                         -CLA_ECLOSED);
        cla_buf_fini(&buf);
        ws_trace_fini(&trace);
    }
}

static void close_of_the_peer_is_answered_once(void **state)
{
    struct ws_trace trace = {0};
    struct cla_buf buf = {0};

    ws_put(&buf, 0x88, CLA_LIT(""));
    ws_trace_init(&trace, false, &settings, NULL);
    ws_trace_run(&trace, cla_buf_slice(&buf), (struct ws_cut){0});
    assert_int_equal(cla_ws_conn_send(&trace.conn, &trace.out, CLA_WS_KIND_TEXT, CLA_LIT("x")), 0);
    assert_int_equal(
        cla_ws_conn_close(&trace.conn, &trace.out, CLA_WS_NO_STATUS, CLA_LIT("ignored")), 0);
    assert_int_equal(cla_ws_conn_close(&trace.conn, &trace.out, 1000, CLA_LIT("")), -CLA_ECLOSED);
    assert_int_equal(cla_ws_conn_send(&trace.conn, &trace.out, CLA_WS_KIND_TEXT, CLA_LIT("y")),
                     -CLA_ECLOSED);
    assert_true(cla_slice_eq(cla_buf_slice(&trace.out), CLA_LIT("\x81\x01x\x88\x00")));
    cla_buf_fini(&buf);
    ws_trace_fini(&trace);
}

static void refusal_is_told_to_the_peer_once(void **state)
{
    struct ws_trace trace = {0};

    ws_trace_init(&trace, false, &settings, NULL);
    ws_trace_run(&trace, CLA_LIT("\x83"), (struct ws_cut){0});
    assert_int_equal(cla_ws_conn_close(&trace.conn, &trace.out, trace.conn.code, CLA_LIT("no")), 0);
    assert_int_equal(cla_ws_conn_close(&trace.conn, &trace.out, 1000, CLA_LIT("")), -CLA_ECLOSED);
    assert_int_equal(cla_ws_conn_ping(&trace.conn, &trace.out, CLA_LIT("")), -CLA_ECLOSED);
    assert_true(cla_slice_eq(cla_buf_slice(&trace.out), CLA_LIT("\x88\x04\x03\xea"
                                                                "no")));
    assert_int_equal(ws_trace_feed(&trace, CLA_LIT("\x81")), CLA_WS_FAILED);
    ws_trace_fini(&trace);
}

static void write_everything(struct ws_trace *from)
{
    struct cla_buf *out = &from->out;
    size_t mark;

    assert_int_equal(cla_ws_conn_ping(&from->conn, out, CLA_LIT("are you")), 0);
    assert_int_equal(cla_ws_conn_send(&from->conn, out, CLA_WS_KIND_BINARY, CLA_LIT("\xff")), 0);
    assert_int_equal(cla_ws_conn_begin(&from->conn, out, &mark), 0);
    assert_int_equal(cla_buf_add(out, CLA_LIT("built")), 0);
    assert_int_equal(cla_buf_add(out, CLA_LIT(" in place")), 0);
    assert_int_equal(cla_ws_conn_end(&from->conn, out, mark, CLA_WS_KIND_TEXT), 0);
    assert_int_equal(cla_ws_conn_begin(&from->conn, out, &mark), 0);
    assert_int_equal(cla_buf_add(out, CLA_LIT("given up")), 0);
    out->n = mark;
    assert_int_equal(cla_ws_conn_pong(&from->conn, out, CLA_LIT("there")), 0);
    assert_int_equal(cla_ws_conn_close(&from->conn, out, 4000, CLA_LIT("enough")), 0);
}

static void what_one_half_writes_the_other_reads(void **state)
{
    for (int client = 0; client < 2; client++) {
        struct ws_trace from = {0}, to = {0};

        ws_trace_init(&from, client, &settings, NULL);
        ws_trace_init(&to, !client, &settings, NULL);
        write_everything(&from);
        ws_trace_run(&to, cla_buf_slice(&from.out), (struct ws_cut){0});
        assert_true(cla_slice_eq(cla_buf_slice(&to.text),
                                 CLA_LIT("ping 7 are you\nbinary 1 \xff\ntext 14 built in place\n"
                                         "pong 5 there\nclose 4000 6 enough\nclosed\n")));
        ws_trace_fini(&from);
        ws_trace_fini(&to);
    }
}

static void message_begun_before_the_close_is_not_written(void **state)
{
    struct ws_trace trace = {0};
    size_t mark;

    ws_trace_init(&trace, false, &settings, NULL);
    assert_int_equal(cla_ws_conn_begin(&trace.conn, &trace.out, &mark), 0);
    trace.conn.closing = CLA_WS_SENT;
    assert_int_equal(cla_ws_conn_end(&trace.conn, &trace.out, mark, CLA_WS_KIND_TEXT),
                     -CLA_ECLOSED);
    assert_int_equal(trace.out.n, 0);
    ws_trace_fini(&trace);
}

static void idle_connection_is_small(void **state)
{
    assert_in_range(sizeof(struct cla_ws_conn), 1, 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_do_what_the_rfc_says_however_they_are_cut),
        cmocka_unit_test(fragments_over_the_limit_are_a_policy_violation),
        cmocka_unit_test(huge_length_is_refused_at_its_header),
        cmocka_unit_test(text_is_refused_before_its_frame_is_complete),
        cmocka_unit_test(frame_without_a_mask_is_refused),
        cmocka_unit_test(client_reads_frames_without_a_mask_only),
        cmocka_unit_test(message_in_one_piece_is_given_where_it_lies),
        cmocka_unit_test(nothing_is_held_between_messages),
        cmocka_unit_test(message_is_under_way_from_its_first_byte_to_its_last),
        cmocka_unit_test(pause_leaves_the_rest_untouched),
        cmocka_unit_test(only_the_close_is_heard_once_we_have_closed),
        cmocka_unit_test(close_of_the_peer_is_answered_once),
        cmocka_unit_test(refusal_is_told_to_the_peer_once),
        cmocka_unit_test(what_one_half_writes_the_other_reads),
        cmocka_unit_test(message_begun_before_the_close_is_not_written),
        cmocka_unit_test(idle_connection_is_small),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
