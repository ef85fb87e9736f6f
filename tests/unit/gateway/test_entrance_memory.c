/* Each allocation of the listeners' setting up fails in turn: an error, and nothing is left. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"
#include "gateway/entrance.h"
#include "mem_fault.h"

static const struct cla_entrance_events events;

static void require_set(struct cla_config *config, const char *name, const char *value)
{
    struct cla_config_error error;

    assert_int_equal(
        cla_config_set(config, cla_slice_str(name), cla_slice_str(value), CLA_CONFIG_FLAG, &error),
        0);
}

/* Returns false once no allocation was left to fail. */
static bool run(long n, struct cla_loop *loop, const struct cla_config *config)
{
    struct cla_log log = {.fd = 2, .level = CLA_LOG_OFF};
    struct cla_config_error error;
    const struct cla_passed passed = {.count = 0};
    struct cla_entrance entrance;
    bool failed;
    int rc;

    mem_fault_after(n);
    rc = cla_entrance_open(&entrance, loop, config, &passed, &log, &events, NULL, &error);
    failed = mem_fault.failed;
    mem_fault_off();
    assert_int_equal(rc, failed ? -CLA_ENOMEM : 0);
    if (rc == 0) {
        cla_entrance_close(&entrance);
        cla_loop_step(loop, false);
        cla_entrance_fini(&entrance);
    }
    return failed;
}

static void nothing_is_left_whichever_allocation_fails(void **state)
{
    struct cla_config config;
    struct cla_loop loop;
    long n = 0, live;

    assert_int_equal(cla_config_init(&config), 0);
    assert_int_equal(cla_loop_init(&loop), 0);
    require_set(&config, "listen", "127.0.0.1:0,[::1]:0");
    require_set(&config, "trusted_proxies", "10.0.0.0/8,unix");
    live = mem_fault.live;
    while (run(n, &loop, &config)) {
        assert_int_equal(mem_fault.live, live);
        assert_in_range(++n, 1, 50);
    }
    assert_in_range(n, 2, 50);
    assert_int_equal(mem_fault.live, live);
    cla_loop_fini(&loop);
    cla_config_fini(&config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_left_whichever_allocation_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
