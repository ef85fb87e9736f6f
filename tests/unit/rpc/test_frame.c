/* Binary frames, byte by byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "rpc/frame.h"
#include "json/scan.h"

static const struct cla_slice none = {"", 0};

static void require_slice(struct cla_slice got, struct cla_slice want)
{
    assert_int_equal(got.n, want.n);
    if (want.n > 0)
        assert_memory_equal(got.p, want.p, want.n);
}

/* Each frame, its kind and fields, and its bytes. */
static const struct sample {
    struct cla_frame frame;
    struct cla_slice bytes;
    unsigned kinds; /* read by whom */
} samples[] = {
    {{CLA_FRAME_NOTIFY, 0, {"ping", 4}, {"hi", 2}},
     {"\x01\x04\x70\x69\x6e\x67\x68\x69", 8},
     CLA_FRAME_TO_SERVER},
    {{CLA_FRAME_REQUEST, 1, {"up", 2}, {"a", 1}},
     {"\x02\0\0\0\x01\x02\x75\x70\x61", 9},
     CLA_FRAME_TO_SERVER},
    {{CLA_FRAME_RESET, 4, {"", 0}, {"", 0}}, {"\x03\0\0\0\x04", 5}, CLA_FRAME_TO_SERVER},
    {{CLA_FRAME_NOTIFY, 0, {"", 0}, {"", 0}}, {"\x01\0", 2}, CLA_FRAME_TO_SERVER},
    {{CLA_FRAME_REQUEST, UINT32_MAX, {"", 0}, {"", 0}},
     {"\x02\xff\xff\xff\xff\0", 6},
     CLA_FRAME_TO_SERVER},
    {{CLA_FRAME_REQUEST, 0x01020304, {"\xc3\xbc", 2}, {"\0\xff", 2}},
     {"\x02\x01\x02\x03\x04\x02\xc3\xbc\0\xff", 10},
     CLA_FRAME_TO_SERVER},
    {{CLA_FRAME_NOTIFY, 0, {"pong", 4}, {"hi", 2}},
     {"\x01\x04ponghi", 8},
     CLA_FRAME_TO_CLIENT_V0_1},
    {{CLA_FRAME_RESPONSE, 0x80000000, {"", 0}, {"A", 1}},
     {"\x04\x80\0\0\0\x41", 6},
     CLA_FRAME_TO_CLIENT_V0_1},
    {{CLA_FRAME_RESPONSE, 0, {"", 0}, {"", 0}}, {"\x04\0\0\0\0", 5}, CLA_FRAME_TO_CLIENT_V0_1},
    {{CLA_FRAME_ERROR, 2, {"", 0}, {"{}", 2}}, {"\x05\0\0\0\x02{}", 7}, CLA_FRAME_TO_CLIENT_V1},
    {{CLA_FRAME_PART, 3, {"", 0}, {"p", 1}}, {"\x06\0\0\0\x03p", 6}, CLA_FRAME_TO_CLIENT_V1},
};

static void frames_are_written_byte_for_byte(void **state)
{
    for (size_t i = 0; i < CLA_ARRAY_LEN(samples); i++) {
        struct cla_buf buf = {0};

        assert_int_equal(cla_frame_write(&buf, &samples[i].frame), 0);
        require_slice(cla_buf_slice(&buf), samples[i].bytes);
        cla_buf_fini(&buf);
    }
}

static void frames_are_read_byte_for_byte(void **state)
{
    for (size_t i = 0; i < CLA_ARRAY_LEN(samples); i++) {
        const struct cla_frame *want = &samples[i].frame;
        struct cla_frame got;
        const char *why = NULL;

        assert_int_equal(cla_frame_read(samples[i].bytes, samples[i].kinds, &got, &why), 0);
        assert_null(why);
        assert_int_equal(got.kind, want->kind);
        assert_int_equal(got.id, want->id);
        require_slice(got.name, want->name);
        require_slice(got.payload, want->payload);
    }
}

static void frames_cut_short_anywhere_before_the_payload_are_refused(void **state)
{
    for (size_t i = 0; i < CLA_ARRAY_LEN(samples); i++) {
        size_t head = samples[i].bytes.n - samples[i].frame.payload.n;

        for (size_t n = 0; n <= head; n++) {
            struct cla_frame got;
            const char *why = NULL;
            int rc = cla_frame_read(cla_slice(samples[i].bytes.p, n), samples[i].kinds, &got, &why);

            assert_int_equal(rc, n < head ? -CLA_EPROTO : 0);
            assert_int_equal(why != NULL, n < head);
        }
    }
}

/* Which opcodes each half takes. */
static void opcodes_of_the_other_half_are_refused(void **state)
{
    static const struct {
        unsigned kinds;
        const char *taken;
    } halves[] = {{CLA_FRAME_TO_SERVER, "\1\2\3"},
                  {CLA_FRAME_TO_CLIENT_V0_1, "\1\4"},
                  {CLA_FRAME_TO_CLIENT_V1, "\1\4\5\6"}};

    for (size_t i = 0; i < CLA_ARRAY_LEN(halves); i++) {
        for (int opcode = 0; opcode < 256; opcode++) {
            char bytes[] = {(char)opcode, 0, 0, 0, 0, 0};
            bool taken = opcode != 0 && strchr(halves[i].taken, opcode) != NULL;
            struct cla_frame got;
            const char *why;

            assert_int_equal(
                cla_frame_read(cla_slice(bytes, sizeof bytes), halves[i].kinds, &got, &why),
                taken ? 0 : -CLA_EPROTO);
        }
    }
}

static void what_is_wrong_is_said(void **state)
{
    static const struct {
        struct cla_slice bytes;
        const char *why;
    } wrong[] = {
        {{"", 0}, "an empty message is no frame"},
        {{"\x07\0\0\0\0", 5}, "unknown opcode of a frame"},
        {{"\x03\0\0\0", 4}, "the frame ends within its id"},
        {{"\x02\0\0\0\x01", 5}, "the frame ends within its name"},
        {{"\x01\x05ping", 6}, "the frame ends within its name"},
        {{"\x01\x02\xc3\x28", 4}, "the name in a frame is not UTF-8"},
        {{"\x01\x01\xc3\xbc", 4}, "the name in a frame is not UTF-8"}, /* cut within a character */
        {{"\x02\0\0\0\x01\x03\xed\xa0\x80", 9}, "the name in a frame is not UTF-8"},
    };

    for (size_t i = 0; i < CLA_ARRAY_LEN(wrong); i++) {
        struct cla_frame got;
        const char *why = NULL;

        assert_int_equal(cla_frame_read(wrong[i].bytes, CLA_FRAME_TO_SERVER, &got, &why),
                         -CLA_EPROTO);
        assert_string_equal(why, wrong[i].why);
    }
}

static void what_stands_behind_a_reset_means_nothing(void **state)
{
    struct cla_frame got;
    const char *why;

    assert_int_equal(cla_frame_read(CLA_LIT("\x03\0\0\0\x04more"), CLA_FRAME_TO_SERVER, &got, &why),
                     0);
    assert_int_equal(got.id, 4);
    assert_int_equal(got.payload.n, 0);
}

static void names_have_at_most_255_bytes(void **state)
{
    char name[256];
    struct cla_frame frame = {.kind = CLA_FRAME_NOTIFY, .name = {name, 255}, .payload = {"x", 1}};
    struct cla_frame got;
    struct cla_buf buf = {0};
    const char *why;

    memset(name, 'n', sizeof name);
    assert_int_equal(cla_frame_write(&buf, &frame), 0);
    assert_int_equal((unsigned char)buf.p[1], 255);
    assert_int_equal(cla_frame_read(cla_buf_slice(&buf), CLA_FRAME_TO_SERVER, &got, &why), 0);
    require_slice(got.name, frame.name);
    require_slice(got.payload, frame.payload);
    buf.n = 0;
    frame.name.n = 256;
    assert_int_equal(cla_frame_write(&buf, &frame), -CLA_ELIMIT);
    frame.name = CLA_LIT("\xff");
    assert_int_equal(cla_frame_write(&buf, &frame), -CLA_EUTF8);
    assert_int_equal(buf.n, 0);
    cla_buf_fini(&buf);
}

static void ids_become_their_digits_and_back(void **state)
{
    static const struct {
        uint32_t id;
        struct cla_slice digits, bytes;
    } ids[] = {{0, {"0", 1}, {"\x04\0\0\0\0", 5}},
               {9, {"9", 1}, {"\x04\0\0\0\x09", 5}},
               {10, {"10", 2}, {"\x04\0\0\0\x0a", 5}},
               {0x6e756c6c, {"1853189228", 10}, {"\x04null", 5}},
               {UINT32_MAX, {"4294967295", 10}, {"\x04\xff\xff\xff\xff", 5}}};

    for (size_t i = 0; i < CLA_ARRAY_LEN(ids); i++) {
        char to[CLA_FRAME_ID_DIGITS];
        struct cla_slice digits = cla_frame_id(ids[i].id, to);
        struct cla_buf buf = {0};

        require_slice(digits, ids[i].digits);
        assert_int_equal(cla_frame_v0_1_protocol.reply_begin(&buf, digits), 0);
        assert_int_equal(cla_frame_v0_1_protocol.reply_end(&buf, digits), 0);
        require_slice(cla_buf_slice(&buf), ids[i].bytes);
        cla_buf_fini(&buf);
    }
}

static void check_error(const struct cla_rpc_protocol *protocol, const struct cla_rpc_error *error,
                        struct cla_slice head, const char *json)
{
    struct cla_buf buf = {0};

    assert_int_equal(protocol->error(&buf, CLA_LIT("7"), error), 0);
    require_slice(cla_slice(buf.p, head.n), head);
    assert_int_equal(
        cla_json_check(cla_slice(buf.p + head.n, buf.n - head.n), CLA_JSON_DEPTH_MAX, NULL, NULL),
        0);
    require_slice(cla_slice(buf.p + head.n, buf.n - head.n), cla_slice_str(json));
    cla_buf_fini(&buf);
}

static void errors_are_responses_or_frames_of_their_own(void **state)
{
    const struct cla_rpc_error typed = {
        .code = CLA_CODE_NOT_FOUND, .message = CLA_LIT("no \"such\" \xff"), .data = CLA_LIT("[1]")};
    const struct cla_rpc_error bare = {.code = CLA_CODE_INTERNAL};

    check_error(
        &cla_frame_v0_1_protocol, &typed, CLA_LIT("\x04\0\0\0\x07"),
        "{\"error\":{\"code\":\"not_found\",\"message\":\"no \\\"such\\\" \xef\xbf\xbd\"}}");
    check_error(&cla_frame_v0_1_protocol, &bare, CLA_LIT("\x04\0\0\0\x07"),
                "{\"error\":{\"code\":\"internal\",\"message\":\"internal error\"}}");
    check_error(
        &cla_frame_v1_protocol, &typed, CLA_LIT("\x05\0\0\0\x07"),
        "{\"code\":\"not_found\",\"message\":\"no \\\"such\\\" \xef\xbf\xbd\",\"data\":[1]}");
    check_error(&cla_frame_v1_protocol, &bare, CLA_LIT("\x05\0\0\0\x07"),
                "{\"code\":\"internal\",\"message\":\"internal error\"}");
}

static void protocols_go_by_their_subprotocols(void **state)
{
    assert_ptr_equal(cla_frame_protocol(CLA_LIT("websocket.io-rpc-v0.1")),
                     &cla_frame_v0_1_protocol);
    assert_ptr_equal(cla_frame_protocol(CLA_LIT("cancela.v1")), &cla_frame_v1_protocol);
    assert_null(cla_frame_protocol(CLA_LIT("jsonrpc")));
    assert_null(cla_frame_protocol(none));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_are_written_byte_for_byte),
        cmocka_unit_test(frames_are_read_byte_for_byte),
        cmocka_unit_test(frames_cut_short_anywhere_before_the_payload_are_refused),
        cmocka_unit_test(opcodes_of_the_other_half_are_refused),
        cmocka_unit_test(what_is_wrong_is_said),
        cmocka_unit_test(what_stands_behind_a_reset_means_nothing),
        cmocka_unit_test(names_have_at_most_255_bytes),
        cmocka_unit_test(ids_become_their_digits_and_back),
        cmocka_unit_test(errors_are_responses_or_frames_of_their_own),
        cmocka_unit_test(protocols_go_by_their_subprotocols),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
