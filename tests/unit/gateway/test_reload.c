/* The control thread's half of hot reload, with a loader and workers that are the test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "gateway/reload.h"
#include "mem_fault.h"

#define WORKERS 2
#define APPS_MAX 64
#define OUTCOMES_MAX 16

/* What the loader hands out, on threads of the pool: read once they have ended. */
static struct cla_app apps[APPS_MAX];
static atomic_uint loaded, freed;
static uint64_t numbers[APPS_MAX], previous[APPS_MAX];
static atomic_uint fail_at; /* this load fails, counted from 1; 0: none */
static atomic_uint held;    /* loads wait while it is not 0 … */
static atomic_uint entered; /* … and have come so far */

static struct cla_loop loop;
static struct cla_log quiet = {.fd = 2, .level = CLA_LOG_OFF};
static struct cla_reload reload;
static struct cla_adoption *adoptions[OUTCOMES_MAX];
static unsigned adoption_n;
static struct {
    uint64_t ticket, generation;
    char error[64];
    unsigned older_calls, sockets;
} outcomes[OUTCOMES_MAX];
static unsigned outcome_n, stops, told, begun, ended[2];

static void free_app(struct cla_app *app)
{
    assert_true(app >= apps && app < apps + APPS_MAX);
    atomic_fetch_add(&freed, 1);
}

static const struct cla_app_ops ops = {.free = free_app};

static int load(void *arg, uint64_t number, uint64_t before, enum cla_log_level level,
                struct cla_app **out, struct cla_buf *error)
{
    unsigned at = atomic_fetch_add(&entered, 1);

    while (atomic_load(&held) != 0)
        uv_sleep(1);
    if (at + 1 == atomic_load(&fail_at)) {
        (void)cla_buf_add(error, CLA_LIT("app.lua:1: boom"));
        return -CLA_ESCRIPT;
    }
    numbers[at] = number;
    previous[at] = before;
    apps[at] = (struct cla_app){.ops = &ops, .generation = number};
    *out = &apps[at];
    atomic_fetch_add(&loaded, 1);
    return 0;
}

static void stop_loading(void *arg)
{
    stops++;
    atomic_store(&held, 0);
}

static void on_load_begins(void *arg)
{
    begun++;
}

static void on_load_ended(void *arg, bool well)
{
    assert_true(begun > 0);
    ended[well]++;
}

static const struct cla_server_loader loader = {load, stop_loading, on_load_begins, on_load_ended,
                                                NULL};

static void on_begins(void *arg)
{
    told++;
}

static void on_adopt(void *arg, struct cla_adoption *adoption)
{
    assert_int_equal(adoption->worker, adoption_n % WORKERS);
    assert_true(adoption_n < OUTCOMES_MAX);
    adoption->app->adoption = adoption;
    adoptions[adoption_n++] = adoption;
}

static void on_ended(void *arg, const struct cla_reload_outcome *outcome)
{
    assert_true(outcome_n < OUTCOMES_MAX);
    outcomes[outcome_n].ticket = outcome->ticket;
    outcomes[outcome_n].generation = outcome->generation;
    outcomes[outcome_n].older_calls = outcome->older_calls;
    outcomes[outcome_n].sockets = outcome->sockets;
    snprintf(outcomes[outcome_n].error, sizeof outcomes[0].error, "%s",
             outcome->error != NULL ? outcome->error : "");
    outcome_n++;
}

static const struct cla_reload_events events = {on_begins, on_adopt, on_ended};

static struct cla_reload_setup setup_with(const struct cla_server_loader *with, unsigned most)
{
    return (struct cla_reload_setup){.loop = &loop,
                                     .log = &quiet,
                                     .loader = with,
                                     .workers = WORKERS,
                                     .most = most,
                                     .events = &events};
}

static int open_with(const struct cla_server_loader *with, unsigned most)
{
    const struct cla_reload_setup setup = setup_with(with, most);
    int rc = cla_reload_open(&reload, &setup);

    for (unsigned i = 0; rc == 0 && i < WORKERS; i++) {
        apps[i] = (struct cla_app){.ops = &ops, .generation = 1};
        cla_reload_own(&reload, i, &apps[i]);
    }
    return rc;
}

static int set_up(void **state)
{
    atomic_store(&loaded, WORKERS);
    atomic_store(&entered, WORKERS);
    atomic_store(&freed, 0);
    atomic_store(&fail_at, 0);
    atomic_store(&held, 0);
    adoption_n = outcome_n = stops = told = begun = ended[0] = ended[1] = 0;
    assert_int_equal(cla_loop_init(&loop), 0);
    return open_with(&loader, 3);
}

/* Every app that was loaded is freed once. */
static int tear_down(void **state)
{
    atomic_store(&held, 0);
    cla_reload_fini(&reload);
    cla_loop_fini(&loop);
    assert_int_equal(atomic_load(&freed), atomic_load(&loaded));
    return 0;
}

/* Turns the loop until nothing is under way on the pool. */
static void settle(void)
{
    while (reload.works > 0)
        (void)uv_run(&loop.uv, UV_RUN_ONCE);
}

/* The workers take up what was handed to them last. */
static void take_up(void)
{
    for (unsigned i = adoption_n - WORKERS; i < adoption_n; i++)
        cla_reload_adopted(&reload, adoptions[i]);
}

/* Workers let go of the app of that generation (from 2 on). */
static void let_go(uint64_t generation)
{
    for (unsigned i = 0; i < WORKERS; i++)
        cla_reload_left(&reload, adoptions[(generation - 2) * WORKERS + i]);
}

static void let_go_of_the_first(void)
{
    for (unsigned i = 0; i < WORKERS; i++)
        cla_reload_left(&reload, apps[i].adoption);
}

static void done(uint64_t generation)
{
    assert_int_not_equal(cla_reload_request(&reload), 0);
    settle();
    take_up();
    assert_int_equal(reload.current, generation);
}

static void it_loads_for_each_worker_and_ends_when_all_have_taken_it_up(void **state)
{
    assert_int_equal(cla_reload_request(&reload), 1);
    assert_int_equal(adoption_n, 0);
    settle();
    assert_int_equal(adoption_n, WORKERS);
    assert_int_equal(numbers[WORKERS], 2);
    assert_int_equal(previous[WORKERS], 1);
    apps[0].adoption->calls = 1;
    adoptions[1]->sockets = 3;
    cla_reload_adopted(&reload, adoptions[1]);
    assert_int_equal(outcome_n, 0);
    assert_int_equal(reload.current, 1);
    cla_reload_adopted(&reload, adoptions[0]);
    assert_int_equal(outcome_n, 1);
    assert_int_equal(outcomes[0].ticket, 1);
    assert_int_equal(outcomes[0].generation, 2);
    assert_int_equal(outcomes[0].older_calls, 1);
    assert_int_equal(outcomes[0].sockets, 3);
    assert_string_equal(outcomes[0].error, "");
    assert_int_equal(reload.done, 1);
    assert_int_equal(told, 1);
    assert_int_equal(begun, 1);
    assert_int_equal(ended[true], 1);
    assert_int_equal(ended[false], 0);
}

/* Has the first worker count those calls on the first n generations; requires that the log line of
 * the reload that ends with that holds 'text'. */
static void require_line(const unsigned *calls, unsigned n, const char *text)
{
    struct cla_log told_log = {.level = CLA_LOG_INFO};
    char line[256] = "";
    int fds[2];

    assert_int_equal(pipe(fds), 0);
    told_log.fd = fds[1];
    reload.log = &told_log;
    assert_int_not_equal(cla_reload_request(&reload), 0);
    settle();
    for (unsigned i = 0; i < n; i++)
        (i == 0 ? apps[0].adoption : adoptions[(i - 1) * WORKERS])->calls = calls[i];
    take_up();
    reload.log = &quiet;
    assert_true(read(fds[0], line, sizeof line - 1) > 0);
    if (strstr(line, text) == NULL)
        fail_msg("no '%s' in %s", text, line);
    close(fds[0]);
    close(fds[1]);
}

static void the_log_names_the_generations_on_which_calls_are(void **state)
{
    static const unsigned none[3], first[] = {1}, gap[] = {1, 0, 2}, two[] = {0, 1, 1};
    static const unsigned all[] = {2, 1, 1, 0, 4};

    reload.most = 10;
    require_line(none, 1, " ms; 0 WebSockets kept\n"); /* 2 */
    require_line(first, 1, " ms; 1 call still on gen 1; 0 WebSockets kept\n");
    require_line(gap, 3, " ms; 3 calls still on gens 1 and 3; 0 WebSockets kept\n");
    require_line(two, 3, " ms; 2 calls still on gens 2 and 3; 0 WebSockets kept\n"); /* 5 */
    require_line(all, 5, " ms; 8 calls still on gens 1, 2, 3 and 5; 0 WebSockets kept\n");
}

/* Another worker's calls keep the generation, and what this one had counted does not count. */
static void calls_of_a_worker_that_has_left_the_generation_do_not_count(void **state)
{
    done(2);
    apps[0].adoption->calls = 5;
    apps[1].adoption->calls = 1;
    cla_reload_left(&reload, apps[0].adoption);
    done(3);
    assert_int_equal(outcomes[1].older_calls, 1);
}

static void what_workers_have_left_is_freed(void **state)
{
    done(2);
    let_go_of_the_first();
    settle();
    assert_int_equal(atomic_load(&freed), WORKERS);
    assert_int_equal(reload.live, 1);
}

static void requests_while_one_loads_are_one(void **state)
{
    atomic_store(&held, 1);
    assert_int_equal(cla_reload_request(&reload), 1);
    assert_int_equal(cla_reload_request(&reload), 2);
    assert_int_equal(cla_reload_request(&reload), 2);
    atomic_store(&held, 0);
    settle();
    assert_int_equal(cla_reload_request(&reload), 2); /* until all have taken it up */
    take_up();
    settle();
    take_up();
    assert_int_equal(outcome_n, 2);
    assert_int_equal(outcomes[1].ticket, 2);
    assert_int_equal(outcomes[1].generation, 3);
    settle();
    assert_int_equal(atomic_load(&loaded), 3 * WORKERS);
}

static void with_the_most_generations_the_next_waits_for_the_end_of_one(void **state)
{
    done(2);
    done(3);
    assert_int_equal(reload.live, 3);
    assert_int_equal(cla_reload_request(&reload), 3);
    assert_int_equal(cla_reload_request(&reload), 3);
    assert_int_equal(reload.works, 0);
    let_go(2); /* not the oldest */
    settle();
    assert_int_equal(adoption_n, 3 * WORKERS);
    take_up();
    assert_int_equal(reload.current, 4);
    assert_int_equal(outcome_n, 3);
    assert_int_equal(outcomes[2].ticket, 3);
}

static void a_load_that_fails_changes_nothing(void **state)
{
    atomic_store(&fail_at, WORKERS + 1);
    assert_int_equal(cla_reload_request(&reload), 1);
    settle();
    assert_int_equal(adoption_n, 0);
    assert_string_equal(outcomes[0].error, "app.lua:1: boom");
    assert_int_equal(outcomes[0].generation, 1);
    assert_string_equal(reload.error.p, "app.lua:1: boom");
    assert_int_equal(reload.failed, 1);
    assert_int_equal(reload.live, 1);
    done(2); /* the number was not used up */
    assert_int_equal(reload.error.n, 0);
    assert_int_equal(ended[false], 1);
    assert_int_equal(ended[true], 1);
}

static void one_that_fails_for_the_second_worker_frees_the_firsts_app(void **state)
{
    atomic_store(&fail_at, WORKERS + 2);
    assert_int_equal(cla_reload_request(&reload), 1);
    settle();
    assert_int_equal(atomic_load(&loaded), WORKERS + 1);
    assert_int_equal(atomic_load(&freed), 1);
    assert_int_equal(reload.live, 1);
}

static void a_request_behind_one_that_fails_is_done(void **state)
{
    atomic_store(&held, 1);
    atomic_store(&fail_at, WORKERS + 1);
    assert_int_equal(cla_reload_request(&reload), 1);
    assert_int_equal(cla_reload_request(&reload), 2);
    atomic_store(&held, 0);
    settle();
    take_up();
    assert_int_equal(outcome_n, 2);
    assert_string_not_equal(outcomes[0].error, "");
    assert_string_equal(outcomes[1].error, "");
    assert_int_equal(outcomes[1].ticket, 2);
    assert_int_equal(reload.current, 2);
}

static void a_shutdown_tells_all_who_wait_and_nothing_is_taken_up(void **state)
{
    atomic_store(&held, 1);
    (void)cla_reload_request(&reload);
    (void)cla_reload_request(&reload);
    cla_reload_stop(&reload);
    assert_int_equal(stops, 1);
    assert_int_equal(outcome_n, 2);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(outcomes[i].ticket, i + 1);
        assert_string_equal(outcomes[i].error, "the server is shutting down");
    }
    assert_int_equal(cla_reload_request(&reload), 0);
    settle();
    assert_int_equal(adoption_n, 0);
    assert_int_equal(outcome_n, 2);
    assert_int_equal(ended[true], 0);
}

static void a_shutdown_while_workers_take_it_up_frees_what_they_have(void **state)
{
    (void)cla_reload_request(&reload);
    settle();
    cla_reload_adopted(&reload, adoptions[0]);
    cla_reload_stop(&reload);
    assert_int_equal(outcome_n, 1);
    assert_string_not_equal(outcomes[0].error, "");
}

static void a_shutdown_while_an_app_is_freed_waits_for_that(void **state)
{
    done(2);
    let_go_of_the_first();
    cla_reload_stop(&reload);
    assert_int_equal(outcome_n, 1);
}

static void without_a_loader_nothing_can_be_loaded(void **state)
{
    cla_reload_fini(&reload);
    atomic_store(&freed, 0);
    assert_int_equal(open_with(NULL, 3), 0);
    assert_int_equal(cla_reload_request(&reload), 0);
    assert_int_equal(outcome_n, 0);
}

/* Asks for one, with another behind it. Returns false once no allocation was left to fail. */
static bool ask_with_fault(long n)
{
    uint64_t ticket;
    bool failed;

    mem_fault_after(n);
    ticket = cla_reload_request(&reload);
    failed = mem_fault.failed;
    mem_fault_off();
    assert_true(failed == (ticket == 0));
    if (failed) {
        assert_string_equal(outcomes[outcome_n - 1].error, "out of memory");
        assert_int_equal(reload.live, 1);
        return true;
    }
    settle();
    take_up();
    return false;
}

static void each_allocation_fails_in_turn(void **state)
{
    long n = 0;

    while (ask_with_fault(n))
        n++;
    assert_true(n > 0);
    assert_int_equal(reload.current, 2);
    assert_int_equal(reload.failed, n);
}

/* The text of the error cannot be kept: that is told instead. */
static void a_failure_without_memory_for_its_text_is_told(void **state)
{
    atomic_store(&fail_at, WORKERS + 1);
    atomic_store(&held, 1);
    assert_int_equal(cla_reload_request(&reload), 1);
    mem_fault_after(0);
    atomic_store(&held, 0);
    settle();
    mem_fault_off();
    assert_string_equal(outcomes[0].error, "out of memory");
    assert_int_equal(reload.error.n, 0);
    assert_int_equal(reload.failed, 1);
}

static void opening_without_memory_fails(void **state)
{
    const struct cla_reload_setup setup = setup_with(&loader, 3);
    struct cla_reload other;

    mem_fault_after(0);
    assert_int_equal(cla_reload_open(&other, &setup), -CLA_ENOMEM);
    mem_fault_off();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(it_loads_for_each_worker_and_ends_when_all_have_taken_it_up),
        TEST(the_log_names_the_generations_on_which_calls_are),
        TEST(calls_of_a_worker_that_has_left_the_generation_do_not_count),
        TEST(what_workers_have_left_is_freed),
        TEST(requests_while_one_loads_are_one),
        TEST(with_the_most_generations_the_next_waits_for_the_end_of_one),
        TEST(a_load_that_fails_changes_nothing),
        TEST(one_that_fails_for_the_second_worker_frees_the_firsts_app),
        TEST(a_request_behind_one_that_fails_is_done),
        TEST(a_shutdown_tells_all_who_wait_and_nothing_is_taken_up),
        TEST(a_shutdown_while_workers_take_it_up_frees_what_they_have),
        TEST(a_shutdown_while_an_app_is_freed_waits_for_that),
        TEST(without_a_loader_nothing_can_be_loaded),
        TEST(each_allocation_fails_in_turn),
        TEST(a_failure_without_memory_for_its_text_is_told),
        TEST(opening_without_memory_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
