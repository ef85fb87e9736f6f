/* Streams over HTTP, byte by byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "rpc/connect_stream.h"

static const struct cla_slice none = {NULL, 0};

static void require(struct cla_buf *buf, struct cla_slice want)
{
    assert_int_equal(buf->n, want.n);
    assert_memory_equal(buf->p, want.p, want.n);
    cla_buf_fini(buf);
}

static void connect_frames_have_flags_and_a_length(void **state)
{
    const struct cla_rpc_error error = {.code = CLA_CODE_NOT_FOUND, .message = CLA_LIT("no")};
    struct cla_buf buf = {0};

    assert_int_equal(cla_connect_stream_protocol.item(&buf, none, CLA_LIT("{\"a\":1}")), 0);
    require(&buf, CLA_LIT("\0\0\0\0\x07{\"a\":1}"));
    assert_int_equal(cla_connect_stream_protocol.end(&buf), 0);
    require(&buf, CLA_LIT("\x02\0\0\0\x02{}"));
    assert_int_equal(cla_connect_stream_protocol.error(&buf, none, &error), 0);
    require(&buf, CLA_LIT("\x02\0\0\0\x2d{\"error\":{\"code\":\"not_found\",\"message\":\"no\"}}"));
}

static void connect_frames_may_be_long(void **state)
{
    static char text[0x10203];
    struct cla_buf buf = {0};

    memset(text, '7', sizeof text);
    assert_int_equal(cla_connect_stream_protocol.item(&buf, none, cla_slice(text, sizeof text)), 0);
    assert_int_equal(buf.n, 5 + sizeof text);
    assert_memory_equal(buf.p,
                        "\0\0\x01\x02\x03"
                        "77",
                        7);
    cla_buf_fini(&buf);
}

static void events_have_a_type_but_for_items(void **state)
{
    const struct cla_rpc_error error = {.code = CLA_CODE_INTERNAL};
    struct cla_buf buf = {0};

    assert_int_equal(cla_sse_protocol.item(&buf, none, CLA_LIT("[1]")), 0);
    require(&buf, CLA_LIT("data: [1]\n\n"));
    assert_int_equal(cla_sse_protocol.progress(&buf, none, CLA_LIT("0.5")), 0);
    require(&buf, CLA_LIT("event: progress\ndata: 0.5\n\n"));
    assert_int_equal(cla_sse_protocol.end(&buf), 0);
    require(&buf, CLA_LIT("event: end\ndata: {}\n\n"));
    assert_int_equal(cla_sse_protocol.error(&buf, none, &error), 0);
    require(&buf, CLA_LIT("event: end\ndata: {\"error\":{\"code\":\"internal\",\"message\":"
                          "\"internal error\"}}\n\n"));
}

static const struct {
    struct cla_slice body;
    const char *params, *why;
} bodies[] = {
    {CLA_LIT("\0\0\0\0\0"), "", NULL},
    {CLA_LIT("\0\0\0\0\x02{}"), "{}", NULL},
    {CLA_LIT("\0\0\0\0\x04 [1]"), "[1]", NULL},
    {CLA_LIT(""), NULL, "one whole message"},
    {CLA_LIT("\0\0\0\0"), NULL, "one whole message"},
    {CLA_LIT("\0\0\0\0\x01"), NULL, "one whole message"},
    {CLA_LIT("\0\xff\xff\xff\xff{}"), NULL, "one whole message"},
    {CLA_LIT("\0\0\0\0\x02{}\0\0\0\0\x02{}"), NULL, "more follow"},
    {CLA_LIT("\0\0\0\0\x02{}x"), NULL, "more follow"},
    {CLA_LIT("\x01\0\0\0\x02{}"), NULL, "compression is not supported"},
    {CLA_LIT("\x02\0\0\0\x02{}"), NULL, "flags"},
    {CLA_LIT("\x80\0\0\0\x02{}"), NULL, "flags"},
    {CLA_LIT("\0\0\0\0\x02{]"), NULL, ""},
    {CLA_LIT("\0\0\0\0\x01"
             "7"),
     NULL, "an object or an array"},
};

static void a_request_is_one_message(void **state)
{
    for (size_t i = 0; i < CLA_ARRAY_LEN(bodies); i++) {
        struct cla_slice params = none;
        const char *why;
        int rc = cla_connect_stream_params(bodies[i].body, 8, &params, &why);

        assert_int_equal(rc, bodies[i].params != NULL ? 0 : -CLA_EINVAL);
        if (rc == 0)
            assert_true(cla_slice_eq(params, cla_slice_str(bodies[i].params)));
        else
            assert_non_null(strstr(why, bodies[i].why));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connect_frames_have_flags_and_a_length),
        cmocka_unit_test(connect_frames_may_be_long),
        cmocka_unit_test(events_have_a_type_but_for_items),
        cmocka_unit_test(a_request_is_one_message),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
