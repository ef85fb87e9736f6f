/* The intrusive list with a head of one pointer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/stack.h"

struct item {
    int number; /* its place when pushed */
    struct cla_stack_link link;
};

/* Items 1 to 3, pushed in that order if it is to be filled. */
struct fixture {
    struct cla_stack stack;
    struct item items[3];
};

static void fixture_init(struct fixture *f, bool filled)
{
    *f = (struct fixture){0};
    for (int i = 0; i < 3; i++) {
        f->items[i].number = i + 1;
        if (filled)
            cla_stack_push(&f->stack, &f->items[i].link);
    }
}

/* The numbers in the stack, first the highest digit. */
static int order(const struct cla_stack *stack)
{
    int digits = 0;

    for (struct cla_stack_link *l = stack->first; l != NULL; l = l->next) {
        digits = digits * 10 + CLA_CONTAINER(l, struct item, link)->number;
        assert_ptr_equal(*l->at, l);
    }
    return digits;
}

static void what_is_pushed_last_is_first(void **state)
{
    struct fixture f;

    fixture_init(&f, false);
    assert_true(cla_stack_empty(&f.stack));
    assert_false(cla_stack_holds(&f.items[0].link));
    for (int i = 0; i < 3; i++)
        cla_stack_push(&f.stack, &f.items[i].link);
    assert_int_equal(order(&f.stack), 321);
    assert_false(cla_stack_empty(&f.stack));
    assert_true(cla_stack_holds(&f.items[0].link));
}

static void any_link_can_be_removed_and_twice_is_once(void **state)
{
    static const int left[] = {32, 31, 21};

    for (int i = 0; i < 3; i++) {
        struct fixture f;

        fixture_init(&f, true);
        cla_stack_remove(&f.items[i].link);
        cla_stack_remove(&f.items[i].link);
        assert_int_equal(order(&f.stack), left[i]);
        assert_false(cla_stack_holds(&f.items[i].link));
        cla_stack_push(&f.stack, &f.items[i].link);
        assert_int_equal(order(&f.stack), (i + 1) * 100 + left[i]);
    }
}

static void pop_gives_the_first_until_there_is_none(void **state)
{
    struct fixture f;

    fixture_init(&f, true);
    for (int i = 2; i >= 0; i--) {
        assert_ptr_equal(cla_stack_pop(&f.stack), &f.items[i].link);
        assert_false(cla_stack_holds(&f.items[i].link));
    }
    assert_null(cla_stack_pop(&f.stack));
    assert_true(cla_stack_empty(&f.stack));
}

static void walking_may_remove_the_current_link(void **state)
{
    struct fixture f;
    int seen = 0;

    fixture_init(&f, true);
    CLA_STACK_EACH (link, &f.stack) {
        seen = seen * 10 + CLA_CONTAINER(link, struct item, link)->number;
        cla_stack_remove(link);
    }
    assert_int_equal(seen, 321);
    assert_true(cla_stack_empty(&f.stack));
    CLA_STACK_EACH (link, &f.stack) {
        fail();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_pushed_last_is_first),
        cmocka_unit_test(any_link_can_be_removed_and_twice_is_once),
        cmocka_unit_test(pop_gives_the_first_until_there_is_none),
        cmocka_unit_test(walking_may_remove_the_current_link),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
