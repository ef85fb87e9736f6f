#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/blocks.h"
#include "mem_fault.h"

#define MANY 2000

static struct cla_blocks blocks;

static int from_slabs(void **state)
{
    cla_blocks_init(&blocks, CLA_BLOCKS_SLABS);
    return 0;
}

static int from_library(void **state)
{
    cla_blocks_init(&blocks, CLA_BLOCKS_LIBRARY);
    return 0;
}

static int from_seam(void **state)
{
    cla_blocks_init(&blocks, CLA_BLOCKS_SEAM);
    return 0;
}

static int tear_down(void **state)
{
    cla_blocks_fini(&blocks);
    assert_int_equal(mem_fault.live, 0);
    return 0;
}

static void *take(size_t bytes)
{
    return cla_blocks_take(&blocks, bytes);
}

static void give(void *block, size_t bytes)
{
    cla_blocks_give(&blocks, block, bytes);
}

static void trim(void)
{
    while (cla_blocks_trim(&blocks))
        continue;
}

/* Requires that the first n bytes of a block are 0, 1, 2, … */
static void require_pattern(const unsigned char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        assert_int_equal(p[i], i & 255);
}

static void every_change_of_size_keeps_what_fits(void **state)
{
    static const size_t sizes[] = {1,  7,  8,   9,   16,   23,   24,   25,   64,
                                   71, 72, 100, 720, 1023, 1024, 1025, 1032, 5000};

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (size_t j = 0; j < sizeof sizes / sizeof *sizes; j++) {
            unsigned char *p = take(sizes[i]);

            for (size_t k = 0; k < sizes[i]; k++)
                p[k] = (unsigned char)k;
            p = cla_blocks_resize(&blocks, p, sizes[i], sizes[j]);
            require_pattern(p, sizes[i] < sizes[j] ? sizes[i] : sizes[j]);
            memset(p, 0xff, sizes[j]); /* all of it is there */
            give(p, sizes[j]);
        }
    }
}

static size_t size_of(size_t i)
{
    return i * 37 % (CLA_BLOCKS_LARGEST + 100) + 1;
}

static bool is_all(const unsigned char *p, size_t n, unsigned char byte)
{
    for (size_t i = 0; i < n; i++) {
        if (p[i] != byte)
            return false;
    }
    return true;
}

static void blocks_do_not_overlap(void **state)
{
    void *held[MANY];

    for (size_t i = 0; i < MANY; i++) {
        held[i] = take(size_of(i));
        assert_int_equal((uintptr_t)held[i] % CLA_BLOCKS_STEP, 0);
        memset(held[i], (int)(i & 255), size_of(i));
    }
    for (size_t i = 0; i < MANY; i += 2) /* others take the places of some */
        give(held[i], size_of(i));
    for (size_t i = 0; i < MANY; i += 2) {
        held[i] = take(size_of(i));
        memset(held[i], (int)(i & 255), size_of(i));
    }
    for (size_t i = 0; i < MANY; i++) {
        assert_true(is_all(held[i], size_of(i), i & 255));
        give(held[i], size_of(i));
    }
}

static void what_is_freed_is_the_next_to_be_taken(void **state)
{
    void *first = take(48), *second = take(48);

    give(first, 48);
    assert_ptr_equal(take(41), first); /* of the same size, rounded up */
    give(second, 48);
    assert_ptr_not_equal(take(40), second);
}

static bool holds_nothing(void)
{
    return cla_list_empty(&blocks.spans.roomy) && cla_list_empty(&blocks.spans.full);
}

static void trimming_gives_all_back_that_no_block_is_in(void **state)
{
    void *held[MANY];

    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < MANY; i++)
            held[i] = take(size_of(i));
        assert_false(holds_nothing());
        for (size_t i = 0; i < MANY; i++)
            give(held[i], size_of(i));
        assert_false(holds_nothing()); /* kept for the next */
        trim();
        assert_true(holds_nothing());
    }
}

static void trimming_keeps_blocks_that_are_taken(void **state)
{
    void *held[MANY];

    for (size_t i = 0; i < MANY; i++) {
        held[i] = take(64);
        memset(held[i], (int)(i & 255), 64);
    }
    for (size_t i = 0; i < MANY; i++) {
        if (i % 1000 != 7)
            give(held[i], 64);
    }
    trim();
    for (size_t i = 7; i < MANY; i += 1000)
        assert_true(is_all(held[i], 64, i & 255));
    for (size_t i = 0; i < MANY; i++) {
        if (i % 1000 != 7)
            held[i] = take(64);
    }
    for (size_t i = 0; i < MANY; i++)
        give(held[i], 64);
}

/* Random takes, changes of size, frees and trims against what was written into each block. */
static void any_order_keeps_what_was_written(void **state)
{
    static struct {
        unsigned char *p;
        size_t n;
    } held[200];
    unsigned seed = 1;

    memset(held, 0, sizeof held);
    for (int step = 0; step < 50000; step++) {
        size_t at = (size_t)rand_r(&seed) % 200, n = (size_t)rand_r(&seed) % 1500;
        size_t kept = held[at].n < n ? held[at].n : n;

        if (rand_r(&seed) % 3 == 0)
            n %= 100;
        kept = kept < n ? kept : n;
        assert_true(is_all(held[at].p, held[at].n, (unsigned char)at));
        held[at].p = cla_blocks_resize(&blocks, held[at].p, held[at].n, n);
        assert_true(n == 0 || is_all(held[at].p, kept, (unsigned char)at));
        held[at].n = n;
        if (n > 0)
            memset(held[at].p, (int)at, n);
        if (step % 5000 == 0)
            trim();
    }
    for (size_t at = 0; at < 200; at++)
        (void)cla_blocks_resize(&blocks, held[at].p, held[at].n, 0);
    trim();
    assert_true(holds_nothing());
}

static void from_nothing_and_to_nothing_is_taking_and_giving(void **state)
{
    void *block = cla_blocks_resize(&blocks, NULL, 0, 48);

    memset(block, 0xff, 48);
    assert_null(cla_blocks_resize(&blocks, block, 48, 0));
    assert_ptr_equal(take(48), block);
    give(block, 48);
}

static void each_block_of_the_seam_is_an_allocation_that_can_fail(void **state)
{
    unsigned char *p = take(48);

    memset(p, 7, 48);
    assert_int_equal(mem_fault.live, 1);
    mem_fault_after(0);
    assert_null(take(48));
    mem_fault_after(0);
    assert_null(cla_blocks_resize(&blocks, p, 48, 2000));
    mem_fault_off();
    assert_true(is_all(p, 48, 7));
    give(p, 48);
    assert_int_equal(mem_fault.live, 0);
}

static void nothing_becomes_nothing(void **state)
{
    assert_null(cla_blocks_resize(&blocks, NULL, 0, 0));
    assert_true(holds_nothing());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_change_of_size_keeps_what_fits, from_slabs,
                                        tear_down),
        cmocka_unit_test_setup_teardown(blocks_do_not_overlap, from_slabs, tear_down),
        cmocka_unit_test_setup_teardown(what_is_freed_is_the_next_to_be_taken, from_slabs,
                                        tear_down),
        cmocka_unit_test_setup_teardown(trimming_gives_all_back_that_no_block_is_in, from_slabs,
                                        tear_down),
        cmocka_unit_test_setup_teardown(trimming_keeps_blocks_that_are_taken, from_slabs,
                                        tear_down),
        cmocka_unit_test_setup_teardown(any_order_keeps_what_was_written, from_slabs, tear_down),
        cmocka_unit_test_setup_teardown(nothing_becomes_nothing, from_slabs, tear_down),
        cmocka_unit_test_setup_teardown(from_nothing_and_to_nothing_is_taking_and_giving,
                                        from_slabs, tear_down),
        cmocka_unit_test_setup_teardown(each_block_of_the_seam_is_an_allocation_that_can_fail,
                                        from_seam, tear_down),
        {"from the library: every_change_of_size_keeps_what_fits",
         every_change_of_size_keeps_what_fits, from_library, tear_down, NULL},
        {"from the library: any_order_keeps_what_was_written", any_order_keeps_what_was_written,
         from_library, tear_down, NULL},
        {"from the library: nothing_becomes_nothing", nothing_becomes_nothing, from_library,
         tear_down, NULL},
        {"from the seam: every_change_of_size_keeps_what_fits",
         every_change_of_size_keeps_what_fits, from_seam, tear_down, NULL},
        {"from the seam: any_order_keeps_what_was_written", any_order_keeps_what_was_written,
         from_seam, tear_down, NULL},
        {"from the seam: nothing_becomes_nothing", nothing_becomes_nothing, from_seam, tear_down,
         NULL},
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
