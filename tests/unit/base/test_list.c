/* The intrusive list. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/list.h"

struct item {
    int number; /* its place when pushed */
    struct cla_link link;
};

struct fixture {
    struct cla_link list;
    struct item items[3];
};

static void fixture_init(struct fixture *f, bool filled)
{
    cla_list_init(&f->list);
    for (int i = 0; i < 3; i++) {
        f->items[i].number = i + 1;
        cla_list_init(&f->items[i].link);
        if (filled)
            cla_list_push(&f->list, &f->items[i].link);
    }
}

/* The numbers in the list, first the highest digit. */
static int order(const struct cla_link *list)
{
    int digits = 0;

    for (struct cla_link *l = list->next; l != list; l = l->next)
        digits = digits * 10 + CLA_CONTAINER(l, struct item, link)->number;
    for (struct cla_link *l = list->prev; l != list; l = l->prev)
        assert_ptr_equal(l->next->prev, l);
    return digits;
}

static void push_and_push_front_give_the_order(void **state)
{
    struct fixture f;

    fixture_init(&f, false);
    assert_true(cla_list_empty(&f.list));
    cla_list_push(&f.list, &f.items[1].link);
    cla_list_push(&f.list, &f.items[2].link);
    cla_list_push_front(&f.list, &f.items[0].link);
    assert_int_equal(order(&f.list), 123);
    assert_false(cla_list_empty(&f.list));
}

static void remove_twice_is_once(void **state)
{
    struct fixture f;

    fixture_init(&f, true);
    cla_list_remove(&f.items[1].link);
    cla_list_remove(&f.items[1].link);
    assert_int_equal(order(&f.list), 13);
    assert_true(cla_list_empty(&f.items[1].link));
}

static void pop_gives_the_first_until_there_is_none(void **state)
{
    struct fixture f;

    fixture_init(&f, true);
    for (int i = 0; i < 3; i++)
        assert_ptr_equal(cla_list_pop(&f.list), &f.items[i].link);
    assert_null(cla_list_pop(&f.list));
    assert_true(cla_list_empty(&f.list));
}

static void move_empties_the_source_and_appends_in_order(void **state)
{
    struct fixture f;
    struct cla_link to;

    fixture_init(&f, true);
    cla_list_init(&to);
    cla_list_remove(&f.items[0].link);
    cla_list_push(&to, &f.items[0].link);
    cla_list_move(&to, &f.list);
    assert_int_equal(order(&to), 123);
    assert_true(cla_list_empty(&f.list));
    cla_list_move(&to, &f.list);
    assert_int_equal(order(&to), 123);
}

static void walking_may_remove_the_current_link(void **state)
{
    struct fixture f;
    int seen = 0;

    fixture_init(&f, true);
    CLA_LIST_EACH (link, &f.list) {
        seen = seen * 10 + CLA_CONTAINER(link, struct item, link)->number;
        cla_list_remove(link);
    }
    assert_int_equal(seen, 123);
    assert_true(cla_list_empty(&f.list));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(push_and_push_front_give_the_order),
        cmocka_unit_test(remove_twice_is_once),
        cmocka_unit_test(pop_gives_the_first_until_there_is_none),
        cmocka_unit_test(move_empties_the_source_and_appends_in_order),
        cmocka_unit_test(walking_may_remove_the_current_link),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
