#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"
#include "cancel/token.h"

#define NO_MESSAGE cla_slice(NULL, 0)

static struct cla_link followers; /* of what was cancelled or moved last */

static bool cancel(struct cla_token *token, enum cla_cancel_kind kind, uint64_t now_ns,
                   struct cla_slice message)
{
    cla_list_init(&followers);
    return cla_token_cancel(token, kind, now_ns, message, &followers);
}

static bool move(struct cla_token *token, struct cla_token *parent)
{
    cla_list_init(&followers);
    return cla_token_move(token, parent, &followers);
}

/* root -> a, b; a -> a1, a2 */
struct family {
    struct cla_token root, a, b, a1, a2;
};

static void family_init(struct family *f)
{
    cla_token_init(&f->root, NULL, CLA_NEVER);
    cla_token_init(&f->a, &f->root, CLA_NEVER);
    cla_token_init(&f->b, &f->root, CLA_NEVER);
    cla_token_init(&f->a1, &f->a, CLA_NEVER);
    cla_token_init(&f->a2, &f->a, CLA_NEVER);
}

static void family_fini(struct family *f)
{
    struct cla_token *all[] = {&f->a1, &f->a2, &f->a, &f->b, &f->root};

    for (size_t i = 0; i < CLA_ARRAY_LEN(all); i++) {
        cla_token_end(all[i]);
        cla_reason_fini(&all[i]->reason);
    }
}

static void first_reason_wins(void **state)
{
    struct cla_token token;

    cla_token_init(&token, NULL, CLA_NEVER);
    assert_false(cla_token_cancelled(&token));
    assert_true(cancel(&token, CLA_CANCEL_RESET, 5, CLA_LIT("first")));
    assert_false(cancel(&token, CLA_CANCEL_KILLED, 6, CLA_LIT("second")));
    assert_true(cla_token_cancelled(&token));
    assert_int_equal(token.reason.kind, CLA_CANCEL_RESET);
    assert_int_equal(token.reason.at_ns, 5);
    assert_memory_equal(cla_reason_message(&token.reason).p, "first", 5);
    cla_token_end(&token);
    cla_reason_fini(&token.reason);
}

static void cancel_marks_the_whole_subtree_and_nothing_else(void **state)
{
    struct family f;

    family_init(&f);
    assert_true(cancel(&f.a, CLA_CANCEL_USER, 1, CLA_LIT("m")));
    assert_true(cla_token_cancelled(&f.a1) && cla_token_cancelled(&f.a2));
    assert_ptr_equal(f.a1.reason.message, f.a.reason.message);
    assert_false(cla_token_cancelled(&f.root) || cla_token_cancelled(&f.b));
    assert_true(cancel(&f.root, CLA_CANCEL_SHUTDOWN, 2, NO_MESSAGE));
    assert_int_equal(f.b.reason.kind, CLA_CANCEL_SHUTDOWN);
    family_fini(&f);
}

static void child_that_was_cancelled_keeps_its_reason(void **state)
{
    struct family f;

    family_init(&f);
    cancel(&f.a1, CLA_CANCEL_LOST_RACE, 1, NO_MESSAGE);
    cancel(&f.root, CLA_CANCEL_RESET, 2, NO_MESSAGE);
    assert_int_equal(f.a1.reason.kind, CLA_CANCEL_LOST_RACE);
    assert_int_equal(f.a2.reason.kind, CLA_CANCEL_RESET);
    family_fini(&f);
}

static void descendants_of_a_cancelled_child_are_marked_too(void **state)
{
    struct family f;
    struct cla_token late;

    family_init(&f);
    cancel(&f.a, CLA_CANCEL_USER, 1, NO_MESSAGE);
    cla_token_init(&late, &f.a, CLA_NEVER);
    assert_int_equal(late.reason.kind, CLA_CANCEL_USER); /* born cancelled */
    cancel(&f.root, CLA_CANCEL_RESET, 2, NO_MESSAGE);
    assert_int_equal(late.reason.kind, CLA_CANCEL_USER);
    cla_token_end(&late);
    cla_reason_fini(&late.reason);
    family_fini(&f);
}

static void past_its_deadline_the_reason_is_timeout_whoever_asked(void **state)
{
    static const struct {
        uint64_t now;
        enum cla_cancel_kind want;
    } cases[] = {{99, CLA_CANCEL_RESET}, {100, CLA_CANCEL_TIMEOUT}, {101, CLA_CANCEL_TIMEOUT}};

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        struct cla_token token;

        cla_token_init(&token, NULL, 100);
        cancel(&token, CLA_CANCEL_RESET, cases[i].now, NO_MESSAGE);
        assert_int_equal(token.reason.kind, cases[i].want);
        cla_token_end(&token);
    }
}

static void deadline_is_the_least_of_its_ancestors(void **state)
{
    static const uint64_t cases[][3] = {/* parent, own, effective */
                                        {100, 200, 100},
                                        {200, 100, 100},
                                        {CLA_NEVER, 100, 100},
                                        {100, CLA_NEVER, 100},
                                        {CLA_NEVER, CLA_NEVER, CLA_NEVER}};

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        struct cla_token parent, child, grandchild;

        cla_token_init(&parent, NULL, cases[i][0]);
        cla_token_init(&child, &parent, cases[i][1]);
        cla_token_init(&grandchild, &child, CLA_NEVER);
        assert_int_equal(child.deadline_ns, cases[i][2]);
        assert_int_equal(grandchild.deadline_ns, cases[i][2]);
        cla_token_end(&grandchild);
        cla_token_end(&child);
        cla_token_end(&parent);
    }
}

static void remaining_never_goes_below_zero(void **state)
{
    struct cla_token token;

    cla_token_init(&token, NULL, 100);
    assert_int_equal(cla_token_remaining_ns(&token, 40), 60);
    assert_int_equal(cla_token_remaining_ns(&token, 100), 0);
    assert_int_equal(cla_token_remaining_ns(&token, 140), 0);
    token.deadline_ns = CLA_NEVER;
    assert_int_equal(cla_token_remaining_ns(&token, 140), CLA_NEVER);
    cla_token_end(&token);
}

static void case_5_nothing_remains_of_a_cancelled_token(void **state)
{
    static const uint64_t deadlines[] = {100, CLA_NEVER};

    for (size_t i = 0; i < CLA_ARRAY_LEN(deadlines); i++) {
        struct cla_token token;

        cla_token_init(&token, NULL, deadlines[i]);
        assert_true(cancel(&token, CLA_CANCEL_RESET, 40, cla_slice(NULL, 0)));
        assert_int_equal(cla_token_remaining_ns(&token, 40), 0);
        assert_int_equal(token.deadline_ns, deadlines[i]);
        cla_token_end(&token);
        cla_reason_fini(&token.reason);
    }
}

static void registrations_are_taken_newest_first(void **state)
{
    struct cla_token token;
    struct cla_registration r[3];

    cla_token_init(&token, NULL, CLA_NEVER);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(cla_token_register(&token, &r[i]), 0);
    for (size_t i = 3; i-- > 0;) {
        assert_ptr_equal(cla_token_take(&token), &r[i]);
        assert_null(r[i].token);
    }
    assert_null(cla_token_take(&token));
    cla_token_end(&token);
}

static void registrations_are_limited_and_room_comes_back(void **state)
{
    static struct cla_registration r[CLA_TOKEN_REGISTRATIONS_MAX];
    const size_t removed[] = {CLA_TOKEN_REGISTRATIONS_MAX - 1, CLA_TOKEN_REGISTRATIONS_MAX - 2, 0,
                              CLA_TOKEN_REGISTRATIONS_MAX / 2};
    struct cla_registration further;
    struct cla_token token;

    (void)state;
    cla_token_init(&token, NULL, CLA_NEVER);
    for (size_t i = 0; i < CLA_ARRAY_LEN(r); i++)
        assert_int_equal(cla_token_register(&token, &r[i]), 0);
    assert_int_equal(cla_token_register(&token, &further), -CLA_ELIMIT);
    for (size_t i = 0; i < CLA_ARRAY_LEN(removed); i++)
        assert_true(cla_registration_remove(&r[removed[i]]));
    for (size_t i = 0; i < CLA_ARRAY_LEN(removed); i++)
        assert_int_equal(cla_token_register(&token, &r[removed[i]]), 0);
    assert_int_equal(cla_token_register(&token, &further), -CLA_ELIMIT);
    while (cla_token_take(&token) != NULL)
        continue;
    assert_int_equal(cla_token_register(&token, &further), 0);
    cla_token_end(&token);
}

static void remove_is_true_once_and_only_before_it_was_taken(void **state)
{
    struct cla_token token;
    struct cla_registration removed, taken;

    cla_token_init(&token, NULL, CLA_NEVER);
    cla_token_register(&token, &removed);
    cla_token_register(&token, &taken);
    assert_true(cla_registration_remove(&removed));
    assert_false(cla_registration_remove(&removed));
    assert_ptr_equal(cla_token_take(&token), &taken);
    assert_false(cla_registration_remove(&taken));
    assert_null(cla_token_take(&token));
    cla_token_end(&token);
}

static void end_drops_registrations(void **state)
{
    struct cla_token token;
    struct cla_registration r;

    cla_token_init(&token, NULL, CLA_NEVER);
    cla_token_register(&token, &r);
    cla_token_end(&token);
    assert_false(cla_registration_remove(&r));
    assert_null(cla_token_take(&token));
}

static void walk_visits_children_before_parents_and_newest_first(void **state)
{
    struct family f;
    struct cla_token *token = NULL;

    family_init(&f);
    {
        struct cla_token *const want[] = {&f.b, &f.a2, &f.a1, &f.a, &f.root};

        for (size_t i = 0; i < CLA_ARRAY_LEN(want); i++) {
            token = cla_token_next(&f.root, token);
            assert_ptr_equal(token, want[i]);
        }
        assert_null(cla_token_next(&f.root, token));
    }
    assert_ptr_equal(cla_token_next(&f.b, NULL), &f.b); /* never outside its root */
    assert_null(cla_token_next(&f.b, &f.b));
    family_fini(&f);
}

static void children_of_an_ended_token_become_roots(void **state)
{
    struct family f;

    family_init(&f);
    cla_token_end(&f.a);
    assert_null(f.a1.parent);
    cancel(&f.root, CLA_CANCEL_RESET, 1, NO_MESSAGE);
    assert_true(cla_token_cancelled(&f.b));
    assert_false(cla_token_cancelled(&f.a) || cla_token_cancelled(&f.a1));
    assert_true(cancel(&f.a1, CLA_CANCEL_USER, 2, NO_MESSAGE));
    family_fini(&f);
}

static void reason_outlives_the_end(void **state)
{
    struct cla_token token;

    cla_token_init(&token, NULL, CLA_NEVER);
    cancel(&token, CLA_CANCEL_USER, 1, CLA_LIT("kept"));
    cla_token_end(&token);
    assert_true(cla_token_cancelled(&token));
    assert_memory_equal(cla_reason_message(&token.reason).p, "kept", 4);
    cla_reason_fini(&token.reason);
}

static void moved_token_has_the_deadlines_around_it_and_not_those_it_has_left(void **state)
{
    struct cla_token near, far, child, inner;

    cla_token_init(&near, NULL, 10);
    cla_token_init(&far, NULL, 90);
    cla_token_init(&child, &near, 50);
    cla_token_init(&inner, &child, CLA_NEVER);
    assert_false(move(&child, &far));
    assert_int_equal(child.deadline_ns, 50);
    assert_int_equal(inner.deadline_ns, 50);
    assert_false(move(&child, &near));
    assert_int_equal(inner.deadline_ns, 10);
    assert_false(move(&child, NULL));
    assert_int_equal(inner.deadline_ns, 50);
    assert_null(child.parent);
    cla_token_end(&inner);
    cla_token_end(&child);
    cla_token_end(&far);
    cla_token_end(&near);
}

static void deadline_may_be_set_anew_and_what_is_inside_or_linked_follows(void **state)
{
    struct cla_token token, child, linked;
    struct cla_token_link link;

    cla_token_init(&token, NULL, 10);
    cla_token_init(&child, &token, 50);
    cla_token_init(&linked, NULL, CLA_NEVER);
    cla_token_link(&token, &linked, &link);
    cla_token_set_deadline(&token, 70);
    assert_int_equal(token.deadline_ns, 70);
    assert_int_equal(child.deadline_ns, 50);
    assert_int_equal(linked.deadline_ns, 70);
    cla_token_set_deadline(&token, 20);
    assert_int_equal(child.deadline_ns, 20);
    assert_int_equal(linked.deadline_ns, 20);
    cla_token_set_deadline(&token, CLA_NEVER);
    assert_int_equal(child.deadline_ns, 50);
    cla_token_end(&linked);
    cla_token_end(&child);
    cla_token_end(&token);
}

static void token_moved_under_a_cancelled_one_is_marked_once_and_stays_so(void **state)
{
    struct family f;

    family_init(&f);
    cancel(&f.a1, CLA_CANCEL_USER, 1, NO_MESSAGE);
    cancel(&f.b, CLA_CANCEL_RESET, 2, CLA_LIT("m"));
    assert_true(move(&f.a, &f.b));
    assert_int_equal(f.a.reason.kind, CLA_CANCEL_RESET);
    assert_int_equal(f.a1.reason.kind, CLA_CANCEL_USER);
    assert_int_equal(f.a2.reason.kind, CLA_CANCEL_RESET);
    assert_false(move(&f.a, &f.root));
    assert_true(cla_token_cancelled(&f.a));
    assert_false(cla_token_cancelled(&f.root));
    family_fini(&f);
}

static void moved_token_is_marked_with_its_new_parent_only(void **state)
{
    struct family f;

    family_init(&f);
    move(&f.a1, &f.b);
    cancel(&f.a, CLA_CANCEL_RESET, 1, NO_MESSAGE);
    assert_false(cla_token_cancelled(&f.a1));
    cancel(&f.b, CLA_CANCEL_USER, 2, NO_MESSAGE);
    assert_int_equal(f.a1.reason.kind, CLA_CANCEL_USER);
    family_fini(&f);
}

static void linked_token_is_marked_with_its_source_and_follows_it(void **state)
{
    struct cla_token sources[2], target, child;
    struct cla_token_link links[2];

    cla_token_init(&sources[0], NULL, 50);
    cla_token_init(&sources[1], NULL, 40);
    cla_token_init(&target, NULL, CLA_NEVER);
    for (int i = 0; i < 2; i++)
        cla_token_link(&sources[i], &target, &links[i]);
    cla_token_init(&child, &target, CLA_NEVER);
    assert_int_equal(target.deadline_ns, 40);
    assert_true(cancel(&sources[1], CLA_CANCEL_USER, 7, NO_MESSAGE));
    assert_int_equal(target.reason.kind, CLA_CANCEL_USER);
    assert_int_equal(child.reason.kind, CLA_CANCEL_USER);
    assert_false(cla_token_cancelled(&sources[0]));
    assert_ptr_equal(cla_token_take_follower(&followers), &target);
    assert_null(cla_token_take_follower(&followers));
    assert_true(cancel(&sources[0], CLA_CANCEL_RESET, 8, NO_MESSAGE));
    assert_null(cla_token_take_follower(&followers));
    assert_int_equal(target.reason.kind, CLA_CANCEL_USER);
    cla_token_end(&child);
    cla_token_end(&target);
    assert_true(cla_stack_empty(&sources[0].links));
    cla_token_end(&sources[0]);
    cla_token_end(&sources[1]);
}

static void followers_are_taken_last_marked_first(void **state)
{
    struct cla_token source, near[2], far[2];
    struct cla_token_link to_near[2], to_far[2], again;

    cla_token_init(&source, NULL, CLA_NEVER);
    for (int i = 0; i < 2; i++) {
        cla_token_init(&near[i], NULL, CLA_NEVER);
        cla_token_init(&far[i], NULL, CLA_NEVER);
        cla_token_link(&near[i], &far[i], &to_far[i]);
        cla_token_link(&source, &near[i], &to_near[i]);
    }
    cla_token_link(&source, &far[1], &again); /* reached twice, marked once */
    cancel(&source, CLA_CANCEL_USER, 1, NO_MESSAGE);
    assert_ptr_equal(cla_token_take_follower(&followers), &far[0]);
    assert_ptr_equal(cla_token_take_follower(&followers), &far[1]);
    assert_ptr_equal(cla_token_take_follower(&followers), &near[1]);
    assert_ptr_equal(cla_token_take_follower(&followers), &near[0]);
    assert_null(cla_token_take_follower(&followers));
    cla_token_end(&source);
    for (int i = 0; i < 2; i++) {
        cla_token_end(&near[i]);
        cla_token_end(&far[i]);
    }
}

static void token_that_is_linked_to_a_cancelled_one_is_born_cancelled(void **state)
{
    struct cla_token source, target;
    struct cla_token_link link;

    cla_token_init(&source, NULL, CLA_NEVER);
    cla_token_init(&target, NULL, CLA_NEVER);
    cancel(&source, CLA_CANCEL_USER, 3, NO_MESSAGE);
    cla_token_link(&source, &target, &link);
    assert_int_equal(target.reason.kind, CLA_CANCEL_USER);
    assert_int_equal(target.reason.at_ns, 3);
    assert_true(cla_stack_empty(&source.links));
    cla_token_end(&target);
    cla_token_end(&source);
}

static void source_that_ends_leaves_the_linked_token_alone(void **state)
{
    struct cla_token source, target;
    struct cla_token_link link;

    cla_token_init(&source, NULL, CLA_NEVER);
    cla_token_init(&target, NULL, CLA_NEVER);
    cla_token_link(&source, &target, &link);
    cla_token_end(&source);
    assert_true(target.sources == NULL);
    assert_false(cla_token_cancelled(&target));
    cla_token_end(&target);
}

/* A source under 'near', what is linked to it, and a child of that. */
struct chain {
    struct cla_token near, far, source, target, child;
    struct cla_token_link link;
};

static void chain_init(struct chain *c)
{
    cla_token_init(&c->near, NULL, 10);
    cla_token_init(&c->far, NULL, 90);
    cla_token_init(&c->source, &c->far, CLA_NEVER);
    cla_token_init(&c->target, NULL, CLA_NEVER);
    cla_token_link(&c->source, &c->target, &c->link);
    cla_token_init(&c->child, &c->target, 50);
}

static void chain_fini(struct chain *c)
{
    struct cla_token *all[] = {&c->child, &c->target, &c->source, &c->far, &c->near};

    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        cla_token_end(all[i]);
        cla_reason_fini(&all[i]->reason);
    }
}

static void deadlines_of_what_is_linked_follow_a_source_that_moves(void **state)
{
    struct chain c;

    chain_init(&c);
    assert_int_equal(c.child.deadline_ns, 50);
    assert_false(move(&c.source, &c.near));
    assert_int_equal(c.target.deadline_ns, 10);
    assert_int_equal(c.child.deadline_ns, 10);
    assert_false(move(&c.source, NULL));
    assert_int_equal(c.target.deadline_ns, CLA_NEVER);
    assert_int_equal(c.child.deadline_ns, 50);
    chain_fini(&c);
}

static void token_moved_under_a_cancelled_one_marks_what_is_linked_to_it(void **state)
{
    struct chain c;

    chain_init(&c);
    cancel(&c.near, CLA_CANCEL_RESET, 2, NO_MESSAGE);
    assert_true(move(&c.source, &c.near));
    assert_int_equal(c.target.reason.kind, CLA_CANCEL_RESET);
    assert_int_equal(c.child.reason.kind, CLA_CANCEL_RESET);
    assert_ptr_equal(cla_token_take_follower(&followers), &c.target);
    assert_null(cla_token_take_follower(&followers));
    assert_false(move(&c.source, &c.far));
    assert_false(move(&c.source, &c.near));
    assert_null(cla_token_take_follower(&followers));
    chain_fini(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_reason_wins),
        cmocka_unit_test(cancel_marks_the_whole_subtree_and_nothing_else),
        cmocka_unit_test(child_that_was_cancelled_keeps_its_reason),
        cmocka_unit_test(descendants_of_a_cancelled_child_are_marked_too),
        cmocka_unit_test(past_its_deadline_the_reason_is_timeout_whoever_asked),
        cmocka_unit_test(deadline_is_the_least_of_its_ancestors),
        cmocka_unit_test(remaining_never_goes_below_zero),
        cmocka_unit_test(case_5_nothing_remains_of_a_cancelled_token),
        cmocka_unit_test(registrations_are_taken_newest_first),
        cmocka_unit_test(registrations_are_limited_and_room_comes_back),
        cmocka_unit_test(remove_is_true_once_and_only_before_it_was_taken),
        cmocka_unit_test(end_drops_registrations),
        cmocka_unit_test(walk_visits_children_before_parents_and_newest_first),
        cmocka_unit_test(children_of_an_ended_token_become_roots),
        cmocka_unit_test(reason_outlives_the_end),
        cmocka_unit_test(moved_token_has_the_deadlines_around_it_and_not_those_it_has_left),
        cmocka_unit_test(deadline_may_be_set_anew_and_what_is_inside_or_linked_follows),
        cmocka_unit_test(token_moved_under_a_cancelled_one_is_marked_once_and_stays_so),
        cmocka_unit_test(moved_token_is_marked_with_its_new_parent_only),
        cmocka_unit_test(deadlines_of_what_is_linked_follow_a_source_that_moves),
        cmocka_unit_test(token_moved_under_a_cancelled_one_marks_what_is_linked_to_it),
        cmocka_unit_test(linked_token_is_marked_with_its_source_and_follows_it),
        cmocka_unit_test(followers_are_taken_last_marked_first),
        cmocka_unit_test(token_that_is_linked_to_a_cancelled_one_is_born_cancelled),
        cmocka_unit_test(source_that_ends_leaves_the_linked_token_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
