/* Paths, their prints, and the set that scripts fill. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>

#include "base/clock.h"
#include "file_fixture.h"
#include "io/file_set.h"
#include "mem_fault.h"

static int set_up(void **state)
{
    *state = calloc(1, sizeof(struct cla_file_list));
    return file_fixture_set_up();
}

static int tear_down(void **state)
{
    cla_file_list_fini(*state);
    free(*state);
    mem_fault_off();
    return file_fixture_tear_down();
}

static void expect(struct cla_file_list *list, const char *changed)
{
    const char *path = cla_file_list_compare(list);

    if (changed == NULL && path != NULL)
        fail_msg("%s has changed", path);
    if (changed != NULL) {
        assert_non_null(path);
        assert_string_equal(path, changed);
    }
    assert_null(cla_file_list_compare(list)); /* told once */
}

static void a_path_is_one_however_it_is_written(void **state)
{
    static const char *const same[] = {"a/b", "./a/b", "a//b", "a/./b", "a/b/", ".//a/b/."};
    struct cla_file_list *list = *state;

    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        assert_int_equal(cla_file_list_add(list, same[i], false, 0), i == 0);
    assert_true(cla_file_list_add(list, "/a/b", false, 0));
    assert_true(cla_file_list_add(list, "/", false, 0));
    assert_false(cla_file_list_add(list, "//", false, 0));
    assert_true(cla_file_list_add(list, ".", false, 0));
    assert_false(cla_file_list_add(list, "./", false, 0));
    assert_false(cla_file_list_add(list, "", false, 0));
    assert_int_equal(list->paths.count, 4);
}

static void what_is_done_to_a_file_shows(void **state)
{
    struct cla_file_list *list = *state;

    cla_file_list_add(list, "f", false, 0);
    expect(list, NULL);
    write_file("f", "1");
    expect(list, "f");
    write_file("f", "2"); /* as large, and in the same tick of the clock */
    expect(list, "f");
    write_file("g", "2");
    expect(list, NULL);
    move("g", "f");
    expect(list, "f");
    assert_int_equal(chmod("f", 0600), 0);
    assert_int_equal(symlink("f", "h"), 0);
    (void)cla_file_list_compare(list);
    assert_int_equal(unlink("f"), 0);
    expect(list, "f");
}

static void a_young_file_is_told_by_its_content_and_an_old_one_is_not_read(void **state)
{
    const struct timespec at[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    struct cla_file_print young, old;

    (void)state;
    write_file("f", "1");
    assert_int_equal(utimensat(AT_FDCWD, "f", at, 0), 0);
    cla_file_print_take(&young, "f", false, false);
    assert_true(young.has_content);
    old = young;
    old.changed_ns -= CLA_FILE_PRINT_YOUNG_NS + CLA_NS_PER_S;
    cla_file_print_settle(&old);
    assert_false(old.has_content);
    assert_true(cla_file_print_differs(&old, &young));
}

static void reading_a_file_does_not_show(void **state)
{
    struct cla_file_list *list = *state;
    char text[8];
    int fd;

    write_file("f", "1");
    cla_file_list_add(list, "f", false, 0);
    fd = open("f", O_RDONLY);
    assert_int_equal(read(fd, text, sizeof text), 1);
    assert_int_equal(close(fd), 0);
    expect(list, NULL);
}

static void a_folder_that_is_no_deep_one_is_not_looked_into(void **state)
{
    struct cla_file_list *list = *state;

    make_folder("d");
    cla_file_list_add(list, "d", false, 0);
    write_file("d/f", "1");
    expect(list, NULL);
    assert_int_equal(list->paths.count, 1);
    move("d", "e");
    expect(list, "d");
}

static void beneath_a_deep_folder_all_shows_but_what_is_aside(void **state)
{
    struct cla_file_list *list = *state;

    make_folder("d");
    make_folder("d/e");
    write_file("d/e/f", "1");
    write_file("d/.hidden", "1");
    assert_int_equal(symlink("..", "d/up"), 0); /* does not lead round and round */
    cla_file_list_add(list, "d/", true, 0);
    assert_int_equal(list->paths.count, 4);
    expect(list, NULL);
    write_file("d/.f.swp", "1");
    write_file("d/f~", "1");
    expect(list, NULL);
    write_file("d/e/f", "2");
    expect(list, "d/e/f");
    write_file("d/e/g", "1");
    expect(list, "d/e/g");
    assert_int_equal(unlink("d/e/g"), 0);
    expect(list, "d/e/g");
    make_folder("d/n");
    write_file("d/n/f", "1");
    expect(list, "d/n");
    write_file("d/n/f", "2");
    expect(list, "d/n/f");
    move("d", "x");
    expect(list, "d");
    move("x", "d");
    expect(list, "d/e/f"); /* where what was found before is there again */
}

static void a_deep_path_may_come_later(void **state)
{
    struct cla_file_list *list = *state;

    cla_file_list_add(list, "d", true, 0);
    make_folder("d");
    write_file("d/f", "1");
    expect(list, "d/f");
    write_file("d/f", "2");
    expect(list, "d/f");
}

static void a_file_that_is_listed_too_keeps_its_first_print(void **state)
{
    struct cla_file_list *list = *state;

    write_file("f", "1");
    cla_file_list_add(list, "f", false, 0);
    write_file("f", "22");
    assert_true(cla_file_list_add(list, "f", true, 0));
    expect(list, "f");
}

static void what_has_changed_since_is_told_at_once(void **state)
{
    struct cla_file_list *list = *state;
    uint64_t began = cla_clock_wall_ns() - CLA_NS_PER_S;

    write_file("f", "1");
    cla_file_list_add(list, "f", true, began);
    expect(list, "f");
    cla_file_list_fini(list);
    cla_file_list_add(list, "f", true, cla_clock_wall_ns() + CLA_NS_PER_S);
    expect(list, NULL);
}

static void folders_are_cut_at_the_limit_and_leave_room_for_modules(void **state)
{
    struct cla_file_list *list = *state;
    char path[32];

    make_folder("d");
    for (unsigned i = 0; i < CLA_FILE_LIST_MOST_FOUND + 10; i++) {
        snprintf(path, sizeof path, "d/%u", i);
        write_file(path, "");
    }
    cla_file_list_add(list, "d", true, 0);
    assert_int_equal(list->paths.count, CLA_FILE_LIST_MOST_FOUND);
    assert_true(list->cut);
    for (unsigned i = 0; i < CLA_FILE_LIST_MOST; i++) {
        snprintf(path, sizeof path, "m%u", i);
        (void)cla_file_list_add(list, path, false, 0);
    }
    assert_int_equal(list->paths.count, CLA_FILE_LIST_MOST);
    expect(list, NULL);
}

static void merging_takes_the_newer_prints(void **state)
{
    struct cla_file_list *list = *state, from = {0};

    write_file("f", "1");
    cla_file_list_add(list, "f", false, 0);
    cla_file_list_add(list, "g", false, 0);
    write_file("f", "22");
    cla_file_list_add(&from, "f", false, 0);
    cla_file_list_add(&from, "h", false, 0);
    cla_file_list_merge(list, &from, 0);
    cla_file_list_fini(&from);
    assert_int_equal(list->paths.count, 3);
    expect(list, NULL);
}

static void without_memory_a_list_is_cut(void **state)
{
    struct cla_file_list *list = *state;

    make_folder("d");
    write_file("d/f", "1");
    for (long n = 0; n < 8; n++) {
        mem_fault_after(n);
        (void)cla_file_list_add(list, "d", true, 0);
        assert_int_equal(list->cut, mem_fault.failed);
        cla_file_list_fini(list);
    }
}

/* --- The set. --- */

static void count(void *arg)
{
    ++*(unsigned *)arg;
}

static void a_listener_is_told_of_what_is_new(void **state)
{
    struct cla_file_set *set;
    unsigned told = 0;

    (void)state;
    assert_int_equal(cla_file_set_new(&set), 0);
    cla_file_set_note(set, "before");
    cla_file_set_listen(set, count, &told);
    cla_file_set_note(set, "f");
    cla_file_set_note(set, "f");
    cla_file_set_note_deep(set, "d");
    assert_int_equal(told, 2);
    cla_file_set_listen(set, NULL, NULL);
    cla_file_set_note(set, "g");
    assert_int_equal(told, 2);
    cla_file_set_note(NULL, "f");
    cla_file_set_put(set);
}

#define THREADS 4
#define PATHS 500

static void *note_many(void *arg)
{
    char path[32];

    for (unsigned i = 0; i < PATHS; i++) {
        snprintf(path, sizeof path, "f%u", i);
        cla_file_set_note(arg, path);
    }
    cla_file_set_put(arg);
    return NULL;
}

static void several_threads_note_and_one_copies(void **state)
{
    struct cla_file_list *list = *state;
    pthread_t threads[THREADS];
    struct cla_file_set *set;
    size_t seen = 0;

    assert_int_equal(cla_file_set_new(&set), 0);
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, note_many, cla_file_set_ref(set)), 0);
    while (seen < PATHS)
        cla_file_set_copy(set, list, &seen);
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    cla_file_set_copy(set, list, &seen);
    cla_file_set_put(set);
    assert_int_equal(list->paths.count, PATHS);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_path_is_one_however_it_is_written),
        TEST(what_is_done_to_a_file_shows),
        TEST(a_young_file_is_told_by_its_content_and_an_old_one_is_not_read),
        TEST(reading_a_file_does_not_show),
        TEST(a_folder_that_is_no_deep_one_is_not_looked_into),
        TEST(beneath_a_deep_folder_all_shows_but_what_is_aside),
        TEST(a_deep_path_may_come_later),
        TEST(a_file_that_is_listed_too_keeps_its_first_print),
        TEST(what_has_changed_since_is_told_at_once),
        TEST(folders_are_cut_at_the_limit_and_leave_room_for_modules),
        TEST(merging_takes_the_newer_prints),
        TEST(without_memory_a_list_is_cut),
        TEST(a_listener_is_told_of_what_is_new),
        TEST(several_threads_note_and_one_copies),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
