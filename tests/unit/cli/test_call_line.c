/* Lines of calls: how they are cut into words, and how they are read from files and pipes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/buf.h"
#include "cli/call_input.h"
#include "cli/call_line.h"

/* Joins the words with '|'; "!" and the reason if they are refused. */
static void split(const char *typed, char *to)
{
    char *line = strdup(typed), *words[CLA_CALL_WORDS_MAX];
    const char *why = NULL;
    int count = cla_call_line_split(line, words, &why);

    to[0] = '\0';
    if (count < 0)
        strcat(strcpy(to, "!"), why);
    for (int i = 0; i < count; i++)
        strcat(strcat(to, i > 0 ? "|" : ""), words[i]);
    free(line);
}

static void a_line_is_cut_into_words(void **state)
{
    static const struct {
        const char *line, *words;
    } cases[] = {
        {"", ""},
        {" \t\r", ""},
        {"# comment", ""},
        {"add", "add"},
        {"  add\ta=1   b=2 \r", "add|a=1|b=2"},
        {"add a=1 # comment", "add|a=1"},
        {"add a=1#2", "add|a=1#2"},
        {"add {\"a\": 1, \"b\": [1, 2]}", "add|{\"a\": 1, \"b\": [1, 2]}"},
        {"add a={\"b\": [1, 2]} c=3", "add|a={\"b\": [1, 2]}|c=3"},
        {"add a=\"x y\" b='x y'", "add|a=\"x y\"|b=x y"},
        {"add 'a=x y'", "add|a=x y"},
        {"add a=\"x \\\" y\"", "add|a=\"x \\\" y\""},
        {"add a=\"it's\" {\"b\": \"it's # }\"}", "add|a=\"it's\"|{\"b\": \"it's # }\"}"},
        {"add [\"]\" , 1] b", "add|[\"]\" , 1]|b"},
        {"add a=] b", "add|a=]|b"},
        {"add ''", "add|"},
        {"add a=\"", "!a quote is not closed"},
        {"add a=\"\\", "!a quote is not closed"},
        {"add a='it", "!a quote is not closed"},
    };
    char words[128];

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        split(cases[i].line, words);
        assert_string_equal(words, cases[i].words);
    }
}

static void a_line_has_256_words_at_most(void **state)
{
    char line[2 * CLA_CALL_WORDS_MAX + 3], *words[CLA_CALL_WORDS_MAX];
    const char *why;

    for (int more = 0; more < 2; more++) {
        int n = CLA_CALL_WORDS_MAX + more;

        for (int i = 0; i < n; i++)
            memcpy(line + 2 * i, "a ", 2);
        line[2 * n] = '\0';
        assert_int_equal(cla_call_line_split(line, words, &why),
                         more == 0 ? CLA_CALL_WORDS_MAX : -1);
    }
}

struct fixture {
    struct cla_loop loop;
    struct cla_call_input input;
    int fds[2]; /* of a pipe: the input reads the first */
    unsigned wakes;
};

static void on_more(void *arg)
{
    ((struct fixture *)arg)->wakes++;
}

static int set_up(void **state)
{
    static struct fixture f;

    f = (struct fixture){0};
    assert_int_equal(cla_loop_init(&f.loop), 0);
    assert_int_equal(pipe(f.fds), 0);
    cla_call_input_init(&f.input, &f.loop, f.fds[0], on_more, &f);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    cla_call_input_fini(&f->input);
    cla_loop_fini(&f->loop);
    close(f->fds[0]);
    if (f->fds[1] >= 0)
        close(f->fds[1]);
    return 0;
}

static void type(struct fixture *f, const char *text)
{
    assert_int_equal(write(f->fds[1], text, strlen(text)), strlen(text));
}

static void assert_line(struct fixture *f, const char *expected)
{
    char *line;

    assert_int_equal(cla_call_input_line(&f->input, &line), CLA_CALL_INPUT_LINE);
    assert_string_equal(line, expected);
}

static void a_pipe_gives_lines_as_they_come(void **state)
{
    struct fixture *f = *state;
    char *line;

    type(f, "a b\n\nhalf");
    assert_line(f, "a b");
    assert_line(f, "");
    assert_int_equal(cla_call_input_line(&f->input, &line), CLA_CALL_INPUT_WAIT);
    assert_int_equal(f->wakes, 0);
    type(f, " a line\nlast");
    cla_loop_step(&f->loop, true);
    assert_int_equal(f->wakes, 1);
    assert_line(f, "half a line");
    assert_int_equal(f->input.line, 3);
    close(f->fds[1]);
    f->fds[1] = -1;
    assert_line(f, "last");
    assert_int_equal(cla_call_input_line(&f->input, &line), CLA_CALL_INPUT_END);
    assert_int_equal(cla_call_input_line(&f->input, &line), CLA_CALL_INPUT_END);
}

static void the_descriptor_stays_blocking(void **state)
{
    struct fixture *f = *state;

    assert_true(f->input.polled);
    assert_int_equal(fcntl(f->fds[0], F_GETFL) & O_NONBLOCK, 0);
}

static void a_regular_file_is_read_without_waiting(void **state)
{
    struct fixture *f = *state;
    struct cla_call_input input;
    FILE *file = tmpfile();
    char *line;

    fputs("one\r\ntwo", file);
    rewind(file);
    cla_call_input_init(&input, &f->loop, fileno(file), on_more, f);
    assert_int_equal(cla_call_input_line(&input, &line), CLA_CALL_INPUT_LINE);
    assert_string_equal(line, "one\r");
    assert_int_equal(cla_call_input_line(&input, &line), CLA_CALL_INPUT_LINE);
    assert_string_equal(line, "two");
    assert_int_equal(cla_call_input_line(&input, &line), CLA_CALL_INPUT_END);
    cla_call_input_fini(&input);
    fclose(file);
}

static void a_nul_shows_in_the_length(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(write(f->fds[1], "a\0b\n", 4), 4);
    assert_line(f, "a");
    assert_int_equal(f->input.line_bytes, 3);
}

static void what_cannot_be_read_says_why(void **state)
{
    struct fixture *f = *state;
    struct cla_call_input input;
    char *line;
    int folder = open("/", O_RDONLY);

    cla_call_input_init(&input, &f->loop, folder, on_more, f);
    assert_int_equal(cla_call_input_line(&input, &line), CLA_CALL_INPUT_FAILED);
    assert_int_equal(errno, EISDIR);
    cla_call_input_fini(&input);
    close(folder);
}

static struct {
    int fd;
    volatile sig_atomic_t ticks;
} alarm_;

/* Long after the test it writes a line, so that a reader that waits fails instead of hanging. */
static void on_alarm(int number)
{
    if (++alarm_.ticks == 20000 && write(alarm_.fd, "stuck\n", 6) != 6)
        abort();
}

/* Poll fails where a signal comes, and then there is nothing to read. */
static void signals_do_not_make_it_wait_in_read(void **state)
{
    const struct itimerval often = {{0, 100}, {0, 100}}, never = {{0, 0}, {0, 0}};
    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART}, before;
    struct fixture *f = *state;
    char *line;

    alarm_.fd = f->fds[1];
    alarm_.ticks = 0;
    sigaction(SIGALRM, &action, &before);
    setitimer(ITIMER_REAL, &often, NULL);
    while (alarm_.ticks < 2000)
        assert_int_equal(cla_call_input_line(&f->input, &line), CLA_CALL_INPUT_WAIT);
    setitimer(ITIMER_REAL, &never, NULL);
    sigaction(SIGALRM, &before, NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_is_cut_into_words),
        cmocka_unit_test(a_line_has_256_words_at_most),
        TEST(a_pipe_gives_lines_as_they_come),
        TEST(the_descriptor_stays_blocking),
        TEST(a_regular_file_is_read_without_waiting),
        TEST(a_nul_shows_in_the_length),
        TEST(signals_do_not_make_it_wait_in_read),
        TEST(what_cannot_be_read_says_why),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
