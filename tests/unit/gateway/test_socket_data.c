#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/error.h"
#include "gateway/socket_data.h"
#include "mem_fault.h"

static struct cla_socket_data data;
static char big[CLA_SOCKET_DATA_MAX + 1];

static int set_up(void **state)
{
    data = (struct cla_socket_data){0};
    return 0;
}

static int tear_down(void **state)
{
    cla_socket_data_fini(&data);
    assert_int_equal(mem_fault.live, 0);
    return 0;
}

static int set(const char *name, const char *value)
{
    return cla_socket_data_set(&data, cla_slice_str(name), cla_slice_str(value));
}

static void require(const char *name, const char *value)
{
    struct cla_slice got;

    assert_true(cla_socket_data_get(&data, cla_slice_str(name), &got));
    assert_true(cla_slice_eq(got, cla_slice_str(value)));
}

static void require_none(const char *name)
{
    struct cla_slice got;

    assert_false(cla_socket_data_get(&data, cla_slice_str(name), &got));
}

static void the_last_value_of_a_name_counts(void **state)
{
    assert_int_equal(set("a", "1"), 0);
    assert_int_equal(set("b", "2"), 0);
    assert_int_equal(set("a", "three"), 0);
    require("a", "three");
    require("b", "2");
    require_none("c");
    assert_int_equal(data.bytes, 8);
}

static void an_empty_value_removes(void **state)
{
    assert_int_equal(set("a", "1"), 0);
    assert_int_equal(set("a", ""), 0);
    assert_int_equal(set("never", ""), 0);
    require_none("a");
    assert_int_equal(data.bytes, 0);
}

static void names_and_values_fill_it_to_the_last_byte(void **state)
{
    memset(big, 'x', sizeof big);
    assert_int_equal(set("a", "1"), 0);
    assert_int_equal(
        cla_socket_data_set(&data, CLA_LIT("big"), cla_slice(big, CLA_SOCKET_DATA_MAX - 2 - 3)), 0);
    assert_int_equal(set("a", "22"), -CLA_ELIMIT);
    require("a", "1");
    assert_int_equal(set("a", "2"), 0);
    require("a", "2");
    assert_int_equal(
        cla_socket_data_set(&data, CLA_LIT("big"), cla_slice(big, CLA_SOCKET_DATA_MAX - 2 - 3 + 1)),
        -CLA_ELIMIT);
}

static void without_memory_all_is_as_it_was(void **state)
{
    assert_int_equal(set("a", "1"), 0);
    mem_fault_after(0);
    assert_int_equal(set("a", "2"), -CLA_ENOMEM);
    mem_fault_off();
    require("a", "1");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_last_value_of_a_name_counts),
        TEST(an_empty_value_removes),
        TEST(names_and_values_fill_it_to_the_last_byte),
        TEST(without_memory_all_is_as_it_was),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
