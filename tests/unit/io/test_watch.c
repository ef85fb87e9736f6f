/* Watching files, on a virtual clock: what the system tells comes at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/syscall.h>

#include "base/error.h"
#include "file_fixture.h"
#include "io/watch.h"

/* --- inotify, which can be made to fail. --- */

static int fail_init, fail_add; /* errno; 0: it does not fail */

int inotify_init1(int flags)
{
    errno = fail_init;
    return fail_init != 0 ? -1 : (int)syscall(SYS_inotify_init1, flags);
}

int inotify_add_watch(int fd, const char *path, uint32_t mask)
{
    errno = fail_add;
    return fail_add != 0 ? -1 : (int)syscall(SYS_inotify_add_watch, fd, path, mask);
}

/* --- The fixture. --- */

struct fixture {
    struct cla_loop loop;
    struct cla_log log;
    struct cla_watch watch;
    struct cla_file_set *set;
    FILE *lines;
    unsigned changes;
    char last[64]; /* path that has changed */
};

static void on_change(void *arg, const char *path)
{
    struct fixture *f = arg;

    f->changes++;
    snprintf(f->last, sizeof f->last, "%s", path);
}

static void open_watch(struct fixture *f)
{
    assert_int_equal(cla_watch_open(&f->watch, &f->loop, &f->log, on_change, f), 0);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    if (file_fixture_set_up() != 0 || cla_loop_init(&f->loop) != 0 ||
        cla_file_set_new(&f->set) != 0)
        return -1;
    cla_loop_use_virtual_time(&f->loop);
    f->lines = tmpfile();
    f->log = (struct cla_log){.fd = fileno(f->lines), .level = CLA_LOG_INFO};
    fail_init = fail_add = 0;
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    cla_watch_close(&f->watch);
    cla_file_set_put(f->set);
    cla_loop_fini(&f->loop);
    fclose(f->lines);
    free(f);
    return file_fixture_tear_down();
}

/* Takes up what has happened, then lets so much time pass. */
static void pass(struct fixture *f, unsigned ms)
{
    cla_loop_step(&f->loop, false);
    f->loop.virtual_ns += ms * CLA_NS_PER_MS;
    cla_loop_step(&f->loop, false);
}

/* Opens the watch of 'paths', of which nothing has changed since. */
static void watch(struct fixture *f, const char *const *paths, size_t count)
{
    open_watch(f);
    for (size_t i = 0; i < count; i++)
        cla_file_set_note(f->set, paths[i]);
    cla_watch_set(&f->watch, f->set);
    pass(f, 50);
    assert_int_equal(f->changes, 0);
}

static void watch_one(struct fixture *f, const char *path)
{
    watch(f, &path, 1);
}

static void expect(struct fixture *f, const char *path)
{
    f->changes = 0;
    pass(f, 50);
    if (f->changes != 1)
        fail_msg("%u changes instead of one of %s", f->changes, path);
    assert_string_equal(f->last, path);
}

static void expect_nothing(struct fixture *f)
{
    f->changes = 0;
    cla_loop_step(&f->loop, false);
    assert_false(cla_timer_active(&f->watch.timer));
    assert_int_equal(f->changes, 0);
}

static bool log_holds(struct fixture *f, const char *text)
{
    char lines[4096];
    size_t n;

    rewind(f->lines);
    n = fread(lines, 1, sizeof lines - 1, f->lines);
    lines[n] = '\0';
    return strstr(lines, text) != NULL;
}

/* --- When it is told. --- */

static void a_change_is_told_after_a_time_of_quiet(void **state)
{
    struct fixture *f = *state;

    watch_one(f, "f");
    write_file("f", "1");
    pass(f, 49);
    assert_int_equal(f->changes, 0);
    pass(f, 1);
    assert_int_equal(f->changes, 1);
    pass(f, 1000);
    assert_int_equal(f->changes, 1);
}

static void what_does_not_come_to_rest_is_told_all_the_same(void **state)
{
    struct fixture *f = *state;
    char text[16];

    watch_one(f, "f");
    for (unsigned i = 0; i < 12; i++) {
        snprintf(text, sizeof text, "%u", i);
        write_file("f", text);
        assert_int_equal(f->changes, 0);
        pass(f, 40);
    }
    write_file("f", "more");
    pass(f, 20);
    assert_int_equal(f->changes, 1);
}

static void what_changed_between_noting_and_watching_is_told(void **state)
{
    struct fixture *f = *state;

    open_watch(f);
    write_file("f", "1");
    cla_file_set_note(f->set, "f");
    write_file("f", "2");
    cla_watch_set(&f->watch, f->set);
    assert_int_equal(f->changes, 0);
    expect(f, "f");
}

static void what_is_made_and_gone_again_is_no_change(void **state)
{
    struct fixture *f = *state;

    watch_one(f, "f");
    write_file("f", "1");
    assert_int_equal(unlink("f"), 0);
    pass(f, 50);
    assert_int_equal(f->changes, 0);
}

static void a_file_noted_later_is_watched_from_then_on(void **state)
{
    struct fixture *f = *state;

    watch_one(f, "f");
    write_file("g", "1");
    expect_nothing(f);
    cla_file_set_note(f->set, "g");
    write_file("g", "2");
    expect(f, "g");
}

static void what_is_set_replaces_and_what_is_added_does_not(void **state)
{
    struct fixture *f = *state;
    struct cla_file_set *other;

    watch_one(f, "f");
    assert_int_equal(cla_file_set_new(&other), 0);
    cla_file_set_note(other, "g");
    cla_watch_add(&f->watch, other);
    pass(f, 50);
    write_file("f", "1");
    expect(f, "f");
    write_file("g", "1");
    expect(f, "g");
    cla_watch_set(&f->watch, other);
    pass(f, 50);
    write_file("f", "2");
    cla_file_set_note(f->set, "h"); /* nobody listens to it any more */
    write_file("h", "1");
    expect_nothing(f);
    write_file("g", "2");
    expect(f, "g");
    cla_file_set_put(other);
}

/* --- What is told. --- */

static void what_is_beside_a_file_is_not_even_looked_at(void **state)
{
    struct fixture *f = *state;
    char text[8];
    int fd;

    write_file("f", "1");
    write_file("ff", "1");
    make_folder("d");
    watch_one(f, "f");
    write_file("ff", "2");
    write_file("g", "1");
    write_file("d/f", "1");
    move("d", "e");
    fd = open("f", O_RDONLY);
    assert_int_equal(read(fd, text, sizeof text), 1);
    assert_int_equal(close(fd), 0);
    expect_nothing(f);
}

static void a_file_that_another_replaces_has_changed(void **state)
{
    struct fixture *f = *state;

    write_file("f", "1");
    watch_one(f, "f");
    for (unsigned i = 0; i < 3; i++) {
        write_file("g", "1");
        move("g", "f");
        expect(f, "f");
    }
}

static void any_folder_on_the_way_may_go_and_come_back(void **state)
{
    struct fixture *f = *state;

    make_folder("a");
    make_folder("a/b");
    make_folder("a/b/c");
    write_file("a/b/c/f", "1");
    watch_one(f, "a/b/c/f");
    move("a/b", "b");
    expect(f, "a/b/c/f");
    write_file("b/c/f", "2");
    expect_nothing(f);
    move("b", "a/b");
    expect(f, "a/b/c/f");
    move("a", "x");
    expect(f, "a/b/c/f");
    make_folder("a");
    make_folder("a/b");
    pass(f, 50);
    make_folder("a/b/c");
    pass(f, 50);
    write_file("a/b/c/f", "3");
    expect(f, "a/b/c/f");
}

static void lead(const char *link, const char *to)
{
    assert_int_equal(symlink(to, "next"), 0);
    move("next", link);
}

static void links_are_followed_wherever_they_lead(void **state)
{
    struct fixture *f = *state;

    make_folder("one");
    make_folder("two");
    write_file("one/f", "1");
    write_file("two/f", "1");
    lead("there", "one");
    lead("current", "there/../there");
    watch_one(f, "current/f");
    write_file("one/f", "2");
    expect(f, "current/f");
    lead("there", "two");
    expect(f, "current/f");
    write_file("one/f", "3");
    expect_nothing(f);
    write_file("two/f", "2");
    expect(f, "current/f");
    lead("current", "nowhere");
    expect(f, "current/f");
    lead("current", "current");
    pass(f, 50);
    make_folder("nowhere");
    write_file("nowhere/f", "1");
    lead("current", "nowhere");
    expect(f, "current/f");
}

static void a_link_to_a_file_is_followed(void **state)
{
    struct fixture *f = *state;
    char *target = realpath(".", NULL), path[128];

    make_folder("d");
    write_file("d/f", "1");
    snprintf(path, sizeof path, "%s/d/f", target);
    free(target);
    lead("f", path);
    watch_one(f, "f");
    write_file("d/f", "2");
    expect(f, "f");
}

static void new_folders_in_a_deep_one_are_watched_at_once(void **state)
{
    struct fixture *f = *state;

    open_watch(f);
    make_folder("d");
    cla_file_set_note_deep(f->set, "d/");
    cla_watch_set(&f->watch, f->set);
    pass(f, 50);
    make_folder("d/e");
    make_folder("d/e/f");
    expect(f, "d/e");
    write_file("d/e/f/.g", "1");
    expect_nothing(f);
    write_file("d/e/f/g", "1");
    expect(f, "d/e/f/g");
    write_file("d/e/f/g", "2");
    expect(f, "d/e/f/g");
}

static void a_watch_that_cannot_hold_all_says_so(void **state)
{
    struct fixture *f = *state;
    char path[32];

    open_watch(f);
    for (unsigned i = 0; i <= CLA_FILE_LIST_MOST; i++) {
        snprintf(path, sizeof path, "f%u", i);
        cla_file_set_note(f->set, path);
    }
    assert_false(log_holds(f, "not all files are watched"));
    cla_watch_set(&f->watch, f->set);
    pass(f, 50);
    assert_true(log_holds(f, "not all files are watched"));
    write_file("f1", "1");
    expect(f, "f1");
}

/* Of a set that goes on without its watch. */
static void closing_while_something_is_to_be_told_tells_nothing(void **state)
{
    struct fixture *f = *state;

    watch_one(f, "f");
    write_file("f", "1");
    pass(f, 10);
    cla_file_set_note(f->set, "g");
    cla_watch_close(&f->watch);
    cla_file_set_note(f->set, "h");
    pass(f, 1000);
    assert_int_equal(f->changes, 0);
    open_watch(f);
}

/* --- Without help of the system. --- */

static void without_inotify_files_are_looked_at_every_second(void **state)
{
    struct fixture *f = *state;

    fail_init = EMFILE;
    watch_one(f, "f");
    assert_true(log_holds(f, "fs.inotify.max_user_instances"));
    write_file("f", "1");
    pass(f, 900);
    assert_int_equal(f->changes, 0);
    pass(f, 100);
    assert_int_equal(f->changes, 1);
    write_file("f", "2");
    pass(f, 1000);
    assert_int_equal(f->changes, 2);
}

static void with_too_few_watches_files_are_looked_at_every_second_until_there_are_more(void **state)
{
    struct fixture *f = *state;

    fail_add = ENOSPC;
    watch_one(f, "f");
    assert_true(log_holds(f, "fs.inotify.max_user_watches"));
    write_file("f", "1");
    pass(f, 1000);
    assert_int_equal(f->changes, 1);
    fail_add = 0;
    pass(f, 1000);
    write_file("f", "2");
    expect(f, "f");
    expect_nothing(f);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_change_is_told_after_a_time_of_quiet),
        TEST(what_does_not_come_to_rest_is_told_all_the_same),
        TEST(what_changed_between_noting_and_watching_is_told),
        TEST(what_is_made_and_gone_again_is_no_change),
        TEST(a_file_noted_later_is_watched_from_then_on),
        TEST(what_is_set_replaces_and_what_is_added_does_not),
        TEST(what_is_beside_a_file_is_not_even_looked_at),
        TEST(a_file_that_another_replaces_has_changed),
        TEST(any_folder_on_the_way_may_go_and_come_back),
        TEST(links_are_followed_wherever_they_lead),
        TEST(a_link_to_a_file_is_followed),
        TEST(new_folders_in_a_deep_one_are_watched_at_once),
        TEST(a_watch_that_cannot_hold_all_says_so),
        TEST(closing_while_something_is_to_be_told_tells_nothing),
        TEST(without_inotify_files_are_looked_at_every_second),
        TEST(with_too_few_watches_files_are_looked_at_every_second_until_there_are_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
