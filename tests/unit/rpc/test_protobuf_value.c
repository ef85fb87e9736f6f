/* JSON as google.protobuf.Value; the bytes are what protoc's own encoders write. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "rpc/protobuf_value.h"

#define BYTES(text)           \
    {                         \
        text, sizeof text - 1 \
    }

static void json_becomes_a_value(void **state)
{
    static const struct {
        const char *json;
        struct cla_slice bytes;
    } cases[] = {
        {"null", BYTES("\x08\x00")},
        {"true", BYTES("\x20\x01")},
        {"false", BYTES("\x20\x00")},
        {" 7 ", BYTES("\x11\x00\x00\x00\x00\x00\x00\x1c\x40")},
        {"-0.5", BYTES("\x11\x00\x00\x00\x00\x00\x00\xe0\xbf")},
        {"\"\"", BYTES("\x1a\x00")},
        {"\"a\\u00fc\"", BYTES("\x1a\x03"
                               "a\xc3\xbc")},
        {"[]", BYTES("\x32\x00")},
        {"{}", BYTES("\x2a\x00")},
        {"[null,[true]]", BYTES("\x32\x0c\x0a\x02\x08\x00\x0a\x06\x32\x04\x0a\x02\x20\x01")},
        {"{\"a\":{\"b\":null},\"c\":false}", BYTES("\x2a\x1b"
                                                   "\x0a\x10\x0a\x01"
                                                   "a\x12\x0b\x2a\x09\x0a\x07\x0a\x01"
                                                   "b\x12\x02\x08\x00"
                                                   "\x0a\x07\x0a\x01"
                                                   "c\x12\x02\x20\x00")},
    };

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        struct cla_buf buf = {0};

        assert_int_equal(cla_protobuf_value(&buf, cla_slice_str(cases[i].json)), 0);
        if (!cla_slice_eq(cla_buf_slice(&buf), cases[i].bytes))
            fail_msg("%s: %zu bytes", cases[i].json, buf.n);
        cla_buf_fini(&buf);
    }
}

static void lengths_above_127_take_two_bytes(void **state)
{
    struct cla_buf json = {0}, buf = {0};

    assert_int_equal(cla_buf_printf(&json, "[\"%0200d\"]", 0), 0);
    assert_int_equal(cla_protobuf_value(&buf, cla_buf_slice(&json)), 0);
    assert_int_equal(buf.n, 209);
    assert_memory_equal(buf.p, "\x32\xce\x01\x0a\xcb\x01\x1a\xc8\x01\x30", 10);
    cla_buf_fini(&buf);
    cla_buf_fini(&json);
}

static void nesting_goes_as_deep_as_the_scanner(void **state)
{
    char json[2 * 1024];
    struct cla_buf buf = {0};

    memset(json, '[', 1024);
    memset(json + 1024, ']', 1024);
    assert_int_equal(cla_protobuf_value(&buf, cla_slice(json, sizeof json)), 0);
    assert_true(buf.n > 2 * 1024);
    cla_buf_fini(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_becomes_a_value),
        cmocka_unit_test(lengths_above_127_take_two_bytes),
        cmocka_unit_test(nesting_goes_as_deep_as_the_scanner),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
