/* Each allocation failing in turn. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "mem_fault.h"
#include "rpc/connect.h"
#include "rpc/connect_stream.h"
#include "rpc/frame.h"
#include "rpc/jsonrpc.h"

static const struct cla_rpc_error typed = {
    CLA_CODE_NOT_FOUND,
    0,
    {"a message longer than a fresh buffer, so that it grows: ..........................", 80},
    {"{\"code\":\"mine\",\"and\":\"so much data that the buffer has to grow once more .......\"}",
     80},
};

static int write_begin(struct cla_buf *buf)
{
    return cla_jsonrpc_reply_begin(buf, CLA_LIT("123456789012345678901234567890"));
}

static int write_end(struct cla_buf *buf)
{
    return cla_jsonrpc_reply_end(buf, CLA_LIT("1"));
}

static int write_error(struct cla_buf *buf)
{
    return cla_jsonrpc_error(buf, CLA_LIT("1"), &typed);
}

static int write_connect_error(struct cla_buf *buf)
{
    return cla_connect_error(buf, CLA_LIT("1"), &typed);
}

static int write_request(struct cla_buf *buf)
{
    return cla_jsonrpc_request(buf, CLA_LIT("1"), typed.message, typed.data);
}

static int write_request_within(struct cla_buf *buf)
{
    return cla_jsonrpc_request_within(buf, CLA_LIT("1"), typed.message, typed.data, 7);
}

static int write_frame(struct cla_buf *buf)
{
    const struct cla_frame frame = {
        .kind = CLA_FRAME_REQUEST, .name = typed.message, .payload = typed.data};

    return cla_frame_write(buf, &frame);
}

static int write_frame_begin(struct cla_buf *buf)
{
    return cla_frame_v0_1_protocol.reply_begin(buf, CLA_LIT("1"));
}

static int write_frame_error(struct cla_buf *buf)
{
    return cla_frame_v0_1_protocol.error(buf, CLA_LIT("1"), &typed);
}

static int write_frame_error_v1(struct cla_buf *buf)
{
    return cla_frame_v1_protocol.error(buf, CLA_LIT("1"), &typed);
}

static int write_progress(struct cla_buf *buf)
{
    return cla_jsonrpc_protocol.progress(buf, CLA_LIT("1"), typed.data);
}

static int write_part(struct cla_buf *buf)
{
    return cla_frame_v1_protocol.item(buf, CLA_LIT("1"), typed.data);
}

static int write_connect_item(struct cla_buf *buf)
{
    return cla_connect_stream_protocol.item(buf, cla_slice(NULL, 0), typed.data);
}

static int write_connect_end(struct cla_buf *buf)
{
    return cla_connect_stream_protocol.end(buf);
}

static int write_connect_stream_error(struct cla_buf *buf)
{
    return cla_connect_stream_protocol.error(buf, cla_slice(NULL, 0), &typed);
}

static int write_event(struct cla_buf *buf)
{
    return cla_sse_protocol.progress(buf, cla_slice(NULL, 0), typed.data);
}

static int write_event_error(struct cla_buf *buf)
{
    return cla_sse_protocol.error(buf, cla_slice(NULL, 0), &typed);
}

/* A full buffer with one byte in it, so that every append needs memory. */
static void check(int (*write)(struct cla_buf *buf))
{
    long n = 0;

    do {
        struct cla_buf buf = {malloc(1), 1, 1};
        int rc;

        mem_fault_after(n++);
        rc = write(&buf);
        mem_fault_off();
        assert_int_equal(rc, mem_fault.failed ? -CLA_ENOMEM : 0);
        assert_int_equal(buf.n > 1, rc == 0);
        cla_buf_fini(&buf);
    } while (mem_fault.failed);
    assert_true(n > 1);
}

static void writers_that_fail_append_nothing(void **state)
{
    check(write_begin);
    check(write_end);
    check(write_error);
    check(write_connect_error);
    check(write_request);
    check(write_request_within);
    check(write_frame);
    check(write_frame_begin);
    check(write_frame_error);
    check(write_frame_error_v1);
    check(write_progress);
    check(write_part);
    check(write_connect_item);
    check(write_connect_end);
    check(write_connect_stream_error);
    check(write_event);
    check(write_event_error);
}

static void count_text(void *arg, const struct cla_rpc_text *text)
{
}

static void count_request(void *arg, const struct cla_rpc_request *request)
{
    ++*(unsigned *)arg;
}

static void a_method_that_cannot_be_decoded_is_no_memory(void **state)
{
    static const struct cla_rpc_server_events events = {count_text, count_request};
    const struct cla_rpc_limits limits = {8, 4};
    char text[1100] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\\n";
    size_t head = strlen(text);
    unsigned count = 0;

    memset(text + head, 'm', 1000);
    memcpy(text + head + 1000, "\"}", 2);
    mem_fault_after(0);
    assert_int_equal(cla_jsonrpc_read(cla_slice(text, head + 1002), &limits, &events, &count),
                     -CLA_ENOMEM);
    assert_true(mem_fault.failed);
    assert_int_equal(count, 0);
    assert_int_equal(cla_jsonrpc_read(cla_slice(text, head + 1002), &limits, &events, &count), 0);
    assert_int_equal(count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writers_that_fail_append_nothing),
        cmocka_unit_test(a_method_that_cannot_be_decoded_is_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
