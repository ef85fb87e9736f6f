/* Scopes inside a task: timeouts and shields, in each other and in clean-up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "task_fixture.h"

static struct fixture fixture;

static int open_fixture(void **state)
{
    fixture_open(&fixture, 64 << 20);
    *state = &fixture;
    return 0;
}

static int close_fixture(void **state)
{
    fixture_close(*state);
    return 0;
}

struct script {
    const char *source;
    uint64_t deadline_ms;  /* 0: none */
    uint64_t cancel_at_ms; /* 0: not cancelled */
    const char *notes;
    bool cancelled; /* ended by its own Cancel */
};

static void run_script(struct fixture *f, const struct script *script)
{
    struct body body;
    uint64_t start;

    f->start_ns = cla_loop_now_ns(&f->loop);
    start = f->start_ns;
    fixture_start(f, &body, script->source, script->deadline_ms);
    if (script->cancel_at_ms > 0) {
        fixture_run_until(f, script->cancel_at_ms);
        assert_true(fixture_cancel(&body, CLA_CANCEL_RESET));
    }
    fixture_run(f);
    assert_int_equal(f->start_ns, start);
    fixture_require_notes(f, script->notes);
    assert_int_equal(body.own_cancel, script->cancelled);
    assert_int_equal(body.releases, 1);
}

static void run_scripts(void **state, const struct script *scripts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        run_script(*state, &scripts[i]);
}

static void timeout_catches_only_its_own_cancel(void **state)
{
    static const struct script scripts[] = {
        {"note(timeout(50, function() sleep(20) end))", 0, 0, "true@20", false},
        {"note(timeout(20, function() sleep(50) end))", 0, 0, "false@20", false},
        {"note(timeout(50, function() note(timeout(20, function() sleep(90) end)) end))", 0, 0,
         "false@20 true@20", false},
        {"note(timeout(20, function() note(timeout(50, function() sleep(90) end)) end))", 0, 0,
         "false@20", false},
        {"note(timeout(50, function() sleep(90) end))", 20, 0, "", true},
        {"note(timeout(50, function() sleep(90) end))", 0, 20, "", true},
        {"note(timeout(0, function() end))", 0, 0, "true@0", false},
        {"note(timeout(0, function() sleep(1) end))", 0, 0, "false@0", false},
    };

    run_scripts(state, scripts, CLA_ARRAY_LEN(scripts));
}

static void work_after_a_timeout_is_not_cancelled(void **state)
{
    static const struct script scripts[] = {
        {"timeout(10, function() sleep(90) end) sleep(30) note('on')", 0, 0, "on@40", false},
        {"timeout(10, function() local _ <close> = closing(function() sleep(5) note('c') end) "
         "sleep(90) end) sleep(30) note('on')",
         0, 0, "c@15 on@45", false},
    };

    run_scripts(state, scripts, CLA_ARRAY_LEN(scripts));
}

static void error_inside_closes_the_scopes_it_passes(void **state)
{
    static const struct script scripts[] = {
        {"note(pcall(timeout, 50, function() timeout(40, function() error('x') end) end)) "
         "sleep(90) note('on')",
         0, 0, "false@0 on@90", false},
    };

    run_scripts(state, scripts, CLA_ARRAY_LEN(scripts));
}

static void parents_cancel_while_a_child_unwinds_does_not_cut_it(void **state)
{
    static const struct script scripts[] = {
        {"note(timeout(10, function() local _ <close> = closing(function() sleep(30) note('c') end)"
         " sleep(90) end)) sleep(1) note('never')",
         0, 20, "c@40 false@40", true},
    };

    run_scripts(state, scripts, CLA_ARRAY_LEN(scripts));
}

static void shield_hides_the_cancel_until_it_ends(void **state)
{
    static const struct script scripts[] = {
        {"shield(200, function() sleep(100) note('safe') end) sleep(1) note('never')", 0, 20,
         "safe@100", true},
        {"shield(50, function() sleep(100) note('never') end)", 0, 20, "", true},
        {"shield(200, function() sleep(100) note('safe') end) note('on')", 0, 0, "safe@100 on@100",
         false},
        /* the cancel's grace caps it */
        {"shield(9000, function() note(pcall(sleep, 8000)) end)", 0, 20, "false@520", false},
        {"shield(9000, function() shield(9000, function() sleep(8000) end) end) note('never')", 0,
         20, "", true},
    };

    run_scripts(state, scripts, CLA_ARRAY_LEN(scripts));
}

static void timeout_in_a_shield_lasts_past_the_deadline_outside(void **state)
{
    static const struct script scripts[] = {
        {"shield(200, function() note(timeout(100, function() sleep(50) end)) end) sleep(1)", 20, 0,
         "true@50", true},
        {"shield(200, function() note(timeout(100, function() sleep(150) end)) end) sleep(1)", 20,
         0, "false@100", true},
    };

    run_scripts(state, scripts, CLA_ARRAY_LEN(scripts));
}

static void shield_in_cleanup_is_capped_by_grace(void **state)
{
    static const struct script scripts[] = {
        {"local _ <close> = closing(function() shield(9000, function() sleep(100) note('c') end) "
         "end) sleep(90)",
         0, 20, "c@120", true},
        {"local _ <close> = closing(function() note('c') shield(9000, function() sleep(8000) "
         "note('never') end) end) sleep(90)",
         0, 20, "c@20", true},
    };

    run_scripts(state, scripts, CLA_ARRAY_LEN(scripts));
}

static void timeout_opened_by_cleanup_works_in_it(void **state)
{
    static const struct script scripts[] = {
        {"local _ <close> = closing(function() note(timeout(50, function() sleep(300) end)) "
         "sleep(10) note('c') end) sleep(90)",
         0, 20, "false@70 c@80", true},
        /* grace ends both */
        {"local _ <close> = closing(function() note(timeout(900, function() sleep(3000) end)) end) "
         "sleep(90)",
         0, 20, "", true},
        /* one in the other */
        {"local _ <close> = closing(function() note(timeout(100, function() "
         "note(timeout(50, function() sleep(300) end)) sleep(300) end)) end) sleep(90)",
         0, 20, "false@70 false@120", true},
    };

    run_scripts(state, scripts, CLA_ARRAY_LEN(scripts));
}

static void timeout_that_was_open_before_the_cancel_does_not_cut_its_cleanup(void **state)
{
    static const struct script scripts[] = {
        {"note(timeout(50, function() local _ <close> = closing(function() sleep(100) note('c') "
         "end) sleep(90) end))",
         0, 20, "c@120", true},
    };

    run_scripts(state, scripts, CLA_ARRAY_LEN(scripts));
}

static void closed_scope_is_stale(void **state)
{
    static const struct script scripts[] = {
        {"local e timeout(10, function() local ok ok, e = pcall(sleep, 90) end) "
         "note(pcall(error, e)) sleep(1) note('on')",
         0, 0, "false@10 on@11", false},
    };

    run_scripts(state, scripts, CLA_ARRAY_LEN(scripts));
}

static void tokens_of_inner_scopes_are_marked_through_shields(void **state)
{
    struct fixture *f = *state;
    struct body body;

    fixture_start(f, &body, "shield(100, function() sleep(50) end)", 0);
    fixture_step(f);
    fixture_cancel(&body, CLA_CANCEL_RESET);
    assert_true(body.task->scope != &body.task->root);
    assert_int_equal(body.task->scope->token.reason.kind, CLA_CANCEL_RESET);
    assert_null(cla_scope_to_raise(body.task));
    fixture_run(f);
}

static void inner_deadline_is_never_later_than_the_outer(void **state)
{
    struct fixture *f = *state;
    struct body body;

    fixture_start(f, &body, "timeout(90, function() sleep(50) end)", 30);
    fixture_step(f);
    assert_int_equal(body.task->scope->token.deadline_ns, body.task->root.token.deadline_ns);
    fixture_run(f);
    assert_int_equal(body.kind, CLA_CANCEL_TIMEOUT);
}

static void scope_that_no_script_has_seen_is_kept_to_be_entered_again(void **state)
{
    struct fixture *f = *state;
    struct body body;

    fixture_start(f, &body, "for i = 1, 9 do timeout(50, function() sleep(1) end) end", 0);
    fixture_run(f);
    assert_int_equal(f->sched->scopes_kept, 1);
    fixture_start(f, &body,
                  "shield(90, function() sleep(1) end) timeout(5, function() sleep(50) end)"
                  "timeout(50, function() sleep(20) end) note('on')",
                  0);
    fixture_run(f);
    assert_int_equal(body.status, LUA_OK);
    assert_int_equal(f->sched->scopes_kept, 1); /* not the one that was raised */
    cla_scope_trim(f->sched, 0);
    assert_int_equal(f->sched->scopes_kept, 0);
    fixture_start(f, &body, "timeout(5, function() sleep(50) end)", 0);
    fixture_run(f);
    assert_int_equal(f->sched->scopes_kept, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_fixture, close_fixture)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(timeout_catches_only_its_own_cancel),
        TEST(work_after_a_timeout_is_not_cancelled),
        TEST(error_inside_closes_the_scopes_it_passes),
        TEST(parents_cancel_while_a_child_unwinds_does_not_cut_it),
        TEST(shield_hides_the_cancel_until_it_ends),
        TEST(timeout_in_a_shield_lasts_past_the_deadline_outside),
        TEST(shield_in_cleanup_is_capped_by_grace),
        TEST(timeout_opened_by_cleanup_works_in_it),
        TEST(timeout_that_was_open_before_the_cancel_does_not_cut_its_cleanup),
        TEST(closed_scope_is_stale),
        TEST(tokens_of_inner_scopes_are_marked_through_shields),
        TEST(inner_deadline_is_never_later_than_the_outer),
        TEST(scope_that_no_script_has_seen_is_kept_to_be_entered_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
