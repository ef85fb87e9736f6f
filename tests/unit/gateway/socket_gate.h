/* What the tests of a worker's WebSockets share: one worker and one client, made and ended around
 * each test. Include it in one file of a test program. */
#ifndef CLA_TEST_SOCKET_GATE_H
#define CLA_TEST_SOCKET_GATE_H

#include "socket_fixture.h"

static struct gate gate;
static struct client c;

static int set_up(void **state)
{
    gate_init(&gate);
    return 0;
}

static int tear_down(void **state)
{
    client_close(&c);
    gate_fini(&gate);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
