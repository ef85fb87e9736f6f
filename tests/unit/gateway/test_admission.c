/* Who may connect. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "gateway/admission.h"
#include "mem_fault.h"

static struct cla_admission admission;

static int init(void **state)
{
    cla_admission_init(&admission, 100000, 2);
    return 0;
}

static int fini(void **state)
{
    cla_admission_fini(&admission);
    assert_int_equal(mem_fault.live, 0);
    return 0;
}

/* Judges one more from 'text'; 'open' others are there. */
static const char *judge(const char *text, unsigned open, atomic_uint **count)
{
    struct cla_ip ip;

    assert_int_equal(cla_ip_read(cla_slice_str(text), &ip), 0);
    return cla_admission_judge(&admission, open, &ip, count);
}

static void as_many_as_may_come_are_let_in(void **state)
{
    atomic_uint *count;

    assert_null(judge("192.0.2.1", 99999, &count));
    assert_non_null(strstr(judge("192.0.2.1", 100000, &count), "max_connections"));
    assert_null(count);
}

static void an_address_has_its_share_and_gets_it_back(void **state)
{
    atomic_uint *first, *second, *third;

    assert_null(judge("192.0.2.1", 0, &first));
    assert_null(judge("192.0.2.1", 1, &second));
    assert_ptr_equal(first, second);
    assert_non_null(strstr(judge("192.0.2.1", 2, &third), "connections_per_address"));
    assert_null(third);
    assert_null(judge("192.0.2.2", 2, &third)); /* another's */
    assert_ptr_not_equal(first, third);
    cla_admission_leave(first);
    assert_null(judge("192.0.2.1", 2, &third));
    assert_non_null(judge("192.0.2.1", 3, &third));
}

static void an_ipv6_network_of_64_bits_is_one_client(void **state)
{
    atomic_uint *count;

    assert_null(judge("2001:db8::1", 0, &count));
    assert_null(judge("2001:db8::2", 1, &count));
    assert_non_null(judge("2001:db8::3", 2, &count));
    assert_null(judge("2001:db8:0:1::1", 2, &count));
}

static void a_unix_socket_is_not_counted(void **state)
{
    atomic_uint *count;

    for (int i = 0; i < 5; i++) {
        assert_null(cla_admission_judge(&admission, 0, NULL, &count));
        assert_null(count);
        cla_admission_leave(count);
    }
}

static atomic_uint *judge_number(unsigned number)
{
    const struct cla_ip ip = {{0x20, 1, [4] = (unsigned char)(number >> 16),
                               (unsigned char)(number >> 8), (unsigned char)number}};
    atomic_uint *count;

    assert_null(cla_admission_judge(&admission, 0, &ip, &count));
    return count;
}

static void addresses_that_have_gone_are_forgotten(void **state)
{
    atomic_uint *kept = judge_number(0);

    for (unsigned i = 1; i < 20000; i++)
        cla_admission_leave(judge_number(i));
    assert_true(admission.mask < 256);
    assert_ptr_equal(judge_number(0), kept);
    assert_int_equal(*kept, 2);
}

static void as_many_addresses_as_come_are_remembered(void **state)
{
    static atomic_uint *counts[5000];

    for (unsigned i = 0; i < CLA_ARRAY_LEN(counts); i++)
        counts[i] = judge_number(i);
    for (unsigned i = 0; i < CLA_ARRAY_LEN(counts); i++) {
        assert_ptr_equal(judge_number(i), counts[i]);
        assert_int_equal(*counts[i], 2);
    }
}

static void who_cannot_be_counted_is_not_let_in(void **state)
{
    atomic_uint *count;
    long n = 0;
    const char *why;

    do {
        mem_fault_after(n++);
        why = judge("192.0.2.1", 0, &count);
        mem_fault_off();
        assert_int_equal(why != NULL, mem_fault.failed);
    } while (mem_fault.failed);
    assert_true(n > 2);
    for (unsigned i = 0; i < 1000; i++) { /* a table that cannot grow is filled, but not quite */
        const struct cla_ip ip = {{0x20, 1, [6] = (unsigned char)(i >> 8), (unsigned char)i}};

        if (admission.used * 2 >= admission.mask + 1)
            mem_fault_after(0);
        (void)cla_admission_judge(&admission, 0, &ip, &count);
        mem_fault_off();
    }
    assert_int_equal(admission.used, admission.mask);
    assert_null(judge("192.0.2.2", 0, &count));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, init, fini)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(as_many_as_may_come_are_let_in),
        TEST(an_address_has_its_share_and_gets_it_back),
        TEST(an_ipv6_network_of_64_bits_is_one_client),
        TEST(a_unix_socket_is_not_counted),
        TEST(addresses_that_have_gone_are_forgotten),
        TEST(as_many_addresses_as_come_are_remembered),
        TEST(who_cannot_be_counted_is_not_let_in),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
