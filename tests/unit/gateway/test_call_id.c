/* Ids of calls, short and long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/call_id.h"

static const char text[] = "\"a-text-that-is-an-id\"";

static struct cla_slice first(size_t n)
{
    return cla_slice(text, n);
}

static void none_is_none_however_it_is_made(void **state)
{
    const struct cla_call_id zeros = {0}, made = cla_call_id_make(cla_slice(NULL, 0));

    assert_true(cla_call_id_is_none(&zeros));
    assert_true(cla_call_id_is_none(&made));
    assert_int_equal(cla_call_id_slice(&made).n, 0);
    assert_false(cla_call_id_is_borrowed(&made));
}

static void ids_of_up_to_15_bytes_are_kept_in_place(void **state)
{
    for (size_t n = 1; n <= CLA_CALL_ID_SHORT; n++) {
        const struct cla_call_id id = cla_call_id_make(first(n));
        const struct cla_call_id copy = id;

        assert_false(cla_call_id_is_none(&id));
        assert_false(cla_call_id_is_borrowed(&id));
        assert_true(cla_slice_eq(cla_call_id_slice(&copy), first(n)));
        assert_ptr_equal(cla_call_id_slice(&copy).p, &copy);
    }
}

static void ids_of_16_bytes_and_more_are_borrowed(void **state)
{
    for (size_t n = CLA_CALL_ID_SHORT + 1; n < sizeof text; n++) {
        const struct cla_call_id id = cla_call_id_make(first(n));

        assert_false(cla_call_id_is_none(&id));
        assert_true(cla_call_id_is_borrowed(&id));
        assert_ptr_equal(cla_call_id_slice(&id).p, text);
        assert_int_equal(cla_call_id_slice(&id).n, n);
    }
}

static void a_long_id_may_be_as_long_as_the_longest_text(void **state)
{
    const struct cla_call_id id = cla_call_id_make(cla_slice(text, (size_t)1 << 30));

    assert_int_equal(cla_call_id_slice(&id).n, (size_t)1 << 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(none_is_none_however_it_is_made),
        cmocka_unit_test(ids_of_up_to_15_bytes_are_kept_in_place),
        cmocka_unit_test(ids_of_16_bytes_and_more_are_borrowed),
        cmocka_unit_test(a_long_id_may_be_as_long_as_the_longest_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
