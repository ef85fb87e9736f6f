/* Heads out: replies, requests, the Date line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "http/head.h"

static void assert_reply(const struct cla_http_reply *reply, const char *text)
{
    struct cla_buf buf = {0};

    assert_int_equal(cla_http_write_reply(&buf, reply), 0);
    assert_int_equal(cla_buf_push(&buf, '\0'), 0);
    assert_string_equal(buf.p, text);
    cla_buf_fini(&buf);
}

static void reply_has_type_length_date_and_more_fields(void **state)
{
    struct cla_http_reply reply = {.status = 200,
                                   .content_type = "application/json",
                                   .content_length = 1234567890123,
                                   .fields = CLA_LIT("X-A: b\r\n"),
                                   .date = CLA_LIT("Date: now\r\n")};

    assert_reply(&reply, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                         "Content-Length: 1234567890123\r\nDate: now\r\nX-A: b\r\n\r\n");
}

static void reply_without_type_has_length_zero(void **state)
{
    assert_reply(&(struct cla_http_reply){.status = 405},
                 "HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n");
}

static void bodiless_statuses_have_no_length(void **state)
{
    assert_reply(&(struct cla_http_reply){.status = 100}, "HTTP/1.1 100 Continue\r\n\r\n");
    assert_reply(&(struct cla_http_reply){.status = 204}, "HTTP/1.1 204 No Content\r\n\r\n");
    assert_reply(&(struct cla_http_reply){.status = 304}, "HTTP/1.1 304 Not Modified\r\n\r\n");
}

static void connection_says_close_or_keep_alive(void **state)
{
    assert_reply(&(struct cla_http_reply){.status = 400, .close = true, .keep_alive_1_0 = true},
                 "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    assert_reply(&(struct cla_http_reply){.status = 599, .keep_alive_1_0 = true},
                 "HTTP/1.1 599 Unknown\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n");
}

static void request_has_length_only_with_a_type(void **state)
{
    struct cla_http_request request = {
        .method = "POST", .target = CLA_LIT("/rpc"), .host = CLA_LIT("a:1"), .content_type = "b/c"};
    struct cla_buf buf = {0};

    assert_int_equal(cla_http_write_request(&buf, &request), 0);
    request.content_type = NULL;
    request.fields = CLA_LIT("X: y\r\n");
    assert_int_equal(cla_http_write_request(&buf, &request), 0);
    assert_int_equal(cla_buf_push(&buf, '\0'), 0);
    assert_string_equal(buf.p, "POST /rpc HTTP/1.1\r\nHost: a:1\r\nContent-Type: b/c\r\n"
                               "Content-Length: 0\r\n\r\n"
                               "POST /rpc HTTP/1.1\r\nHost: a:1\r\nX: y\r\n\r\n");
    cla_buf_fini(&buf);
}

static void reasons_are_known_or_unknown(void **state)
{
    assert_string_equal(cla_http_reason(404), "Not Found");
    assert_string_equal(cla_http_reason(499), "Client Closed Request");
    assert_string_equal(cla_http_reason(299), "Unknown");
}

static void date_is_rebuilt_when_the_second_changes(void **state)
{
    struct cla_http_date date = {0};
    uint64_t at = 784111777 * CLA_NS_PER_S; /* RFC 9110 section 5.6.7 */
    struct cla_slice line = cla_http_date_line(&date, at);

    assert_true(cla_slice_eq(line, CLA_LIT("Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n")));
    date.text[6] = 'X'; /* seen again: it was not rebuilt */
    line = cla_http_date_line(&date, at + CLA_NS_PER_S - 1);
    assert_true(cla_slice_eq(line, CLA_LIT("Date: Xun, 06 Nov 1994 08:49:37 GMT\r\n")));
    line = cla_http_date_line(&date, at + CLA_NS_PER_S);
    assert_true(cla_slice_eq(line, CLA_LIT("Date: Sun, 06 Nov 1994 08:49:38 GMT\r\n")));
}

static void date_of_second_zero_is_built(void **state)
{
    struct cla_http_date date = {0};
    struct cla_slice line = cla_http_date_line(&date, 0);

    assert_true(cla_slice_eq(line, CLA_LIT("Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reply_has_type_length_date_and_more_fields),
        cmocka_unit_test(reply_without_type_has_length_zero),
        cmocka_unit_test(bodiless_statuses_have_no_length),
        cmocka_unit_test(connection_says_close_or_keep_alive),
        cmocka_unit_test(request_has_length_only_with_a_type),
        cmocka_unit_test(reasons_are_known_or_unknown),
        cmocka_unit_test(date_is_rebuilt_when_the_second_changes),
        cmocka_unit_test(date_of_second_zero_is_built),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
