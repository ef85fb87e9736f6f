/* permessage-deflate (RFC 7692): the examples of its section 7.2.3, every window with and without
 * context takeover both ways, bounds, and what is not DEFLATE. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <zlib.h>

#include "base/error.h"
#include "seed.h"
#include "ws/deflate.h"
#include "ws_trace.h"

static const struct cla_ws_settings settings = {
    .message_bytes = 1000,
    .fragments = 20,
    .deflate = CLA_WS_DEFLATE_DEFAULTS,
    .random = ws_trace_random,
};

static const struct cla_ws_agreed takeover = {
    .deflate = true, .server_window_bits = 15, .client_window_bits = 15};

static const struct cla_ws_agreed no_takeover = {.deflate = true,
                                                 .server_no_context_takeover = true,
                                                 .client_no_context_takeover = true,
                                                 .server_window_bits = 15,
                                                 .client_window_bits = 15};

#define L CLA_LIT
#define FRAMES_MAX 6

struct frame {
    unsigned char first;
    struct cla_slice payload;
};

struct sequence {
    const char *name;
    struct frame frames[FRAMES_MAX];
    const char *want;
};

#define HELLO L("\xf2\x48\xcd\xc9\xc9\x07\x00")
#define NOT_DEFLATE "failed 1007 a compressed message is not DEFLATE\n"

static const struct sequence sequences[] = {
    {"7.2.3.1 one block", {{0xc1, HELLO}}, "text 5 Hello\n"},
    {"7.2.3.1 fragments",
     {{0x41, L("\xf2\x48\xcd")}, {0x89, L("ping")}, {0x80, L("\xc9\xc9\x07\x00")}},
     "ping 4 ping\ntext 5 Hello\n"},
    {"7.2.3.2 shared window",
     {{0xc1, HELLO}, {0xc1, L("\xf2\x00\x11\x00\x00")}},
     "text 5 Hello\ntext 5 Hello\n"},
    {"7.2.3.3 no compression",
     {{0xc1, L("\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00")}},
     "text 5 Hello\n"},
    {"7.2.3.4 last block", {{0xc1, L("\xf3\x48\xcd\xc9\xc9\x07\x00\x00")}}, "text 5 Hello\n"},
    {"7.2.3.5 two blocks",
     {{0xc1, L("\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00")}},
     "text 5 Hello\n"},
    {"7.2.3.6 empty", {{0xc1, L("\x00")}}, "text 0 \n"},
    {"empty, two frames", {{0x42, L("")}, {0x80, L("\x00")}}, "binary 0 \n"},
    {"last block and no more", {{0xc1, L("\xf3\x48\xcd\xc9\xc9\x07\x00")}}, "text 5 Hello\n"},
    {"window survives a last block",
     {{0xc1, L("\xf3\x48\xcd\xc9\xc9\x07\x00\x00")}, {0xc1, L("\xf2\x00\x11\x00\x00")}},
     "text 5 Hello\ntext 5 Hello\n"},
    {"last blocks in the middle",
     {{0xc1, L("\xf3\x48\xcd\xc9\xc9\x07\x00\xf3\x48\xcd\xc9\xc9\x07\x00\x00")}},
     "text 10 HelloHello\n"},
    {"not compressed in between",
     {{0xc1, HELLO}, {0x81, L("plain")}, {0x82, L("\xff")}, {0xc1, L("\xf2\x00\x11\x00\x00")}},
     "text 5 Hello\ntext 5 plain\nbinary 1 \xff\ntext 5 Hello\n"},
    {"not compressed fragments",
     {{0x01, L("a")}, {0x80, L("b")}, {0xc2, HELLO}},
     "text 2 ab\nbinary 5 Hello\n"},
    {"empty frames within",
     {{0x41, L("")}, {0x00, HELLO}, {0x00, L("")}, {0x80, L("")}},
     "text 5 Hello\n"},
    {"not DEFLATE", {{0xc1, L("\xff\xff\xff\xff")}}, NOT_DEFLATE},
    {"reference to before the start", {{0xc1, L("\xf2\x00\x11\x00\x00")}}, NOT_DEFLATE},
    {"end inside a block", {{0xc1, L("\xf2\x48\xcd")}}, NOT_DEFLATE},
    {"empty payload", {{0xc1, L("")}}, NOT_DEFLATE},
    {"stored length wrong", {{0xc1, L("\x00\x05\x00\xfa\xfe")}}, NOT_DEFLATE},
    {"not UTF-8",
     {{0xc1, L("\x00\x02\x00\xfd\xff\xc3\x28\x00")}},
     "failed 1007 a text message is not UTF-8\n"},
    {"not UTF-8, then not DEFLATE",
     {{0x41, L("\x00\x02\x00\xfd\xff\xc3\x28\xff\xff")}, {0x80, L("\xff")}},
     "failed 1007 a text message is not UTF-8\n"},
    {"code point cut by a message",
     {{0xc1, L("\x00\x01\x00\xfe\xff\xc3\x00")}},
     "failed 1007 a text message is not UTF-8\n"},
    {"code point cut by what is not DEFLATE",
     {{0xc1, L("\x00\x01\x00\xfe\xff\xc3\xff\xff")}},
     NOT_DEFLATE},
    {"code point cut by a frame",
     {{0x41, L("\x00\x01\x00\xfe\xff\xc3")}, {0x80, L("\x00\x01\x00\xfe\xff\xa9\x00")}},
     "text 2 \xc3\xa9\n"},
    {"compressed continuation",
     {{0x41, HELLO}, {0xc0, HELLO}},
     "failed 1002 a frame that begins no message is marked as compressed\n"},
    {"compressed ping",
     {{0xc9, L("")}},
     "failed 1002 a frame that begins no message is marked as compressed\n"},
};

static void run_once(const struct sequence *sequence, struct cla_slice bytes, struct ws_cut cut)
{
    struct ws_trace trace = {0};

    ws_trace_init(&trace, false, &settings, &takeover);
    ws_trace_run(&trace, bytes, cut);
    if (!cla_slice_eq(cla_buf_slice(&trace.text), cla_slice_str(sequence->want)))
        fail_msg("%s, cut at %zu, step %zu:\n%.*s\nwant:\n%s", sequence->name, cut.at, cut.step,
                 (int)trace.text.n, trace.text.p, sequence->want);
    ws_trace_fini(&trace);
}

static void compressed_frames_do_what_the_rfc_says_however_they_are_cut(void **state)
{
    for (size_t i = 0; i < CLA_ARRAY_LEN(sequences); i++) {
        struct cla_buf buf = {0};

        for (size_t k = 0; k < FRAMES_MAX; k++) {
            if (sequences[i].frames[k].payload.p != NULL)
                ws_put(&buf, sequences[i].frames[k].first, sequences[i].frames[k].payload);
        }
        run_once(&sequences[i], cla_buf_slice(&buf), (struct ws_cut){0});
        run_once(&sequences[i], cla_buf_slice(&buf), (struct ws_cut){.step = 1});
        for (size_t at = 1; at < buf.n; at++)
            run_once(&sequences[i], cla_buf_slice(&buf), (struct ws_cut){.at = at});
        cla_buf_fini(&buf);
    }
}

static void without_takeover_no_message_refers_to_the_one_before(void **state)
{
    struct ws_trace trace = {0};
    struct cla_buf buf = {0};

    ws_put(&buf, 0xc1, HELLO);
    ws_put(&buf, 0xc1, L("\xf2\x00\x11\x00\x00"));
    ws_trace_init(&trace, false, &settings, &no_takeover);
    ws_trace_run(&trace, cla_buf_slice(&buf), (struct ws_cut){0});
    assert_true(cla_slice_eq(cla_buf_slice(&trace.text), L("text 5 Hello\n" NOT_DEFLATE)));
    cla_buf_fini(&buf);
    ws_trace_fini(&trace);
}

static void without_takeover_no_stream_is_kept(void **state)
{
    struct ws_trace server = {0}, client = {0};
    char text[400];

    memset(text, 'a', sizeof text);
    ws_trace_init(&server, false, &settings, &no_takeover);
    ws_trace_init(&client, true, &settings, &no_takeover);
    assert_int_equal(
        cla_ws_conn_send(&client.conn, &client.out, CLA_WS_KIND_TEXT, cla_slice(text, sizeof text)),
        0);
    assert_null(client.conn.deflate);
    ws_trace_run(&server, cla_buf_slice(&client.out), (struct ws_cut){0});
    assert_int_equal(server.messages, 1);
    assert_null(server.conn.inflate);
    ws_trace_fini(&server);
    ws_trace_fini(&client);
}

/* What the other half makes of what 'client' (or server) sends. */
struct pair {
    struct ws_trace from, to;
    struct cla_buf want; /* the trace of 'to' */
};

static void pair_init(struct pair *pair, bool client, const struct cla_ws_settings *how,
                      const struct cla_ws_agreed *agreed)
{
    *pair = (struct pair){0};
    ws_trace_init(&pair->from, client, how, agreed);
    ws_trace_init(&pair->to, !client, how, agreed);
}

static void pair_send(struct pair *pair, enum cla_ws_kind kind, struct cla_slice message)
{
    assert_int_equal(cla_ws_conn_send(&pair->from.conn, &pair->from.out, kind, message), 0);
    assert_int_equal(cla_buf_printf(&pair->want, "%s %zu ",
                                    kind == CLA_WS_KIND_TEXT ? "text" : "binary", message.n),
                     0);
    assert_int_equal(cla_buf_add(&pair->want, message), 0);
    assert_int_equal(cla_buf_push(&pair->want, '\n'), 0);
}

static void pair_check(struct pair *pair, size_t step)
{
    ws_trace_run(&pair->to, cla_buf_slice(&pair->from.out), (struct ws_cut){.step = step});
    assert_true(cla_slice_eq(cla_buf_slice(&pair->to.text), cla_buf_slice(&pair->want)));
    ws_trace_fini(&pair->from);
    ws_trace_fini(&pair->to);
    cla_buf_fini(&pair->want);
}

/* Text whose repeats lie at all distances, or noise. */
static void make_message(char *to, size_t n, bool noise)
{
    for (size_t i = 0; i < n; i++) {
        if (noise)
            to[i] = (char)seed_below(256);
        else
            to[i] = i > 20 && seed_below(4) > 0 ? to[i - 1 - seed_below(i - 1)]
                                                : (char)('a' + seed_below(26));
    }
}

static void exchange(bool client, const struct cla_ws_agreed *agreed, unsigned char window_bits)
{
    static const size_t sizes[] = {0, 1, 16, 64, 256, 1024, 4096, 8192, 32768, 65536, 131072, 100};
    static char message[131072];
    struct cla_ws_settings how = settings;
    struct pair pair;

    how.message_bytes = sizeof message;
    how.deflate.threshold_bytes = 0;
    how.deflate.window_bits = window_bits;
    pair_init(&pair, client, &how, agreed);
    for (size_t i = 0; i < CLA_ARRAY_LEN(sizes); i++) {
        make_message(message, sizes[i], i % 5 == 3);
        pair_send(&pair, CLA_WS_KIND_BINARY, cla_slice(message, sizes[i]));
        if (i > 0)
            pair_send(&pair, CLA_WS_KIND_BINARY, cla_slice(message, sizes[i - 1] / 2));
    }
    pair_check(&pair, 0);
}

static void messages_come_through_at_every_window_with_and_without_takeover(void **state)
{
    for (unsigned char bits = 8; bits <= 15; bits++) {
        for (unsigned flags = 0; flags < 4; flags++) {
            struct cla_ws_agreed agreed = {
                .deflate = true,
                .server_no_context_takeover = (flags & 1) != 0,
                .client_no_context_takeover = (flags & 1) != 0,
                .server_window_bits = bits,
                .client_window_bits = bits,
            };

            exchange((flags & 2) != 0, &agreed, 15);
        }
    }
}

static void own_window_may_be_smaller_than_agreed(void **state)
{
    exchange(false, &takeover, 9);
    exchange(true, &takeover, 10);
}

static void compressed_messages_come_through_in_pieces(void **state)
{
    static char message[20000];
    struct cla_ws_settings how = settings;

    how.message_bytes = sizeof message;
    for (size_t step = 1; step < 2000; step = step * 3 + 1) {
        struct pair pair;

        pair_init(&pair, false, &how, &takeover);
        make_message(message, sizeof message, false);
        pair_send(&pair, CLA_WS_KIND_TEXT, cla_slice(message, sizeof message));
        pair_send(&pair, CLA_WS_KIND_TEXT, cla_slice(message + 700, 3000));
        pair_check(&pair, step);
    }
}

/* Reads one message with zlib alone, each byte of output on its own, so that no distance can be
 * longer than the window without being noticed. */
static void read_strictly(z_stream *z, struct cla_buf *in, struct cla_slice want)
{
    unsigned char c;

    assert_int_equal(cla_buf_add(in, L("\0\0\xff\xff")), 0);
    z->next_in = (unsigned char *)in->p;
    z->avail_in = (unsigned)in->n;
    for (size_t i = 0; i < want.n; i++) {
        z->next_out = &c;
        z->avail_out = 1;
        assert_int_equal(inflate(z, Z_SYNC_FLUSH), Z_OK);
        assert_int_equal(z->avail_out, 0);
        assert_int_equal((char)c, want.p[i]);
    }
    while (z->avail_in > 0) {
        z->next_out = &c;
        z->avail_out = 1;
        assert_int_equal(inflate(z, Z_SYNC_FLUSH), Z_OK);
        assert_int_equal(z->avail_out, 1);
    }
}

static void no_match_reaches_beyond_the_window_that_was_promised(void **state)
{
    static char message[5000];

    for (unsigned bits = 8; bits <= 12; bits++) {
        struct cla_ws_deflate *stream = NULL;
        z_stream z = {0};

        assert_int_equal(inflateInit2(&z, -(int)bits), Z_OK);
        for (unsigned round = 0; round < 20; round++) {
            struct cla_buf buf = {0};

            make_message(message, sizeof message, false);
            assert_int_equal(cla_buf_append(&buf, message, sizeof message), 0);
            assert_int_equal(cla_ws_deflate_message(&stream, bits, 2, 6, &buf, 0), 0);
            read_strictly(&z, &buf, cla_slice(message, sizeof message));
            cla_buf_fini(&buf);
        }
        cla_ws_deflate_free(stream);
        inflateEnd(&z);
    }
}

static void short_messages_are_sent_as_they_are(void **state)
{
    struct pair pair;
    char text[300];
    size_t threshold = settings.deflate.threshold_bytes, n;

    memset(text, 'a', sizeof text);
    pair_init(&pair, false, &settings, &takeover);
    pair_send(&pair, CLA_WS_KIND_TEXT, cla_slice(text, threshold - 1));
    assert_int_equal((unsigned char)pair.from.out.p[0], 0x81);
    assert_null(pair.from.conn.deflate);
    n = pair.from.out.n;
    pair_send(&pair, CLA_WS_KIND_TEXT, cla_slice(text, threshold));
    assert_int_equal((unsigned char)pair.from.out.p[n], 0xc1);
    assert_in_range(pair.from.out.n - n, 3, 40);
    n = pair.from.out.n;
    pair_send(&pair, CLA_WS_KIND_TEXT, cla_slice(text, threshold));
    assert_in_range(pair.from.out.n - n, 3, 12); /* it refers to the one before */
    pair_check(&pair, 0);
}

/* What lies ready goes out as it would if it were made for this connection. */
static void a_ready_frame_is_sent_as_a_message_is(void **state)
{
    static const struct cla_ws_agreed plain = {0};
    const struct cla_ws_agreed *const agreed[] = {&plain, &takeover};
    char text[300];

    memset(text, 'a', sizeof text);
    for (size_t i = 0; i < 4; i++) {
        size_t n = settings.deflate.threshold_bytes - i / 2;
        struct cla_buf frame = {0};
        struct pair pair;

        pair_init(&pair, false, &settings, agreed[i % 2]);
        assert_int_equal(cla_ws_frame_add(&frame, 0x81, cla_slice(text, n), NULL), 0);
        pair_send(&pair, CLA_WS_KIND_TEXT, cla_slice(text, n));
        pair.to.out.n = 0;
        assert_int_equal(cla_ws_conn_send_frame(&pair.from.conn, &pair.to.out, CLA_WS_KIND_TEXT,
                                                cla_buf_slice(&frame), cla_slice(text, n)),
                         0);
        assert_int_equal(((unsigned char)pair.to.out.p[0] & 0x40) != 0, i == 1);
        assert_int_equal(pair.to.out.p[0], pair.from.out.p[0]);
        assert_int_equal(cla_buf_add(&pair.from.out, cla_buf_slice(&pair.to.out)), 0);
        assert_int_equal(cla_buf_printf(&pair.want, "text %zu %.*s\n", n, (int)n, text), 0);
        cla_buf_fini(&frame);
        pair_check(&pair, 0);
    }
}

static void message_built_in_place_is_compressed_in_place(void **state)
{
    struct pair pair;
    char text[700];
    size_t mark;

    memset(text, 'b', sizeof text);
    pair_init(&pair, true, &settings, &takeover);
    pair_send(&pair, CLA_WS_KIND_TEXT, L("before"));
    assert_int_equal(cla_ws_conn_begin(&pair.from.conn, &pair.from.out, &mark), 0);
    assert_int_equal(cla_buf_append(&pair.from.out, text, sizeof text), 0);
    assert_int_equal(cla_ws_conn_end(&pair.from.conn, &pair.from.out, mark, CLA_WS_KIND_TEXT), 0);
    assert_in_range(pair.from.out.n - mark, 7, 60);
    assert_int_equal(cla_buf_printf(&pair.want, "text 700 %.700s\n", text), 0);
    pair_send(&pair, CLA_WS_KIND_TEXT, L("behind"));
    pair_check(&pair, 0);
}

/* The compressed form of 'n' zeros. */
static struct cla_buf make_bomb(size_t n)
{
    struct cla_ws_deflate *stream = NULL;
    struct cla_buf buf = {0};

    assert_int_equal(cla_buf_reserve(&buf, n), 0);
    memset(buf.p, 0, n);
    buf.n = n;
    assert_int_equal(cla_ws_deflate_message(&stream, 15, 8, 9, &buf, 0), 0);
    cla_ws_deflate_free(stream);
    return buf;
}

static void bomb_goes_off_at_the_message_limit(void **state)
{
    static const size_t cuts[] = {0, 1, 7};
    struct cla_buf bomb = make_bomb((size_t)10 << 20), frame = {0};
    struct cla_ws_settings how = settings;

    how.message_bytes = 20000;
    ws_put(&frame, 0xc2, cla_buf_slice(&bomb));
    for (size_t i = 0; i < CLA_ARRAY_LEN(cuts); i++) {
        struct ws_trace trace = {0};

        ws_trace_init(&trace, false, &how, &takeover);
        ws_trace_run(&trace, cla_buf_slice(&frame), (struct ws_cut){.step = cuts[i]});
        assert_true(cla_slice_eq(cla_buf_slice(&trace.text),
                                 L("failed 1009 a message is longer than message_bytes\n")));
        assert_in_range(trace.conn.message.cap, 1, 2 * how.message_bytes);
        ws_trace_fini(&trace);
    }
    cla_buf_fini(&bomb);
    cla_buf_fini(&frame);
}

static void limit_is_exact_for_compressed_messages(void **state)
{
    for (size_t n = settings.message_bytes - 1; n <= settings.message_bytes + 1; n++) {
        struct cla_buf message = make_bomb(n), frame = {0};
        struct ws_trace trace = {0};

        ws_put(&frame, 0xc2, cla_buf_slice(&message));
        ws_trace_init(&trace, false, &settings, &takeover);
        ws_trace_run(&trace, cla_buf_slice(&frame), (struct ws_cut){0});
        assert_int_equal(trace.messages, n <= settings.message_bytes);
        assert_int_equal(trace.conn.code, n <= settings.message_bytes ? 0 : CLA_WS_TOO_BIG);
        ws_trace_fini(&trace);
        cla_buf_fini(&message);
        cla_buf_fini(&frame);
    }
}

static void byte_over_the_limit_is_not_looked_at(void **state)
{
    struct cla_ws_deflate *stream = NULL;
    struct cla_buf message = {0}, frame = {0};

    for (size_t i = 0; i < settings.message_bytes; i++)
        assert_int_equal(cla_buf_push(&message, 'a'), 0);
    assert_int_equal(cla_buf_push(&message, '\xff'), 0);
    assert_int_equal(cla_ws_deflate_message(&stream, 15, 8, 9, &message, 0), 0);
    ws_put(&frame, 0xc1, cla_buf_slice(&message));
    for (size_t step = 0; step < 3; step++) {
        struct ws_trace trace = {0};

        ws_trace_init(&trace, false, &settings, &takeover);
        ws_trace_run(&trace, cla_buf_slice(&frame), (struct ws_cut){.step = step});
        assert_int_equal(trace.conn.code, CLA_WS_TOO_BIG);
        ws_trace_fini(&trace);
    }
    cla_ws_deflate_free(stream);
    cla_buf_fini(&message);
    cla_buf_fini(&frame);
}

/* Noise that comes again can be referred to only if the window reaches back to it. */
static void own_setting_bounds_the_window_that_was_agreed(void **state)
{
    static const unsigned char bits[] = {9, 12};
    static char noise[2000];

    make_message(noise, sizeof noise, true);
    for (size_t i = 0; i < CLA_ARRAY_LEN(bits); i++) {
        struct cla_ws_settings how = settings;
        struct pair pair;
        size_t n;

        how.message_bytes = sizeof noise;
        how.deflate.window_bits = bits[i];
        pair_init(&pair, false, &how, &takeover);
        pair_send(&pair, CLA_WS_KIND_BINARY, cla_slice(noise, sizeof noise));
        n = pair.from.out.n;
        pair_send(&pair, CLA_WS_KIND_BINARY, cla_slice(noise, sizeof noise));
        assert_int_equal(pair.from.out.n - n < sizeof noise, bits[i] == 12);
        pair_check(&pair, 0);
    }
}

static void messages_refer_back_over_a_rest(void **state)
{
    static const unsigned char bits[] = {10, 15};
    static char text[8192];

    for (size_t i = 0; i < CLA_ARRAY_LEN(bits); i++) {
        const struct cla_ws_agreed agreed = {
            .deflate = true, .server_window_bits = bits[i], .client_window_bits = bits[i]};
        struct cla_ws_settings how = settings;
        struct pair pair;

        how.message_bytes = sizeof text;
        pair_init(&pair, true, &how, &agreed);
        for (unsigned k = 0; k < 5; k++) {
            make_message(text, sizeof text, false);
            pair_send(&pair, CLA_WS_KIND_BINARY, cla_slice(text, sizeof text));
            pair_send(&pair, CLA_WS_KIND_BINARY, cla_slice(text + 7900, 290));
        }
        pair_check(&pair, 4000);
    }
}

/* Empty blocks say nothing, and could go on for ever. */
static void message_of_empty_blocks_ends(void **state)
{
    struct ws_trace trace = {0};
    struct cla_buf blocks = {0}, frames = {0};

    for (unsigned i = 0; i < 80; i++)
        assert_int_equal(cla_buf_add(&blocks, L("\0\0\0\xff\xff")), 0);
    ws_put(&frames, 0x42, cla_buf_slice(&blocks));
    for (unsigned i = 0; i < 10; i++)
        ws_put(&frames, 0x00, cla_buf_slice(&blocks));
    ws_trace_init(&trace, false, &settings, &takeover);
    ws_trace_run(&trace, cla_buf_slice(&frames), (struct ws_cut){0});
    assert_int_equal(trace.conn.code, CLA_WS_TOO_BIG);
    ws_trace_fini(&trace);
    cla_buf_fini(&blocks);
    cla_buf_fini(&frames);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compressed_frames_do_what_the_rfc_says_however_they_are_cut),
        cmocka_unit_test(without_takeover_no_message_refers_to_the_one_before),
        cmocka_unit_test(without_takeover_no_stream_is_kept),
        cmocka_unit_test(messages_come_through_at_every_window_with_and_without_takeover),
        cmocka_unit_test(own_window_may_be_smaller_than_agreed),
        cmocka_unit_test(compressed_messages_come_through_in_pieces),
        cmocka_unit_test(no_match_reaches_beyond_the_window_that_was_promised),
        cmocka_unit_test(short_messages_are_sent_as_they_are),
        cmocka_unit_test(a_ready_frame_is_sent_as_a_message_is),
        cmocka_unit_test(message_built_in_place_is_compressed_in_place),
        cmocka_unit_test(bomb_goes_off_at_the_message_limit),
        cmocka_unit_test(limit_is_exact_for_compressed_messages),
        cmocka_unit_test(byte_over_the_limit_is_not_looked_at),
        cmocka_unit_test(own_setting_bounds_the_window_that_was_agreed),
        cmocka_unit_test(messages_refer_back_over_a_rest),
        cmocka_unit_test(message_of_empty_blocks_ends),
    };

    seed_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
