/* Settings when each allocation fails in turn. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"
#include "gateway/config.h"
#include "mem_fault.h"

static void init_fails_as_a_whole(void **state)
{
    long n = 0;

    do {
        struct cla_config config;
        int rc;

        mem_fault_after(n++);
        rc = cla_config_init(&config);
        mem_fault_off();
        assert_int_equal(rc, mem_fault.failed ? -CLA_ENOMEM : 0);
        if (rc == 0)
            cla_config_fini(&config);
        assert_int_equal(mem_fault.live, 0);
    } while (mem_fault.failed);
    assert_int_equal(n, 4); /* the defaults of 'listen', 'admin' and 'metrics_listen' */
}

/* Sets 'name' with each allocation failing in turn, until none does. */
static void check(struct cla_slice name, struct cla_slice text, int expected)
{
    long n = 0;

    do {
        struct cla_config_error error = {""};
        struct cla_config config;
        int rc;

        assert_int_equal(cla_config_init(&config), 0);
        mem_fault_after(n++);
        rc = cla_config_set(&config, name, text, CLA_CONFIG_FILE, &error);
        mem_fault_off();
        assert_int_equal(rc, mem_fault.failed ? -CLA_ENOMEM : expected);
        if (mem_fault.failed)
            assert_string_equal(error.text, cla_error_text(-CLA_ENOMEM));
        cla_config_fini(&config);
        assert_int_equal(mem_fault.live, 0);
    } while (mem_fault.failed);
    assert_true(n > 1);
}

static void a_list_is_set_or_not_at_all(void **state)
{
    check(CLA_LIT("hosts"), CLA_LIT("a.test,b.test"), 0);
}

static void a_path_is_set_or_not_at_all(void **state)
{
    check(CLA_LIT("tls_cert"), CLA_LIT("/etc/cert.pem"), 0);
}

static void a_repeated_flag_adds_or_changes_nothing(void **state)
{
    long n = 0;

    do {
        struct cla_config_error error = {""};
        struct cla_config config;
        int rc;

        assert_int_equal(cla_config_init(&config), 0);
        assert_int_equal(
            cla_config_set(&config, CLA_LIT("hosts"), CLA_LIT("a"), CLA_CONFIG_FLAG, &error), 0);
        mem_fault_after(n++);
        rc = cla_config_set(&config, CLA_LIT("hosts"), CLA_LIT("b"), CLA_CONFIG_FLAG, &error);
        mem_fault_off();
        assert_int_equal(rc, mem_fault.failed ? -CLA_ENOMEM : 0);
        assert_int_equal(config.hosts.count, mem_fault.failed ? 1 : 2);
        cla_config_fini(&config);
        assert_int_equal(mem_fault.live, 0);
    } while (mem_fault.failed);
}

static void a_refusal_without_memory_says_so(void **state)
{
    check(CLA_LIT("log_level"), CLA_LIT("verbose"), -CLA_EINVAL);
    check(CLA_LIT("grace"), CLA_LIT("48h"), -CLA_EINVAL);
    check(CLA_LIT("workers"), CLA_LIT("0"), -CLA_EINVAL);
    check(CLA_LIT("listen"), CLA_LIT("x"), -CLA_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(init_fails_as_a_whole),
        cmocka_unit_test(a_list_is_set_or_not_at_all),
        cmocka_unit_test(a_path_is_set_or_not_at_all),
        cmocka_unit_test(a_repeated_flag_adds_or_changes_nothing),
        cmocka_unit_test(a_refusal_without_memory_says_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
