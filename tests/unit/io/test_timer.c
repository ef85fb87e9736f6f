#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/check.h"
#include "io/timer.h"
#include "seed.h"

#define FIRED_MAX 64

static struct {
    struct cla_timer *timers[FIRED_MAX];
    size_t n;
} fired;

static struct cla_timers heap; /* and lists */

static void record(struct cla_timer *timer)
{
    assert_false(cla_timer_active(timer));
    if (fired.n < FIRED_MAX)
        fired.timers[fired.n] = timer;
    fired.n++;
}

static int reset(void **state)
{
    heap = (struct cla_timers){0};
    fired.n = 0;
    return 0;
}

static void timers_fire_in_the_order_they_are_due(void **state)
{
    static const uint64_t due[] = {30, 10, 50, 20, 40};
    static const size_t order[] = {1, 3, 0, 4, 2};
    struct cla_timer timers[CLA_ARRAY_LEN(due)];

    for (size_t i = 0; i < CLA_ARRAY_LEN(due); i++) {
        cla_timer_init(&timers[i], record);
        cla_timer_start(&heap, &timers[i], due[i]);
    }
    assert_int_equal(cla_timers_next_ns(&heap), 10);
    cla_timers_fire(&heap, 40);
    assert_int_equal(fired.n, 4);
    assert_int_equal(cla_timers_next_ns(&heap), 50);
    cla_timers_fire(&heap, 50);
    for (size_t i = 0; i < CLA_ARRAY_LEN(due); i++)
        assert_ptr_equal(fired.timers[i], &timers[order[i]]);
    assert_int_equal(cla_timers_next_ns(&heap), CLA_NEVER);
}

static void timers_due_together_fire_in_start_order(void **state)
{
    struct cla_timer timers[9];

    for (size_t i = 0; i < CLA_ARRAY_LEN(timers); i++) {
        cla_timer_init(&timers[i], record);
        cla_timer_start(&heap, &timers[i], 5);
    }
    cla_timer_start(&heap, &timers[2], 5); /* a restart counts as a start */
    assert_int_equal(heap.active, CLA_ARRAY_LEN(timers));
    cla_timers_fire(&heap, 5);
    assert_int_equal(heap.active, 0);
    assert_int_equal(fired.n, CLA_ARRAY_LEN(timers));
    assert_ptr_equal(fired.timers[8], &timers[2]);
    for (size_t i = 0; i < 8; i++)
        assert_ptr_equal(fired.timers[i], &timers[i < 2 ? i : i + 1]);
}

static void never_only_stops(void **state)
{
    struct cla_timer timer;

    cla_timer_init(&timer, record);
    cla_timer_start(&heap, &timer, 5);
    cla_timer_start(&heap, &timer, CLA_NEVER);
    assert_false(cla_timer_active(&timer));
    cla_timer_stop(&heap, &timer);
    cla_timers_fire(&heap, CLA_NEVER - 1);
    assert_int_equal(fired.n, 0);
}

static void restart_self(struct cla_timer *timer)
{
    record(timer);
    cla_timer_start(&heap, timer, 0);
}

static void timer_started_in_a_callback_waits_for_the_next_pass(void **state)
{
    struct cla_timer timer;

    cla_timer_init(&timer, restart_self);
    cla_timer_start(&heap, &timer, 5);
    cla_timers_fire(&heap, 10);
    assert_int_equal(fired.n, 1);
    cla_timers_fire(&heap, 10);
    assert_int_equal(fired.n, 2);
    cla_timer_stop(&heap, &timer);
}

/* The one that is started anew is due before those that were due already. */
static void timer_started_in_a_callback_holds_up_no_other(void **state)
{
    struct cla_timer restarted, others[3];

    cla_timer_init(&restarted, restart_self);
    cla_timer_start(&heap, &restarted, 1);
    for (size_t i = 0; i < CLA_ARRAY_LEN(others); i++) {
        cla_timer_init(&others[i], record);
        cla_timer_start(&heap, &others[i], 5);
    }
    cla_timers_fire(&heap, 10);
    assert_int_equal(fired.n, 4);
    cla_timer_stop(&heap, &restarted);
}

static struct cla_timer *victim;

static void stop_victim(struct cla_timer *timer)
{
    record(timer);
    cla_timer_stop(&heap, victim);
}

static void timer_stopped_in_a_callback_does_not_fire(void **state)
{
    struct cla_timer first, second;

    cla_timer_init(&first, stop_victim);
    cla_timer_init(&second, record);
    victim = &second;
    cla_timer_start(&heap, &first, 5);
    cla_timer_start(&heap, &second, 5);
    cla_timers_fire(&heap, 10);
    assert_int_equal(fired.n, 1);
}

static void free_self(struct cla_timer *timer)
{
    fired.n++;
    free(timer);
}

static void timer_may_be_freed_by_its_callback(void **state)
{
    for (uint64_t i = 0; i < 10; i++) {
        struct cla_timer *timer = malloc(sizeof *timer);

        cla_timer_init(timer, free_self);
        cla_timer_start(&heap, timer, i % 3);
    }
    cla_timers_fire(&heap, 3);
    assert_int_equal(fired.n, 10);
}

/* A timer goes behind none that is due later, in whatever order those of some durations come. */
static void lists_take_what_comes_in_order(void **state)
{
    struct cla_timer timers[3 * CLA_TIMERS_LISTS];

    for (uint64_t i = 0; i < CLA_ARRAY_LEN(timers); i++) {
        cla_timer_init(&timers[i], record);
        cla_timer_start(&heap, &timers[i], i + 100 * (1 + i % CLA_TIMERS_LISTS));
    }
    assert_null(heap.root);
    cla_timers_fire(&heap, 1000);
    for (size_t i = 0; i < CLA_ARRAY_LEN(timers); i++)
        assert_ptr_equal(fired.timers[i], &timers[i / 3 + i % 3 * CLA_TIMERS_LISTS]);
}

/* Else a timer that was due late, and stopped, would leave its list to nobody for as long. */
static void a_list_is_there_for_earlier_ones_when_its_last_was_stopped(void **state)
{
    struct cla_timer late[CLA_TIMERS_LISTS], first, second;

    cla_timer_init(&first, record);
    cla_timer_init(&second, record);
    cla_timer_start(&heap, &first, 5);
    for (size_t i = 0; i < CLA_ARRAY_LEN(late); i++) {
        cla_timer_init(&late[i], record);
        cla_timer_start(&heap, &late[i], 100 - i);
    }
    cla_timer_stop(&heap, &late[0]);
    cla_timer_start(&heap, &second, 6);
    assert_null(heap.root);
    cla_timers_fire(&heap, 6);
    assert_int_equal(fired.n, 2);
    assert_ptr_equal(fired.timers[1], &second);
}

/* A million timers whose heap has the worst shapes: a long list of children, and a long chain. */
static void million_timers_do_not_recurse(void **state)
{
    enum { MANY = 1000000 };
    static const int steps[] = {1, -1};
    struct cla_timer *timers = calloc(MANY, sizeof *timers), late[CLA_TIMERS_LISTS];

    assert_non_null(timers);
    for (size_t s = 0; s < CLA_ARRAY_LEN(steps); s++) {
        reset(NULL);
        for (size_t i = 0; i < CLA_ARRAY_LEN(late); i++) {
            cla_timer_init(&late[i], record);
            cla_timer_start(&heap, &late[i], 2 * MANY - i);
        }
        for (size_t i = 0; i < MANY; i++) {
            cla_timer_init(&timers[i], record);
            cla_timer_start(&heap, &timers[i], steps[s] > 0 ? i : MANY - i);
        }
        assert_non_null(heap.root); /* no list takes them */
        for (size_t i = 0; i < MANY; i += 2)
            cla_timer_stop(&heap, &timers[i]);
        cla_timers_fire(&heap, MANY);
        assert_int_equal(fired.n, MANY / 2);
        assert_null(heap.root);
        assert_int_equal(heap.active, CLA_ARRAY_LEN(late));
    }
    free(timers);
}

/* --- Against a model: an array that is searched for the least. --- */

enum { TIMERS = 200, OPERATIONS = 100000 };

static struct {
    bool active;
    uint64_t due, order;
} model[TIMERS];

static struct cla_timer timers[TIMERS];

static int model_least(void)
{
    int least = -1;

    for (int i = 0; i < TIMERS; i++) {
        if (model[i].active &&
            (least < 0 || model[i].due < model[least].due ||
             (model[i].due == model[least].due && model[i].order < model[least].order)))
            least = i;
    }
    return least;
}

static void fire_checked(struct cla_timer *timer)
{
    int least = model_least();

    assert_int_equal(timer - timers, least);
    model[least].active = false;
}

static void start_any(uint64_t now, uint64_t order)
{
    size_t i = seed_below(TIMERS);
    uint64_t due = seed_below(20) == 0 ? CLA_NEVER : now + seed_below(500);

    cla_timer_start(&heap, &timers[i], due);
    model[i].active = due != CLA_NEVER;
    model[i].due = due;
    model[i].order = order;
}

static void stop_any(void)
{
    size_t i = seed_below(TIMERS);

    cla_timer_stop(&heap, &timers[i]);
    model[i].active = false;
}

static void heap_agrees_with_its_model(void **state)
{
    uint64_t now = 0;

    seed_init();
    for (size_t i = 0; i < TIMERS; i++)
        cla_timer_init(&timers[i], fire_checked);
    for (uint64_t n = 0; n < OPERATIONS; n++) {
        uint64_t choice = seed_below(10);
        int least;

        if (choice < 6)
            start_any(now, n);
        else if (choice < 9)
            stop_any();
        else
            cla_timers_fire(&heap, now += seed_below(50));
        least = model_least();
        assert_int_equal(cla_timers_next_ns(&heap), least < 0 ? CLA_NEVER : model[least].due);
        assert_true(choice < 9 || least < 0 || model[least].due > now);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(timers_fire_in_the_order_they_are_due, reset),
        cmocka_unit_test_setup(timers_due_together_fire_in_start_order, reset),
        cmocka_unit_test_setup(never_only_stops, reset),
        cmocka_unit_test_setup(timer_started_in_a_callback_waits_for_the_next_pass, reset),
        cmocka_unit_test_setup(timer_started_in_a_callback_holds_up_no_other, reset),
        cmocka_unit_test_setup(timer_stopped_in_a_callback_does_not_fire, reset),
        cmocka_unit_test_setup(timer_may_be_freed_by_its_callback, reset),
        cmocka_unit_test_setup(lists_take_what_comes_in_order, reset),
        cmocka_unit_test_setup(a_list_is_there_for_earlier_ones_when_its_last_was_stopped, reset),
        cmocka_unit_test_setup(million_timers_do_not_recurse, reset),
        cmocka_unit_test_setup(heap_agrees_with_its_model, reset),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
