/* Memory of texts: kept where it is short. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/text_pool.h"
#include "mem_fault.h"

static struct cla_text_pool pool;

static int tear_down(void **state)
{
    mem_fault_off();
    cla_text_pool_fini(&pool);
    return pool.count == 0 && mem_fault.live == 0 ? 0 : -1;
}

static void memory_of_a_short_text_is_used_again(void **state)
{
    char *text = cla_text_pool_take(&pool, CLA_TEXT_SHORT);

    memset(text, 'x', CLA_TEXT_SHORT);
    cla_text_pool_put(&pool, text, true);
    assert_int_equal(pool.count, 1);
    assert_ptr_equal(cla_text_pool_take(&pool, 0), text);
    assert_int_equal(pool.count, 0);
    cla_text_pool_put(&pool, text, true);
}

static void memory_of_a_long_text_is_not_kept(void **state)
{
    char *text = cla_text_pool_take(&pool, CLA_TEXT_SHORT + 1);

    memset(text, 'x', CLA_TEXT_SHORT + 1);
    cla_text_pool_put(&pool, text, false);
    assert_int_equal(pool.count, 0);
    assert_int_equal(mem_fault.live, 0);
}

static void so_much_is_kept_and_no_more(void **state)
{
    char *texts[300];

    for (int i = 0; i < 300; i++)
        texts[i] = cla_text_pool_take(&pool, 1);
    for (int i = 0; i < 300; i++)
        cla_text_pool_put(&pool, texts[i], true);
    assert_int_equal(pool.count, 256);
    assert_int_equal(mem_fault.live, 256);
}

static void without_memory_there_is_none(void **state)
{
    mem_fault_after(0);
    assert_null(cla_text_pool_take(&pool, 1));
    mem_fault_after(0);
    assert_null(cla_text_pool_take(&pool, CLA_TEXT_SHORT + 1));
}

#define TEST(name) cmocka_unit_test_teardown(name, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(memory_of_a_short_text_is_used_again),
        TEST(memory_of_a_long_text_is_not_kept),
        TEST(so_much_is_kept_and_no_more),
        TEST(without_memory_there_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
