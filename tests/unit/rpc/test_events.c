/* Server-sent events as clients read them, after HTML section 9.2.6. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "base/check.h"
#include "base/error.h"
#include "mem_fault.h"
#include "rpc/events.h"

struct noted {
    char text[512];
    size_t n;
};

static void note(void *arg, struct cla_slice type, struct cla_slice data)
{
    struct noted *noted = arg;

    noted->n += (size_t)snprintf(noted->text + noted->n, sizeof noted->text - noted->n,
                                 "%.*s(%.*s)", (int)type.n, type.n > 0 ? type.p : "", (int)data.n,
                                 data.n > 0 ? data.p : "");
}

/* Feeds 'text' in pieces of 'piece' bytes. */
static int feed(struct noted *noted, struct cla_slice text, size_t piece, size_t limit)
{
    struct cla_events events;
    int rc = 0;

    *noted = (struct noted){.n = 0};
    cla_events_init(&events, limit, note, noted);
    while (rc == 0 && text.n > 0) {
        size_t n = text.n < piece ? text.n : piece;

        rc = cla_events_feed(&events, cla_slice(text.p, n));
        text = cla_slice(text.p + n, text.n - n);
    }
    cla_events_fini(&events);
    return rc;
}

static void an_event_is_what_its_lines_say_however_they_come(void **state)
{
    static const struct {
        const char *text, *expected;
    } cases[] = {
        {"data: 1\n\n", "(1)"},
        {"data:1\r\n\r\ndata:2\r\rdata:3\n\n", "(1)(2)(3)"},
        {"data: a\r\ndata: b\rdata\ndata:  c\n\n", "(a\nb\n\n c)"},
        {"event: end\ndata: {}\n\ndata: x\n\n", "end({})(x)"},
        {"event: a\nevent: b\ndata: 1\n\n", "b(1)"},
        {"event: nothing\n\ndata: 1\n\n", "(1)"},
        {": comment\n:\nid: 7\nretry: 10\nother: x\ndata: 1\n\n", "(1)"},
        {"data\n\n", "()"},
        {"data:\ndata:\n\n", "(\n)"},
        {"\n\n\r\n", ""},
        {"data: 1\n", ""},
        {"data: 1\n\ndata: 2", "(1)"},
        {"\xef\xbb\xbf"
         "data: 1\n\n\xef\xbb\xbf"
         "data: 2\n\n",
         "(1)"},
        {"\xef\xbb\xbf\ndata: 1\n\n", "(1)"},
        {" data: 1\nDATA: 2\ndatax: 3\n\n", ""},
        {"data: a:b\n\n", "(a:b)"},
    };
    struct noted noted;

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        for (size_t piece = 1; piece <= strlen(cases[i].text); piece++) {
            assert_int_equal(feed(&noted, cla_slice_str(cases[i].text), piece, 100), 0);
            assert_string_equal(noted.text, cases[i].expected);
        }
    }
}

static void what_is_beyond_the_limit_ends_it(void **state)
{
    struct noted noted;

    for (size_t piece = 1; piece < 40; piece++) {
        assert_int_equal(feed(&noted, CLA_LIT("data: 1234\n\n"), piece, 10), 0);
        assert_string_equal(noted.text, "(1234)");
        assert_int_equal(feed(&noted, CLA_LIT("data: 12345\n\n"), piece, 10), -CLA_ELIMIT);
        assert_int_equal(feed(&noted, CLA_LIT(": 1234567890"), piece, 10), -CLA_ELIMIT);
        assert_int_equal(feed(&noted, CLA_LIT("data:1234\ndata:12345\n\n"), piece, 10), 0);
        assert_int_equal(feed(&noted, CLA_LIT("data:12345\ndata:12345\n\n"), piece, 10),
                         -CLA_ELIMIT);
    }
}

static void each_allocation_may_fail(void **state)
{
    struct noted noted;
    long n = 0;
    int rc;

    do {
        mem_fault_after(n++);
        rc = feed(&noted, CLA_LIT("event: abc\ndata: 1\ndata: 2\n\n"), 3, 100);
        mem_fault_off();
        assert_int_equal(rc, mem_fault.failed ? -CLA_ENOMEM : 0);
        assert_int_equal(mem_fault.live, 0);
    } while (mem_fault.failed);
    assert_true(n > 3);
    assert_string_equal(noted.text, "abc(1\n2)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_is_what_its_lines_say_however_they_come),
        cmocka_unit_test(what_is_beyond_the_limit_ends_it),
        cmocka_unit_test(each_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
