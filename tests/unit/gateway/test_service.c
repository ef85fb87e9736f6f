/* What the service manager is told, and when it is told that the gateway lives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "gateway/heartbeat.h"

#define WORKERS 2

struct fixture {
    struct cla_service service;
    struct cla_log log;
    struct cla_loop loop;
    struct cla_heartbeat heartbeat;
    struct cla_survey *asked; /* the last, with a reference; NULL: none */
    unsigned questions;
    int manager; /* the socket that it reads */
    char folder[32], path[64], text[1024], logged[4096];
};

static struct fixture f;

static void listen_at(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    strcpy(address.sun_path, path);
    f.manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_true(f.manager >= 0);
    assert_int_equal(bind(f.manager, (struct sockaddr *)&address, sizeof address), 0);
}

static int setup(void **state)
{
    f = (struct fixture){.folder = "/tmp/cancela-test-XXXXXX"};
    f.log = (struct cla_log){.fd = memfd_create("log", MFD_CLOEXEC)};
    assert_non_null(mkdtemp(f.folder));
    snprintf(f.path, sizeof f.path, "%s/notify", f.folder);
    listen_at(f.path);
    setenv("NOTIFY_SOCKET", f.path, 1);
    unsetenv("WATCHDOG_PID");
    unsetenv("WATCHDOG_USEC");
    assert_int_equal(cla_loop_init(&f.loop), 0);
    cla_loop_use_virtual_time(&f.loop);
    return 0;
}

static int teardown(void **state)
{
    cla_heartbeat_stop(&f.heartbeat);
    if (f.asked != NULL)
        cla_survey_release(f.asked);
    cla_loop_fini(&f.loop);
    cla_service_fini(&f.service);
    close(f.manager);
    close(f.log.fd);
    unlink(f.path);
    return rmdir(f.folder);
}

static void init(void)
{
    assert_int_equal(cla_service_init(&f.service, &f.log), 0);
}

/* The next message; "" if there is none. */
static const char *heard(void)
{
    ssize_t n = recv(f.manager, f.text, sizeof f.text - 1, 0);

    f.text[n > 0 ? n : 0] = '\0';
    return f.text;
}

static const char *logged(void)
{
    ssize_t n = pread(f.log.fd, f.logged, sizeof f.logged - 1, 0);

    f.logged[n > 0 ? n : 0] = '\0';
    return f.logged;
}

/* --- Messages. --- */

static void ready_says_what_is_served(void **state)
{
    init();
    f.service.serving.procedures = 3;
    f.service.serving.generation = 7;
    f.service.serving.address = "127.0.0.1:3000";
    f.service.serving.addresses = 1;
    cla_service_ready(&f.service, NULL);
    assert_string_equal(heard(),
                        "READY=1\nSTATUS=serving 3 procedures on 127.0.0.1:3000, generation 7");
    f.service.serving.addresses = 3;
    cla_service_ready(&f.service, "the script does not load");
    assert_string_equal(heard(), "READY=1\nSTATUS=serving 3 procedures on 127.0.0.1:3000 and 2 "
                                 "more, generation 7; the script does not load");
    assert_string_equal(heard(), "");
}

static void status_is_one_line_whatever_is_in_it(void **state)
{
    char longest[2000];

    init();
    f.service.serving.address = "unix:/a\nMAINPID=1\r\x01";
    cla_service_ready(&f.service, NULL);
    assert_string_equal(heard(), "READY=1\nSTATUS=serving 0 procedures on "
                                 "unix:/a?MAINPID=1??, generation 0");
    memset(longest, 'x', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    cla_service_ready(&f.service, longest);
    assert_in_range(strlen(heard()), 500, 1000);
}

static void reloading_says_when(void **state)
{
    unsigned long long from, to, told;

    init();
    from = cla_clock_monotonic_ns() / 1000;
    cla_service_reloading(&f.service);
    to = cla_clock_monotonic_ns() / 1000;
    assert_int_equal(sscanf(heard(), "RELOADING=1\nMONOTONIC_USEC=%llu\nSTATUS=reloading", &told),
                     1);
    assert_in_range(told, from, to);
}

static void stopping_says_how_long_it_may_take(void **state)
{
    init();
    cla_service_stopping(&f.service, 34 * CLA_NS_PER_S);
    assert_string_equal(heard(), "STOPPING=1\nEXTEND_TIMEOUT_USEC=34000000\n"
                                 "STATUS=draining: calls that run may end");
}

static void without_a_manager_nobody_is_told_and_no_life_expected(void **state)
{
    unsetenv("NOTIFY_SOCKET");
    setenv("WATCHDOG_USEC", "1000", 1);
    init();
    assert_int_equal(f.service.watchdog_ns, 0);
    cla_service_ready(&f.service, NULL);
    cla_service_reloading(&f.service);
    cla_service_stopping(&f.service, 1);
    cla_service_alive(&f.service);
    assert_string_equal(heard(), "");
    assert_string_equal(logged(), "");
}

static void manager_that_does_not_read_is_not_waited_for_by_signs_of_life(void **state)
{
    unsigned told = 0;
    const char *line;

    init();
    for (int i = 0; i < 10000; i++)
        cla_service_alive(&f.service);
    line = strstr(logged(), "cannot be told that the gateway lives");
    assert_non_null(line);
    assert_null(strstr(line + 1, "cannot be told"));
    while (strcmp(heard(), "WATCHDOG=1") == 0)
        told++;
    assert_true(told > 0);
    cla_service_alive(&f.service);
    assert_string_equal(heard(), "WATCHDOG=1");
}

static void addresses_that_fit_are_taken(void **state)
{
    static const struct {
        size_t n;
        bool fits;
    } cases[] = {{107, true}, {108, false}, {1, false}};
    char path[128];

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        memset(path, 'x', sizeof path);
        path[0] = '@';
        path[cases[i].n] = '\0';
        setenv("NOTIFY_SOCKET", path, 1);
        init();
        assert_int_equal(f.service.fd >= 0, cases[i].fits);
        cla_service_fini(&f.service);
    }
    assert_non_null(strstr(logged(), "NOTIFY_SOCKET"));
}

/* --- Signs of life. --- */

static void ask(void *arg, struct cla_survey *survey)
{
    assert_ptr_equal(arg, &f);
    if (f.asked != NULL)
        cla_survey_release(f.asked);
    f.asked = cla_survey_hold(survey);
    f.questions++;
}

/* As the server does it when a worker has answered. */
static void answer(struct cla_survey *survey)
{
    survey->given++;
    cla_heartbeat_surveyed(&f.heartbeat, survey);
}

static void answer_all(void)
{
    for (unsigned i = 0; i < WORKERS; i++)
        answer(f.asked);
}

static void watch(const char *usec)
{
    setenv("WATCHDOG_USEC", usec, 1);
    init();
    cla_heartbeat_start(&f.heartbeat, &f.service, &f.loop, WORKERS, ask, &f);
}

static void pass_ms(uint64_t ms)
{
    f.loop.virtual_ns += ms * CLA_NS_PER_MS;
    cla_timers_fire(&f.loop.timers, f.loop.virtual_ns);
}

static void manager_is_told_when_all_workers_have_answered(void **state)
{
    watch("400000");
    assert_int_equal(f.questions, 1);
    answer(f.asked);
    assert_string_equal(heard(), "");
    answer(f.asked);
    assert_string_equal(heard(), "WATCHDOG=1");
    pass_ms(99);
    assert_int_equal(f.questions, 1);
    pass_ms(1);
    assert_int_equal(f.questions, 2);
    assert_string_equal(heard(), "");
    answer_all();
    assert_string_equal(heard(), "WATCHDOG=1");
}

static void worker_that_does_not_answer_lets_it_expire_and_is_told_of_once(void **state)
{
    watch("400000");
    answer_all();
    assert_string_equal(heard(), "WATCHDOG=1");
    pass_ms(100);
    for (int i = 0; i < 10; i++) {
        answer(f.asked); /* the other one does */
        pass_ms(100);
    }
    assert_string_equal(heard(), "");
    assert_non_null(strstr(logged(), "ends it in 0.2 s"));
    assert_null(strstr(strstr(logged(), "does not answer") + 1, "does not answer"));
    answer_all();
    assert_string_equal(heard(), "WATCHDOG=1");
}

static void answer_to_an_old_question_means_nothing(void **state)
{
    struct cla_survey *old;

    watch("400000");
    old = cla_survey_hold(f.asked);
    pass_ms(100);
    answer(old);
    answer(old);
    assert_string_equal(heard(), "");
    cla_survey_release(old);
    answer_all();
    assert_string_equal(heard(), "WATCHDOG=1");
}

static void nothing_is_asked_where_no_sign_is_expected(void **state)
{
    watch("0");
    pass_ms(10000);
    assert_int_equal(f.questions, 0);
}

static void shortest_interval_is_asked_in_every_millisecond(void **state)
{
    watch("1");
    for (int i = 0; i < 10; i++) {
        answer_all();
        pass_ms(1);
    }
    assert_int_equal(f.questions, 11);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(ready_says_what_is_served),
        TEST(status_is_one_line_whatever_is_in_it),
        TEST(reloading_says_when),
        TEST(stopping_says_how_long_it_may_take),
        TEST(without_a_manager_nobody_is_told_and_no_life_expected),
        TEST(manager_that_does_not_read_is_not_waited_for_by_signs_of_life),
        TEST(addresses_that_fit_are_taken),
        TEST(manager_is_told_when_all_workers_have_answered),
        TEST(worker_that_does_not_answer_lets_it_expire_and_is_told_of_once),
        TEST(answer_to_an_old_question_means_nothing),
        TEST(nothing_is_asked_where_no_sign_is_expected),
        TEST(shortest_interval_is_asked_in_every_millisecond),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
