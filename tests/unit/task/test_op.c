/* Operations that are nudged: their tasks look, and wait on if there is nothing for them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "task/op.h"
#include "task_fixture.h"

/* Two of them, 1 and 2, that scripts get by probe(n); await(n) awaits one. */
struct probe {
    struct cla_op *op; /* while queued */
    bool can;          /* it can be done now */
    unsigned polls, withdrawn;
};

static struct fixture f;
static struct probe probes[2];

static bool begin(lua_State *L, struct cla_op *op, int at)
{
    (void)L, (void)op, (void)at;
    return false;
}

static void enqueue(struct cla_op *op)
{
    ((struct probe *)op->object)->op = op;
}

static bool poll(struct cla_op *op)
{
    struct probe *probe = op->object;

    probe->polls++;
    return probe->can;
}

static void withdraw(struct cla_op *op)
{
    struct probe *probe = op->object;

    probe->op = NULL;
    probe->withdrawn++;
}

static int push(lua_State *L, struct cla_op *op, int at)
{
    (void)at;
    lua_pushinteger(L, 1 + ((struct probe *)op->object - probes));
    return 1;
}

static const struct cla_op_ops ops = {
    .begin = begin,
    .enqueue = enqueue,
    .poll = poll,
    .withdraw = withdraw,
    .push = push,
};

static int l_probe(lua_State *L)
{
    (void)cla_op_push_new(L, &ops, sizeof(struct cla_op), 0, &probes[luaL_checkinteger(L, 1) - 1]);
    return 1;
}

static int l_await(lua_State *L)
{
    (void)l_probe(L);
    return cla_op_await(L);
}

static int setup(void **state)
{
    (void)state;
    memset(probes, 0, sizeof probes);
    fixture_open(&f, (size_t)16 << 20);
    lua_register(f.vm->L, "probe", l_probe);
    lua_register(f.vm->L, "await", l_await);
    lua_register(f.vm->L, "select", cla_op_select);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fixture_close(&f);
    return 0;
}

static const char either[] = "note(select({probe(1), probe(2)})) sleep(1)";

static void one_that_can_be_done_is(void **state)
{
    struct body body;

    (void)state;
    fixture_start(&f, &body, "note(await(1))", 0);
    fixture_step(&f);
    probes[0].can = true;
    cla_op_nudge(probes[0].op);
    fixture_run(&f);
    fixture_require_notes(&f, "1@0");
    assert_int_equal(probes[0].polls, 1);
    assert_int_equal(probes[0].withdrawn, 1);
}

static void one_that_cannot_waits_on_and_keeps_its_place(void **state)
{
    struct body body;

    (void)state;
    fixture_start(&f, &body, "note(await(1))", 0);
    fixture_step(&f);
    for (unsigned i = 1; i <= 3; i++) {
        cla_op_nudge(probes[0].op);
        fixture_step(&f);
        assert_int_equal(probes[0].polls, i);
        assert_int_equal(probes[0].withdrawn, 0);
    }
    probes[0].can = true;
    cla_op_nudge(probes[0].op);
    fixture_run(&f);
    fixture_require_notes(&f, "1@0");
}

static void of_several_the_first_that_can_is_done(void **state)
{
    struct body body;

    (void)state;
    fixture_start(&f, &body, either, 0);
    fixture_step(&f);
    probes[0].can = probes[1].can = true;
    cla_op_nudge(probes[1].op);
    fixture_run(&f);
    fixture_require_notes(&f, "1@0");
    assert_int_equal(probes[1].polls, 0);
    assert_int_equal(probes[1].withdrawn, 1);
}

static void one_that_is_completed_before_the_task_looks_is_done(void **state)
{
    struct body body;

    (void)state;
    fixture_start(&f, &body, either, 0);
    fixture_step(&f);
    probes[0].can = true;
    cla_op_nudge(probes[0].op);
    cla_op_complete(probes[1].op);
    fixture_run(&f);
    fixture_require_notes(&f, "2@0");
    assert_int_equal(probes[0].polls, 0);
    assert_null(probes[0].op);
}

static void a_cancel_after_the_nudge_raises_if_there_is_nothing(void **state)
{
    struct body body;

    (void)state;
    fixture_start(&f, &body, "note(await(1))", 0);
    fixture_step(&f);
    cla_op_nudge(probes[0].op);
    assert_true(fixture_cancel(&body, CLA_CANCEL_RESET));
    fixture_run(&f);
    assert_true(body.own_cancel);
    assert_int_equal(f.sched->counters.cancelled_waits, 1);
    assert_null(probes[0].op);
}

static void a_cancel_after_the_nudge_loses_nothing_that_is_there(void **state)
{
    struct body body;

    (void)state;
    fixture_start(&f, &body, either, 0);
    fixture_step(&f);
    probes[1].can = true;
    cla_op_nudge(probes[1].op);
    assert_true(fixture_cancel(&body, CLA_CANCEL_RESET));
    fixture_run(&f);
    fixture_require_notes(&f, "2@0");
    assert_true(body.own_cancel);
}

static void a_nudged_task_that_is_given_up_withdraws(void **state)
{
    struct body body;

    (void)state;
    fixture_start(&f, &body, either, 0);
    fixture_step(&f);
    cla_op_nudge(probes[0].op);
    assert_int_equal(cla_sched_abandon(f.sched), 1);
    assert_null(probes[0].op);
    assert_null(probes[1].op);
    assert_int_equal(body.end, CLA_TASK_ABANDONED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_that_can_be_done_is),
        TEST(one_that_cannot_waits_on_and_keeps_its_place),
        TEST(of_several_the_first_that_can_is_done),
        TEST(one_that_is_completed_before_the_task_looks_is_done),
        TEST(a_cancel_after_the_nudge_raises_if_there_is_nothing),
        TEST(a_cancel_after_the_nudge_loses_nothing_that_is_there),
        TEST(a_nudged_task_that_is_given_up_withdraws),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
