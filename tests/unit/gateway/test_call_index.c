/* Calls by their ids. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "base/error.h"
#include "gateway/call_index.h"
#include "mem_fault.h"

#define CALLS 3000

static struct cla_call calls[CALLS];
static char ids[CALLS][12];

static int make_calls(void **state)
{
    (void)state;
    for (int i = 0; i < CALLS; i++) {
        snprintf(ids[i], sizeof ids[i], "%d", i);
        calls[i] = (struct cla_call){.client_id = cla_call_id_make(cla_slice_str(ids[i])),
                                     .state = CLA_CALL_OPEN};
    }
    return 0;
}

static void every_call_is_found_until_it_is_removed(void **state)
{
    struct cla_call_index index = {0};

    (void)state;
    assert_null(cla_call_index_find(&index, cla_call_client_id(&calls[0])));
    for (int i = 0; i < CALLS; i++)
        assert_int_equal(cla_call_index_add(&index, &calls[i]), 0);
    for (int i = 0; i < CALLS; i += 2)
        cla_call_index_remove(&index, &calls[i]);
    for (int i = 0; i < CALLS; i++)
        assert_ptr_equal(cla_call_index_find(&index, cla_call_client_id(&calls[i])),
                         i % 2 == 0 ? NULL : &calls[i]);
    for (int i = 1; i < CALLS; i += 2)
        cla_call_index_remove(&index, &calls[i]);
    assert_null(index.slots); /* so many are not kept for an idle connection */
    cla_call_index_close(&index);
}

static struct cla_slice id_of(int i)
{
    return cla_slice_str(ids[i]);
}

static void the_last_ids_that_were_answered_are_known(void **state)
{
    struct cla_call_index index = {0};

    (void)state;
    for (int i = 0; i < CALLS; i++) {
        assert_false(cla_call_index_answered(&index, id_of(i)));
        assert_int_equal(cla_call_index_add(&index, &calls[i]), 0);
        calls[i].state = i % 2 == 0 ? CLA_CALL_COMPLETED : CLA_CALL_CANCELLED;
    }
    assert_ptr_equal(cla_call_index_find_ended(&index, id_of(7)), &calls[7]);
    assert_null(cla_call_index_find(&index, id_of(7)));
    for (int i = 0; i < CALLS; i++)
        cla_call_index_remove(&index, &calls[i]);
    assert_null(cla_call_index_find_ended(&index, id_of(7)));
    for (int i = 0; i < CALLS; i++)
        assert_int_equal(cla_call_index_answered(&index, id_of(i)),
                         i % 2 == 0 && i >= CALLS - 2 * CLA_CALL_INDEX_ANSWERED);
    cla_call_index_close(&index);
}

static void call_that_has_ended_hides_no_other_of_its_id(void **state)
{
    struct cla_call_index index = {0};

    (void)state;
    calls[1].client_id = calls[2].client_id = calls[0].client_id;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(cla_call_index_add(&index, &calls[i]), 0);
        assert_ptr_equal(cla_call_index_find(&index, cla_call_client_id(&calls[0])), &calls[i]);
        calls[i].state = CLA_CALL_CANCELLED;
    }
    assert_null(cla_call_index_find(&index, cla_call_client_id(&calls[0])));
    for (int i = 0; i < 3; i++)
        cla_call_index_remove(&index, &calls[i]);
    cla_call_index_close(&index);
}

static void closed_one_finds_no_call_and_lets_each_go_without_a_look(void **state)
{
    struct cla_call_index index = {0};

    (void)state;
    for (int i = 0; i < CALLS; i++)
        assert_int_equal(cla_call_index_add(&index, &calls[i]), 0);
    cla_call_index_close(&index);
    assert_null(index.slots);
    assert_null(cla_call_index_find(&index, id_of(0)));
    assert_int_equal(cla_call_index_add(&index, &calls[0]), 0);
    assert_null(cla_call_index_find(&index, id_of(0)));
    for (int i = 0; i < CALLS; i++)
        cla_call_index_remove(&index, &calls[i]);
    assert_null(index.slots);
    cla_call_index_close(&index);
}

static void without_memory_the_first_call_is_refused_and_later_ones_are_found(void **state)
{
    struct cla_call_index index = {0};

    (void)state;
    mem_fault_after(0);
    assert_int_equal(cla_call_index_add(&index, &calls[0]), -CLA_ENOMEM);
    assert_int_equal(index.count, 0);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(cla_call_index_add(&index, &calls[i]), 0);
        mem_fault_after(0);
    }
    mem_fault_off();
    for (int i = 0; i < 100; i++)
        assert_ptr_equal(cla_call_index_find(&index, cla_call_client_id(&calls[i])), &calls[i]);
    for (int i = 0; i < 100; i++)
        cla_call_index_remove(&index, &calls[i]);
    cla_call_index_close(&index);
    assert_int_equal(mem_fault.live, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, make_calls)
    const struct CMUnitTest tests[] = {
        TEST(every_call_is_found_until_it_is_removed),
        TEST(the_last_ids_that_were_answered_are_known),
        TEST(call_that_has_ended_hides_no_other_of_its_id),
        TEST(closed_one_finds_no_call_and_lets_each_go_without_a_look),
        TEST(without_memory_the_first_call_is_refused_and_later_ones_are_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
