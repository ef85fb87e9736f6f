#include "http/head.h"

#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "base/error.h"

struct cla_slice cla_http_date_line(struct cla_http_date *date, uint64_t wall_ns)
{
    static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    uint64_t second = wall_ns / CLA_NS_PER_S;
    time_t when = (time_t)second;
    struct tm tm;

    if (date->n == 0 || date->second != second) {
        CLA_PRE(gmtime_r(&when, &tm) != NULL);
        date->n = (size_t)snprintf(date->text, sizeof(date->text),
                                   "Date: %s, %02d %s %04d %02d:%02d:%02d GMT\r\n",
                                   days[tm.tm_wday], tm.tm_mday, months[tm.tm_mon],
                                   tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
        date->second = second;
    }
    return cla_slice(date->text, date->n);
}

static const struct {
    int status;
    const char *text;
} reasons[] = {
    {100, "Continue"},
    {101, "Switching Protocols"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {206, "Partial Content"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {426, "Upgrade Required"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {499, "Client Closed Request"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
};

const char *cla_http_reason(int status)
{
    for (size_t i = 0; i < CLA_ARRAY_LEN(reasons); i++) {
        if (reasons[i].status == status)
            return reasons[i].text;
    }
    return "Unknown";
}

/* The writers below copy into room that was reserved for the whole head: no check per piece. */
static void put(struct cla_buf *buf, struct cla_slice s)
{
    if (s.n > 0)
        memcpy(buf->p + buf->n, s.p, s.n);
    buf->n += s.n;
}

static void put_number(struct cla_buf *buf, uint64_t number)
{
    char digits[20];
    size_t at = sizeof(digits);

    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    put(buf, cla_slice(digits + at, sizeof(digits) - at));
}

static void put_type_and_length(struct cla_buf *buf, struct cla_slice type, bool has_length,
                                uint64_t length)
{
    if (type.n > 0) {
        put(buf, CLA_LIT("Content-Type: "));
        put(buf, type);
        put(buf, CLA_LIT("\r\n"));
    }
    if (has_length) {
        put(buf, CLA_LIT("Content-Length: "));
        put_number(buf, length);
        put(buf, CLA_LIT("\r\n"));
    }
}

static void put_status_line(struct cla_buf *buf, int status)
{
    if (status == 200) {
        put(buf, CLA_LIT("HTTP/1.1 200 OK\r\n"));
        return;
    }
    put(buf, CLA_LIT("HTTP/1.1 "));
    put_number(buf, (uint64_t)status);
    put(buf, CLA_LIT(" "));
    put(buf, cla_slice_str(cla_http_reason(status)));
    put(buf, CLA_LIT("\r\n"));
}

static struct cla_slice optional(const char *text)
{
    return text != NULL ? cla_slice_str(text) : cla_slice(NULL, 0);
}

#define FIXED_MAX 256 /* more than all fixed text, numbers and a reason phrase together */

int cla_http_write_reply(struct cla_buf *buf, const struct cla_http_reply *reply)
{
    struct cla_slice type = optional(reply->content_type);
    bool bodiless = reply->status < 200 || reply->status == 204 || reply->status == 304;

    CLA_PRE(reply->status >= 100 && reply->status <= 599);
    if (cla_buf_reserve(buf, FIXED_MAX + type.n + reply->date.n + reply->fields.n) != 0)
        return -CLA_ENOMEM;
    put_status_line(buf, reply->status);
    put_type_and_length(buf, type, !bodiless && !reply->unsized, reply->content_length);
    if (reply->chunked)
        put(buf, CLA_LIT("Transfer-Encoding: chunked\r\n"));
    put(buf, reply->date);
    put(buf, reply->fields);
    if (reply->close)
        put(buf, CLA_LIT("Connection: close\r\n"));
    else if (reply->keep_alive_1_0)
        put(buf, CLA_LIT("Connection: keep-alive\r\n"));
    put(buf, CLA_LIT("\r\n"));
    return 0;
}

int cla_http_write_request(struct cla_buf *buf, const struct cla_http_request *request)
{
    struct cla_slice method = cla_slice_str(request->method);
    struct cla_slice type = optional(request->content_type);
    size_t sizes = method.n + request->target.n + request->host.n + type.n + request->fields.n;

    if (cla_buf_reserve(buf, FIXED_MAX + sizes) != 0)
        return -CLA_ENOMEM;
    put(buf, method);
    put(buf, CLA_LIT(" "));
    put(buf, request->target);
    put(buf, CLA_LIT(" HTTP/1.1\r\nHost: "));
    put(buf, request->host);
    put(buf, CLA_LIT("\r\n"));
    put_type_and_length(buf, type, type.n > 0, request->content_length);
    put(buf, request->fields);
    put(buf, CLA_LIT("\r\n"));
    return 0;
}
