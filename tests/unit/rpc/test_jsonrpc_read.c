/* Which calls a JSON-RPC text holds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/mem.h"
#include "rpc/recorder.h"
#include "json/scan.h"

static const struct cla_rpc_limits limits = {.json_depth = 8, .batch_items = 4};

struct read_case {
    const char *text;
    const char *expected; /* lines of the recorder */
};

/* Reads from the end of its own heap block, so that reading past it is seen. */
static void check(struct cla_slice text, const char *expected)
{
    char *copy = cla_mem_strndup(text.p, text.n), *exact = cla_mem_realloc(copy, text.n);
    struct cla_buf log = recorder_read(cla_slice(exact, text.n), &limits);

    assert_string_equal(log.p, expected);
    cla_buf_fini(&log);
    cla_mem_free(exact);
}

static void check_all(const struct read_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++)
        check(cla_slice_str(cases[i].text), cases[i].expected);
}

#define REQUEST "{\"jsonrpc\":\"2.0\","

static void a_request_gives_its_members(void **state)
{
    static const struct read_case cases[] = {
        {REQUEST "\"id\":1,\"method\":\"add\",\"params\":[1,2]}", "call id=1 add [1,2]\n"},
        {REQUEST "\"id\":1,\"method\":\"add\",\"params\":{\"a\":{\"_meta\":1}}}",
         "call id=1 add {\"a\":{\"_meta\":1}}\n"},
        {REQUEST "\"id\":1,\"method\":\"add\"}", "call id=1 add\n"},
        {REQUEST "\"method\":\"add\",\"params\":[]}", "notify id= add []\n"},
        {" { \"params\" : [ 1 ] , \"method\" : \"\" , \"id\" : \"x\" , \"jsonrpc\" : \"2.0\" }\r\n",
         "call id=\"x\"  [ 1 ]\n"},
        {REQUEST "\"id\":1,\"method\":\"m\",\"extra\":{\"id\":[2]},\"other\":null}",
         "call id=1 m\n"},
    };

    check_all(cases, CLA_ARRAY_LEN(cases));
}

static void an_id_is_echoed_as_it_was_written(void **state)
{
    static const char *const ids[] = {
        "0",
        "-1",
        "-0",
        "1.5",
        "1.0",
        "1e2",
        "1E+2",
        "9007199254740993",
        "123456789012345678901234567890123456789012345678901234567890",
        "\"\"",
        "\"a b\"",
        "\"\\u00e4\\/\\\"\"",
        "\"\xc3\xa4\"",
        "null",
    };

    for (size_t i = 0; i < CLA_ARRAY_LEN(ids); i++) {
        struct cla_buf text = {0}, expected = {0};

        assert_int_equal(cla_buf_printf(&text, REQUEST "\"id\": %s ,\"method\":\"m\"}", ids[i]), 0);
        assert_int_equal(cla_buf_printf(&expected, "call id=%s m\n", ids[i]), 0);
        assert_int_equal(cla_buf_push(&expected, '\0'), 0);
        check(cla_buf_slice(&text), expected.p);
        cla_buf_fini(&text);
        cla_buf_fini(&expected);
    }
}

static void an_id_of_another_type_is_refused_with_a_null_id(void **state)
{
    static const char *const ids[] = {"true", "false", "[]", "[1]", "{}", "{\"id\":1}"};

    for (size_t i = 0; i < CLA_ARRAY_LEN(ids); i++) {
        struct cla_buf text = {0};

        assert_int_equal(cla_buf_printf(&text, REQUEST "\"id\":%s,\"method\":\"m\"}", ids[i]), 0);
        check(cla_buf_slice(&text),
              "invalid id=null -32600 id must be a string, a number or null\n");
        cla_buf_fini(&text);
    }
}

static void what_is_no_request_is_refused_with_the_id_if_there_is_one(void **state)
{
    static const struct read_case cases[] = {
        {"1", "invalid id=null -32600 a request is an object\n"},
        {"\"x\"", "invalid id=null -32600 a request is an object\n"},
        {"null", "invalid id=null -32600 a request is an object\n"},
        {"{}", "invalid id=null -32600 jsonrpc must be \"2.0\"\n"},
        {"{\"id\":7,\"method\":\"m\"}", "invalid id=7 -32600 jsonrpc must be \"2.0\"\n"},
        {"{\"jsonrpc\":2.0,\"id\":7,\"method\":\"m\"}",
         "invalid id=7 -32600 jsonrpc must be \"2.0\"\n"},
        {"{\"jsonrpc\":\"2\",\"id\":7,\"method\":\"m\"}",
         "invalid id=7 -32600 jsonrpc must be \"2.0\"\n"},
        {"{\"jsonrpc\":\"2.00\",\"id\":7,\"method\":\"m\"}",
         "invalid id=7 -32600 jsonrpc must be \"2.0\"\n"},
        {"{\"jsonrpc\":null,\"id\":7,\"method\":\"m\"}",
         "invalid id=7 -32600 jsonrpc must be \"2.0\"\n"},
        {REQUEST "\"id\":\"a\"}", "invalid id=\"a\" -32600 method must be a string\n"},
        {REQUEST "\"method\":1,\"params\":\"bar\"}",
         "invalid id=null -32600 method must be a string\n"},
        {REQUEST "\"id\":7,\"method\":null}", "invalid id=7 -32600 method must be a string\n"},
        {REQUEST "\"id\":7,\"method\":[\"m\"]}", "invalid id=7 -32600 method must be a string\n"},
        {REQUEST "\"id\":7,\"method\":\"m\",\"params\":1}",
         "invalid id=7 -32600 params must be an object or an array\n"},
        {REQUEST "\"id\":7,\"method\":\"m\",\"params\":\"x\"}",
         "invalid id=7 -32600 params must be an object or an array\n"},
        {REQUEST "\"method\":\"m\",\"params\":null}",
         "invalid id=null -32600 params must be an object or an array\n"},
    };

    check_all(cases, CLA_ARRAY_LEN(cases));
}

static void the_last_of_equal_members_counts(void **state)
{
    static const struct read_case cases[] = {
        {REQUEST "\"id\":1,\"id\":2,\"method\":\"a\",\"method\":\"b\",\"params\":1,\"params\":[]}",
         "call id=2 b []\n"},
        {"{\"jsonrpc\":\"1.0\",\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\"}", "call id=1 m\n"},
        {REQUEST "\"jsonrpc\":1,\"id\":1,\"method\":\"m\"}",
         "invalid id=1 -32600 jsonrpc must be \"2.0\"\n"},
        {REQUEST
         "\"id\":1,\"method\":\"m\",\"params\":{\"_meta\":{\"timeout_ms\":1}},\"params\":{}}",
         "call id=1 m {}\n"},
        {REQUEST
         "\"id\":1,\"method\":\"m\",\"params\":{\"_meta\":{\"timeout_ms\":1},\"_meta\":{}}}",
         "call id=1 m {\"_meta\":{\"timeout_ms\":1},\"_meta\":{}} (meta)\n"},
    };

    check_all(cases, CLA_ARRAY_LEN(cases));
}

static void escaped_names_and_methods_are_decoded(void **state)
{
    static const struct read_case cases[] = {
        {"{\"\\u006asonrpc\":\"\\u0032.0\",\"\\u0069d\":1,\"met\\u0068od\":\"a\\u002fb\\n\"}",
         "call id=1 a/b\n\n"},
        {REQUEST "\"id\":1,\"method\":\"m\",\"params\":{\"\\u005fmeta\":{\"timeout\\u005fms\":5}}}",
         "call id=1 m {\"\\u005fmeta\":{\"timeout\\u005fms\":5}} timeout=5 (meta)\n"},
    };

    check_all(cases, CLA_ARRAY_LEN(cases));
}

static void a_method_may_be_longer_than_any_buffer_when_decoded(void **state)
{
    struct cla_buf text = {0}, expected = {0};

    assert_int_equal(cla_buf_add(&text, CLA_LIT(REQUEST "\"id\":1,\"method\":\"")), 0);
    assert_int_equal(cla_buf_add(&expected, CLA_LIT("call id=1 ")), 0);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(cla_buf_add(&text, CLA_LIT("\\u0041b")), 0);
        assert_int_equal(cla_buf_add(&expected, CLA_LIT("Ab")), 0);
    }
    assert_int_equal(cla_buf_add(&text, CLA_LIT("\"}")), 0);
    assert_int_equal(cla_buf_append(&expected, "\n", 2), 0);
    check(cla_buf_slice(&text), expected.p);
    cla_buf_fini(&text);
    cla_buf_fini(&expected);
}

static void a_name_that_begins_as_a_known_one_is_another(void **state)
{
    check(CLA_LIT(REQUEST
                  "\"id\":1,\"method\":\"m\",\"id\\u0000\":2,\"idd\":3,\"methods\":4,\"param\":5}"),
          "call id=1 m\n");
}

static void options_are_read_from_meta(void **state)
{
    static const struct read_case cases[] = {
        {"{\"_meta\":{\"timeout_ms\":250,\"progressToken\":\"p\",\"itemToken\":3,\"x\":[]}}",
         " timeout=250 progress=\"p\" item=3 (meta)"},
        {"{\"_meta\":{\"timeout_ms\":0}}", " timeout=0 (meta)"},
        {"{\"_meta\":{\"timeout_ms\":9999999999}}", " timeout=9999999999 (meta)"},
        {"{\"_meta\":{\"timeout_ms\":null,\"progressToken\":null}}", " (meta)"},
        {"{\"_meta\":{\"progressToken\":123456789012345678901234567890}}",
         " progress=123456789012345678901234567890 (meta)"},
        {"{\"_meta\":null}", " (meta)"},
        {"{\"_meta\":{}}", " (meta)"},
        {"{\"workDoneToken\":1,\"partialResultToken\":\"i\"}", " progress=1 item=\"i\""},
        {"{\"workDoneToken\":null}", ""},
        {"{\"_meta\":{\"progressToken\":2},\"workDoneToken\":1}", " progress=2 (meta)"},
        {"[{\"_meta\":{\"timeout_ms\":1}}]", ""},
    };

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        struct cla_buf text = {0}, expected = {0};

        assert_int_equal(cla_buf_printf(&text, REQUEST "\"id\":1,\"method\":\"m\",\"params\":%s}",
                                        cases[i].text),
                         0);
        assert_int_equal(
            cla_buf_printf(&expected, "call id=1 m %s%s\n", cases[i].text, cases[i].expected), 0);
        assert_int_equal(cla_buf_push(&expected, '\0'), 0);
        check(cla_buf_slice(&text), expected.p);
        cla_buf_fini(&text);
        cla_buf_fini(&expected);
    }
}

static void malformed_options_are_invalid_params(void **state)
{
    static const struct read_case cases[] = {
        {"{\"_meta\":1}", "_meta must be an object"},
        {"{\"_meta\":[]}", "_meta must be an object"},
        {"{\"_meta\":{\"timeout_ms\":-1}}", "_meta.timeout_ms"},
        {"{\"_meta\":{\"timeout_ms\":10000000000}}", "_meta.timeout_ms"},
        {"{\"_meta\":{\"timeout_ms\":99999999999999999999}}", "_meta.timeout_ms"},
        {"{\"_meta\":{\"timeout_ms\":1.5}}", "_meta.timeout_ms"},
        {"{\"_meta\":{\"timeout_ms\":1e3}}", "_meta.timeout_ms"},
        {"{\"_meta\":{\"timeout_ms\":\"1\"}}", "_meta.timeout_ms"},
        {"{\"_meta\":{\"timeout_ms\":true}}", "_meta.timeout_ms"},
        {"{\"_meta\":{\"timeout_ms\":[]}}", "_meta.timeout_ms"},
        {"{\"_meta\":{\"progressToken\":1.5}}", "_meta.progressToken"},
        {"{\"_meta\":{\"progressToken\":{}}}", "_meta.progressToken"},
        {"{\"_meta\":{\"itemToken\":false}}", "_meta.itemToken"},
        {"{\"workDoneToken\":[]}", "workDoneToken"},
        {"{\"partialResultToken\":1e5}", "partialResultToken"},
    };

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        struct cla_buf text = {0}, start = {0}, log;

        assert_int_equal(cla_buf_printf(&text, REQUEST "\"id\":1,\"method\":\"m\",\"params\":%s}",
                                        cases[i].text),
                         0);
        assert_int_equal(cla_buf_printf(&start, "invalid id=1 -32602 %s", cases[i].expected), 0);
        log = recorder_read(cla_buf_slice(&text), &limits);
        assert_memory_equal(log.p, start.p, start.n);
        cla_buf_fini(&text);
        cla_buf_fini(&start);
        cla_buf_fini(&log);
    }
}

static void meta_beside_the_params_counts_unless_they_are_an_object(void **state)
{
    static const struct read_case cases[] = {
        {REQUEST "\"id\":1,\"method\":\"m\",\"params\":[1],\"_meta\":{\"timeout_ms\":5}}",
         "call id=1 m [1] timeout=5\n"},
        {REQUEST "\"id\":1,\"_meta\":{\"timeout_ms\":5},\"method\":\"m\",\"params\":[1]}",
         "call id=1 m [1] timeout=5\n"},
        {REQUEST "\"id\":1,\"method\":\"m\",\"_meta\":{\"itemToken\":5}}", "call id=1 m item=5\n"},
        {REQUEST "\"id\":1,\"method\":\"m\",\"params\":[],\"_meta\":7}",
         "invalid id=1 -32602 _meta must be an object\n"},
        {REQUEST "\"id\":1,\"method\":\"m\",\"params\":{},\"_meta\":{\"timeout_ms\":5}}",
         "call id=1 m {}\n"},
    };

    check_all(cases, CLA_ARRAY_LEN(cases));
}

static void a_notification_with_malformed_options_is_not_to_be_answered(void **state)
{
    check(CLA_LIT(REQUEST "\"method\":\"m\",\"params\":{\"_meta\":0}}"),
          "invalid id= -32602 _meta must be an object\n");
}

static void a_batch_gives_its_elements_in_order(void **state)
{
    check(CLA_LIT("[" REQUEST "\"id\":1,\"method\":\"a\"}, " REQUEST "\"method\":\"b\"}," REQUEST
                  "\"id\":2,\"method\":\"c\",\"params\":[[]]}]"),
          "batch of 3\ncall id=1 a\nnotify id= b\ncall id=2 c [[]]\n");
    check(CLA_LIT(" [ " REQUEST "\"id\":1,\"method\":\"a\"} ] "), "batch of 1\ncall id=1 a\n");
}

static void an_invalid_element_has_its_own_error_and_the_others_run(void **state)
{
    check(CLA_LIT("[1,{\"id\":4,\"foo\":\"boo\"},[]," REQUEST "\"id\":5,\"method\":\"m\"}]"),
          "batch of 4\n"
          "invalid id=null -32600 a request is an object\n"
          "invalid id=4 -32600 jsonrpc must be \"2.0\"\n"
          "invalid id=null -32600 a request is an object\n"
          "call id=5 m\n");
}

static void an_empty_batch_is_refused(void **state)
{
    check(CLA_LIT("[]"), "invalid id=null -32600 the batch is empty\n");
    check(CLA_LIT(" [ ] "), "invalid id=null -32600 the batch is empty\n");
}

static void the_batch_limit_admits_itself_and_refuses_one_more(void **state)
{
    check(CLA_LIT("[1,1,1,1]"), "batch of 4\n"
                                "invalid id=null -32600 a request is an object\n"
                                "invalid id=null -32600 a request is an object\n"
                                "invalid id=null -32600 a request is an object\n"
                                "invalid id=null -32600 a request is an object\n");
    check(CLA_LIT("[1,1,1,1,1]"),
          "invalid id=null -32600 the batch has 5 requests; at most 4 (batch_items)\n");
}

static void nothing_runs_unless_the_whole_text_is_json(void **state)
{
    static const char *const texts[] = {
        "",
        " ",
        "{",
        "[",
        "[,",
        "nul",
        "\xef\xbb\xbf{}",
        "{\"a\":}",
        "[1,]",
        "[1,1,1,1,1",
        REQUEST "\"id\":1,\"method\":\"m\"}x",
        REQUEST "\"id\":1,\"method\":\"m\"}{}",
        REQUEST "\"id\":1,\"method\":\"m\",\"params\":[1,}",
        REQUEST "\"id\":1,\"method\":\"m\",\"params\":{\"a\":01}}",
        REQUEST "\"id\":1,\"method\":\"m\",\"params\":{\"_meta\":{\"timeout_ms\":}}}",
        REQUEST "\"id\":1,\"method\":\"m\xff\"}",
        "[" REQUEST "\"id\":1,\"method\":\"m\"},",
        "[" REQUEST "\"id\":1,\"method\":\"m\"},{\"a\"]",
        "[" REQUEST "\"id\":1,\"method\":\"m\"}]]",
        "[[[[[[[[[]]]]]]]]]",
    };
    const struct cla_slice start = CLA_LIT("invalid id=null -32700 not valid JSON: ");

    for (size_t i = 0; i < CLA_ARRAY_LEN(texts); i++) {
        struct cla_buf log = recorder_read(cla_slice_str(texts[i]), &limits);

        assert_true(cla_slice_starts(cla_buf_slice(&log), start));
        assert_ptr_equal(strchr(log.p, '\n'), log.p + log.n - 2);
        cla_buf_fini(&log);
    }
}

static void a_parse_error_says_where(void **state)
{
    check(CLA_LIT("{\"a\" 1}"), "invalid id=null -32700 not valid JSON: expected ':' at byte 5\n");
}

static void every_cut_text_is_refused(void **state)
{
    static const char text[] =
        "[" REQUEST "\"id\":\"\\u00e4\",\"method\":\"m\",\"params\":{\"_meta\":"
        "{\"timeout_ms\":12},\"x\":[-1.5e3,true,null]}}]";

    for (size_t n = 0; n < sizeof text - 1; n++) {
        char *exact = cla_mem_alloc(n + (n == 0));
        struct cla_buf log;

        memcpy(exact, text, n);
        log = recorder_read(cla_slice(exact, n), &limits);
        assert_true(cla_slice_starts(cla_buf_slice(&log), CLA_LIT("invalid id=null -32700 ")));
        cla_buf_fini(&log);
        cla_mem_free(exact);
    }
}

static void the_depth_limit_counts_from_the_text_itself(void **state)
{
    check(CLA_LIT(REQUEST "\"id\":1,\"method\":\"m\",\"params\":[[[[[[[]]]]]]]}"),
          "call id=1 m [[[[[[[]]]]]]]\n");
    check(CLA_LIT(REQUEST "\"id\":1,\"method\":\"m\",\"params\":[[[[[[[[]]]]]]]]}"),
          "invalid id=null -32700 not valid JSON: nested too deeply at byte 53\n");
}

static void a_million_levels_are_refused(void **state)
{
    const struct cla_rpc_limits deepest = {CLA_JSON_DEPTH_MAX, 4};
    const size_t levels = 1000000;
    char *text = cla_mem_alloc(levels);
    struct cla_buf log;

    memset(text, '[', levels);
    log = recorder_read(cla_slice(text, levels), &deepest);
    assert_string_equal(log.p,
                        "invalid id=null -32700 not valid JSON: nested too deeply at byte 1024\n");
    cla_buf_fini(&log);
    cla_mem_free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_gives_its_members),
        cmocka_unit_test(an_id_is_echoed_as_it_was_written),
        cmocka_unit_test(an_id_of_another_type_is_refused_with_a_null_id),
        cmocka_unit_test(what_is_no_request_is_refused_with_the_id_if_there_is_one),
        cmocka_unit_test(the_last_of_equal_members_counts),
        cmocka_unit_test(escaped_names_and_methods_are_decoded),
        cmocka_unit_test(a_method_may_be_longer_than_any_buffer_when_decoded),
        cmocka_unit_test(a_name_that_begins_as_a_known_one_is_another),
        cmocka_unit_test(options_are_read_from_meta),
        cmocka_unit_test(malformed_options_are_invalid_params),
        cmocka_unit_test(meta_beside_the_params_counts_unless_they_are_an_object),
        cmocka_unit_test(a_notification_with_malformed_options_is_not_to_be_answered),
        cmocka_unit_test(a_batch_gives_its_elements_in_order),
        cmocka_unit_test(an_invalid_element_has_its_own_error_and_the_others_run),
        cmocka_unit_test(an_empty_batch_is_refused),
        cmocka_unit_test(the_batch_limit_admits_itself_and_refuses_one_more),
        cmocka_unit_test(nothing_runs_unless_the_whole_text_is_json),
        cmocka_unit_test(a_parse_error_says_where),
        cmocka_unit_test(every_cut_text_is_refused),
        cmocka_unit_test(the_depth_limit_counts_from_the_text_itself),
        cmocka_unit_test(a_million_levels_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
