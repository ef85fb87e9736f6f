#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "cancel/reason.h"
#include "mem_fault.h"

static void every_kind_has_a_name_and_a_code(void **state)
{
    static const struct {
        enum cla_cancel_kind kind;
        const char *name;
        enum cla_code code;
    } cases[] = {
        {CLA_CANCEL_RESET, "reset", CLA_CODE_CANCELED},
        {CLA_CANCEL_DISCONNECT, "disconnect", CLA_CODE_CANCELED},
        {CLA_CANCEL_TIMEOUT, "timeout", CLA_CODE_DEADLINE_EXCEEDED},
        {CLA_CANCEL_SHUTDOWN, "shutdown", CLA_CODE_UNAVAILABLE},
        {CLA_CANCEL_RELOAD, "reload", CLA_CODE_UNAVAILABLE},
        {CLA_CANCEL_KILLED, "killed", CLA_CODE_ABORTED},
        {CLA_CANCEL_LIMIT, "limit", CLA_CODE_RESOURCE_EXHAUSTED},
        {CLA_CANCEL_SLOW_CONSUMER, "slow_consumer", CLA_CODE_RESOURCE_EXHAUSTED},
        {CLA_CANCEL_USER, "user", CLA_CODE_ABORTED},
        {CLA_CANCEL_PARENT_FAILED, "parent_failed", CLA_CODE_OK},
        {CLA_CANCEL_LOST_RACE, "lost_race", CLA_CODE_OK},
    };

    assert_int_equal(CLA_ARRAY_LEN(cases), CLA_CANCEL_KINDS - 1); /* all but NONE */
    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        assert_string_equal(cla_cancel_kind_name(cases[i].kind), cases[i].name);
        assert_int_equal(cla_cancel_kind_code(cases[i].kind), cases[i].code);
    }
}

/* Requires that a reason made with text[0..n) has this message. */
static void check_message(const char *text, size_t n, const char *want, size_t want_n)
{
    struct cla_reason reason = cla_reason_make(CLA_CANCEL_USER, 7, cla_slice(text, n));
    struct cla_slice message = cla_reason_message(&reason);

    assert_int_equal(reason.kind, CLA_CANCEL_USER);
    assert_int_equal(reason.at_ns, 7);
    assert_int_equal(message.n, want_n);
    assert_memory_equal(message.p, want, want_n);
    cla_reason_fini(&reason);
    assert_int_equal(reason.kind, CLA_CANCEL_NONE);
    assert_int_equal(mem_fault.live, 0);
}

static void bytes_that_are_not_utf8_become_question_marks(void **state)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"plain", "plain"},           {"caf\xc3\xa9", "caf\xc3\xa9"},
        {"a\xff\xfe", "a??"},         {"\xed\xa0\x80", "???"},    /* a surrogate */
        {"\xc0\x80", "??"},           {"end \xe2\x82", "end ??"}, /* cut short */
        {"\xf4\x90\x80\x80", "????"},
    };

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++)
        check_message(cases[i].in, strlen(cases[i].in), cases[i].out, strlen(cases[i].out));
}

static void message_is_cut_at_a_character(void **state)
{
    char text[CLA_REASON_MESSAGE_MAX + 8];

    memset(text, 'a', sizeof text);
    check_message(text, CLA_REASON_MESSAGE_MAX, text, CLA_REASON_MESSAGE_MAX);
    check_message(text, CLA_REASON_MESSAGE_MAX + 1, text, CLA_REASON_MESSAGE_MAX);
    memcpy(text + CLA_REASON_MESSAGE_MAX - 2, "\xe2\x82\xac", 3); /* the third byte is too many */
    check_message(text, sizeof text, text, CLA_REASON_MESSAGE_MAX - 2);
    memcpy(text + CLA_REASON_MESSAGE_MAX - 3, "\xe2\x82\xac", 3);
    check_message(text, sizeof text, text, CLA_REASON_MESSAGE_MAX);
}

static void shared_message_lives_as_long_as_its_last_holder(void **state)
{
    struct cla_reason first = cla_reason_make(CLA_CANCEL_KILLED, 1, CLA_LIT("why"));
    struct cla_reason second = cla_reason_share(&first);

    cla_reason_fini(&first);
    assert_int_equal(mem_fault.live, 1);
    assert_memory_equal(cla_reason_message(&second).p, "why", 3);
    cla_reason_fini(&second);
    cla_reason_fini(&second);
    assert_int_equal(mem_fault.live, 0);
}

static void out_of_memory_loses_the_message_only(void **state)
{
    struct cla_reason reason;

    mem_fault_after(0);
    reason = cla_reason_make(CLA_CANCEL_USER, 1, CLA_LIT("why"));
    assert_int_equal(reason.kind, CLA_CANCEL_USER);
    assert_int_equal(cla_reason_message(&reason).n, 0);
    cla_reason_fini(&reason);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_has_a_name_and_a_code),
        cmocka_unit_test(bytes_that_are_not_utf8_become_question_marks),
        cmocka_unit_test(message_is_cut_at_a_character),
        cmocka_unit_test(shared_message_lives_as_long_as_its_last_holder),
        cmocka_unit_test(out_of_memory_loses_the_message_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
