/* A folder of files for a test, which is also the current one. */
#ifndef CLA_TEST_FILE_FIXTURE_H
#define CLA_TEST_FILE_FIXTURE_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static inline int file_fixture_set_up(void)
{
    char root[] = "/tmp/cancela-files-XXXXXX";

    return mkdtemp(root) != NULL ? chdir(root) : -1;
}

static inline int file_fixture_drop(const char *path, const struct stat *st, int kind,
                                    struct FTW *at)
{
    (void)st, (void)kind, (void)at;
    return remove(path);
}

static inline int file_fixture_tear_down(void)
{
    char *root = realpath(".", NULL);
    int rc = nftw(root, file_fixture_drop, 8, FTW_DEPTH | FTW_PHYS);

    free(root);
    return rc == 0 ? chdir("/") : rc;
}

static inline void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static inline void make_folder(const char *path)
{
    assert_int_equal(mkdir(path, 0700), 0);
}

static inline void move(const char *from, const char *to)
{
    assert_int_equal(rename(from, to), 0);
}

#endif
