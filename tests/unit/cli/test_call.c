/* What 'cancela call' makes of its arguments, and what it prints. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "base/clock.h"
#include "cli/call_args.h"
#include "cli/call_print.h"
#include "cli/cli.h"

#define ARGUMENTS_MAX 8

/* Reads "call" and up to ARGUMENTS_MAX arguments, the last of them followed by NULL. */
static int read_args(struct cla_call_args *args, const char *const *given)
{
    char *argv[ARGUMENTS_MAX + 1] = {(char *)(uintptr_t) "call"};
    int argc = 1;

    for (; argc <= ARGUMENTS_MAX && given[argc - 1] != NULL; argc++)
        argv[argc] = (char *)(uintptr_t)given[argc - 1];
    return cla_call_args_read(args, argc, argv);
}

static void assert_text(struct cla_buf *buf, const char *expected)
{
    assert_int_equal(cla_buf_push(buf, '\0'), 0);
    assert_string_equal(buf->p, expected);
}

static void a_url_gives_host_port_and_path(void **state)
{
    static const struct {
        const char *url, *host;
        uint16_t port;
        const char *address, *target;
    } cases[] = {
        {"localhost", "localhost", 3000, "localhost:3000", "/rpc"},
        {"localhost:80", "localhost", 80, "localhost:80", "/rpc"},
        {"http://a.test", "a.test", 80, "a.test:80", "/rpc"},
        {"HTTP://a.test:8080/", "a.test", 8080, "a.test:8080", "/rpc"},
        {"http://a.test/x/y?z=1", "a.test", 80, "a.test:80", "/x/y?z=1"},
        {"a.test?z=1", "a.test", 3000, "a.test:3000", "/rpc?z=1"},
        {"[::1]", "::1", 3000, "[::1]:3000", "/rpc"},
        {"[::1]:80/a", "::1", 80, "[::1]:80", "/a"},
    };

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        const char *const given[] = {cases[i].url, "add", NULL};
        struct cla_call_args args;

        assert_int_equal(read_args(&args, given), 0);
        assert_string_equal(args.host, cases[i].host);
        assert_int_equal(args.port, cases[i].port);
        assert_text(&args.address, cases[i].address);
        assert_text(&args.target, cases[i].target);
        cla_call_args_fini(&args);
    }
}

static void the_scheme_ws_asks_for_a_websocket(void **state)
{
    static const struct {
        const char *url, *host;
        bool websocket;
        uint16_t port;
    } cases[] = {
        {"ws://a.test", "a.test", true, 80},    {"WS://a.test:3000/rpc", "a.test", true, 3000},
        {"ws+unix:/a/b", "unix:/a/b", true, 0}, {"unix:/a/b", "unix:/a/b", false, 0},
        {"http://a.test", "a.test", false, 80}, {"a.test", "a.test", false, 3000},
    };

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        const char *const given[] = {cases[i].url, "add", NULL};
        struct cla_call_args args;

        assert_int_equal(read_args(&args, given), 0);
        assert_string_equal(args.host, cases[i].host);
        assert_int_equal(args.websocket, cases[i].websocket);
        assert_int_equal(args.port, cases[i].port);
        assert_text(&args.target, "/rpc");
        cla_call_args_fini(&args);
    }
}

static void a_file_of_calls_stands_instead_of_one(void **state)
{
    static const char *const given[] = {"--file", "-", "ws://localhost", NULL};
    struct cla_call_args args;

    assert_int_equal(read_args(&args, given), 0);
    assert_null(args.procedure);
    assert_string_equal(args.file, "-");
    cla_call_args_fini(&args);
}

static void params_are_json_or_pairs(void **state)
{
    static const struct {
        const char *given[4];
        const char *params;
    } cases[] = {
        {{NULL}, ""},
        {{"{\"a\": 1}"}, "{\"a\": 1}"},
        {{" [1, 2]"}, " [1, 2]"},
        {{"a=2", "b=40.5"}, "{\"a\":2,\"b\":40.5}"},
        {{"name=Ana \"B\"", "age=\"7\""}, "{\"name\":\"Ana \\\"B\\\"\",\"age\":\"7\"}"},
        {{"a=true", "b=null", "c=nil"}, "{\"a\":true,\"b\":null,\"c\":\"nil\"}"},
        {{"a=", "b=x=y", "c=01"}, "{\"a\":\"\",\"b\":\"x=y\",\"c\":\"01\"}"},
        {{"a={\"b\":[1]}", "c={"}, "{\"a\":{\"b\":[1]},\"c\":\"{\"}"},
        {{"--", "--a=1"}, "{\"--a\":1}"},
    };

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        const char *given[ARGUMENTS_MAX] = {"localhost", "add"};
        struct cla_call_args args;

        for (size_t k = 0; k < CLA_ARRAY_LEN(cases[i].given); k++)
            given[k + 2] = cases[i].given[k];
        assert_int_equal(read_args(&args, given), 0);
        assert_text(&args.params, cases[i].params);
        cla_call_args_fini(&args);
    }
}

static void flags_may_stand_anywhere(void **state)
{
    static const char *const given[] = {"--timeout=1.5", "localhost", "--verbose", "add",
                                        "--header",      "X-A:  b ",  "a=1",       NULL};
    struct cla_call_args args;

    assert_int_equal(read_args(&args, given), 0);
    assert_string_equal(args.host, "localhost");
    assert_string_equal(args.procedure, "add");
    assert_true(args.timeout_ns == 1500 * CLA_NS_PER_MS);
    assert_string_equal(args.timeout, "1.5");
    assert_true(args.verbose);
    assert_text(&args.fields, "X-A: b\r\n");
    assert_text(&args.params, "{\"a\":1}");
    cla_call_args_fini(&args);
}

static void help_needs_no_other_argument(void **state)
{
    static const char *const given[] = {"--help", NULL};
    struct cla_call_args args;

    assert_int_equal(read_args(&args, given), 0);
    assert_true(args.help);
    cla_call_args_fini(&args);
}

static void what_cannot_be_meant_is_a_usage_error(void **state)
{
    static const char *const cases[][ARGUMENTS_MAX] = {
        {NULL},
        {"localhost"},
        {"ws://", "add"},
        {"localhost", "add", "--file", "calls"},
        {"localhost", "--file"},
        {"localhost", "add", "--header", "Sec-WebSocket-Key: a"},
        {"ftp://a.test", "add"},
        {"http://", "add"},
        {"localhost:0", "add"},
        {"localhost", "\xff"},
        {"localhost", "add", "1"},
        {"localhost", "add", "=1"},
        {"localhost", "add", "{\"a\":}"},
        {"localhost", "add", "[1] 2"},
        {"localhost", "add", "[1]", "a=2"},
        {"localhost", "add", "a=1", "a=2"},
        {"localhost", "add", "a=\xff"},
        {"localhost", "add", "--timeout"},
        {"localhost", "add", "--timeout", "soon"},
        {"localhost", "add", "--timeout", "0"},
        {"localhost", "add", "--timout", "1s"},
        {"localhost", "add", "--verbose=yes"},
        {"localhost", "add", "--header", "X-A"},
        {"localhost", "add", "--header", "X A: b"},
        {"localhost", "add", "--header", ": b"},
        {"localhost", "add", "--header", "X-A: b\r\nX-B: c"},
        {"localhost", "add", "--header", "content-length: 3"},
        {"localhost", "add", "-v"},
    };

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        struct cla_call_args args;

        assert_int_equal(read_args(&args, cases[i]), CLA_EXIT_USAGE);
        cla_call_args_fini(&args);
    }
}

struct printed {
    FILE *to;
    char *text;
    size_t n;
};

static FILE *begin(struct printed *printed)
{
    printed->to = open_memstream(&printed->text, &printed->n);
    assert_non_null(printed->to);
    return printed->to;
}

static void assert_printed(struct printed *printed, const char *expected)
{
    fclose(printed->to);
    assert_string_equal(printed->text, expected);
    free(printed->text);
}

static void json_is_printed_on_one_harmless_line(void **state)
{
    struct printed printed;

    cla_call_print_json(
        begin(&printed),
        CLA_LIT("{ \"a\" :\n\t[1, \" x\\\" \\\\\", \"\x7f\xc2\x9b\xc3\xa9\"]\r\n}"));
    assert_printed(&printed, "{\"a\":[1,\" x\\\" \\\\\",\"\\u007f\\u009b\xc3\xa9\"]}");
}

static void text_cannot_control_the_terminal(void **state)
{
    struct printed printed;

    cla_call_print_text(begin(&printed), CLA_LIT("a\n\tb\x1b[31m\xc2\x9b\x7f\xff\r\xc3\xa9"));
    assert_printed(&printed, "a\n\tb\\x1b[31m\\xc2\\x9b\\x7f\\xff\\x0d\xc3\xa9");
}

static void an_error_is_printed_with_the_data_that_says_more(void **state)
{
    static const struct {
        const char *data, *expected;
    } cases[] = {
        {"", "error: not_found (-32005): no \"such\" user\n"},
        {"{\"code\":\"not_found\"}", "error: not_found (-32005): no \"such\" user\n"},
        {"{\"id\": 7}", "error: not_found (-32005): no \"such\" user\ndata: {\"id\":7}\n"},
    };

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        const struct cla_rpc_response response = {.code = CLA_CODE_NOT_FOUND,
                                                  .number = -32005,
                                                  .message = CLA_LIT("\"no \\\"such\\\" user\""),
                                                  .data = cla_slice_str(cases[i].data)};
        struct printed printed;

        cla_call_print_error(begin(&printed), &response);
        assert_printed(&printed, cases[i].expected);
    }
}

static void a_notification_is_printed_with_its_params(void **state)
{
    const struct cla_rpc_notice tick = {CLA_LIT("\"tick\\u001b\""), CLA_LIT("{ \"n\": 1 }")};
    const struct cla_rpc_notice bare = {CLA_LIT("\"bare\""), CLA_LIT("")};
    struct printed printed;

    cla_call_print_notice(begin(&printed), &tick);
    assert_printed(&printed, "tick\\x1b {\"n\":1}");
    cla_call_print_notice(begin(&printed), &bare);
    assert_printed(&printed, "bare");
}

static void a_status_is_printed_with_its_body(void **state)
{
    struct printed printed;

    cla_call_print_status(begin(&printed), 404, CLA_LIT("nothing here\r\n\r\n"));
    assert_printed(&printed, "error: HTTP 404 Not Found\nnothing here\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_url_gives_host_port_and_path),
        cmocka_unit_test(the_scheme_ws_asks_for_a_websocket),
        cmocka_unit_test(a_file_of_calls_stands_instead_of_one),
        cmocka_unit_test(params_are_json_or_pairs),
        cmocka_unit_test(flags_may_stand_anywhere),
        cmocka_unit_test(help_needs_no_other_argument),
        cmocka_unit_test(what_cannot_be_meant_is_a_usage_error),
        cmocka_unit_test(json_is_printed_on_one_harmless_line),
        cmocka_unit_test(text_cannot_control_the_terminal),
        cmocka_unit_test(an_error_is_printed_with_the_data_that_says_more),
        cmocka_unit_test(a_notification_is_printed_with_its_params),
        cmocka_unit_test(a_status_is_printed_with_its_body),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
