/* The counts of a worker: buckets, places by name, and what goes without memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "base/error.h"
#include "gateway/counts.h"
#include "mem_fault.h"

static const struct cla_rpc_protocol jsonrpc = {.name = "jsonrpc", .family = CLA_RPC_JSONRPC};
static const struct cla_rpc_protocol sse = {.name = "sse", .family = CLA_RPC_SSE};

static struct cla_loop loop;
static struct cla_counts_names names;
static struct cla_counts counts;

static int setup(void **state)
{
    loop = (struct cla_loop){.is_virtual = true, .virtual_ns = CLA_NS_PER_S};
    return cla_counts_names_init(&names) != 0 || cla_counts_init(&counts, &names, &loop) != 0;
}

static int teardown(void **state)
{
    mem_fault_off();
    cla_counts_fini(&counts);
    cla_counts_names_fini(&names);
    return mem_fault.live == 0 ? 0 : -1;
}

/* A call that took 'ms'. */
static void end_call(struct cla_procedure *procedure, const struct cla_rpc_protocol *protocol,
                     enum cla_code code, enum cla_cancel_kind kind, uint64_t ms)
{
    const struct cla_request request = {.protocol = protocol};
    const struct cla_call call = {.request = &request,
                                  .procedure = procedure,
                                  .received_ns = loop.virtual_ns - ms * CLA_NS_PER_MS};

    cla_counts_call(&counts, &call, code, kind);
    cla_counts_settle(&counts);
}

static void end_ok(struct cla_procedure *procedure)
{
    end_call(procedure, &jsonrpc, CLA_CODE_OK, CLA_CANCEL_NONE, 0);
}

static uint64_t ended(unsigned place)
{
    return counts.entries[place] == NULL
               ? 0
               : counts.entries[place]->ended[CLA_RPC_JSONRPC][CLA_CODE_OK];
}

static void a_duration_is_in_the_first_bucket_that_holds_it(void **state)
{
    for (int at = 0; at < CLA_COUNTS_BOUNDS; at++) {
        assert_int_equal(cla_counts_bucket(cla_counts_bound_ns(at)), at);
        assert_int_equal(cla_counts_bucket(cla_counts_bound_ns(at) + 1), at + 1);
        assert_int_equal(cla_counts_bucket(cla_counts_bound_ns(at) - 1), at);
    }
    assert_int_equal(cla_counts_bucket(0), 0);
    assert_int_equal(cla_counts_bucket(UINT64_MAX), CLA_COUNTS_BOUNDS);
    for (int bit = 0; bit < 64; bit++) { /* as a search would have it */
        for (int add = -1; add <= 1; add++) {
            uint64_t ns = (UINT64_C(1) << bit) + (uint64_t)add;
            int at = 0;

            while (at < CLA_COUNTS_BOUNDS && ns > cla_counts_bound_ns(at))
                at++;
            assert_int_equal(cla_counts_bucket(ns), at);
        }
    }
}

static void a_call_is_counted_by_procedure_protocol_and_outcome(void **state)
{
    struct cla_procedure a = {.name = CLA_LIT("a")}, b = {.name = CLA_LIT("b")};
    struct cla_procedure none = {.name = CLA_LIT("a"), .unknown = true};

    end_call(&a, &jsonrpc, CLA_CODE_OK, CLA_CANCEL_NONE, 3);
    end_call(&b, &sse, CLA_CODE_DEADLINE_EXCEEDED, CLA_CANCEL_TIMEOUT, 40000);
    end_call(&none, &jsonrpc, CLA_CODE_UNIMPLEMENTED, CLA_CANCEL_NONE, 0);
    assert_ptr_equal(a.counts, counts.entries[CLA_COUNTS_FIRST]);
    assert_ptr_equal(b.counts, counts.entries[CLA_COUNTS_FIRST + 1]);
    assert_int_equal(a.counts->ended[CLA_RPC_JSONRPC][CLA_CODE_OK], 1);
    assert_int_equal(a.counts->took[2], 1);
    assert_int_equal(a.counts->took_ns, 3 * CLA_NS_PER_MS);
    assert_int_equal(b.counts->ended[CLA_RPC_SSE][CLA_CODE_DEADLINE_EXCEEDED], 1);
    assert_int_equal(b.counts->took[CLA_COUNTS_BOUNDS], 1);
    assert_int_equal(
        counts.entries[CLA_COUNTS_UNKNOWN]->ended[CLA_RPC_JSONRPC][CLA_CODE_UNIMPLEMENTED], 1);
    assert_int_equal(counts.cancelled[CLA_CANCEL_TIMEOUT], 1);
    assert_int_equal(counts.cancelled[CLA_CANCEL_NONE], 2);
}

static void a_generation_that_declares_it_again_counts_on(void **state)
{
    struct cla_procedure old = {.name = CLA_LIT("a")}, next = {.name = CLA_LIT("a")};

    end_ok(&old);
    end_ok(&next);
    assert_ptr_equal(old.counts, next.counts);
    assert_int_equal(ended(CLA_COUNTS_FIRST), 2);
}

static void a_name_has_the_same_place_with_every_worker(void **state)
{
    assert_int_equal(cla_counts_names_place(&names, CLA_LIT("x")), CLA_COUNTS_FIRST);
    assert_int_equal(cla_counts_names_place(&names, CLA_LIT("y")), CLA_COUNTS_FIRST + 1);
    assert_int_equal(cla_counts_names_place(&names, CLA_LIT("x")), CLA_COUNTS_FIRST);
}

static void names_beyond_the_limit_count_among_the_others(void **state)
{
    struct cla_procedure last = {.name = CLA_LIT("last")}, more = {.name = CLA_LIT("more")};
    char text[16];

    for (unsigned i = 0; i + 1 < CLA_COUNTS_PROCEDURES; i++) {
        int n = snprintf(text, sizeof text, "p%u", i);

        assert_int_equal(cla_counts_names_place(&names, cla_slice(text, (size_t)n)),
                         CLA_COUNTS_FIRST + i);
    }
    end_ok(&last);
    end_ok(&more);
    end_ok(&more);
    assert_int_equal(ended(CLA_COUNTS_PLACES - 1), 1);
    assert_int_equal(ended(CLA_COUNTS_OTHER), 2);
    assert_ptr_equal(more.counts,
                     counts.entries[CLA_COUNTS_OTHER]); /* it is not looked for again */
    assert_int_equal(names.count, CLA_COUNTS_PLACES);
}

static void without_memory_a_call_counts_among_the_others(void **state)
{
    struct cla_procedure a = {.name = CLA_LIT("a")};

    mem_fault_after(0); /* for the name */
    end_ok(&a);
    assert_true(mem_fault.failed);
    mem_fault_after(1); /* for the counts */
    end_ok(&a);
    assert_true(mem_fault.failed);
    assert_int_equal(ended(CLA_COUNTS_OTHER), 2);
    assert_null(a.counts);
    end_ok(&a);
    assert_int_equal(ended(CLA_COUNTS_FIRST), 1);
}

static void counts_without_memory_are_none(void **state)
{
    struct cla_counts none;

    for (long n = 0; n < 2; n++) {
        mem_fault_after(n);
        assert_int_equal(cla_counts_init(&none, &names, &loop), -CLA_ENOMEM);
        cla_counts_fini(&none);
    }
}

static void calls_have_taken_until_the_turn_ends_or_many_have_ended(void **state)
{
    struct cla_procedure a = {.name = CLA_LIT("a")};
    const struct cla_request request = {.protocol = &jsonrpc};
    const struct cla_call call = {
        .request = &request, .procedure = &a, .received_ns = loop.virtual_ns};

    for (int i = 0; i < CLA_COUNTS_PENDING + 1; i++)
        cla_counts_call(&counts, &call, CLA_CODE_OK, CLA_CANCEL_NONE);
    assert_int_equal(a.counts->took[0], CLA_COUNTS_PENDING);
    loop.virtual_ns += 2 * CLA_NS_PER_MS;
    cla_counts_settle(&counts);
    cla_counts_settle(&counts);
    assert_int_equal(a.counts->took[0], CLA_COUNTS_PENDING);
    assert_int_equal(a.counts->took[1], 1);
    assert_int_equal(a.counts->took_ns, 2 * CLA_NS_PER_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_duration_is_in_the_first_bucket_that_holds_it),
        cmocka_unit_test_setup_teardown(a_call_is_counted_by_procedure_protocol_and_outcome, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_generation_that_declares_it_again_counts_on, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_name_has_the_same_place_with_every_worker, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(names_beyond_the_limit_count_among_the_others, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(without_memory_a_call_counts_among_the_others, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(counts_without_memory_are_none, setup, teardown),
        cmocka_unit_test_setup_teardown(calls_have_taken_until_the_turn_ends_or_many_have_ended,
                                        setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
