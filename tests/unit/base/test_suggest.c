/* Which known name a mistyped one was meant to be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/suggest.h"

static unsigned distance(const char *a, const char *b)
{
    return cla_suggest_distance(cla_slice_str(a), cla_slice_str(b), 100);
}

static void each_kind_of_edit_counts_one(void **state)
{
    assert_int_equal(distance("listen", "listen"), 0);
    assert_int_equal(distance("listen", "lsten"), 1);
    assert_int_equal(distance("listen", "lisften"), 1);
    assert_int_equal(distance("listen", "lizten"), 1);
    assert_int_equal(distance("listen", "litsen"), 1);
    assert_int_equal(distance("", "abc"), 3);
    assert_int_equal(distance("abc", ""), 3);
    assert_int_equal(distance("kitten", "sitting"), 3);
    /* No byte is edited twice: "ca" to "ac" to "abc" does not count as two. */
    assert_int_equal(distance("ca", "abc"), 3);
}

static void case_and_dashes_are_no_difference(void **state)
{
    assert_int_equal(distance("Call-Timeout", "CALL_TIMEOUT"), 0);
}

static void distance_holds_at_the_limit(void **state)
{
    assert_int_equal(cla_suggest_distance(CLA_LIT("abc"), CLA_LIT("xyz"), 3), 3);
    assert_int_equal(cla_suggest_distance(CLA_LIT("abc"), CLA_LIT("xyz"), 2), 2);
    assert_int_equal(cla_suggest_distance(CLA_LIT("abc"), CLA_LIT("xyz"), 4), 3);
}

static void names_beyond_the_longest_are_never_near(void **state)
{
    char long_name[CLA_SUGGEST_NAME_MAX + 1];
    struct cla_slice all, longest;

    memset(long_name, 'a', sizeof long_name);
    all = cla_slice(long_name, sizeof long_name);
    longest = cla_slice(long_name, CLA_SUGGEST_NAME_MAX);
    assert_int_equal(cla_suggest_distance(all, all, 5), 5);
    assert_int_equal(cla_suggest_distance(longest, longest, 5), 0);
}

static const char *suggestion(const char *name)
{
    static const char *const known[] = {"listen", "workers", "call_timeout", "max_call_timeout",
                                        "grace",  "origins", "hosts",        "id"};
    struct cla_suggest suggest;

    cla_suggest_init(&suggest, cla_slice_str(name));
    for (size_t i = 0; i < CLA_ARRAY_LEN(known); i++)
        cla_suggest_offer(&suggest, cla_slice_str(known[i]));
    return suggest.best.n > 0 ? suggest.best.p : "(none)";
}

static void the_nearest_name_is_suggested(void **state)
{
    static const struct {
        const char *typed, *meant;
    } cases[] = {
        {"call_timout", "call_timeout"},
        {"call-timeout", "call_timeout"},
        {"CALL_TIMEOUTS", "call_timeout"},
        {"max_timeout", "call_timeout"},
        {"lisen", "listen"},
        {"worker", "workers"},
        {"host", "hosts"},
        {"orgins", "origins"},
        {"if", "id"},
        {"verbose", "(none)"},
        {"port", "(none)"},
        {"", "(none)"},
    };

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++)
        assert_string_equal(suggestion(cases[i].typed), cases[i].meant);
}

static void of_equally_near_names_the_first_wins(void **state)
{
    struct cla_suggest suggest;

    cla_suggest_init(&suggest, CLA_LIT("cat"));
    cla_suggest_offer(&suggest, CLA_LIT("bat"));
    cla_suggest_offer(&suggest, CLA_LIT("hat"));
    assert_string_equal(suggest.best.p, "bat");
    cla_suggest_offer(&suggest, CLA_LIT("cat"));
    assert_string_equal(suggest.best.p, "cat");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_of_edit_counts_one),
        cmocka_unit_test(case_and_dashes_are_no_difference),
        cmocka_unit_test(distance_holds_at_the_limit),
        cmocka_unit_test(names_beyond_the_longest_are_never_near),
        cmocka_unit_test(the_nearest_name_is_suggested),
        cmocka_unit_test(of_equally_near_names_the_first_wins),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
