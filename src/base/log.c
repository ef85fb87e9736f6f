#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/utf8.h"

#define VALUE_MAX 1024

static const char *const names[] = {"debug", "info", "warn", "error", "off"};
static const char tags[][6] = {"DEBUG", "INFO ", "WARN ", "ERROR", "OFF  "};

bool cla_log_level_by_name(struct cla_slice name, enum cla_log_level *level)
{
    for (unsigned i = 0; i < CLA_ARRAY_LEN(names); i++) {
        if (cla_slice_eq(name, cla_slice_str(names[i]))) {
            *level = (enum cla_log_level)i;
            return true;
        }
    }
    return false;
}

const char *cla_log_level_name(enum cla_log_level level)
{
    return names[level];
}

/* The time to the millisecond; most lines share it with the one before. Returns how long it is the
 * time. */
static uint64_t refresh_stamp(struct cla_log *log)
{
    uint64_t ns = cla_clock_wall_ns(), ms = ns / CLA_NS_PER_MS;
    uint64_t left_ns = CLA_NS_PER_MS - ns % CLA_NS_PER_MS;
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;
    size_t n;

    if (ms == log->stamp_ms)
        return left_ns;
    gmtime_r(&seconds, &tm);
    n = strftime(log->stamp, sizeof log->stamp, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(log->stamp + n, sizeof log->stamp - n, ".%03uZ ", (unsigned)(ms % 1000));
    log->stamp_n = strlen(log->stamp);
    log->stamp_ms = ms;
    return left_ns;
}

static void add_stamp(const struct cla_log *log, struct cla_buf *buf, enum cla_log_level level)
{
    (void)cla_buf_append(buf, log->stamp, log->stamp_n);
    (void)cla_buf_append(buf, tags[level], sizeof tags[level] - 1);
}

void cla_log_begin(struct cla_log *log, struct cla_buf *buf, enum cla_log_level level)
{
    (void)refresh_stamp(log);
    add_stamp(log, buf, level);
}

void cla_log_begin_at(struct cla_log *log, struct cla_buf *buf, enum cla_log_level level,
                      uint64_t now_ns)
{
    if (now_ns >= log->stamp_until_ns)
        log->stamp_until_ns = now_ns + refresh_stamp(log);
    add_stamp(log, buf, level);
}

/* The bytes at p[0..n) that may stand in a log line as they are: 0 if the first needs escaping. */
static unsigned printable(const char *p, size_t n)
{
    unsigned char c = (unsigned char)*p;

    if (c >= 0x80) {
        unsigned length = cla_utf8_sequence(p, n);

        /* U+0080..009F are control characters too, and some terminals obey them. */
        return c == 0xc2 && length == 2 && (unsigned char)p[1] < 0xa0 ? 0 : length;
    }
    return c >= 0x20 && c != 0x7f;
}

static void escape(struct cla_buf *buf, struct cla_slice s, bool quoted)
{
    for (size_t i = 0; i < s.n;) {
        unsigned length = printable(s.p + i, s.n - i);

        if (length == 0) {
            (void)cla_buf_printf(buf, "\\x%02x", (unsigned char)s.p[i]);
            i++;
            continue;
        }
        if (quoted && (s.p[i] == '"' || s.p[i] == '\\'))
            (void)cla_buf_push(buf, '\\');
        (void)cla_buf_append(buf, s.p + i, length);
        i += length;
    }
}

/* Of ASCII: no control character, no space, none that has a meaning in a line. */
static bool is_plain(unsigned char c)
{
#define BIT(c) (UINT64_C(1) << ((c) % 64))
    static const uint64_t plain[4] = {
        ~(BIT('!') - 1) & ~BIT('"') & ~BIT('='),
        ~BIT('\\') & ~BIT(0x7f),
    };

    return (plain[c / 64] >> c % 64 & 1) != 0;
#undef BIT
}

/* Writes 'value' as long as it needs no quotes; false: it does, or is empty. */
static bool put_plain(char *at, struct cla_slice value)
{
    for (size_t i = 0; i < value.n; i++) {
        if (!is_plain((unsigned char)value.p[i]))
            return false;
        at[i] = value.p[i];
    }
    return value.n > 0;
}

void cla_log_value(struct cla_buf *buf, struct cla_slice key, struct cla_slice value)
{
    char *at;

    if (value.n > VALUE_MAX)
        value.n = VALUE_MAX;
    if (cla_buf_reserve(buf, key.n + value.n + 3) != 0)
        return;
    at = buf->p + buf->n;
    *at++ = ' ';
    memcpy(at, key.p, key.n);
    at += key.n;
    *at++ = '=';
    buf->n += key.n + 2;
    if (put_plain(at, value)) {
        buf->n += value.n;
        return;
    }
    (void)cla_buf_push(buf, '"');
    escape(buf, value, true);
    (void)cla_buf_push(buf, '"');
}

void cla_log_end(struct cla_buf *buf)
{
    (void)cla_buf_push(buf, '\n');
}

static void write_all(const struct cla_log *log, const struct cla_buf *buf)
{
    size_t done = 0;

    while (done < buf->n) {
        ssize_t n = write(log->fd, buf->p + done, buf->n - done);

        if (n > 0)
            done += (size_t)n;
        else if (errno != EINTR)
            break; /* nowhere left to say so: the lines are lost, the calls are not */
    }
}

void cla_log_flush(struct cla_log *log, struct cla_buf *buf)
{
    if (log->lock != NULL)
        pthread_mutex_lock(log->lock);
    write_all(log, buf);
    if (log->lock != NULL)
        pthread_mutex_unlock(log->lock);
    buf->n = 0;
}

void cla_log_line(struct cla_log *log, enum cla_log_level level, const char *format, ...)
{
    struct cla_buf text = {0}, line = {0};
    struct cla_slice rest, part;
    va_list args;
    int n;

    if (!cla_log_wants(log, level))
        return;
    va_start(args, format);
    n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n < 0 || cla_buf_reserve(&text, (size_t)n + 1) != 0)
        return;
    va_start(args, format);
    vsnprintf(text.p, (size_t)n + 1, format, args);
    va_end(args);

    cla_log_begin(log, &line, level);
    (void)cla_buf_push(&line, ' ');
    rest = cla_slice(text.p, (size_t)n);
    for (bool first = true; rest.n > 0; first = false) {
        const char *feed = memchr(rest.p, '\n', rest.n);

        part = cla_slice(rest.p, feed != NULL ? (size_t)(feed - rest.p) : rest.n);
        if (!first)
            (void)cla_buf_append(&line, "\n    ", 5);
        while (part.n > 0 && *part.p == '\t') { /* tracebacks indent with tabs */
            (void)cla_buf_append(&line, "    ", 4);
            rest.p++, rest.n--, part.p++, part.n--;
        }
        escape(&line, part, false);
        part.n += feed != NULL;
        rest = cla_slice(rest.p + part.n, rest.n - part.n);
    }
    cla_log_end(&line);
    if (log->pending != NULL)
        cla_log_flush(log, log->pending);
    cla_log_flush(log, &line);
    cla_buf_fini(&line);
    cla_buf_fini(&text);
}
