/* The closing handshake: codes, payloads, who may say what when (RFC 6455 sections 5.5.1 and 7). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ws/close.h"

static void only_codes_that_may_be_sent_are_valid(void **state)
{
    for (unsigned code = 0; code < 70000; code++) {
        bool want = (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
                    (code >= 3000 && code <= 4999);

        if (cla_ws_close_code_valid(code) != want)
            fail_msg("%u", code);
    }
}

struct payload {
    struct cla_slice bytes;
    unsigned fault, code;
    const char *reason;
};

static const struct payload payloads[] = {
    {CLA_LIT(""), 0, 1005, ""},
    {CLA_LIT("\x03\xe8"), 0, 1000, ""},
    {CLA_LIT("\x03\xe8going"), 0, 1000, "going"},
    {CLA_LIT("\x0f\xa0\xc3\xa9t\xc3\xa9"), 0, 4000, "\xc3\xa9t\xc3\xa9"},
    {CLA_LIT("\x03"), 1002, 0, NULL},
    {CLA_LIT("\x03\xed"), 1002, 0, NULL},
    {CLA_LIT("\x00\x00"), 1002, 0, NULL},
    {CLA_LIT("\xff\xffx"), 1002, 0, NULL},
    {CLA_LIT("\x03\xe8\xff"), 1007, 0, NULL},
    {CLA_LIT("\x03\xe8\xe2\x82"), 1007, 0, NULL},
};

static void payload_of_a_close_is_judged(void **state)
{
    for (size_t i = 0; i < CLA_ARRAY_LEN(payloads); i++) {
        struct cla_slice reason;
        unsigned code;

        assert_int_equal(cla_ws_close_read(payloads[i].bytes, &code, &reason), payloads[i].fault);
        if (payloads[i].fault != 0)
            continue;
        assert_int_equal(code, payloads[i].code);
        assert_true(cla_slice_eq(reason, cla_slice_str(payloads[i].reason)));
    }
}

static void no_status_is_written_as_nothing(void **state)
{
    char to[125];

    assert_int_equal(cla_ws_close_write(to, CLA_WS_NO_STATUS, CLA_LIT("lost")), 0);
    assert_int_equal(cla_ws_close_write(to, 1001, CLA_LIT("bye")), 5);
    assert_memory_equal(to,
                        "\x03\xe9"
                        "bye",
                        5);
}

static void long_reason_is_cut_between_code_points(void **state)
{
    char to[125], reason[200];

    memset(reason, 'x', sizeof reason);
    assert_int_equal(cla_ws_close_write(to, 1000, cla_slice(reason, 123)), 125);
    assert_int_equal(cla_ws_close_write(to, 1000, cla_slice(reason, 124)), 125);
    memcpy(reason + 122, "\xe2\x82\xac", 3);
    assert_int_equal(cla_ws_close_write(to, 1000, cla_slice(reason, 125)), 124);
    memset(reason, 'x', sizeof reason);
    memcpy(reason + 120, "\xe2\x82\xac", 3);
    assert_int_equal(cla_ws_close_write(to, 1000, cla_slice(reason, 140)), 125);
}

static void closing_moves_as_the_graph_says(void **state)
{
    enum { STAYS = -1 };
    static const int table[][3] = {
        {CLA_WS_SENT, CLA_WS_RECEIVED, CLA_WS_BROKEN},
        {STAYS, CLA_WS_CLOSED, CLA_WS_CLOSED},
        {CLA_WS_CLOSED, STAYS, STAYS},
        {CLA_WS_CLOSED, STAYS, STAYS},
        {STAYS, STAYS, STAYS},
    };

    for (int from = CLA_WS_OPEN; from <= CLA_WS_CLOSED; from++) {
        for (int event = CLA_WS_SEND; event <= CLA_WS_BREAK; event++) {
            enum cla_ws_closing now = (enum cla_ws_closing)from;
            bool moved = cla_ws_closing_move(&now, (enum cla_ws_closing_event)event);
            int want = table[from][event];

            assert_int_equal(moved, want != STAYS);
            assert_int_equal(now, want == STAYS ? from : want);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_codes_that_may_be_sent_are_valid),
        cmocka_unit_test(payload_of_a_close_is_judged),
        cmocka_unit_test(no_status_is_written_as_nothing),
        cmocka_unit_test(long_reason_is_cut_between_code_points),
        cmocka_unit_test(closing_moves_as_the_graph_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
