#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "task/blocks.h"

static struct cla_blocks blocks;

static int tear_down(void **state)
{
    cla_blocks_fini(&blocks);
    return 0;
}

/* Requires that the first n bytes of a block are 0, 1, 2, … */
static void require_pattern(const unsigned char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        assert_int_equal(p[i], i & 255);
}

static void every_change_of_size_keeps_what_fits(void **state)
{
    static const size_t sizes[] = {1, 16, 23, 24, 25, 40, 41, 56, 64, 71, 72, 73, 100, 1000};

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (size_t j = 0; j < sizeof sizes / sizeof *sizes; j++) {
            unsigned char *p = cla_blocks_resize(&blocks, NULL, 0, sizes[i]);

            for (size_t k = 0; k < sizes[i]; k++)
                p[k] = (unsigned char)k;
            p = cla_blocks_resize(&blocks, p, sizes[i], sizes[j]);
            require_pattern(p, sizes[i] < sizes[j] ? sizes[i] : sizes[j]);
            memset(p, 0xff, sizes[j]); /* all of it is there */
            assert_null(cla_blocks_resize(&blocks, p, sizes[j], 0));
        }
    }
}

static void many_blocks_come_and_go(void **state)
{
    void *held[1000];

    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < 1000; i++) {
            held[i] = cla_blocks_resize(&blocks, NULL, 0, i % 80 + 1);
            memset(held[i], (int)i, i % 80 + 1);
        }
        for (size_t i = 0; i < 1000; i++)
            assert_null(cla_blocks_resize(&blocks, held[i], i % 80 + 1, 0));
    }
    cla_blocks_fini(&blocks);
    for (int kind = 0; kind < CLA_BLOCKS_KINDS; kind++)
        assert_int_equal(blocks.count[kind], 0);
}

static void nothing_becomes_nothing(void **state)
{
    assert_null(cla_blocks_resize(&blocks, NULL, 0, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(every_change_of_size_keeps_what_fits, tear_down),
        cmocka_unit_test_teardown(many_blocks_come_and_go, tear_down),
        cmocka_unit_test_teardown(nothing_becomes_nothing, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
