/* Log lines, read back through a pipe. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <ctype.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

struct fixture {
    int fds[2]; /* a pipe: read end, write end */
    struct cla_log log;
    char text[8192]; /* what was written */
};

static int setup(void **state)
{
    static struct fixture fixture;

    if (pipe(fixture.fds) != 0)
        return -1;
    fixture.log = (struct cla_log){.fd = fixture.fds[1], .level = CLA_LOG_INFO};
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    close(f->fds[0]);
    return 0;
}

/* Everything written so far; nothing can be written afterwards. */
static const char *written(struct fixture *f)
{
    size_t n = 0;
    ssize_t got;

    close(f->fds[1]);
    while ((got = read(f->fds[0], f->text + n, sizeof f->text - 1 - n)) > 0)
        n += (size_t)got;
    f->text[n] = '\0';
    return f->text;
}

/* The line behind its time, whose shape is checked. */
static const char *behind_time(const char *line)
{
    const char *shape = "dddd-dd-ddTdd:dd:dd.dddZ ";

    for (; *shape != '\0'; shape++, line++) {
        if (*shape == 'd')
            assert_true(isdigit((unsigned char)*line));
        else
            assert_int_equal(*line, *shape);
    }
    return line;
}

static void a_line_has_time_level_and_text(void **state)
{
    struct fixture *f = *state;

    cla_log_line(&f->log, CLA_LOG_WARN, "port %d is %s", 80, "taken");
    assert_string_equal(behind_time(written(f)), "WARN  port 80 is taken\n");
}

static void lines_below_the_level_are_dropped(void **state)
{
    struct fixture *f = *state;

    f->log.level = CLA_LOG_WARN;
    assert_false(cla_log_wants(&f->log, CLA_LOG_INFO));
    assert_true(cla_log_wants(&f->log, CLA_LOG_WARN));
    cla_log_line(&f->log, CLA_LOG_DEBUG, "a");
    cla_log_line(&f->log, CLA_LOG_INFO, "b");
    cla_log_line(&f->log, CLA_LOG_WARN, "c");
    assert_string_equal(behind_time(written(f)), "WARN  c\n");
}

static void off_drops_errors_too(void **state)
{
    struct fixture *f = *state;

    f->log.level = CLA_LOG_OFF;
    cla_log_line(&f->log, CLA_LOG_ERROR, "a");
    assert_string_equal(written(f), "");
}

static void level_names_are_found(void **state)
{
    enum cla_log_level level;

    assert_true(cla_log_level_by_name(CLA_LIT("debug"), &level));
    assert_int_equal(level, CLA_LOG_DEBUG);
    assert_true(cla_log_level_by_name(CLA_LIT("off"), &level));
    assert_int_equal(level, CLA_LOG_OFF);
    assert_false(cla_log_level_by_name(CLA_LIT("INFO"), &level));
    assert_false(cla_log_level_by_name(CLA_LIT(""), &level));
}

static void control_characters_are_escaped(void **state)
{
    struct fixture *f = *state;

    cla_log_line(&f->log, CLA_LOG_INFO,
                 "a\rb\x1b[31m\x7f\xc2\x9b"
                 "c\xff\xc3\xa4");
    assert_string_equal(behind_time(written(f)),
                        "INFO  a\\x0db\\x1b[31m\\x7f\\xc2\\x9bc\\xff\xc3\xa4\n");
}

static void line_feeds_become_indented_lines(void **state)
{
    struct fixture *f = *state;

    cla_log_line(&f->log, CLA_LOG_INFO, "boom\n\tat f\nend");
    assert_string_equal(behind_time(written(f)), "INFO  boom\n        at f\n    end\n");
}

static void plain_values_stand_as_they_are_and_others_are_quoted(void **state)
{
    static const struct {
        struct cla_slice value;
        const char *expected;
    } cases[] = {
        {CLA_LIT("/rpc"), " k=/rpc"},
        {CLA_LIT(""), " k=\"\""},
        {CLA_LIT("a b"), " k=\"a b\""},
        {CLA_LIT("a=b"), " k=\"a=b\""},
        {CLA_LIT("say \"hi\""), " k=\"say \\\"hi\\\"\""},
        {CLA_LIT("C:\\x"), " k=\"C:\\\\x\""},
        {CLA_LIT("a\nb"), " k=\"a\\x0ab\""},
        {CLA_LIT("a\0b"), " k=\"a\\x00b\""},
        {CLA_LIT("\xc3\xa4"), " k=\"\xc3\xa4\""},
        {CLA_LIT("\xc3"), " k=\"\\xc3\""},
        {CLA_LIT("\xe2\x80\xa8"), " k=\"\xe2\x80\xa8\""},
    };

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        struct cla_buf buf = {0};

        cla_log_value(&buf, CLA_LIT("k"), cases[i].value);
        assert_int_equal(cla_buf_push(&buf, '\0'), 0);
        assert_string_equal(buf.p, cases[i].expected);
        cla_buf_fini(&buf);
    }
}

static void values_are_cut_at_one_kib(void **state)
{
    struct cla_buf buf = {0};
    char value[1025];

    memset(value, 'v', sizeof value);
    cla_log_value(&buf, CLA_LIT("k"), cla_slice(value, 1024));
    assert_int_equal(buf.n, 3 + 1024);
    buf.n = 0;
    cla_log_value(&buf, CLA_LIT("k"), cla_slice(value, 1025));
    assert_int_equal(buf.n, 3 + 1024);
    cla_buf_fini(&buf);
}

static void several_lines_leave_in_one_write(void **state)
{
    struct fixture *f = *state;
    struct cla_buf buf = {0};
    const char *second;

    cla_log_begin(&f->log, &buf, CLA_LOG_INFO);
    cla_log_value(&buf, CLA_LIT("n"), CLA_LIT("1"));
    cla_log_end(&buf);
    cla_log_begin(&f->log, &buf, CLA_LOG_ERROR);
    cla_log_value(&buf, CLA_LIT("n"), CLA_LIT("2"));
    cla_log_end(&buf);
    cla_log_flush(&f->log, &buf);
    assert_int_equal(buf.n, 0);
    second = strchr(written(f), '\n') + 1;
    assert_memory_equal(behind_time(f->text), "INFO  n=1\n", 10);
    assert_string_equal(behind_time(second), "ERROR n=2\n");
    cla_buf_fini(&buf);
}

/* The digits of the milliseconds of the line at 'p'. */
static int stamp_of(const char *p)
{
    return atoi(p + strlen("2026-01-31T12:00:00."));
}

static void lines_begun_at_a_known_time_share_their_stamp_for_a_millisecond(void **state)
{
    struct fixture *f = *state;
    struct cla_buf buf = {0};
    uint64_t from = cla_clock_wall_ns(), now = 1000;
    int first;

    cla_log_begin_at(&f->log, &buf, CLA_LOG_INFO, now);
    first = stamp_of(buf.p);
    assert_in_range((first + 1000 - (int)(from / CLA_NS_PER_MS % 1000)) % 1000, 0, 500);
    assert_in_range(f->log.stamp_until_ns, now + 1, now + CLA_NS_PER_MS);
    while (cla_clock_wall_ns() < from + 2 * CLA_NS_PER_MS)
        continue;
    buf.n = 0;
    cla_log_begin_at(&f->log, &buf, CLA_LOG_INFO, f->log.stamp_until_ns - 1);
    assert_int_equal(stamp_of(buf.p), first);
    buf.n = 0;
    cla_log_begin_at(&f->log, &buf, CLA_LOG_INFO, f->log.stamp_until_ns);
    assert_int_not_equal(stamp_of(buf.p), first);
    cla_buf_fini(&buf);
}

static void a_closed_log_loses_lines_and_nothing_else(void **state)
{
    struct cla_log log = {.fd = -1, .level = CLA_LOG_INFO};
    struct cla_buf buf = {0};

    assert_int_equal(cla_buf_append(&buf, "x\n", 2), 0);
    cla_log_flush(&log, &buf);
    assert_int_equal(buf.n, 0);
    cla_buf_fini(&buf);
}

#define WRITERS 3
#define FLUSHES 200
#define LINE 9000 /* more than a pipe takes in one piece */

struct writer {
    struct cla_log log;
    pthread_t thread;
    char letter;
};

static void *write_lines(void *arg)
{
    struct writer *writer = arg;
    struct cla_buf buf = {0};
    char line[LINE];

    memset(line, writer->letter, sizeof line);
    line[LINE - 1] = '\n';
    for (int i = 0; i < FLUSHES; i++) {
        if (cla_buf_append(&buf, line, sizeof line) == 0)
            cla_log_flush(&writer->log, &buf);
    }
    cla_buf_fini(&buf);
    return NULL;
}

static void lines_of_several_threads_do_not_mix(void **state)
{
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    struct writer writers[WRITERS];
    char line[LINE];
    int fds[2];

    assert_int_equal(pipe(fds), 0);
    for (int i = 0; i < WRITERS; i++) {
        writers[i] =
            (struct writer){.log = {.fd = fds[1], .lock = &lock}, .letter = (char)('a' + i)};
        assert_int_equal(pthread_create(&writers[i].thread, NULL, write_lines, &writers[i]), 0);
    }
    for (int i = 0; i < WRITERS * FLUSHES; i++) {
        size_t n = 0;

        while (n < LINE)
            n += (size_t)read(fds[0], line + n, LINE - n);
        for (size_t at = 0; at < LINE - 1; at++)
            assert_int_equal(line[at], line[0]);
        assert_int_equal(line[LINE - 1], '\n');
    }
    for (int i = 0; i < WRITERS; i++)
        pthread_join(writers[i].thread, NULL);
    close(fds[0]);
    close(fds[1]);
}

#define WITH_PIPE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_PIPE(a_line_has_time_level_and_text),
        WITH_PIPE(lines_below_the_level_are_dropped),
        WITH_PIPE(off_drops_errors_too),
        cmocka_unit_test(level_names_are_found),
        WITH_PIPE(control_characters_are_escaped),
        WITH_PIPE(line_feeds_become_indented_lines),
        cmocka_unit_test(plain_values_stand_as_they_are_and_others_are_quoted),
        cmocka_unit_test(values_are_cut_at_one_kib),
        WITH_PIPE(several_lines_leave_in_one_write),
        WITH_PIPE(lines_begun_at_a_known_time_share_their_stamp_for_a_millisecond),
        cmocka_unit_test(lines_of_several_threads_do_not_mix),
        cmocka_unit_test(a_closed_log_loses_lines_and_nothing_else),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
