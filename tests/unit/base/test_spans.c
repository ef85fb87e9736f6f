#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/spans.h"
#include "mem_fault.h"

#define MANY 100 /* more than there are in a chunk */

static struct cla_spans spans;

static int set_up(void **state)
{
    cla_spans_init(&spans);
    return 0;
}

static int tear_down(void **state)
{
    cla_spans_fini(&spans);
    assert_int_equal(mem_fault.live, 0);
    return 0;
}

/* All of it but what the owner may not touch. */
static void fill(struct cla_span *span, int byte)
{
    memset(span + 1, byte, CLA_SPAN_BYTES - sizeof *span);
}

static bool is_filled(const struct cla_span *span, int byte)
{
    const unsigned char *p = (const unsigned char *)(span + 1);

    for (size_t i = 0; i < CLA_SPAN_BYTES - sizeof *span; i++) {
        if (p[i] != byte)
            return false;
    }
    return true;
}

static void trim(void)
{
    while (cla_spans_trim(&spans))
        continue;
}

/* Pages of the span that hold memory. */
static unsigned resident(const void *span)
{
    unsigned char pages[CLA_SPAN_BYTES / 4096];
    unsigned n = 0;

    assert_int_equal(mincore((void *)span, CLA_SPAN_BYTES, pages), 0);
    for (size_t i = 0; i < CLA_SPAN_BYTES / (size_t)sysconf(_SC_PAGESIZE); i++)
        n += pages[i] & 1;
    return n;
}

static void spans_are_aligned_and_apart(void **state)
{
    struct cla_span *taken[MANY];

    for (int i = 0; i < MANY; i++) {
        taken[i] = cla_spans_take(&spans);
        assert_non_null(taken[i]);
        assert_int_equal((uintptr_t)taken[i] % CLA_SPAN_BYTES, 0);
        fill(taken[i], i);
    }
    for (int i = 0; i < MANY; i++)
        assert_true(is_filled(taken[i], i));
}

static void one_that_was_given_back_is_the_next(void **state)
{
    struct cla_span *first = cla_spans_take(&spans), *second = cla_spans_take(&spans);

    fill(first, 1);
    cla_spans_give(&spans, first);
    assert_ptr_equal(cla_spans_take(&spans), first); /* rather than a third, which has no pages */
    assert_true(is_filled(first, 1));
    fill(second, 2);
}

static void one_of_a_full_chunk_is_found_again(void **state)
{
    struct cla_span *taken[MANY];

    for (int i = 0; i < MANY; i++)
        taken[i] = cla_spans_take(&spans);
    cla_spans_give(&spans, taken[3]); /* of the first, which has no other */
    assert_ptr_equal(cla_spans_take(&spans), taken[3]);
}

static void trimming_keeps_what_is_taken(void **state)
{
    struct cla_span *taken[MANY];

    for (int i = 0; i < MANY; i++) {
        taken[i] = cla_spans_take(&spans);
        fill(taken[i], i);
    }
    for (int i = 0; i < MANY; i += 2)
        cla_spans_give(&spans, taken[i]);
    trim();
    for (int i = 0; i < MANY; i++) {
        if (i % 2 == 0)
            assert_int_equal(resident(taken[i]), 0);
        else
            assert_true(is_filled(taken[i], i));
    }
    for (int i = 0; i < MANY; i += 2)
        assert_non_null(cla_spans_take(&spans));
    for (int i = 1; i < MANY; i += 2)
        assert_true(is_filled(taken[i], i));
}

static void trimming_unmaps_a_chunk_of_which_nothing_is_taken(void **state)
{
    struct cla_span *taken[MANY];
    unsigned char page;

    for (int i = 0; i < MANY; i++)
        taken[i] = cla_spans_take(&spans);
    for (int i = 0; i < MANY; i++)
        cla_spans_give(&spans, taken[i]);
    trim();
    assert_int_equal(mincore(taken[0], 1, &page), -1); /* ENOMEM: there is nothing */
    assert_true(cla_list_empty(&spans.roomy));
    assert_true(cla_list_empty(&spans.full));
}

static void without_memory_there_is_none_and_later_there_is(void **state)
{
    mem_fault_after(0);
    assert_null(cla_spans_take(&spans));
    assert_non_null(cla_spans_take(&spans));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(spans_are_aligned_and_apart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_that_was_given_back_is_the_next, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_of_a_full_chunk_is_found_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(trimming_keeps_what_is_taken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(trimming_unmaps_a_chunk_of_which_nothing_is_taken, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(without_memory_there_is_none_and_later_there_is, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
