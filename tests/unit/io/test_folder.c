#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/error.h"
#include "io/folder.h"

static char root[64];

static void write_file(const char *name, const char *text)
{
    FILE *file = fopen(name, "w");

    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

/* root/secret and root/public-too/secret are outside of root/public. */
static int set_up(void **state)
{
    snprintf(root, sizeof root, "/tmp/cla_folder_XXXXXX");
    assert_non_null(mkdtemp(root));
    assert_int_equal(chdir(root), 0);
    assert_int_equal(mkdir("public", 0700), 0);
    assert_int_equal(mkdir("public/sub", 0700), 0);
    assert_int_equal(mkdir("public-too", 0700), 0);
    write_file("secret", "secret");
    write_file("public-too/secret", "secret");
    write_file("public/a.txt", "hello");
    assert_int_equal(symlink("a.txt", "public/inside"), 0);
    assert_int_equal(symlink("../secret", "public/outside"), 0);
    assert_int_equal(symlink("../public-too", "public/beside"), 0);
    assert_int_equal(symlink("/etc", "public/absolute"), 0);
    assert_int_equal(symlink("loop", "public/loop"), 0);
    assert_int_equal(mkfifo("public/fifo", 0600), 0);
    return cla_folder_open((struct cla_folder **)state, "public");
}

static int tear_down(void **state)
{
    static const char *const files[] = {"public/a.txt",  "public/inside",   "public/outside",
                                        "public/beside", "public/absolute", "public/loop",
                                        "public/fifo",   "secret",          "public-too/secret"};

    cla_folder_put(*state);
    for (size_t i = 0; i < CLA_ARRAY_LEN(files); i++)
        assert_int_equal(unlink(files[i]), 0);
    assert_int_equal(rmdir("public/sub"), 0);
    assert_int_equal(rmdir("public"), 0);
    assert_int_equal(rmdir("public-too"), 0);
    assert_int_equal(chdir("/"), 0);
    return rmdir(root);
}

typedef enum cla_folder_kind find_fn(struct cla_folder *folder, const char *path,
                                     struct cla_folder_file *file);

static void check(struct cla_folder *folder, find_fn *find)
{
    static const struct {
        const char *path;
        enum cla_folder_kind kind;
    } cases[] = {
        {"a.txt", CLA_FOLDER_FILE},
        {"inside", CLA_FOLDER_FILE},
        {"sub", CLA_FOLDER_FOLDER},
        {".", CLA_FOLDER_FOLDER},
        {"outside", CLA_FOLDER_NONE},
        {"beside/secret", CLA_FOLDER_NONE},
        {"absolute/passwd", CLA_FOLDER_NONE},
        {"../secret", CLA_FOLDER_NONE},
        {"../public-too/secret", CLA_FOLDER_NONE},
        {"/etc/passwd", CLA_FOLDER_NONE},
        {"fifo", CLA_FOLDER_NONE},
        {"loop", CLA_FOLDER_NONE},
        {"nothing", CLA_FOLDER_NONE},
        {"a.txt/b", CLA_FOLDER_NONE},
    };

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        struct cla_folder_file file = {.fd = -1};
        enum cla_folder_kind kind = find(folder, cases[i].path, &file);

        if (kind != cases[i].kind)
            fail_msg("%s: %d", cases[i].path, (int)kind);
        assert_int_equal(file.fd >= 0, kind == CLA_FOLDER_FILE);
        if (file.fd >= 0) {
            assert_int_equal(file.size, 5);
            assert_int_equal(close(file.fd), 0);
        }
    }
}

static void nothing_outside_is_found(void **state)
{
    check(*state, cla_folder_find);
}

static void nothing_outside_is_found_by_name(void **state)
{
    check(*state, cla_folder_find_by_name);
}

static void what_is_no_folder_cannot_be_opened(void **state)
{
    struct cla_folder *folder;

    (void)state;
    assert_int_equal(cla_folder_open(&folder, "secret"), -CLA_EIO);
    assert_int_equal(cla_folder_open(&folder, "nothing"), -CLA_EIO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_outside_is_found, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_outside_is_found_by_name, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_folder_cannot_be_opened, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
