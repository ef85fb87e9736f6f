/* Sockets that are passed: what the environment says of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "gateway/passed.h"

#define FIRST 3
#define OPEN 3 /* descriptors from there on, in each test */

static int setup(void **state)
{
    (void)state;
    for (int i = 0; i < OPEN; i++) {
        assert_int_equal(dup2(STDIN_FILENO, FIRST + i), FIRST + i);
        assert_int_equal(fcntl(FIRST + i, F_SETFD, 0), 0);
    }
    close(FIRST + OPEN);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (int i = 0; i < OPEN; i++)
        close(FIRST + i);
    return 0;
}

static void put(const char *pid, const char *count, const char *names)
{
    setenv("LISTEN_PID", pid, 1);
    setenv("LISTEN_FDS", count, 1);
    if (names != NULL)
        setenv("LISTEN_FDNAMES", names, 1);
}

static const char *own_pid(void)
{
    static char text[32];

    snprintf(text, sizeof text, "%d", (int)getpid());
    return text;
}

static void require_name(const struct cla_passed *passed, unsigned at, const char *name)
{
    assert_true(cla_slice_eq(cla_passed_name(passed, at), cla_slice_str(name)));
}

static void none_are_passed_to_who_was_started_by_hand(void **state)
{
    struct cla_passed passed;

    assert_int_equal(cla_passed_take(&passed), 0);
    assert_int_equal(passed.count, 0);
    assert_false(passed.others);
    cla_passed_fini(&passed);
}

static void those_of_this_process_are_taken_and_nobody_inherits_them(void **state)
{
    struct cla_passed passed;

    put(own_pid(), "2", "web:admin");
    assert_int_equal(cla_passed_take(&passed), 0);
    assert_int_equal(passed.count, 2);
    assert_int_equal(cla_passed_fd(&passed, 1), 4);
    require_name(&passed, 0, "web");
    require_name(&passed, 1, "admin");
    assert_int_equal(fcntl(3, F_GETFD), FD_CLOEXEC);
    assert_int_equal(fcntl(4, F_GETFD), FD_CLOEXEC);
    assert_int_equal(fcntl(5, F_GETFD), 0);
    assert_null(getenv("LISTEN_PID"));
    assert_null(getenv("LISTEN_FDS"));
    assert_null(getenv("LISTEN_FDNAMES"));
    cla_passed_fini(&passed);
}

static void those_without_a_name_are_unknown(void **state)
{
    struct cla_passed passed;

    put(own_pid(), "1", NULL);
    assert_int_equal(cla_passed_take(&passed), 0);
    require_name(&passed, 0, "unknown");
    cla_passed_fini(&passed);
    put(own_pid(), "3", "a:");
    assert_int_equal(cla_passed_take(&passed), 0);
    require_name(&passed, 0, "a");
    require_name(&passed, 1, "unknown");
    require_name(&passed, 2, "unknown");
    cla_passed_fini(&passed);
}

static void those_of_another_process_stay_as_they_are(void **state)
{
    struct cla_passed passed;

    put("1", "2", "a:b");
    assert_int_equal(cla_passed_take(&passed), 0);
    assert_int_equal(passed.count, 0);
    assert_true(passed.others);
    assert_int_equal(fcntl(3, F_GETFD), 0);
    assert_null(getenv("LISTEN_FDS"));
    cla_passed_fini(&passed);
}

static void what_is_not_open_does_not_count(void **state)
{
    struct cla_passed passed;

    put(own_pid(), "2147483644", NULL);
    assert_int_equal(cla_passed_take(&passed), 0);
    assert_int_equal(passed.count, OPEN);
    cla_passed_fini(&passed);
}

static void nonsense_is_no_socket(void **state)
{
    static const char *const counts[] = {"",   "0",  "-1",         "+1",
                                         " 1", "1x", "2147483645", "99999999999999999999999"};
    struct cla_passed passed;

    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        put(own_pid(), counts[i], "a");
        assert_int_equal(cla_passed_take(&passed), 0);
        assert_int_equal(passed.count, 0);
        assert_false(passed.others);
        cla_passed_fini(&passed);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(none_are_passed_to_who_was_started_by_hand),
        TEST(those_of_this_process_are_taken_and_nobody_inherits_them),
        TEST(those_without_a_name_are_unknown),
        TEST(those_of_another_process_stay_as_they_are),
        TEST(what_is_not_open_does_not_count),
        TEST(nonsense_is_no_socket),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
