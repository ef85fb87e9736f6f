/* Borrowed runs of bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/slice.h"

static void equality_is_of_bytes(void **state)
{
    assert_true(cla_slice_eq(CLA_LIT("abc"), cla_slice_str("abc")));
    assert_true(cla_slice_eq(cla_slice("a\0b", 3), CLA_LIT("a\0b")));
    assert_true(cla_slice_eq(cla_slice(NULL, 0), CLA_LIT("")));
    assert_false(cla_slice_eq(CLA_LIT("abc"), CLA_LIT("abd")));
    assert_false(cla_slice_eq(CLA_LIT("abc"), CLA_LIT("ab")));
    assert_false(cla_slice_eq(CLA_LIT("abc"), CLA_LIT("ABC")));
}

static void case_is_ignored_for_ascii_letters_only(void **state)
{
    assert_true(cla_slice_eq_nocase(CLA_LIT("Content-TYPE"), CLA_LIT("content-type")));
    assert_false(cla_slice_eq_nocase(CLA_LIT("a"), CLA_LIT("ab")));
    /* Neighbours of the letters differ from one another by the same bit. */
    assert_false(cla_slice_eq_nocase(CLA_LIT("@"), CLA_LIT("`")));
    assert_false(cla_slice_eq_nocase(CLA_LIT("["), CLA_LIT("{")));
    assert_false(cla_slice_eq_nocase(CLA_LIT("\xc4"), CLA_LIT("\xe4")));
}

static void starts_compares_the_prefix(void **state)
{
    assert_true(cla_slice_starts(CLA_LIT("abc"), CLA_LIT("ab")));
    assert_true(cla_slice_starts(CLA_LIT("abc"), CLA_LIT("abc")));
    assert_true(cla_slice_starts(CLA_LIT("abc"), CLA_LIT("")));
    assert_true(cla_slice_starts(cla_slice(NULL, 0), CLA_LIT("")));
    assert_false(cla_slice_starts(CLA_LIT("abc"), CLA_LIT("b")));
    assert_false(cla_slice_starts(CLA_LIT("ab"), CLA_LIT("abc")));
}

static void trim_takes_spaces_and_tabs_off_both_ends(void **state)
{
    assert_true(cla_slice_eq(cla_slice_trim(CLA_LIT(" \t a b\t ")), CLA_LIT("a b")));
    assert_int_equal(cla_slice_trim(CLA_LIT(" \t ")).n, 0);
    assert_int_equal(cla_slice_trim(cla_slice(NULL, 0)).n, 0);
    assert_true(cla_slice_eq(cla_slice_trim(CLA_LIT("\r\n")), CLA_LIT("\r\n")));
}

static void list_gives_each_item_trimmed(void **state)
{
    static const char *const expected[] = {"a", "b c", "", "d"};
    struct cla_slice list = CLA_LIT(" a ,b c,\t,d"), item;
    size_t count = 0;

    while (cla_slice_next(&list, ',', &item)) {
        assert_true(count < CLA_ARRAY_LEN(expected));
        assert_true(cla_slice_eq(item, cla_slice_str(expected[count++])));
    }
    assert_int_equal(count, CLA_ARRAY_LEN(expected));
}

static void empty_list_has_no_items(void **state)
{
    struct cla_slice list = CLA_LIT(""), item;

    assert_false(cla_slice_next(&list, ',', &item));
}

static char lower(int c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

static void every_pair_of_bytes_compares_without_case_at_every_place(void **state)
{
    (void)state;
    for (int a = 0; a < 256; a++) {
        for (int b = 0; b < 256; b++) {
            for (size_t at = 0; at < 11; at++) {
                char x[] = "QQQQQQQQQQQ", y[] = "qqqqqqqqqqq";

                x[at] = (char)a;
                y[at] = (char)b;
                assert_int_equal(cla_slice_eq_nocase(cla_slice(x, 11), cla_slice(y, 11)),
                                 lower(a) == lower(b));
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equality_is_of_bytes),
        cmocka_unit_test(case_is_ignored_for_ascii_letters_only),
        cmocka_unit_test(starts_compares_the_prefix),
        cmocka_unit_test(trim_takes_spaces_and_tabs_off_both_ends),
        cmocka_unit_test(list_gives_each_item_trimmed),
        cmocka_unit_test(empty_list_has_no_items),
        cmocka_unit_test(every_pair_of_bytes_compares_without_case_at_every_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
