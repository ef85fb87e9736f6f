#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "base/error.h"
#include "base/names.h"
#include "mem_fault.h"

static struct cla_slice name_of(unsigned i)
{
    static char text[16];

    snprintf(text, sizeof text, "name %u", i);
    return cla_slice_str(text);
}

static void an_empty_set_finds_nothing(void **state)
{
    struct cla_names names = {0};

    (void)state;
    assert_int_equal(cla_names_find(&names, CLA_LIT("")), CLA_NAMES_NONE);
    cla_names_fini(&names);
}

static void names_are_numbered_in_their_order(void **state)
{
    struct cla_names names = {0};

    (void)state;
    for (unsigned i = 0; i < 1000; i++) {
        assert_int_equal(cla_names_find(&names, name_of(i)), CLA_NAMES_NONE);
        assert_int_equal(cla_names_add(&names, name_of(i)), 0);
        assert_string_equal(names.texts[i], name_of(i).p);
    }
    for (unsigned i = 0; i < 1000; i++)
        assert_int_equal(cla_names_find(&names, name_of(i)), i);
    assert_int_equal(names.count, 1000);
    cla_names_fini(&names);
    assert_int_equal(mem_fault.live, 0);
}

static void without_memory_the_set_stays_as_it_was(void **state)
{
    (void)state;
    for (long n = 0; n < 20; n++) {
        struct cla_names names = {0};
        unsigned added = 0;

        mem_fault_after(n);
        while (added < 20 && cla_names_add(&names, name_of(added)) == 0)
            added++;
        assert_true(mem_fault.failed || n > 20);
        assert_int_equal(names.count, added);
        for (; added < 20; added++)
            assert_int_equal(cla_names_add(&names, name_of(added)), 0);
        for (unsigned i = 0; i < 20; i++)
            assert_int_equal(cla_names_find(&names, name_of(i)), i);
        cla_names_fini(&names);
    }
    mem_fault_off();
    assert_int_equal(mem_fault.live, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_set_finds_nothing),
        cmocka_unit_test(names_are_numbered_in_their_order),
        cmocka_unit_test(without_memory_the_set_stays_as_it_was),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
